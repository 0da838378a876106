//! Which reporters a run gets, by the caller's choice.

use super::{BoardReporter, JsonLinesReporter, JsonReporter, LineReporter, StepSummaryReporter};
use crate::output::EventReporter;
use crate::output::options::{OutputOptions, OutputStreams, SessionOutputStyle};

/// The reporters that these options ask for. What people read goes to the standard output, or to the error stream
/// where the standard output is for a JSON document.
pub fn open_reporters(options: &OutputOptions, streams: OutputStreams) -> Vec<Box<dyn EventReporter>> {
    let OutputStreams { stdout: out, stderr: err, terminal_size: size, events } = streams;
    let mut reporters: Vec<Box<dyn EventReporter>> = Vec::new();
    let people = if options.json {
        reporters.push(Box::new(JsonReporter::new(out)));
        err
    } else {
        out
    };
    if options.is_interactive && options.effective_style() == SessionOutputStyle::Grouped {
        reporters.push(Box::new(BoardReporter::new(people, size, options.clone())));
    } else {
        reporters.push(Box::new(LineReporter::new(people, options.clone())));
    }
    if let Some(path) = &options.step_summary {
        reporters.push(Box::new(StepSummaryReporter::new(path.clone(), options.theme)));
    }
    if let Some(events) = events {
        reporters.push(Box::new(JsonLinesReporter::new(events)));
    }
    reporters
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::best_effort_writer::tests::Capture;
    use crate::output::event_builder::RunEventBuilder;
    use crate::record::Outcome;

    fn run(options: &OutputOptions) -> (String, String, String) {
        let (out, err, events) = (Capture::default(), Capture::default(), Capture::default());
        let streams = OutputStreams {
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            terminal_size: Arc::new(|| Some((80, 24))),
            events: Some(Box::new(events.clone())),
        };
        let mut story = RunEventBuilder::new(&["lint"]);
        story.start_session(1, "lint").finish_session(9, "lint", Outcome::Passed, "").finish_run(10, 0);
        for reporter in &mut open_reporters(options, streams) {
            story.feed_reporter(reporter.as_mut());
        }
        (out.text(), err.text(), events.text())
    }

    #[test]
    fn each_choice_goes_where_it_belongs() {
        let (out, err, events) = run(&OutputOptions::plain());
        assert!(out.contains("1 session: 1 passed") && err.is_empty() && events.lines().count() == 4);
        let (out, err, _) = run(&OutputOptions { json: true, ..OutputOptions::plain() });
        assert!(out.starts_with("{\n  \"version\": 1") && err.contains("1 session: 1 passed"));
        let (out, ..) = run(&OutputOptions { is_interactive: true, ..OutputOptions::plain() });
        assert!(out.contains("\x1b[J"));
        let (out, ..) =
            run(&OutputOptions { is_interactive: true, style: SessionOutputStyle::Labelled, ..OutputOptions::plain() });
        assert!(!out.contains("\x1b["));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        run(&OutputOptions { step_summary: Some(path.clone()), ..OutputOptions::plain() });
        assert!(fs_err::read_to_string(path).unwrap().contains("| lint |"));
    }
}

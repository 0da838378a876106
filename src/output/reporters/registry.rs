//! Registry of reporters, opened by the output options. To add a reporter, add its file and an entry in `REPORTERS`.

use super::board::BoardReporter;
use super::json::JsonReporter;
use super::json_lines::JsonLinesReporter;
use super::lines::LineReporter;
use super::step_summary::StepSummaryReporter;
use crate::output::EventReporter;
use crate::output::options::{OutputOptions, OutputStreams};

/// Opens a reporter if the options select it; it takes the streams that it writes to.
type OpenReporter = fn(&OutputOptions, &mut OutputStreams) -> Option<Box<dyn EventReporter>>;

/// All reporters. Their order has no effect on events, because each has its own thread.
const REPORTERS: &[OpenReporter] =
    &[JsonReporter::open, BoardReporter::open, LineReporter::open, StepSummaryReporter::open, JsonLinesReporter::open];

/// Opens the reporters that the options select.
pub fn open_reporters(options: &OutputOptions, mut streams: OutputStreams) -> Vec<Box<dyn EventReporter>> {
    REPORTERS.iter().filter_map(|open| open(options, &mut streams)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::best_effort_writer::tests::Capture;
    use crate::output::event_builder::RunEventBuilder;
    use crate::output::options::SessionOutputStyle;
    use crate::record::Outcome;

    fn run(options: &OutputOptions) -> (String, String, String) {
        let (out, err, events) = (Capture::default(), Capture::default(), Capture::default());
        let streams = OutputStreams {
            stdout: Box::new(out.clone()),
            stderr: Box::new(err.clone()),
            terminal_size: Arc::new(|| Some((80, 24))),
            events: Some(Box::new(events.clone())),
        };
        let mut builder = RunEventBuilder::new(&["lint"]);
        builder.start_session(1, "lint").finish_session(9, "lint", Outcome::Passed, "").finish_run(10, 0);
        for reporter in &mut open_reporters(options, streams) {
            builder.feed_reporter(reporter.as_mut());
        }
        (out.text(), err.text(), events.text())
    }

    #[test]
    fn each_reporter_writes_to_its_stream() {
        let (out, err, events) = run(&OutputOptions::plain());
        assert!(out.contains("1 session: 1 passed") && err.is_empty() && events.lines().count() == 4);
        let (out, err, _) = run(&OutputOptions { json: true, ..OutputOptions::plain() });
        assert!(out.starts_with("{\n  \"version\": 2") && err.contains("1 session: 1 passed"));
        let (out, ..) = run(&OutputOptions { is_interactive: true, ..OutputOptions::plain() });
        assert!(out.contains("\x1b[J"));
        let (out, ..) =
            run(&OutputOptions { is_interactive: true, style: SessionOutputStyle::Labelled, ..OutputOptions::plain() });
        assert!(!out.contains("\x1b["));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.md");
        run(&OutputOptions { step_summary: Some(path.clone()), ..OutputOptions::plain() });
        assert!(fs_err::read_to_string(path).unwrap().contains("| lint |"));
    }
}

//! Which reporters a run gets, by the caller's choice.

use super::{Board, Document, Events, Lines, StepSummary};
use crate::output::Reporter;
use crate::output::options::{OutputOptions, Streams, Style};

/// The reporters that these options ask for. What people read goes to the standard output, or to the error stream
/// where the standard output is for a JSON document.
pub fn open(options: &OutputOptions, streams: Streams) -> Vec<Box<dyn Reporter>> {
    let Streams { out, err, size, events } = streams;
    let mut reporters: Vec<Box<dyn Reporter>> = Vec::new();
    let people = if options.json {
        reporters.push(Box::new(Document::new(out)));
        err
    } else {
        out
    };
    if options.board && options.style() == Style::Grouped {
        reporters.push(Box::new(Board::new(people, size, options.clone())));
    } else {
        reporters.push(Box::new(Lines::new(people, options.clone())));
    }
    if let Some(path) = &options.step_summary {
        reporters.push(Box::new(StepSummary::new(path.clone(), options.paint)));
    }
    if let Some(events) = events {
        reporters.push(Box::new(Events::new(events)));
    }
    reporters
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::pipe::tests::Capture;
    use crate::output::story::Story;
    use crate::record::Outcome;

    fn run(options: &OutputOptions) -> (String, String, String) {
        let (out, err, events) = (Capture::default(), Capture::default(), Capture::default());
        let streams = Streams {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            size: Arc::new(|| Some((80, 24))),
            events: Some(Box::new(events.clone())),
        };
        let mut story = Story::new(&["lint"]);
        story.start(1, "lint").finish(9, "lint", Outcome::Passed, "").over(10, 0);
        for reporter in &mut open(options, streams) {
            story.feed(reporter.as_mut());
        }
        (out.text(), err.text(), events.text())
    }

    #[test]
    fn each_choice_goes_where_it_belongs() {
        let (out, err, events) = run(&OutputOptions::plain());
        assert!(out.contains("1 session: 1 passed") && err.is_empty() && events.lines().count() == 4);
        let (out, err, _) = run(&OutputOptions { json: true, ..OutputOptions::plain() });
        assert!(out.starts_with("{\n  \"version\": 1") && err.contains("1 session: 1 passed"));
        let (out, ..) = run(&OutputOptions { board: true, ..OutputOptions::plain() });
        assert!(out.contains("\x1b[J"));
        let (out, ..) = run(&OutputOptions { board: true, style: Style::Labelled, ..OutputOptions::plain() });
        assert!(!out.contains("\x1b["));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        run(&OutputOptions { step_summary: Some(path.clone()), ..OutputOptions::plain() });
        assert!(fs_err::read_to_string(path).unwrap().contains("| lint |"));
    }
}

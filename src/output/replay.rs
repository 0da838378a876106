//! A past run shown again: its recorded events through reporters, without waiting.

use std::io::{self, BufRead};
use std::path::Path;

use super::Reporter;
use crate::record::{Event, Fact};

/// How a replay went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events shown.
    pub events: usize,
    /// The exit code of the run; none where its record ends before it did.
    pub exit: Option<u8>,
    /// The first line that is no event: the record is shown up to there.
    pub damaged: Option<usize>,
}

/// Feeds recorded events to reporters; `folder` is the folder of the run, where its logs are.
///
/// # Errors
/// When the events cannot be read, or a reporter cannot write.
pub fn replay(events: &mut dyn BufRead, folder: &Path, reporters: &mut [Box<dyn Reporter>]) -> io::Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if events.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Ok(event) = serde_json::from_slice::<Event>(&line) else {
            // What a run that was killed wrote last may be half a line.
            replayed.damaged = Some(number);
            break;
        };
        for reporter in reporters.iter_mut() {
            reporter.event(&event, folder)?;
        }
        replayed.events += 1;
        if let Fact::RunFinished { exit } = event.fact {
            replayed.exit = Some(exit);
        }
    }
    for reporter in reporters.iter_mut() {
        reporter.finish()?;
    }
    Ok(replayed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::options::OutputOptions;
    use crate::output::pipe::tests::Capture;
    use crate::output::reporters::Lines;
    use crate::output::story::Story;
    use crate::record::Outcome;

    fn recorded(story: &Story) -> String {
        story.events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
    }

    fn shown(story: &Story, recorded: &str) -> (String, Replayed) {
        let capture = Capture::default();
        let lines = Lines::new(Box::new(capture.clone()), OutputOptions::plain());
        let replayed = replay(&mut recorded.as_bytes(), story.folder(), &mut [Box::new(lines)]).unwrap();
        (capture.text(), replayed)
    }

    #[test]
    fn a_replay_shows_what_the_run_showed() {
        let mut story = Story::new(&["lint", "docs"]);
        story.start(0, "lint").grew(1, "lint", b"bad\n").finish(9, "lint", Outcome::Failed, "exit code 1");
        story.finish(9, "docs", Outcome::Aborted, "lint did not pass").over(10, 1);
        let live = Capture::default();
        story.feed(&mut Lines::new(Box::new(live.clone()), OutputOptions::plain()));
        let (text, replayed) = shown(&story, &recorded(&story));
        assert_eq!(text, live.text());
        assert_eq!(replayed, Replayed { events: 5 + 1, exit: Some(1), damaged: None });
    }

    #[test]
    fn a_record_cut_short_is_shown_as_far_as_it_goes() {
        let mut story = Story::new(&["lint"]);
        story.start(0, "lint").over(10, 1);
        let text = recorded(&story);
        let (text, replayed) = shown(&story, &text[..text.len() - 20]);
        assert_eq!(replayed, Replayed { events: 2, exit: None, damaged: Some(3) });
        assert!(text.contains("1 session: 1 unfinished"));
    }
}

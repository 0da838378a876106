//! Event reporters: the trait that shows a run to people, CI or programs, and the replay of recorded events.

use std::io::{self, BufRead};
use std::path::Path;

use crate::record::{EventKind, RunEvent, check_event_logs, parse_event};

/// Shows a run to people, CI or programs. Input is events, and log files for the output of sessions.
pub trait EventReporter: Send {
    /// Handles the next event; log paths are relative to `run_dir`.
    ///
    /// # Errors
    /// When writing fails; a closed pipe is no error.
    fn on_event(&mut self, event: &RunEvent, run_dir: &Path) -> io::Result<()>;

    /// Advances the clock: `now` is in milliseconds since the run started. Called about ten times per second.
    ///
    /// # Errors
    /// Same as [`Self::on_event`].
    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        let _ = now;
        Ok(())
    }

    /// Shows the running sessions, on request (Enter, `t` or SIGUSR1).
    ///
    /// # Errors
    /// Same as [`Self::on_event`].
    fn show_running(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Ends the output: the run is over, or its events end early. Writes the summary if it was not written yet.
    ///
    /// # Errors
    /// Same as [`Self::on_event`].
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Result of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplaySummary {
    /// Number of events shown.
    pub event_count: usize,
    /// Exit code of the run; `None` if the events end before the run does.
    pub exit_code: Option<u8>,
    /// Number of the first line that is not an event; lines before it were shown.
    pub damaged_line: Option<usize>,
}

/// Sends recorded events to reporters; `run_dir` is the run directory, which contains the logs.
///
/// # Errors
/// When the events cannot be read, or a reporter cannot write.
pub fn replay_events(
    events: &mut dyn BufRead,
    run_dir: &Path,
    reporters: &mut [Box<dyn EventReporter>],
) -> io::Result<ReplaySummary> {
    let mut summary = ReplaySummary::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if events.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Ok(event) = parse_event(&line) else {
            // A killed run may leave an incomplete last line.
            summary.damaged_line = Some(number);
            break;
        };
        check_event_logs(&event, run_dir)?;
        for reporter in reporters.iter_mut() {
            reporter.on_event(&event, run_dir)?;
        }
        summary.event_count += 1;
        if let EventKind::RunFinished { exit_code: exit } = event.kind {
            summary.exit_code = Some(exit);
        }
    }
    for reporter in reporters.iter_mut() {
        reporter.finish()?;
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;
    use crate::output::event_builder::RunEventBuilder;
    use crate::output::options::OutputOptions;
    use crate::output::reporters::LineReporter;
    use crate::record::Outcome;

    fn recorded(builder: &RunEventBuilder) -> String {
        builder.events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
    }

    fn shown(builder: &RunEventBuilder, recorded: &str) -> (String, ReplaySummary) {
        let capture = Capture::default();
        let lines = LineReporter::new(Box::new(capture.clone()), OutputOptions::plain());
        let replayed = replay_events(&mut recorded.as_bytes(), builder.run_dir(), &mut [Box::new(lines)]).unwrap();
        (capture.text(), replayed)
    }

    #[test]
    fn a_replay_shows_what_the_run_showed() {
        let mut builder = RunEventBuilder::new(&["lint", "docs"]);
        builder.start_session(0, "lint").append_output(1, "lint", b"bad\n").finish_session(
            9,
            "lint",
            Outcome::Failed,
            "exit code 1",
        );
        builder.finish_session(9, "docs", Outcome::Aborted, "lint did not pass").finish_run(10, 1);
        let live = Capture::default();
        builder.feed_reporter(&mut LineReporter::new(Box::new(live.clone()), OutputOptions::plain()));
        let (text, replayed) = shown(&builder, &recorded(&builder));
        assert_eq!(text, live.text());
        assert_eq!(replayed, ReplaySummary { event_count: 5 + 1, exit_code: Some(1), damaged_line: None });
    }

    #[test]
    fn truncated_events_are_shown_up_to_their_end() {
        let mut builder = RunEventBuilder::new(&["lint"]);
        builder.start_session(0, "lint").finish_run(10, 1);
        let text = recorded(&builder);
        let (text, replayed) = shown(&builder, &text[..text.len() - 20]);
        assert_eq!(replayed, ReplaySummary { event_count: 2, exit_code: None, damaged_line: Some(3) });
        assert!(text.contains("1 session: 1 unfinished"));
    }
}

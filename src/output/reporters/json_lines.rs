//! JSON-lines reporter (`--events`): each event when it happens, for programs that watch a run.

use std::io;
use std::path::Path;

use crate::output::options::{OutputOptions, OutputStreams};
use crate::output::{BestEffortWriter, EventReporter};
use crate::record::RunEvent;
use crate::text::escape_json_document;

/// Writes each event as a line of JSON.
pub(crate) struct JsonLinesReporter {
    writer: BestEffortWriter,
}

impl JsonLinesReporter {
    /// Opens the reporter for `--events`.
    pub(crate) fn open(_: &OutputOptions, streams: &mut OutputStreams) -> Option<Box<dyn EventReporter>> {
        streams.events.take().map(|stream| Box::new(Self::new(stream)) as _)
    }

    /// Creates a reporter that writes JSON lines to a stream.
    pub(crate) fn new(stream: Box<dyn io::Write + Send>) -> Self {
        Self { writer: BestEffortWriter::new(stream) }
    }
}

impl EventReporter for JsonLinesReporter {
    fn on_event(&mut self, event: &RunEvent, _: &Path) -> io::Result<()> {
        self.writer.write_line(&escape_json_document(&serde_json::to_string(event)?))?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;
    use crate::output::event_builder::RunEventBuilder;
    use crate::record::Outcome;

    #[test]
    fn written_events_read_back_unchanged() {
        let mut builder = RunEventBuilder::new(&["lint"]);
        builder
            .start_session(1, "lint")
            .append_output(2, "lint", b"x\n")
            .retry_session(3, "lint", "exit code 1", 10)
            .start_session(13, "lint");
        builder
            .finish_session(20, "lint", Outcome::Passed, "")
            .add_session(21, "docs", "lint")
            .add_notice(22, "a\nb")
            .interrupt_run(23, "SIGINT");
        builder.finish_run(24, 130);
        let capture = Capture::default();
        builder.feed_reporter(&mut JsonLinesReporter::new(Box::new(capture.clone())));
        let events: Vec<RunEvent> = capture.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events, builder.events);
    }
}

//! Events as JSON lines, as they happen: for programs that watch a run.

use std::io;
use std::path::Path;

use crate::output::{Pipe, Reporter};
use crate::record::Event;

/// Writes each event as a line of JSON.
pub struct Events {
    pipe: Pipe,
}

impl Events {
    /// A reporter that writes JSON lines to this stream.
    pub fn new(stream: Box<dyn io::Write + Send>) -> Self {
        Self { pipe: Pipe::new(stream) }
    }
}

impl Reporter for Events {
    fn event(&mut self, event: &Event, _folder: &Path) -> io::Result<()> {
        self.pipe.line(&serde_json::to_string(event)?)?;
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::pipe::tests::Capture;
    use crate::output::story::Story;
    use crate::record::Outcome;

    #[test]
    fn what_is_written_reads_back_as_the_same_events() {
        let mut story = Story::new(&["lint"]);
        story.start(1, "lint").grew(2, "lint", b"x\n").retry(3, "lint", "exit code 1", 10).start(13, "lint");
        story
            .finish(20, "lint", Outcome::Passed, "")
            .add(21, "docs", "lint")
            .notice(22, "a\nb")
            .interrupt(23, "SIGINT");
        story.over(24, 130);
        let capture = Capture::default();
        story.feed(&mut Events::new(Box::new(capture.clone())));
        let back: Vec<Event> = capture.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back, story.events);
    }
}

//! Replay of a recorded run on the streams of a command.

use std::io::{self, BufReader};
use std::path::Path;

use super::event_reporter::{ReplaySummary, replay_events};
use super::options::SessionOutputStyle;
use super::output_context::OutputContext;
use super::reporters::open_reporters;
use crate::record::open_run_file;

impl OutputContext {
    /// Prints a recorded run from its events; `run` is its identifier.
    ///
    /// # Errors
    /// When the events cannot be read.
    pub(crate) fn replay_run(
        &self,
        run_dir: &Path,
        style: Option<SessionOutputStyle>,
        json: bool,
    ) -> io::Result<ReplaySummary> {
        let events = open_run_file(&run_dir.join("events.jsonl"))?;
        let mut options = self.output_options(style, json, false);
        // A board would only flash by.
        options.is_interactive = false;
        let mut reporters = open_reporters(&options, self.open_streams(None));
        replay_events(&mut BufReader::new(events), run_dir, &mut reporters)
    }
}

//! Event reporters: the trait that shows a run to people, CI or programs, and the replay of recorded events.

use std::io;
use std::path::Path;

use crate::record::RunEvent;

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
    /// As for [`Self::on_event`].
    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        let _ = now;
        Ok(())
    }

    /// Shows the running sessions, on request (a key press, SIGUSR1).
    ///
    /// # Errors
    /// As for [`Self::on_event`].
    fn show_running(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Ends the output: the run is over, or its events end early. Writes the summary if it was not written yet.
    ///
    /// # Errors
    /// As for [`Self::on_event`].
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What shows a run to somebody: the one contract of all reporters.

use std::io;
use std::path::Path;

use crate::record::RunEvent;

/// Shows a run to people, to CI or to machines. Input is events, and log files for sessions' output.
pub trait EventReporter: Send {
    /// Takes the next event; `folder` is the run's folder, which log paths are relative to.
    ///
    /// # Errors
    /// When what it writes to fails in a way that people should know of; a closed pipe is none.
    fn on_event(&mut self, event: &RunEvent, folder: &Path) -> io::Result<()>;

    /// Time has passed: `now` is in milliseconds since the run started. Ten times a second is enough for a board.
    ///
    /// # Errors
    /// As for `event`.
    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        let _ = now;
        Ok(())
    }

    /// Somebody asked what runs now (a key press, SIGUSR1).
    ///
    /// # Errors
    /// As for `event`.
    fn show_running(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The run is over, or its events end early: writes what is owed and leaves the terminal as it was.
    ///
    /// # Errors
    /// As for `event`.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

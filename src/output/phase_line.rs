//! Phase line: what noxide does before a run, shown while that takes longer than a moment.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::OutputContext;
use super::theme::TextStyle;

/// A shorter phase is not shown on a terminal, where its line would only flash up.
const TERMINAL_DELAY: Duration = Duration::from_millis(150);
/// A shorter phase is not shown in a file or pipe, where its line stays.
const PIPE_DELAY: Duration = Duration::from_secs(1);

/// How soon a phase is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseLength {
    /// If it takes longer than a moment.
    Unknown,
    /// At once: it always takes long.
    Long,
}

/// A phase that is shown until this value is dropped.
#[must_use]
pub(crate) struct PhaseLine {
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl OutputContext {
    /// Shows a phase on standard error, unless `-q` was given: on a terminal until it is over.
    pub(crate) fn show_phase(&self, text: &str, length: PhaseLength) -> PhaseLine {
        if self.is_quiet() {
            return PhaseLine { thread: None };
        }
        let is_terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let delay = match (length, is_terminal) {
            (PhaseLength::Long, _) => Duration::ZERO,
            (PhaseLength::Unknown, true) => TERMINAL_DELAY,
            (PhaseLength::Unknown, false) => PIPE_DELAY,
        };
        let line = self.stderr_theme.style_text(TextStyle::Dim, &format!("{text}{}", self.stderr_theme.ellipsis()));
        let (sender, over) = mpsc::channel::<()>();
        let show = move || {
            if over.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let mut stderr = std::io::stderr();
            // A closed stream is not an error.
            let _ = if is_terminal { write!(stderr, "{line}") } else { writeln!(stderr, "{line}") };
            let _ = over.recv();
            if is_terminal {
                let _ = write!(stderr, "\r\x1b[K");
            }
        };
        let thread = std::thread::Builder::new().spawn(show).ok();
        PhaseLine { thread: thread.map(|thread| (sender, thread)) }
    }
}

impl Drop for PhaseLine {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // It has erased its line before anything else is printed.
            let _ = thread.join();
        }
    }
}

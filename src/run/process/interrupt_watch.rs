//! Signals to a command that runs other commands: the first one interrupts them, the next one kills them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::process_tree::{become_subreaper, interrupt_descendants, kill_run_processes};
use super::signals::{SignalEvent, SignalListener};

/// A watch for signals that end noxide, until dropped.
#[derive(Debug)]
pub(crate) struct InterruptWatch {
    caught_signal: Arc<AtomicI32>,
    _listener: SignalListener,
}

impl InterruptWatch {
    /// Starts to watch; orphans of commands become children of noxide.
    ///
    /// # Errors
    /// When no handler or thread can be installed.
    pub(crate) fn start() -> io::Result<Self> {
        become_subreaper();
        let caught_signal = Arc::new(AtomicI32::new(0));
        let shared = Arc::clone(&caught_signal);
        let listener = SignalListener::start(move |event| {
            if let SignalEvent::End(signal) = event {
                match shared.swap(signal, Ordering::SeqCst) {
                    0 => interrupt_descendants(),
                    _ => kill_run_processes(None, None),
                }
            }
        })?;
        Ok(Self { caught_signal, _listener: listener })
    }

    /// Returns the last signal, if there was one.
    pub(crate) fn caught_signal(&self) -> Option<i32> {
        Some(self.caught_signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

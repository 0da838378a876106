//! Signals that noxide receives, as events.

use std::io;
use std::thread::JoinHandle;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};

/// What a signal requests of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalEvent {
    /// End: SIGINT, SIGTERM or SIGHUP, by number.
    End(i32),
    /// Pause (SIGTSTP, Ctrl-Z).
    Pause,
    /// Continue after a pause (SIGCONT).
    Resume,
    /// Print the running sessions (SIGUSR1).
    ShowStatus,
    /// The terminal was resized (SIGWINCH).
    Resize,
}

impl SignalEvent {
    /// Returns the exit code of a run that this signal ended: 128 plus its number.
    pub(crate) fn exit_code(signal: i32) -> u8 {
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }

    /// Describes a signal to the user: `Ctrl-C`, otherwise its name.
    pub(crate) fn describe(signal: i32) -> String {
        if signal == SIGINT { "Ctrl-C".to_owned() } else { Self::signal_name(signal) }
    }

    /// Returns the name of a signal, such as `SIGTERM`.
    pub(crate) fn signal_name(signal: i32) -> String {
        signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
    }
}

/// A thread that calls a function for each signal, until dropped.
#[derive(Debug)]
pub(crate) struct SignalListener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalListener {
    /// Calls `on_signal` for each signal that a run handles. An ignored SIGHUP (`nohup`) stays ignored.
    ///
    /// # Errors
    /// When no handler or thread can be installed.
    pub(crate) fn start(mut on_signal: impl FnMut(SignalEvent) + Send + 'static) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGUSR1, SIGWINCH, SIGXFSZ])?;
        if !is_signal_ignored(&fs_err::read_to_string("/proc/self/status").unwrap_or_default(), SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        let handle = signals.handle();
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                on_signal(match signal {
                    SIGTSTP => SignalEvent::Pause,
                    SIGCONT => SignalEvent::Resume,
                    SIGUSR1 => SignalEvent::ShowStatus,
                    SIGWINCH => SignalEvent::Resize,
                    // A file has reached the size limit (`ulimit -f`): with the signal handled, the write fails as on a
                    // full disk.
                    SIGXFSZ => continue,
                    number => SignalEvent::End(number),
                });
            }
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

/// Whether a process ignores a signal, by the text of its `/proc/PID/status`.
fn is_signal_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

impl Drop for SignalListener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    #[test]
    fn signals_become_events() {
        // A handler that does nothing: under `nohup` SIGHUP is ignored, and the listener leaves it ignored.
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false))).unwrap();
        let (sender, receiver) = mpsc::channel();
        let signals = SignalListener::start(move |event| sender.send(event).unwrap_or(())).unwrap();
        for (signal, event) in [
            (SIGUSR1, SignalEvent::ShowStatus),
            (SIGWINCH, SignalEvent::Resize),
            (SIGCONT, SignalEvent::Resume),
            (SIGHUP, SignalEvent::End(1)),
        ] {
            signal_hook::low_level::raise(signal).unwrap();
            assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(event));
        }
        drop(signals);
        assert_eq!((SignalEvent::exit_code(2), SignalEvent::signal_name(15).as_str()), (130, "SIGTERM"));
        assert_eq!(SignalEvent::signal_name(99), "signal 99");
        assert!(is_signal_ignored("Name: a\nSigIgn:\t0000000000001001\n", SIGHUP));
        assert!(!is_signal_ignored("SigIgn:\t0000000000001000\n", SIGHUP) && !is_signal_ignored("", SIGHUP));
    }
}

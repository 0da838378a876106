//! Reaction to signals in each phase of noxide: while the noxfile loads, while sessions run, and afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::keyboard::Keyboard;
use super::process_tree::{interrupt_descendants, kill_run_processes, suspend_all};
use super::signals::{SignalEvent, SignalListener};

/// Time between the first signal and the kill of the process that loads the noxfile.
const LOAD_KILL_GRACE: Duration = Duration::from_secs(2);

/// Handles signals until it is dropped.
#[derive(Debug)]
pub(crate) struct SignalGuard {
    phase: Arc<Mutex<SignalPhase>>,
    _listener: SignalListener,
}

/// Phase of noxide.
enum SignalPhase {
    /// Locating nox and loading the noxfile: a signal stops this.
    Loading { first_signal: Option<i32>, signal_count: u32 },
    /// Running sessions: signals are forwarded. During a pause (Ctrl-Z) the terminal has its original modes.
    Running { forward: Box<dyn Fn(SignalEvent) + Send>, keyboard: Option<Keyboard> },
    /// No process must be stopped first: a signal ends noxide at once, with this exit code or that of the signal.
    Idle { exit_code: Option<u8> },
}

impl std::fmt::Debug for SignalPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loading { .. } => "Loading",
            Self::Running { .. } => "Running",
            Self::Idle { .. } => "Idle",
        })
    }
}

impl SignalGuard {
    /// Starts to handle signals, in the loading phase.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub(crate) fn install() -> std::io::Result<Self> {
        let phase = Arc::new(Mutex::new(SignalPhase::Loading { first_signal: None, signal_count: 0 }));
        let shared = Arc::clone(&phase);
        let listener = SignalListener::start(move |event| handle_signal(&shared, event))?;
        Ok(Self { phase, _listener: listener })
    }

    /// Ends the loading phase and returns the signal that arrived during it.
    pub(crate) fn finish_loading(&self) -> Option<i32> {
        match std::mem::replace(&mut *lock_phase(&self.phase), SignalPhase::Idle { exit_code: None }) {
            SignalPhase::Loading { first_signal, .. } => first_signal,
            _ => None,
        }
    }

    /// Forwards signals from now on; `keyboard` is the terminal that keys are read from.
    pub(crate) fn forward_signals(&self, forward: impl Fn(SignalEvent) + Send + 'static, keyboard: Option<Keyboard>) {
        *lock_phase(&self.phase) = SignalPhase::Running { forward: Box::new(forward), keyboard };
    }

    /// Ends the running phase, once the record is written: from now on a signal makes noxide exit at once, with the
    /// run's exit code.
    pub(crate) fn finish_run(&self, exit_code: u8) {
        *lock_phase(&self.phase) = SignalPhase::Idle { exit_code: Some(exit_code) };
    }
}

fn lock_phase(phase: &Mutex<SignalPhase>) -> MutexGuard<'_, SignalPhase> {
    phase.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handle_signal(shared: &Arc<Mutex<SignalPhase>>, event: SignalEvent) {
    let mut phase = lock_phase(shared);
    let (signal, count) = match (&mut *phase, event) {
        (SignalPhase::Running { forward, keyboard }, event) => {
            match (keyboard, event) {
                (Some(keyboard), SignalEvent::Pause) => keyboard.restore_modes(),
                (Some(keyboard), SignalEvent::Resume) => keyboard.disable_echo(),
                _ => {}
            }
            return forward(event);
        }
        (_, SignalEvent::Pause) => {
            drop(phase);
            return suspend_all();
        }
        (SignalPhase::Idle { exit_code }, SignalEvent::End(signal)) => {
            exit_now(exit_code.unwrap_or_else(|| SignalEvent::exit_code(signal)))
        }
        (SignalPhase::Loading { first_signal, signal_count }, SignalEvent::End(signal)) => {
            *signal_count += 1;
            (*first_signal.get_or_insert(signal), *signal_count)
        }
        _ => return,
    };
    drop(phase);
    match count {
        1 => {
            interrupt_descendants();
            let shared = Arc::clone(shared);
            std::thread::spawn(move || kill_after_grace(&shared, signal));
        }
        2 => kill_run_processes(None, None),
        _ => exit_now(SignalEvent::exit_code(signal)),
    }
}

/// Kills the process that loads the noxfile if it ignores an interrupt; exits if loading still does not end.
fn kill_after_grace(shared: &Mutex<SignalPhase>, signal: i32) {
    for _ in 0..2 {
        std::thread::sleep(LOAD_KILL_GRACE);
        if !matches!(*lock_phase(shared), SignalPhase::Loading { .. }) {
            return;
        }
        kill_run_processes(None, None);
    }
    exit_now(SignalEvent::exit_code(signal));
}

/// Kills all children and exits.
fn exit_now(exit_code: u8) -> ! {
    kill_run_processes(None, None);
    std::process::exit(i32::from(exit_code));
}

//! Signals from the first moment to the last: while the noxfile loads, while sessions run, while all is put away.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::run::RunMessage;
use crate::run::process::{
    Keyboard, SignalEvent, SignalListener, interrupt_descendants, kill_run_processes, suspend_all,
};

/// How long what loads the noxfile gets after the first signal, before it is killed.
const LOAD_KILL_GRACE: Duration = Duration::from_secs(2);

/// Catches signals as long as it lives, and knows what they mean now.
#[derive(Debug)]
pub(super) struct SignalGuard {
    phase: Arc<Mutex<SignalPhase>>,
    _signals: SignalListener,
}

/// What noxide is at.
#[derive(Debug)]
enum SignalPhase {
    /// It looks for nox and loads the noxfile; a signal ends that.
    Loading {
        /// The first signal that came.
        first_signal: Option<i32>,
        /// How many came.
        signal_count: u32,
    },
    /// Sessions run: the dispatcher decides. Around a stop (Ctrl-Z) the terminal is as the user had it.
    Running(Sender<RunMessage>, Option<Keyboard>),
    /// Nothing runs that needs time to end: a signal ends noxide, by this exit code or its own.
    Idle(Option<u8>),
}

impl SignalGuard {
    /// Begins to catch signals, as one that loads a noxfile.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn install() -> std::io::Result<Self> {
        let stage = Arc::new(Mutex::new(SignalPhase::Loading { first_signal: None, signal_count: 0 }));
        let known = Arc::clone(&stage);
        let signals = SignalListener::start(move |caught| handle_signal(&known, caught))?;
        Ok(Self { phase: stage, _signals: signals })
    }

    /// The noxfile is loaded; gives the signal that came meanwhile.
    pub(super) fn finish_loading(&self) -> Option<i32> {
        match std::mem::replace(&mut *lock_phase(&self.phase), SignalPhase::Idle(None)) {
            SignalPhase::Loading { first_signal: ended_by, .. } => ended_by,
            _ => None,
        }
    }

    /// From now on signals are the dispatcher's; `keyboard` is the terminal it reads keys from.
    pub(super) fn forward_to_dispatcher(&self, dispatcher: Sender<RunMessage>, keyboard: Option<Keyboard>) {
        *lock_phase(&self.phase) = SignalPhase::Running(dispatcher, keyboard);
    }

    /// The run is over and its record written: a signal only hastens the end, by the run's own exit code.
    pub(super) fn finish_run(&self, exit: u8) {
        *lock_phase(&self.phase) = SignalPhase::Idle(Some(exit));
    }
}

fn lock_phase(stage: &Mutex<SignalPhase>) -> MutexGuard<'_, SignalPhase> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handle_signal(known: &Arc<Mutex<SignalPhase>>, caught: SignalEvent) {
    let mut stage = lock_phase(known);
    let (signal, count) = match (&mut *stage, caught) {
        // A dispatcher that is gone has no sessions left.
        (SignalPhase::Running(dispatcher, keyboard), caught) => {
            match (keyboard, caught) {
                (Some(keyboard), SignalEvent::Pause) => keyboard.restore_modes(),
                (Some(keyboard), SignalEvent::Resume) => keyboard.disable_echo(),
                _ => {}
            }
            return dispatcher.send(RunMessage::Signal(caught)).unwrap_or(());
        }
        (_, SignalEvent::Pause) => {
            drop(stage);
            return suspend_all();
        }
        (SignalPhase::Idle(exit), SignalEvent::Terminate(signal)) => {
            exit_now(exit.unwrap_or_else(|| SignalEvent::exit_code(signal)))
        }
        (SignalPhase::Loading { first_signal: ended_by, signal_count: count }, SignalEvent::Terminate(signal)) => {
            *count += 1;
            (*ended_by.get_or_insert(signal), *count)
        }
        _ => return,
    };
    drop(stage);
    match count {
        1 => {
            interrupt_descendants();
            let known = Arc::clone(known);
            std::thread::spawn(move || kill_after_grace(&known, signal));
        }
        2 => kill_run_processes(None, None),
        _ => exit_now(SignalEvent::exit_code(signal)),
    }
}

/// Ends what loads the noxfile and does not heed an interrupt; and noxide, where that was not what it waits for.
fn kill_after_grace(known: &Mutex<SignalPhase>, signal: i32) {
    for _ in 0..2 {
        std::thread::sleep(LOAD_KILL_GRACE);
        if !matches!(*lock_phase(known), SignalPhase::Loading { .. }) {
            return;
        }
        kill_run_processes(None, None);
    }
    exit_now(SignalEvent::exit_code(signal));
}

/// Ends noxide at once, after all its children.
fn exit_now(exit: u8) -> ! {
    kill_run_processes(None, None);
    std::process::exit(i32::from(exit));
}

//! Signals from the first moment to the last: while the noxfile loads, while sessions run, while all is put away.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::run::Message;
use crate::run::process::{Caught, Keyboard, Signals, end_run, interrupt_descendants, stop_self};

/// How long what loads the noxfile gets after the first signal, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Catches signals as long as it lives, and knows what they mean now.
#[derive(Debug)]
pub(super) struct Watch {
    stage: Arc<Mutex<Stage>>,
    _signals: Signals,
}

/// What noxide is at.
#[derive(Debug)]
enum Stage {
    /// It looks for nox and loads the noxfile; a signal ends that.
    Loading {
        /// The first signal that came.
        ended_by: Option<i32>,
        /// How many came.
        count: u32,
    },
    /// Sessions run: the dispatcher decides. Around a stop (Ctrl-Z) the terminal is as the user had it.
    Running(Sender<Message>, Option<Keyboard>),
    /// Nothing runs that needs time to end: a signal ends noxide, by this exit code or its own.
    Idle(Option<u8>),
}

impl Watch {
    /// Begins to catch signals, as one that loads a noxfile.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn begin() -> std::io::Result<Self> {
        let stage = Arc::new(Mutex::new(Stage::Loading { ended_by: None, count: 0 }));
        let known = Arc::clone(&stage);
        let signals = Signals::catch(move |caught| take(&known, caught))?;
        Ok(Self { stage, _signals: signals })
    }

    /// The noxfile is loaded; gives the signal that came meanwhile.
    pub(super) fn loaded(&self) -> Option<i32> {
        match std::mem::replace(&mut *lock(&self.stage), Stage::Idle(None)) {
            Stage::Loading { ended_by, .. } => ended_by,
            _ => None,
        }
    }

    /// From now on signals are the dispatcher's; `keyboard` is the terminal it reads keys from.
    pub(super) fn tell(&self, dispatcher: Sender<Message>, keyboard: Option<Keyboard>) {
        *lock(&self.stage) = Stage::Running(dispatcher, keyboard);
    }

    /// The run is over and its record written: a signal only hastens the end, by the run's own exit code.
    pub(super) fn over(&self, exit: u8) {
        *lock(&self.stage) = Stage::Idle(Some(exit));
    }
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(known: &Arc<Mutex<Stage>>, caught: Caught) {
    let mut stage = lock(known);
    let (signal, count) = match (&mut *stage, caught) {
        // A dispatcher that is gone has no sessions left.
        (Stage::Running(dispatcher, keyboard), caught) => {
            match (keyboard, caught) {
                (Some(keyboard), Caught::Pause) => keyboard.restore(),
                (Some(keyboard), Caught::Resume) => keyboard.quiet(),
                _ => {}
            }
            return dispatcher.send(Message::Caught(caught)).unwrap_or(());
        }
        (_, Caught::Pause) => {
            drop(stage);
            return stop_self();
        }
        (Stage::Idle(exit), Caught::End(signal)) => leave(exit.unwrap_or_else(|| Caught::exit(signal))),
        (Stage::Loading { ended_by, count }, Caught::End(signal)) => {
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
            std::thread::spawn(move || hasten(&known, signal));
        }
        2 => end_run(None, None),
        _ => leave(Caught::exit(signal)),
    }
}

/// Ends what loads the noxfile and does not heed an interrupt; and noxide, where that was not what it waits for.
fn hasten(known: &Mutex<Stage>, signal: i32) {
    for _ in 0..2 {
        std::thread::sleep(GRACE);
        if !matches!(*lock(known), Stage::Loading { .. }) {
            return;
        }
        end_run(None, None);
    }
    leave(Caught::exit(signal));
}

/// Ends noxide at once, after all its children.
fn leave(exit: u8) -> ! {
    end_run(None, None);
    std::process::exit(i32::from(exit));
}

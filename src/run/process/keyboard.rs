//! Keys pressed while a run goes on: they ask what runs now. Nothing else is ever taken from the user's terminal.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// How often a process in the background looks whether it is in front again.
const FOREGROUND_CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The terminal that keys come from. While it is quiet, keys arrive at once and are not echoed.
#[derive(Clone, Debug)]
pub(crate) struct Keyboard {
    terminal: Arc<OwnedFd>,
    /// The modes to give back, while ours are in force.
    saved_modes: Arc<Mutex<Option<Termios>>>,
}

impl Keyboard {
    /// The standard input, where that is a terminal.
    pub(crate) fn from_stdin() -> Option<Self> {
        let stdin = io::stdin();
        stdin.is_terminal().then(|| stdin.as_fd().try_clone_to_owned().ok()).flatten().map(Self::from_terminal)
    }

    fn from_terminal(terminal: OwnedFd) -> Self {
        Self { terminal: Arc::new(terminal), saved_modes: Arc::default() }
    }

    /// Makes it quiet, unless it is another's now: who changes modes from the background is stopped by the kernel.
    pub(crate) fn disable_echo(&self) {
        let mut usual = self.saved_modes.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_foreground() {
            return;
        }
        let Ok(modes) = tcgetattr(&self.terminal) else { return };
        let mut quiet = modes.clone();
        // Signals by keys stay: Ctrl-C and Ctrl-Z mean what they always mean.
        quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(&self.terminal, OptionalActions::Now, &quiet).is_ok() {
            usual.get_or_insert(modes);
        }
    }

    /// Gives back the modes it had.
    pub(crate) fn restore_modes(&self) {
        let modes = self.saved_modes.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(modes) = modes.filter(|_| self.is_foreground()) {
            // A terminal that is gone needs no modes.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &modes);
        }
    }

    /// Whether this process is in front on it.
    fn is_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }
}

/// A thread that listens to keys, until dropped; the keyboard is quiet as long.
#[derive(Debug)]
pub(crate) struct KeyListener {
    keyboard: Keyboard,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl KeyListener {
    /// Calls `tell` when somebody presses `t` or Enter.
    ///
    /// # Errors
    /// When no thread or pipe can be had.
    pub(crate) fn start(keyboard: Keyboard, tell: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (wake, stop) = io::pipe()?;
        let listening = keyboard.clone();
        let thread = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || watch_keys(&listening, wake.as_fd(), tell))?;
        keyboard.disable_echo();
        Ok(Self { keyboard, stop: Some(stop.into()), thread: Some(thread) })
    }
}

impl Drop for KeyListener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
        self.keyboard.restore_modes();
    }
}

fn watch_keys(keyboard: &Keyboard, wake: BorrowedFd<'_>, mut tell: impl FnMut()) {
    loop {
        let ours = keyboard.is_foreground();
        let mut ends = [PollFd::from_borrowed_fd(wake, PollFlags::IN), PollFd::new(&keyboard.terminal, PollFlags::IN)];
        // In the background keys are for somebody else; who reads them is stopped by the kernel.
        let watched = if ours { &mut ends[..] } else { &mut ends[..1] };
        match poll(watched, Some(&FOREGROUND_CHECK_INTERVAL)) {
            Err(rustix::io::Errno::INTR) | Ok(0) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if !ends[0].revents().is_empty() {
            return;
        }
        let mut keys = [0; 64];
        // In front still: it may have been sent to the background meanwhile.
        if ends[1].revents().is_empty() || !keyboard.is_foreground() {
            continue;
        }
        match rustix::io::read(&keyboard.terminal, &mut keys) {
            // The terminal is gone.
            Ok(0) => return,
            Ok(count) if keys[..count].iter().any(|key| matches!(key, b't' | b'T' | b'\r' | b'\n')) => tell(),
            Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_terminal_of_another_is_left_alone() {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let terminal = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
        let modes = |terminal: &OwnedFd| tcgetattr(terminal).unwrap().local_modes;
        let before = modes(&terminal);
        let (keyboard, told) = (Keyboard::from_terminal(terminal), Arc::new(AtomicBool::new(false)));
        let tell = Arc::clone(&told);
        let keys = KeyListener::start(keyboard.clone(), move || tell.store(true, Ordering::Relaxed)).unwrap();
        rustix::io::write(&user, b"t\n").unwrap();
        keyboard.disable_echo();
        assert_eq!(modes(&keyboard.terminal), before);
        drop(keys);
        assert!(!told.load(Ordering::Relaxed));
        let mut left = [0; 8];
        assert_eq!(rustix::io::read(&keyboard.terminal, &mut left), Ok(2), "nobody took the keys");
    }
}

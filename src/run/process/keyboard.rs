//! Keys that request the status of a run; all other keys are ignored.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// How often a background process checks whether it is in the foreground again.
const FOREGROUND_CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The terminal that keys are read from. While echo is disabled, keys arrive without Enter and are not shown.
#[derive(Clone, Debug)]
pub(crate) struct Keyboard {
    terminal: Arc<OwnedFd>,
    /// The original modes, while noxide has changed them.
    saved_modes: Arc<Mutex<Option<Termios>>>,
}

impl Keyboard {
    /// Returns the standard input, if it is a terminal.
    pub(crate) fn from_stdin() -> Option<Self> {
        let stdin = io::stdin();
        stdin.is_terminal().then(|| stdin.as_fd().try_clone_to_owned().ok()).flatten().map(Self::from_terminal)
    }

    fn from_terminal(terminal: OwnedFd) -> Self {
        Self { terminal: Arc::new(terminal), saved_modes: Arc::default() }
    }

    /// Disables echo, unless the process is in the background: the kernel would stop it for changing modes.
    pub(crate) fn disable_echo(&self) {
        let mut saved = self.saved_modes.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_foreground() {
            return;
        }
        let Ok(modes) = tcgetattr(&self.terminal) else { return };
        let mut quiet = modes.clone();
        // Leave ISIG set: Ctrl-C and Ctrl-Z still send signals.
        quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(&self.terminal, OptionalActions::Now, &quiet).is_ok() {
            saved.get_or_insert(modes);
        }
    }

    /// Restores the original modes.
    pub(crate) fn restore_modes(&self) {
        let modes = self.saved_modes.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(modes) = modes.filter(|_| self.is_foreground()) {
            // Fails only if the terminal was closed.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &modes);
        }
    }

    /// Whether this process is in the foreground.
    fn is_foreground(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }
}

/// A thread that reads keys, until dropped; until then, echo is disabled.
#[derive(Debug)]
pub(crate) struct KeyListener {
    keyboard: Keyboard,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl KeyListener {
    /// Calls `on_key` when `t` or Enter is pressed.
    ///
    /// # Errors
    /// When no thread or pipe can be created.
    pub(crate) fn start(keyboard: Keyboard, on_key: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let (wake, stop) = io::pipe()?;
        let listening = keyboard.clone();
        let thread = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || watch_keys(&listening, wake.as_fd(), on_key))?;
        keyboard.disable_echo();
        Ok(Self { keyboard, stop: Some(stop.into()), thread: Some(thread) })
    }
}

impl Drop for KeyListener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the thread itself.
            let _ = thread.join();
        }
        self.keyboard.restore_modes();
    }
}

fn watch_keys(keyboard: &Keyboard, wake: BorrowedFd<'_>, mut on_key: impl FnMut()) {
    loop {
        let is_foreground = keyboard.is_foreground();
        let mut poll_fds =
            [PollFd::from_borrowed_fd(wake, PollFlags::IN), PollFd::new(&keyboard.terminal, PollFlags::IN)];
        // In the background keys are meant for another process, and the kernel would stop this one for reading them.
        let watched = if is_foreground { &mut poll_fds[..] } else { &mut poll_fds[..1] };
        match poll(watched, Some(&FOREGROUND_CHECK_INTERVAL)) {
            Err(rustix::io::Errno::INTR) | Ok(0) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if !poll_fds[0].revents().is_empty() {
            return;
        }
        let mut keys = [0; 64];
        // This process may have been sent to the background since `poll`.
        if poll_fds[1].revents().is_empty() || !keyboard.is_foreground() {
            continue;
        }
        match rustix::io::read(&keyboard.terminal, &mut keys) {
            // The terminal was closed.
            Ok(0) => return,
            Ok(count) if keys[..count].iter().any(|key| matches!(key, b't' | b'T' | b'\r' | b'\n')) => on_key(),
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
    fn a_terminal_of_another_process_is_not_changed() {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let terminal = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
        let modes = |terminal: &OwnedFd| tcgetattr(terminal).unwrap().local_modes;
        let before = modes(&terminal);
        let (keyboard, pressed) = (Keyboard::from_terminal(terminal), Arc::new(AtomicBool::new(false)));
        let set_pressed = Arc::clone(&pressed);
        let keys = KeyListener::start(keyboard.clone(), move || set_pressed.store(true, Ordering::Relaxed)).unwrap();
        rustix::io::write(&user, b"t\n").unwrap();
        keyboard.disable_echo();
        assert_eq!(modes(&keyboard.terminal), before);
        drop(keys);
        assert!(!pressed.load(Ordering::Relaxed));
        let mut left = [0; 8];
        assert_eq!(rustix::io::read(&keyboard.terminal, &mut left), Ok(2), "the keys were not read");
    }
}

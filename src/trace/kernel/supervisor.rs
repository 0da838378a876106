//! The loop that hears of each call, looks at it and lets it go on.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::Timespec;
use rustix::io::Errno;

use super::look::Look;
use super::state::State;
use super::system::{answer, ends_by_itself, receive, wait, wake_quickly};

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Serves a listener until no process that it is for is left.
pub(super) fn supervise(listener: &OwnedFd, shared: &Mutex<State>) {
    wake_quickly(listener.as_fd());
    let asks_first = !ends_by_itself();
    loop {
        if asks_first {
            match wait(listener, None) {
                Some(true) => {}
                Some(false) => continue,
                None => return,
            }
        }
        match receive(listener.as_fd()) {
            Ok(Some(notice)) if Look::refuses(&notice) => answer(listener.as_fd(), notice.id, Some(Errno::NOSYS)),
            Ok(Some(notice)) => {
                if let State::Looking(look) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner) {
                    look.at(&notice);
                }
                answer(listener.as_fd(), notice.id, None);
            }
            // Either its process was killed meanwhile, or it was the last one.
            Ok(None) if wait(listener, Some(&AT_ONCE)).is_none() => return,
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

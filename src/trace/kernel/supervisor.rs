//! The loop that hears of each call, looks at it and lets it go on.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use super::state::State;
use super::system::{let_go, receive, wait, wake_quickly};

/// Serves a listener until no process that it is for is left.
pub(super) fn supervise(listener: &OwnedFd, shared: &Mutex<State>) {
    wake_quickly(listener.as_fd());
    while let Some(waits) = wait(listener) {
        if !waits {
            continue;
        }
        match receive(listener.as_fd()) {
            Ok(Some(notice)) => {
                if let State::Looking(look) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner) {
                    look.at(&notice);
                }
                let_go(listener.as_fd(), notice.id);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

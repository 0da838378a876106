//! Supervisor loop: receives each stopped call, inspects it and lets it continue.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::Timespec;
use rustix::io::Errno;

use super::inspector::SyscallInspector;
use super::system::{
    enable_sync_wakeup, is_receive_interrupted_at_end, poll_listener, receive_notification, send_response,
};

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// State of one trace.
#[derive(Debug)]
pub(super) enum TraceState {
    /// The session has not sent its listener yet.
    AwaitingSession,
    /// The session could not be traced.
    Failed(String),
    /// The session is being traced.
    Tracing(Box<SyscallInspector>),
}

/// Serves a listener until no process uses its filter.
pub(super) fn serve_listener(listener: &OwnedFd, shared: &Mutex<TraceState>) {
    enable_sync_wakeup(listener.as_fd());
    let asks_first = !is_receive_interrupted_at_end();
    loop {
        if asks_first {
            match poll_listener(listener, None) {
                Some(true) => {}
                Some(false) => continue,
                None => return,
            }
        }
        match receive_notification(listener.as_fd()) {
            Ok(Some(notice)) if SyscallInspector::should_refuse(&notice) => {
                send_response(listener.as_fd(), notice.id, Some(Errno::NOSYS));
            }
            Ok(Some(notice)) => {
                if let TraceState::Tracing(look) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner) {
                    look.inspect_call(&notice);
                }
                send_response(listener.as_fd(), notice.id, None);
            }
            // Either the process was killed meanwhile, or it was the last one.
            Ok(None) if poll_listener(listener, Some(&NO_WAIT)).is_none() => return,
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

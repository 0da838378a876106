//! Supervisor loop: receives each stopped call, inspects it and resumes it.

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
    let must_poll = !is_receive_interrupted_at_end();
    loop {
        if must_poll {
            match poll_listener(listener, None) {
                Some(true) => {}
                Some(false) => continue,
                None => return,
            }
        }
        match receive_notification(listener.as_fd()) {
            Ok(Some(notification)) if SyscallInspector::should_refuse(&notification) => {
                send_response(listener.as_fd(), notification.id, Some(Errno::NOSYS));
            }
            Ok(Some(notification)) => {
                if let TraceState::Tracing(inspector) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner) {
                    inspector.inspect_call(&notification);
                }
                send_response(listener.as_fd(), notification.id, None);
            }
            // The process was killed meanwhile; if it was the last one, the listener is closed.
            Ok(None) if poll_listener(listener, Some(&NO_WAIT)).is_none() => return,
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

//! Tracer of one session: a socket over which the session sends its listener, and the resulting accesses.

use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::filter::build_filter;
use super::inspector::SyscallInspector;
use super::preload_ring::{PreloadRing, new_cookie};
use super::probe::{FLAG_NEW_LISTENER, FLAG_WAIT_KILLABLE};
use super::supervisor::{TraceState, serve_listener};
use crate::project::SeccompSetup;
use crate::text::encode_hex;
use crate::trace::access_log::AccessLog;
use crate::trace::{SessionAccesses, TraceError, TraceScope};

/// Trace of one running session.
#[derive(Debug)]
pub(crate) struct SessionTracer {
    state: Arc<Mutex<TraceState>>,
    cookie: u64,
    preload_ring_env_value: Option<String>,
}

impl SessionTracer {
    /// Starts a thread that waits for a session. Pass the returned descriptor and [`SessionTracer::seccomp_setup`] to the
    /// session.
    ///
    /// If `uses_preload` is set, its programs load a [`PreloadLibrary`](super::PreloadLibrary) and find its ring buffer by
    /// [`SessionTracer::preload_ring_env_value`].
    ///
    /// # Errors
    /// If no socket or thread can be created.
    pub(crate) fn start(scope: TraceScope, uses_preload: bool) -> io::Result<(Self, OwnedFd)> {
        let (our_socket, session_socket) = UnixStream::pair()?;
        let shared = Arc::new(Mutex::new(TraceState::AwaitingSession));
        let thread_state = Arc::clone(&shared);
        // Without shared memory, the session is traced through stopped calls only.
        let ring = if uses_preload { PreloadRing::new().ok() } else { None };
        let cookie = ring.as_ref().map_or_else(new_cookie, PreloadRing::cookie);
        let preload_ring_env_value = ring.as_ref().map(PreloadRing::env_value);
        thread::Builder::new()
            .name("trace".to_owned())
            .spawn(move || serve_session(our_socket, scope, ring, &thread_state))?;
        Ok((Self { state: shared, cookie, preload_ring_env_value }, session_socket.into()))
    }

    /// Returns the data that the session needs to install the filter.
    pub(crate) fn seccomp_setup(&self) -> SeccompSetup {
        let filter = encode_hex(&build_filter(Some(self.cookie)));
        SeccompSetup {
            filter,
            syscall: libc::SYS_seccomp,
            send_syscall: libc::SYS_sendmsg,
            cookie: self.cookie,
            flags: vec![FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE, FLAG_NEW_LISTENER],
        }
    }

    /// Returns the value of `NOXIDE_TRACE_RING` for the session's programs.
    pub(crate) fn preload_ring_env_value(&self) -> Option<&str> {
        self.preload_ring_env_value.as_deref()
    }

    /// Returns the accesses recorded so far.
    pub(crate) fn accesses(&self) -> SessionAccesses {
        match &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            TraceState::AwaitingSession => {
                SessionAccesses::for_untraced("it ended before it could be traced".to_owned())
            }
            TraceState::Failed(reason) => SessionAccesses::for_untraced(reason.clone()),
            TraceState::Tracing(inspector) => inspector.collect_accesses(),
        }
    }
}

/// Receives the listener and serves it until all processes of the session have exited.
fn serve_session(mut socket: UnixStream, scope: TraceScope, ring: Option<PreloadRing>, shared: &Mutex<TraceState>) {
    let set_state = |state| *shared.lock().unwrap_or_else(PoisonError::into_inner) = state;
    match receive_listener(&socket) {
        Ok(listener) => {
            set_state(TraceState::Tracing(Box::new(SyscallInspector::new(AccessLog::new(scope), ring))));
            // From now on, the session's traced calls wait for this thread.
            let sent = socket.write_all(b"+");
            drop(socket);
            if sent.is_ok() {
                serve_listener(&listener, shared);
            }
        }
        Err(reason) => {
            set_state(TraceState::Failed(reason.to_string()));
            // The session continues untraced.
            let _ = socket.write_all(b"-");
        }
    }
}

/// Receives the listener from the session, or the reason why there is none.
fn receive_listener(socket: &UnixStream) -> Result<OwnedFd, TraceError> {
    let mut bytes = [0_u8; 512];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    });
    let count = received.map_err(|error| TraceError::Session(error.to_string()))?.bytes;
    for item in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = item
            && let Some(listener) = descriptors.next()
        {
            return Ok(listener);
        }
    }
    let message = String::from_utf8_lossy(&bytes[..count]).into_owned();
    match message.strip_prefix('-').and_then(|number| number.parse().ok()) {
        Some(number) => Err(TraceError::from_errno(number)),
        None if message.is_empty() => Err(TraceError::Session("it ended before it could be traced".to_owned())),
        None => Err(TraceError::Session(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceContext;

    fn read_reply(socket: &mut UnixStream) -> u8 {
        let mut byte = [0];
        std::io::Read::read_exact(socket, &mut byte).map_or(0, |()| byte[0])
    }

    fn failed(message: &[u8]) -> SessionAccesses {
        let (tracer, session_socket) = SessionTracer::start(TraceScope::new(TraceContext::default()), true).unwrap();
        let mut session_socket = UnixStream::from(session_socket);
        session_socket.write_all(message).unwrap();
        session_socket.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_reply(&mut session_socket), b'-');
        tracer.accesses()
    }

    #[test]
    fn an_untraceable_session_reports_the_reason() {
        assert!(failed(b"-16").incomplete_reasons[0].contains("seccomp listener"));
        assert_eq!(failed(b"no ctypes here").incomplete_reasons, ["no ctypes here"]);
        assert!(failed(b"").incomplete_reasons[0].contains("ended before"));
        let (with, _) = SessionTracer::start(TraceScope::new(TraceContext::default()), true).unwrap();
        let (without, _) = SessionTracer::start(TraceScope::new(TraceContext::default()), false).unwrap();
        assert!(without.seccomp_setup().filter.len() > 800 && without.seccomp_setup().flags.len() == 2);
        assert_eq!(with.seccomp_setup().filter.len(), without.seccomp_setup().filter.len());
        assert!(with.preload_ring_env_value().is_some() && without.preload_ring_env_value().is_none());
    }
}

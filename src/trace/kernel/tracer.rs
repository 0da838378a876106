//! One session's trace: a socket by which the session hands over its listener, and the sets that come of it.

use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::filter::filter;
use super::look::Look;
use super::notes::Notes;
use super::probe::{LISTENER, PATIENT};
use super::state::State;
use super::supervisor::supervise;
use crate::project::TraceOrder;
use crate::trace::ledger::Ledger;
use crate::trace::{Accesses, Scope, Untraceable};

/// One session's trace while it lasts.
#[derive(Debug)]
pub struct Tracer {
    shared: Arc<Mutex<State>>,
    cookie: Option<u64>,
    notes: Option<String>,
}

impl Tracer {
    /// Awaits a session on a thread of its own; the descriptor is for the session, with [`Tracer::order`].
    ///
    /// `takes_notes`: its programs load a [`Noter`](super::Noter), told by [`Tracer::notes`] where notes go.
    ///
    /// # Errors
    /// When there is no room for a socket or a thread.
    pub fn start(scope: Scope, takes_notes: bool) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let shared = Arc::new(Mutex::new(State::Awaited));
        let theirs_to_tell = Arc::clone(&shared);
        // Without memory to share the session is looked at all the same.
        let taken = if takes_notes { Notes::new().ok() } else { None };
        let (cookie, notes) = (taken.as_ref().map(Notes::cookie), taken.as_ref().map(Notes::address));
        thread::Builder::new().name("trace".to_owned()).spawn(move || follow(ours, scope, taken, &theirs_to_tell))?;
        Ok((Self { shared, cookie, notes }, theirs.into()))
    }

    /// What the session needs to know to put itself under the filter.
    pub fn order(&self) -> TraceOrder {
        let filter = filter(self.cookie).iter().map(|byte| format!("{byte:02x}")).collect();
        TraceOrder { filter, call: libc::SYS_seccomp, flags: vec![LISTENER | PATIENT, LISTENER] }
    }

    /// What its programs need to know to take notes: the value of `NOXIDE_NOTES`.
    pub fn notes(&self) -> Option<&str> {
        self.notes.as_deref()
    }

    /// What the session has touched so far.
    pub fn accesses(&self) -> Accesses {
        match &mut *self.shared.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Awaited => Accesses::unknown("it ended before it could be traced".to_owned()),
            State::Failed(why) => Accesses::unknown(why.clone()),
            State::Looking(look) => look.accesses(),
        }
    }
}

/// Takes the listener and serves it until no process of the session is left.
fn follow(mut socket: UnixStream, scope: Scope, notes: Option<Notes>, shared: &Mutex<State>) {
    let set = |state| *shared.lock().unwrap_or_else(PoisonError::into_inner) = state;
    match listener(&socket) {
        Ok(listener) => {
            set(State::Looking(Box::new(Look::new(Ledger::new(scope), notes))));
            // From here on the session waits for us at each call that bears a path.
            let told = socket.write_all(b"+");
            drop(socket);
            if told.is_ok() {
                supervise(&listener, shared);
            }
        }
        Err(why) => {
            set(State::Failed(why));
            // The session goes on untraced.
            let _ = socket.write_all(b"-");
        }
    }
}

/// The listener, or why there is none.
fn listener(socket: &UnixStream) -> Result<OwnedFd, String> {
    let mut bytes = [0_u8; 512];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    });
    let count = received.map_err(|error| error.to_string())?.bytes;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(listener) = descriptors.next()
        {
            return Ok(listener);
        }
    }
    let said = String::from_utf8_lossy(&bytes[..count]).into_owned();
    match said.strip_prefix('-').and_then(|number| number.parse().ok()) {
        Some(number) => Err(Untraceable::from_errno(number).to_string()),
        None if said.is_empty() => Err("it ended before it could be traced".to_owned()),
        None => Err(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Surroundings;

    fn answer(socket: &mut UnixStream) -> u8 {
        let mut byte = [0];
        std::io::Read::read_exact(socket, &mut byte).map_or(0, |()| byte[0])
    }

    fn failed(says: &[u8]) -> Accesses {
        let (tracer, theirs) = Tracer::start(Scope::new(Surroundings::default()), true).unwrap();
        let mut theirs = UnixStream::from(theirs);
        theirs.write_all(says).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(answer(&mut theirs), b'-');
        tracer.accesses()
    }

    #[test]
    fn a_session_that_cannot_be_traced_says_why() {
        assert!(failed(b"-16").blind[0].contains("seccomp listener"));
        assert_eq!(failed(b"no ctypes here").blind, ["no ctypes here"]);
        assert!(failed(b"").blind[0].contains("ended before"));
        let (with, _) = Tracer::start(Scope::new(Surroundings::default()), true).unwrap();
        let (without, _) = Tracer::start(Scope::new(Surroundings::default()), false).unwrap();
        assert!(without.order().filter.len() > 800 && without.order().flags.len() == 2);
        assert_eq!(with.order().filter.len(), without.order().filter.len() + 5 * 16);
        assert!(with.notes().is_some() && without.notes().is_none());
    }
}

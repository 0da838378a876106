//! Calls that give a socket an address: which of them are others' business.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use super::address::{Address, is_of_system, listening};
use super::look::Look;
use super::system::{Notice, memory};
use crate::trace::ledger::Change;

impl Look {
    fn address(&self, notice: &Notice) -> Option<Address> {
        let most = usize::try_from(notice.data.args[2]).ok()?.min(128);
        Address::read(&memory(notice.pid, notice.data.args[1], most).ok()?)
    }

    /// It gives a socket an address.
    pub(super) fn bind(&mut self, notice: &Notice) {
        match self.address(notice) {
            Some(Address::Port { port, .. }) => {
                self.services.get_or_init(listening);
                if port != 0 {
                    self.ledger.bound.insert(format!("port {port}"));
                }
            }
            Some(Address::Abstract(name)) => {
                self.ledger.bound.insert(format!("abstract socket {name}"));
            }
            Some(Address::Path(path)) => {
                let Some(path) = self.socket_path(notice, path) else { return };
                let found = self.find(&path, false);
                self.ledger.bound.insert(format!("socket {}", self.ledger.scope.shown(&found.path)));
                match &found.facts {
                    None => self.change(notice.pid, &found, Change::Open),
                    facts => self.ledger.reads(&found.path, facts.as_ref()),
                }
            }
            _ => {}
        }
    }

    /// It connects a socket to an address.
    pub(super) fn connect(&mut self, notice: &Notice) {
        match self.address(notice) {
            Some(Address::Port { loopback: false, .. }) => self.ledger.network = true,
            // Names are looked up there, and port 0 is how a system asks itself for a route.
            Some(Address::Port { port: 0 | 53, .. }) => {}
            Some(Address::Port { port, .. }) => {
                let name = format!("port {port}");
                if self.services.get_or_init(listening).contains(&port) && !self.ledger.bound.contains(&name) {
                    self.ledger.misses(&format!("it uses a service on port {port} that ran before it"));
                }
                self.ledger.connected.insert(name);
            }
            Some(Address::Abstract(name)) => {
                self.ledger.connected.insert(format!("abstract socket {name}"));
            }
            Some(Address::Path(path)) => {
                let Some(path) = self.socket_path(notice, path) else { return };
                let found = self.find(&path, true);
                let name = format!("socket {}", self.ledger.scope.shown(&found.path));
                let there = found.facts.as_ref().is_some_and(|facts| facts.file_type().is_socket());
                let own = self.ledger.bound.contains(&name) || is_of_system(&found.path);
                // One of its own temporary folder is its own, whatever name it was bound by.
                if there && !own && self.ledger.scope.may_count(&found.path, false) {
                    self.ledger.misses(&format!("it uses a service on {name} that ran before it"));
                    self.ledger.connected.insert(name);
                }
                self.note_read(&found);
            }
            None => {}
        }
    }

    fn socket_path(&self, notice: &Notice, path: PathBuf) -> Option<PathBuf> {
        if path.is_absolute() {
            return Some(path);
        }
        Some(fs_err::read_link(format!("/proc/{}/cwd", notice.pid)).ok()?.join(path))
    }
}

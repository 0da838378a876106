//! Inspection of socket calls: binds and connections that other sessions can observe.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use super::inspector::SyscallInspector;
use super::socket_address::{SocketAddress, is_system_socket, listening_ports};
use super::system::{Notice, read_process_bytes};
use crate::trace::access_log::PathChangeKind;

impl SyscallInspector {
    fn read_socket_address(&self, notice: &Notice) -> Option<SocketAddress> {
        let most = usize::try_from(notice.data.args[2]).ok()?.min(128);
        SocketAddress::from_sockaddr(&read_process_bytes(notice.pid, notice.data.args[1], most).ok()?)
    }

    /// Records that a socket is bound to an address.
    pub(super) fn record_bind(&mut self, notice: &Notice) {
        match self.read_socket_address(notice) {
            Some(SocketAddress::Port { port, .. }) => {
                self.preexisting_ports.get_or_init(listening_ports);
                if port != 0 {
                    self.access_log.bound.insert(format!("port {port}"));
                }
            }
            Some(SocketAddress::Abstract(name)) => {
                self.access_log.bound.insert(format!("abstract socket {name}"));
            }
            Some(SocketAddress::Path(path)) => {
                let Some(path) = self.absolute_socket_path(notice, path) else { return };
                let found = self.resolve_path(&path, false);
                self.access_log.bound.insert(format!("socket {}", self.access_log.scope.display_path(&found.path)));
                match &found.metadata {
                    None => self.record_change(notice.pid, &found, PathChangeKind::OpenForWrite),
                    facts => self.access_log.record_read(&found.path, facts.as_ref()),
                }
            }
            _ => {}
        }
    }

    /// Records that a socket is connected to an address.
    pub(super) fn record_connect(&mut self, notice: &Notice) {
        match self.read_socket_address(notice) {
            Some(SocketAddress::Port { loopback: false, .. }) => self.access_log.uses_network = true,
            // DNS lookups, and port 0, which is how a program asks for the route to an address.
            Some(SocketAddress::Port { port: 0 | 53, .. }) => {}
            Some(SocketAddress::Port { port, .. }) => {
                let name = format!("port {port}");
                if self.preexisting_ports.get_or_init(listening_ports).contains(&port)
                    && !self.access_log.bound.contains(&name)
                {
                    self.access_log.mark_incomplete(&format!("it uses a service on port {port} that ran before it"));
                }
                self.access_log.connected.insert(name);
            }
            Some(SocketAddress::Abstract(name)) => {
                self.access_log.connected.insert(format!("abstract socket {name}"));
            }
            Some(SocketAddress::Path(path)) => {
                let Some(path) = self.absolute_socket_path(notice, path) else { return };
                let found = self.resolve_path(&path, true);
                let name = format!("socket {}", self.access_log.scope.display_path(&found.path));
                let there = found.metadata.as_ref().is_some_and(|facts| facts.file_type().is_socket());
                let own = self.access_log.bound.contains(&name) || is_system_socket(&found.path);
                // A socket in the session's own temporary directory is private, whatever name it was bound by.
                if there && !own && self.access_log.scope.can_be_tracked(&found.path, false) {
                    self.access_log.mark_incomplete(&format!("it uses a service on {name} that ran before it"));
                    self.access_log.connected.insert(name);
                }
                self.record_read(&found);
            }
            None => {}
        }
    }

    fn absolute_socket_path(&self, notice: &Notice, path: PathBuf) -> Option<PathBuf> {
        if path.is_absolute() {
            return Some(path);
        }
        Some(fs_err::read_link(format!("/proc/{}/cwd", notice.pid)).ok()?.join(path))
    }
}

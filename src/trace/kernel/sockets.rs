//! Socket calls: addresses that sessions bind and connect to, which other sessions can observe.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::inspector::SyscallInspector;
use super::process::absolute_path;
use super::socket_address::SocketAddress;
use crate::trace::access_log::PathChangeKind;

impl SyscallInspector {
    /// Records that a socket is bound to an address.
    pub(super) fn record_bind(&mut self, process: u32, address: SocketAddress) {
        match address {
            SocketAddress::Port { port, .. } => {
                self.preexisting_ports.get_or_init(listening_ports);
                if port != 0 {
                    self.access_log.bound.insert(format!("port {port}"));
                }
            }
            SocketAddress::Abstract(name) => {
                self.access_log.bound.insert(format!("abstract socket {name}"));
            }
            SocketAddress::Path(path) => {
                let Some(path) = absolute_path(process, &path) else { return };
                let found = self.resolve_path(&path, false);
                self.access_log.bound.insert(format!("socket {}", self.access_log.scope.display_path(&found.path)));
                match &found.metadata {
                    None => self.record_change(process, &found, PathChangeKind::Modify),
                    metadata => self.access_log.record_read(&found.path, metadata.as_ref()),
                }
            }
        }
    }

    /// Records that a socket is connected to an address, or sends to it.
    pub(super) fn record_connect(&mut self, process: u32, address: SocketAddress) {
        match address {
            SocketAddress::Port { loopback: false, .. } => self.access_log.uses_network = true,
            // DNS lookups, and port 0, to which programs connect to find out the route to an address.
            SocketAddress::Port { port: 0 | 53, .. } => {}
            SocketAddress::Port { port, .. } => {
                let name = format!("port {port}");
                if self.preexisting_ports.get_or_init(listening_ports).contains(&port)
                    && !self.access_log.bound.contains(&name)
                {
                    self.access_log
                        .mark_incomplete(&format!("it uses a service on port {port} that was already running"));
                }
                self.access_log.connected.insert(name);
            }
            SocketAddress::Abstract(name) => {
                self.access_log.connected.insert(format!("abstract socket {name}"));
            }
            SocketAddress::Path(path) => {
                let Some(path) = absolute_path(process, &path) else { return };
                let found = self.resolve_path(&path, true);
                let name = format!("socket {}", self.access_log.scope.display_path(&found.path));
                let is_socket = found.metadata.as_ref().is_some_and(|metadata| metadata.file_type().is_socket());
                let is_own = self.access_log.bound.contains(&name) || is_system_socket(&found.path);
                // A socket in the session's own temporary directory is private, even if it was bound by another path.
                if is_socket && !is_own && self.access_log.scope.can_be_tracked(&found.path, false) {
                    self.access_log.mark_incomplete(&format!("it uses a service on {name} that was already running"));
                    self.access_log.connected.insert(name);
                }
                self.record_read(&found);
            }
        }
    }
}

/// Returns the ports on which sockets currently listen (TCP) or receive from anyone (UDP), as listed by the kernel.
fn listening_ports() -> std::collections::HashSet<u16> {
    // The states of such sockets: TCP_LISTEN, and TCP_CLOSE for one of UDP that is not connected.
    let tables = [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")];
    let mut ports = std::collections::HashSet::new();
    for (name, state) in tables {
        let table = fs_err::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        let port = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next()?;
            let listens = fields.nth(1)? == state;
            listens.then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok()).flatten()
        };
        ports.extend(table.lines().filter_map(port));
    }
    ports
}

/// Returns whether a path is a socket of a system service (name lookup, logging) that sessions may share.
fn is_system_socket(path: &Path) -> bool {
    ["/run/nscd", "/var/run/nscd", "/run/systemd", "/run/dbus", "/run/user", "/dev", "/var/run/dbus"]
        .iter()
        .any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_ports_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listening_ports().contains(&listener.local_addr().unwrap().port()));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(listening_ports().contains(&socket.local_addr().unwrap().port()));
        socket.connect("127.0.0.1:9").unwrap();
        assert!(!listening_ports().contains(&socket.local_addr().unwrap().port()), "it receives from one address only");
    }
}

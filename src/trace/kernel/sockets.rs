//! Socket calls: addresses that sessions bind and connect to, which other sessions can observe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::inspector::SyscallInspector;
use super::process::absolute_path;
use super::system::{SeccompNotification, read_process_bytes};
use crate::trace::access_log::PathChangeKind;

impl SyscallInspector {
    fn read_socket_address(&self, notification: &SeccompNotification) -> Option<SocketAddress> {
        let max_len = usize::try_from(notification.data.args[2]).ok()?.min(128);
        SocketAddress::from_sockaddr(&read_process_bytes(notification.pid, notification.data.args[1], max_len).ok()?)
    }

    /// Records that a socket is bound to an address.
    pub(super) fn record_bind(&mut self, notification: &SeccompNotification) {
        match self.read_socket_address(notification) {
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
                let Some(path) = absolute_path(notification.pid, &path) else { return };
                let found = self.resolve_path(&path, false);
                self.access_log.bound.insert(format!("socket {}", self.access_log.scope.display_path(&found.path)));
                match &found.metadata {
                    None => self.record_change(notification.pid, &found, PathChangeKind::Modify),
                    metadata => self.access_log.record_read(&found.path, metadata.as_ref()),
                }
            }
            _ => {}
        }
    }

    /// Records that a socket is connected to an address.
    pub(super) fn record_connect(&mut self, notification: &SeccompNotification) {
        match self.read_socket_address(notification) {
            Some(SocketAddress::Port { loopback: false, .. }) => self.access_log.uses_network = true,
            // DNS lookups, and port 0, to which programs connect to find out the route to an address.
            Some(SocketAddress::Port { port: 0 | 53, .. }) => {}
            Some(SocketAddress::Port { port, .. }) => {
                let name = format!("port {port}");
                if self.preexisting_ports.get_or_init(listening_ports).contains(&port)
                    && !self.access_log.bound.contains(&name)
                {
                    self.access_log
                        .mark_incomplete(&format!("it uses a service on port {port} that was already running"));
                }
                self.access_log.connected.insert(name);
            }
            Some(SocketAddress::Abstract(name)) => {
                self.access_log.connected.insert(format!("abstract socket {name}"));
            }
            Some(SocketAddress::Path(path)) => {
                let Some(path) = absolute_path(notification.pid, &path) else { return };
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
            None => {}
        }
    }
}

/// A socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SocketAddress {
    /// An internet address.
    Port {
        /// Port number; 0 lets the system choose.
        port: u16,
        /// Whether the address is a loopback or wildcard address.
        loopback: bool,
    },
    /// A Unix socket with a path.
    Path(PathBuf),
    /// A Unix socket in the abstract namespace.
    Abstract(String),
}

impl SocketAddress {
    /// Parses a `struct sockaddr`, or returns `None` for address families that are not traced.
    fn from_sockaddr(bytes: &[u8]) -> Option<Self> {
        let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        let rest = bytes.get(2..)?;
        match i32::from(family) {
            libc::AF_INET => {
                let octets: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
                Some(Self::from_ip(rest, Ipv4Addr::from(octets).into()))
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
                Some(Self::from_ip(rest, Ipv6Addr::from(octets).to_canonical()))
            }
            libc::AF_UNIX => match rest.first() {
                None => None, // the system chooses a name
                Some(0) => Some(Self::Abstract(String::from_utf8_lossy(&rest[1..]).into_owned())),
                Some(_) => {
                    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
                    Some(Self::Path(PathBuf::from(std::ffi::OsStr::from_bytes(&rest[..end]))))
                }
            },
            _ => None,
        }
    }

    fn from_ip(rest: &[u8], address: IpAddr) -> Self {
        let port = u16::from_be_bytes([rest[0], rest[1]]);
        Self::Port { port, loopback: address.is_loopback() || address.is_unspecified() }
    }
}

/// Returns the ports that are currently listened on, as listed by the kernel.
fn listening_ports() -> std::collections::HashSet<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs_err::read_to_string(table).unwrap_or_default());
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        let listens = fields.nth(1)? == "0A";
        listens.then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok()).flatten()
    };
    tables.iter().flat_map(|table| table.lines().filter_map(port)).collect()
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

    fn address(family: i32, rest: &[u8]) -> Option<SocketAddress> {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        SocketAddress::from_sockaddr(&[&family[..], rest].concat())
    }

    #[test]
    fn address_families_are_parsed() {
        let port = |port, loopback| Some(SocketAddress::Port { port, loopback });
        assert_eq!(address(libc::AF_INET, &[0x20, 0x4e, 127, 0, 0, 1, 0, 0]), port(8270, true));
        assert_eq!(address(libc::AF_INET, &[0, 80, 10, 0, 0, 1, 0, 0]), port(80, false));
        let mut six = vec![0x1f, 0x90, 0, 0, 0, 0];
        six.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(address(libc::AF_INET6, &six), port(8080, true));
        assert_eq!(address(libc::AF_UNIX, b"/tmp/s\0junk"), Some(SocketAddress::Path("/tmp/s".into())));
        assert_eq!(address(libc::AF_UNIX, b"\0name"), Some(SocketAddress::Abstract("name".into())));
        assert_eq!(address(libc::AF_UNIX, b""), None);
        assert_eq!(address(libc::AF_NETLINK, &[0; 10]), None);
        assert_eq!(address(libc::AF_INET, &[1]), None);
    }

    #[test]
    fn listening_ports_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listening_ports().contains(&listener.local_addr().unwrap().port()));
    }
}

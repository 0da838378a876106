//! Socket addresses as programs pass them to the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SocketAddress {
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
    pub(super) fn from_sockaddr(bytes: &[u8]) -> Option<Self> {
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
pub(super) fn listening_ports() -> std::collections::HashSet<u16> {
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
pub(super) fn is_system_socket(path: &Path) -> bool {
    ["/run/nscd", "/var/run/nscd", "/run/systemd", "/run/dbus", "/run/user", "/dev", "/var/run/dbus"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(family: i32, rest: &[u8]) -> Option<SocketAddress> {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        SocketAddress::from_sockaddr(&[&family[..], rest].concat())
    }

    #[test]
    fn families_are_told_apart() {
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
    fn listeners_are_known() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listening_ports().contains(&listener.local_addr().unwrap().port()));
    }
}

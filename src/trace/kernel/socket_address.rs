//! Socket addresses: what a stopped call passes to bind, connect or send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::syscalls::AddressArg;
use super::system::{SeccompNotification, read_process_bytes};

/// Maximum length of an address (bytes), as in `struct sockaddr_storage`.
const MAX_ADDRESS_BYTES: usize = 128;

/// Maximum number of messages that one call sends, as in Linux.
const MAX_MESSAGES: usize = 1024;

/// Returns the addresses of a call; a call on a connected socket has none.
pub(super) fn read_socket_addresses(notification: &SeccompNotification, at: AddressArg) -> Vec<SocketAddress> {
    let argument = |index: usize| notification.data.args[index];
    let read_address = |pointer: u64, length: u64| {
        let length = usize::try_from(length & 0xffff_ffff).ok().filter(|_| pointer != 0)?;
        let bytes = read_process_bytes(notification.pid, pointer, length.min(MAX_ADDRESS_BYTES)).ok()?;
        SocketAddress::from_sockaddr(&bytes)
    };
    let (pointer, size, count) = match at {
        AddressArg::Arguments(pointer, length) => {
            return read_address(argument(pointer), argument(length)).into_iter().collect();
        }
        AddressArg::Message(pointer) => (argument(pointer), size_of::<libc::msghdr>(), 1),
        AddressArg::Messages(pointer, count) => {
            let count = usize::try_from(argument(count) & 0xffff_ffff).unwrap_or(MAX_MESSAGES);
            (argument(pointer), size_of::<libc::mmsghdr>(), count.min(MAX_MESSAGES))
        }
    };
    let messages = read_process_bytes(notification.pid, pointer, size * count).unwrap_or_default();
    // A message begins with a pointer to its address, followed by the length of the address.
    let address = |message: &[u8]| {
        let pointer = u64::from_ne_bytes(message.get(..8)?.try_into().ok()?);
        let length = u32::from_ne_bytes(message.get(8..12)?.try_into().ok()?);
        read_address(pointer, u64::from(length))
    };
    messages.chunks_exact(size).filter_map(address).collect()
}

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
}

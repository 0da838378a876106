//! The system calls that are looked at: their numbers on this machine's kind of processor, and where their paths are.

use libc::{c_long, c_uint};

/// Where a path of a call is: the argument with its folder's descriptor, if it has one, and the argument with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The argument that names the folder a relative path starts from; none for the working folder.
    pub(super) folder: Option<usize>,
    /// The argument that points to the path.
    pub(super) path: usize,
}

/// Where a number of a call's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bits {
    /// In this argument.
    In(usize),
    /// Always these.
    Fixed(u64),
    /// At the address in this argument, as `openat2` has it.
    Behind(usize),
}

/// What a call does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Opens a file, by flags.
    Open(At, Bits),
    /// Asks for a file's facts; the flags say whether a link itself is meant (`AT_SYMLINK_NOFOLLOW`).
    Stat(At, Bits),
    /// Reads a link.
    ReadLink(At),
    /// Lists a folder by its descriptor.
    List,
    /// Runs a program.
    Execute(At),
    /// Makes a folder.
    MakeFolder(At),
    /// Removes a file, or a folder where the flags say `AT_REMOVEDIR`.
    Remove(At, Bits),
    /// Gives a file another name; the flags may say that two change places.
    Rename(At, At, Bits),
    /// Gives a file one more name.
    Link(At, At, Bits),
    /// Makes a symbolic link: its name.
    SymbolicLink(At),
    /// Makes a device, a pipe or a socket.
    MakeNode(At),
    /// Cuts a file.
    Truncate(At),
    /// Changes a file's mode or owner.
    Mode(At),
    /// Changes the mode or owner of an open file.
    ModeOpen,
    /// Gives a socket an address: pointer and length in arguments 1 and 2.
    Bind,
    /// Connects a socket to an address.
    Connect,
    /// Does what cannot be followed.
    Blind(&'static str),
}

const fn cwd(path: usize) -> At {
    At { folder: None, path }
}

const fn at(folder: usize, path: usize) -> At {
    At { folder: Some(folder), path }
}

const NO_FOLLOW: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;

/// Calls that every processor has.
const EVERYWHERE: &[(c_long, Call)] = &[
    (libc::SYS_openat, Call::Open(at(0, 1), Bits::In(2))),
    (libc::SYS_openat2, Call::Open(at(0, 1), Bits::Behind(2))),
    (libc::SYS_newfstatat, Call::Stat(at(0, 1), Bits::In(3))),
    (libc::SYS_statx, Call::Stat(at(0, 1), Bits::In(2))),
    (libc::SYS_faccessat, Call::Stat(at(0, 1), Bits::Fixed(0))),
    (libc::SYS_faccessat2, Call::Stat(at(0, 1), Bits::In(3))),
    (libc::SYS_readlinkat, Call::ReadLink(at(0, 1))),
    (libc::SYS_getdents64, Call::List),
    (libc::SYS_execve, Call::Execute(cwd(0))),
    (libc::SYS_execveat, Call::Execute(at(0, 1))),
    (libc::SYS_mkdirat, Call::MakeFolder(at(0, 1))),
    (libc::SYS_unlinkat, Call::Remove(at(0, 1), Bits::In(2))),
    (libc::SYS_renameat2, Call::Rename(at(0, 1), at(2, 3), Bits::In(4))),
    (libc::SYS_linkat, Call::Link(at(0, 1), at(2, 3), Bits::In(4))),
    (libc::SYS_symlinkat, Call::SymbolicLink(at(1, 2))),
    (libc::SYS_mknodat, Call::MakeNode(at(0, 1))),
    (libc::SYS_truncate, Call::Truncate(cwd(0))),
    (libc::SYS_fchmodat, Call::Mode(at(0, 1))),
    (FCHMODAT2, Call::Mode(at(0, 1))),
    (libc::SYS_fchownat, Call::Mode(at(0, 1))),
    (libc::SYS_fchmod, Call::ModeOpen),
    (libc::SYS_fchown, Call::ModeOpen),
    (libc::SYS_bind, Call::Bind),
    (libc::SYS_connect, Call::Connect),
    (libc::SYS_open_by_handle_at, Call::Blind("opens files by handles instead of paths")),
    (libc::SYS_io_uring_setup, Call::Blind("uses io_uring, whose work no filter sees")),
    (libc::SYS_ptrace, Call::Blind("steers another process (ptrace)")),
    (libc::SYS_mount, Call::Blind("mounts a file system")),
    (libc::SYS_move_mount, Call::Blind("mounts a file system")),
    (libc::SYS_fsmount, Call::Blind("mounts a file system")),
    (libc::SYS_open_tree, Call::Blind("mounts a file system")),
    (libc::SYS_pivot_root, Call::Blind("changes its root folder")),
    (libc::SYS_chroot, Call::Blind("changes its root folder")),
    (libc::SYS_setns, Call::Blind("enters another namespace")),
    (libc::SYS_pidfd_getfd, Call::Blind("takes another process's descriptors")),
];

/// `fchmodat2`, which libc does not name on every processor; the number is the same on all.
const FCHMODAT2: c_long = 452;

/// Older calls that x86-64 still has.
#[cfg(target_arch = "x86_64")]
const HERE: &[(c_long, Call)] = &[
    (libc::SYS_open, Call::Open(cwd(0), Bits::In(1))),
    (libc::SYS_creat, Call::Open(cwd(0), Bits::Fixed(CREAT))),
    (libc::SYS_stat, Call::Stat(cwd(0), Bits::Fixed(0))),
    (libc::SYS_lstat, Call::Stat(cwd(0), Bits::Fixed(NO_FOLLOW))),
    (libc::SYS_access, Call::Stat(cwd(0), Bits::Fixed(0))),
    (libc::SYS_readlink, Call::ReadLink(cwd(0))),
    (libc::SYS_getdents, Call::List),
    (libc::SYS_mkdir, Call::MakeFolder(cwd(0))),
    (libc::SYS_rmdir, Call::Remove(cwd(0), Bits::Fixed(libc::AT_REMOVEDIR as u64))),
    (libc::SYS_unlink, Call::Remove(cwd(0), Bits::Fixed(0))),
    (libc::SYS_rename, Call::Rename(cwd(0), cwd(1), Bits::Fixed(0))),
    (libc::SYS_renameat, Call::Rename(at(0, 1), at(2, 3), Bits::Fixed(0))),
    (libc::SYS_link, Call::Link(cwd(0), cwd(1), Bits::Fixed(0))),
    (libc::SYS_symlink, Call::SymbolicLink(cwd(1))),
    (libc::SYS_mknod, Call::MakeNode(cwd(0))),
    (libc::SYS_chmod, Call::Mode(cwd(0))),
    (libc::SYS_chown, Call::Mode(cwd(0))),
    (libc::SYS_lchown, Call::Mode(cwd(0))),
];

/// `renameat`, the only older call that 64-bit ARM kept.
#[cfg(target_arch = "aarch64")]
const HERE: &[(c_long, Call)] = &[(libc::SYS_renameat, Call::Rename(at(0, 1), at(2, 3), Bits::Fixed(0)))];

#[cfg(target_arch = "x86_64")]
const CREAT: u64 = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;

/// The kernel's word for this machine's kind of processor, as a filter sees it.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCH: u32 = 0xc000_003e;
/// The kernel's word for this machine's kind of processor, as a filter sees it.
#[cfg(target_arch = "aarch64")]
pub(super) const ARCH: u32 = 0xc000_00b7;

/// What marks a call of x86-64's 32-bit pointers (x32); other processors have no such calls.
pub(super) const X32: u32 = 0x4000_0000;

/// Where a call's flags say by `AT_EMPTY_PATH` that it means an open file, which needs no look.
pub(super) const BY_DESCRIPTOR: &[(c_long, usize)] = &[(libc::SYS_newfstatat, 3), (libc::SYS_statx, 2)];

/// All calls that are looked at, with their numbers.
pub(super) fn all() -> impl Iterator<Item = (c_uint, Call)> {
    EVERYWHERE.iter().chain(HERE).filter_map(|(number, call)| Some((c_uint::try_from(*number).ok()?, *call)))
}

/// The call of a number.
pub(super) fn find(number: u32) -> Option<Call> {
    all().find(|(known, _)| *known == number).map(|(_, call)| call)
}

/// Whether a call asks for an io_uring.
pub(super) fn asks_for_ring(number: u32) -> bool {
    i64::from(number) == libc::SYS_io_uring_setup
}

/// Whether flags of a stat-like call mean a link itself.
pub(super) fn means_link(flags: u64) -> bool {
    flags & NO_FOLLOW != 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_number_once() {
        let numbers: Vec<u32> = all().map(|(number, _)| number).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        assert_eq!(find(u32::try_from(libc::SYS_openat).unwrap()), Some(Call::Open(at(0, 1), Bits::In(2))));
        assert_eq!(find(9_999), None);
    }
}

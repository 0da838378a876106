//! Table of traced system calls: their numbers on this processor, and the arguments that contain paths.

use libc::{c_long, c_uint};

/// Position of a path among a call's arguments: the directory descriptor, if any, and the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathArg {
    /// Argument with the directory descriptor, or `None` for the working directory.
    pub(super) directory_arg: Option<usize>,
    /// Argument with the pointer to the path.
    pub(super) path_arg: usize,
}

/// Position of a call's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlagsArg {
    /// In this argument.
    Argument(usize),
    /// A constant.
    Fixed(u64),
    /// In memory, at the address in this argument, as for `openat2`.
    Pointer(usize),
}

/// Position of the socket addresses among a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressArg {
    /// These arguments are the pointer to the address and its length.
    Arguments(usize, usize),
    /// In the `msghdr` at the address in this argument.
    Message(usize),
    /// In an array of `mmsghdr`: these arguments are its address and length.
    Messages(usize, usize),
}

/// Effect of a call on paths or sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TracedSyscall {
    /// Opens a file.
    Open(PathArg, FlagsArg),
    /// Reads metadata; with `AT_SYMLINK_NOFOLLOW` in the flags, those of a link itself.
    Stat(PathArg, FlagsArg),
    /// Reads a link.
    ReadLink(PathArg),
    /// Lists the directory of a descriptor.
    ListDirectory,
    /// Executes a program.
    Execute(PathArg),
    /// Creates a directory.
    MakeDirectory(PathArg),
    /// Removes a file, or a directory if the flags contain `AT_REMOVEDIR`.
    Remove(PathArg, FlagsArg),
    /// Renames a file, or exchanges two files if the flags contain `RENAME_EXCHANGE`.
    Rename(PathArg, PathArg, FlagsArg),
    /// Creates a hard link.
    Link(PathArg, PathArg, FlagsArg),
    /// Creates a symbolic link.
    SymbolicLink(PathArg),
    /// Creates a device, a pipe or a socket.
    MakeNode(PathArg),
    /// Truncates a file.
    Truncate(PathArg),
    /// Changes a file's mode or owner.
    ChangeMode(PathArg),
    /// Changes the mode or owner of an open file.
    ChangeDescriptorMode,
    /// Binds a socket.
    Bind(AddressArg),
    /// Connects a socket, or sends to an address.
    Connect(AddressArg),
    /// Has an effect that cannot be traced, described by a verb phrase.
    Unsupported(&'static str),
}

const fn path_arg(path: usize) -> PathArg {
    PathArg { directory_arg: None, path_arg: path }
}

const fn path_at_arg(directory: usize, path: usize) -> PathArg {
    PathArg { directory_arg: Some(directory), path_arg: path }
}

const NO_FOLLOW: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;

/// Calls that exist on every processor.
const COMMON_SYSCALLS: &[(c_long, TracedSyscall)] = &[
    (libc::SYS_openat, TracedSyscall::Open(path_at_arg(0, 1), FlagsArg::Argument(2))),
    (libc::SYS_openat2, TracedSyscall::Open(path_at_arg(0, 1), FlagsArg::Pointer(2))),
    (libc::SYS_newfstatat, TracedSyscall::Stat(path_at_arg(0, 1), FlagsArg::Argument(3))),
    (libc::SYS_statx, TracedSyscall::Stat(path_at_arg(0, 1), FlagsArg::Argument(2))),
    (libc::SYS_faccessat, TracedSyscall::Stat(path_at_arg(0, 1), FlagsArg::Fixed(0))),
    (libc::SYS_faccessat2, TracedSyscall::Stat(path_at_arg(0, 1), FlagsArg::Argument(3))),
    // Entering a directory reads the links on the way; paths relative to it no longer contain them.
    (libc::SYS_chdir, TracedSyscall::Stat(path_arg(0), FlagsArg::Fixed(0))),
    (libc::SYS_readlinkat, TracedSyscall::ReadLink(path_at_arg(0, 1))),
    (libc::SYS_getdents64, TracedSyscall::ListDirectory),
    (libc::SYS_execve, TracedSyscall::Execute(path_arg(0))),
    (libc::SYS_execveat, TracedSyscall::Execute(path_at_arg(0, 1))),
    (libc::SYS_mkdirat, TracedSyscall::MakeDirectory(path_at_arg(0, 1))),
    (libc::SYS_unlinkat, TracedSyscall::Remove(path_at_arg(0, 1), FlagsArg::Argument(2))),
    (libc::SYS_renameat2, TracedSyscall::Rename(path_at_arg(0, 1), path_at_arg(2, 3), FlagsArg::Argument(4))),
    (libc::SYS_linkat, TracedSyscall::Link(path_at_arg(0, 1), path_at_arg(2, 3), FlagsArg::Argument(4))),
    (libc::SYS_symlinkat, TracedSyscall::SymbolicLink(path_at_arg(1, 2))),
    (libc::SYS_mknodat, TracedSyscall::MakeNode(path_at_arg(0, 1))),
    (libc::SYS_truncate, TracedSyscall::Truncate(path_arg(0))),
    (libc::SYS_fchmodat, TracedSyscall::ChangeMode(path_at_arg(0, 1))),
    (FCHMODAT2, TracedSyscall::ChangeMode(path_at_arg(0, 1))),
    (libc::SYS_fchownat, TracedSyscall::ChangeMode(path_at_arg(0, 1))),
    (libc::SYS_fchmod, TracedSyscall::ChangeDescriptorMode),
    (libc::SYS_fchown, TracedSyscall::ChangeDescriptorMode),
    (libc::SYS_bind, TracedSyscall::Bind(AddressArg::Arguments(1, 2))),
    (libc::SYS_connect, TracedSyscall::Connect(AddressArg::Arguments(1, 2))),
    (libc::SYS_sendto, TracedSyscall::Connect(AddressArg::Arguments(4, 5))),
    (libc::SYS_sendmsg, TracedSyscall::Connect(AddressArg::Message(1))),
    (libc::SYS_sendmmsg, TracedSyscall::Connect(AddressArg::Messages(1, 2))),
    (libc::SYS_open_by_handle_at, TracedSyscall::Unsupported("opens files by handles instead of paths")),
    (libc::SYS_io_uring_setup, TracedSyscall::Unsupported("uses io_uring, which a filter cannot trace")),
    (libc::SYS_ptrace, TracedSyscall::Unsupported("traces another process (ptrace)")),
    (libc::SYS_mount, TracedSyscall::Unsupported("mounts a file system")),
    (libc::SYS_move_mount, TracedSyscall::Unsupported("mounts a file system")),
    (libc::SYS_fsmount, TracedSyscall::Unsupported("mounts a file system")),
    (libc::SYS_open_tree, TracedSyscall::Unsupported("mounts a file system")),
    (libc::SYS_pivot_root, TracedSyscall::Unsupported("changes its root directory")),
    (libc::SYS_chroot, TracedSyscall::Unsupported("changes its root directory")),
    (libc::SYS_setns, TracedSyscall::Unsupported("enters another namespace")),
    (libc::SYS_pidfd_getfd, TracedSyscall::Unsupported("copies descriptors from another process")),
];

/// `fchmodat2`, which libc does not define on every processor; the number is the same everywhere.
const FCHMODAT2: c_long = 452;

/// Legacy calls of x86-64.
#[cfg(target_arch = "x86_64")]
const ARCH_SYSCALLS: &[(c_long, TracedSyscall)] = &[
    (libc::SYS_open, TracedSyscall::Open(path_arg(0), FlagsArg::Argument(1))),
    (libc::SYS_creat, TracedSyscall::Open(path_arg(0), FlagsArg::Fixed(CREAT_FLAGS))),
    (libc::SYS_stat, TracedSyscall::Stat(path_arg(0), FlagsArg::Fixed(0))),
    (libc::SYS_lstat, TracedSyscall::Stat(path_arg(0), FlagsArg::Fixed(NO_FOLLOW))),
    (libc::SYS_access, TracedSyscall::Stat(path_arg(0), FlagsArg::Fixed(0))),
    (libc::SYS_readlink, TracedSyscall::ReadLink(path_arg(0))),
    (libc::SYS_getdents, TracedSyscall::ListDirectory),
    (libc::SYS_mkdir, TracedSyscall::MakeDirectory(path_arg(0))),
    (libc::SYS_rmdir, TracedSyscall::Remove(path_arg(0), FlagsArg::Fixed(libc::AT_REMOVEDIR as u64))),
    (libc::SYS_unlink, TracedSyscall::Remove(path_arg(0), FlagsArg::Fixed(0))),
    (libc::SYS_rename, TracedSyscall::Rename(path_arg(0), path_arg(1), FlagsArg::Fixed(0))),
    (libc::SYS_renameat, TracedSyscall::Rename(path_at_arg(0, 1), path_at_arg(2, 3), FlagsArg::Fixed(0))),
    (libc::SYS_link, TracedSyscall::Link(path_arg(0), path_arg(1), FlagsArg::Fixed(0))),
    (libc::SYS_symlink, TracedSyscall::SymbolicLink(path_arg(1))),
    (libc::SYS_mknod, TracedSyscall::MakeNode(path_arg(0))),
    (libc::SYS_chmod, TracedSyscall::ChangeMode(path_arg(0))),
    (libc::SYS_chown, TracedSyscall::ChangeMode(path_arg(0))),
    (libc::SYS_lchown, TracedSyscall::ChangeMode(path_arg(0))),
];

/// `renameat`, the only legacy call of 64-bit ARM.
#[cfg(target_arch = "aarch64")]
const ARCH_SYSCALLS: &[(c_long, TracedSyscall)] =
    &[(libc::SYS_renameat, TracedSyscall::Rename(path_at_arg(0, 1), path_at_arg(2, 3), FlagsArg::Fixed(0)))];

#[cfg(target_arch = "x86_64")]
const CREAT_FLAGS: u64 = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;

/// Audit architecture of this processor, as seen by a filter.
#[cfg(target_arch = "x86_64")]
pub(super) const AUDIT_ARCH: u32 = 0xc000_003e;
/// Audit architecture of this processor, as seen by a filter.
#[cfg(target_arch = "aarch64")]
pub(super) const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Bit that marks a call of the x32 ABI of x86-64; other processors have no such calls.
pub(super) const X32_SYSCALL_BIT: u32 = 0x4000_0000;

/// Calls whose flags argument may contain `AT_EMPTY_PATH`: they refer to an open file and need no inspection.
pub(super) const EMPTY_PATH_FLAG_ARGS: &[(c_long, usize)] = &[(libc::SYS_newfstatat, 3), (libc::SYS_statx, 2)];

/// Calls without an address if this argument is a null pointer, as `sendto` on a connected socket, which needs no inspection.
pub(super) const ADDRESS_POINTER_ARGS: &[(c_long, usize)] = &[(libc::SYS_sendto, 4)];

/// Returns all traced calls with their numbers.
pub(super) fn traced_syscalls() -> impl Iterator<Item = (c_uint, TracedSyscall)> {
    COMMON_SYSCALLS
        .iter()
        .chain(ARCH_SYSCALLS)
        .filter_map(|(number, call)| Some((c_uint::try_from(*number).ok()?, *call)))
}

/// Returns the traced call with this number.
pub(super) fn find_syscall(number: u32) -> Option<TracedSyscall> {
    traced_syscalls().find(|(known, _)| *known == number).map(|(_, call)| call)
}

/// Returns whether a call sets up an io_uring.
pub(super) fn is_io_uring_setup(number: u32) -> bool {
    i64::from(number) == libc::SYS_io_uring_setup
}

/// Returns whether the flags of a stat-like call refer to a link itself.
pub(super) fn has_no_follow(flags: u64) -> bool {
    flags & NO_FOLLOW != 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn syscall_numbers_are_unique() {
        let numbers: Vec<u32> = traced_syscalls().map(|(number, _)| number).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        assert_eq!(
            find_syscall(u32::try_from(libc::SYS_openat).unwrap()),
            Some(TracedSyscall::Open(path_at_arg(0, 1), FlagsArg::Argument(2)))
        );
        assert_eq!(find_syscall(9_999), None);
    }
}

//! What the system says of another process: its descriptors, its folder, its program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Programs that take an io_uring where there is one and do the same without, as they must in Docker's containers, whose
/// profile refuses it: what runs on libuv, and on OCaml's eio. A trace sees them whole only without.
const DO_WITHOUT_RING: &[&str] = &["node", "semgrep-core"];

/// Whether a process runs a program that does the same without an io_uring.
pub(super) fn does_without_ring(process: u32) -> bool {
    let program = fs_err::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    DO_WITHOUT_RING.iter().any(|known| program.file_name() == Some(OsStr::new(known)))
}

/// `/proc/self` as the caller means it.
pub(super) fn own_view(path: &Path, process: u32) -> PathBuf {
    if path.components().nth(1) != Some(Component::Normal(OsStr::new("proc"))) {
        return path.to_path_buf();
    }
    for own in ["/proc/self", "/proc/thread-self"] {
        if let Ok(rest) = path.strip_prefix(own) {
            let inside = ["cwd", "root"].iter().any(|link| rest.starts_with(link) && rest != Path::new(link));
            if inside {
                let link = PathBuf::from(format!("/proc/{process}"))
                    .join(rest.components().next().map_or(OsStr::new(""), |c| c.as_os_str()));
                let tail: PathBuf = rest.components().skip(1).collect();
                return fs_err::read_link(link).unwrap_or_default().join(tail);
            }
        }
    }
    path.to_path_buf()
}

/// The path of an open file or folder; none for what has none (a pipe), or none any more.
pub(super) fn descriptor(process: u32, fd: u64) -> Option<PathBuf> {
    let path = fs_err::read_link(format!("/proc/{process}/fd/{}", signed(fd))).ok()?;
    let gone = path.as_os_str().as_bytes().ends_with(b" (deleted)");
    (path.is_absolute() && !gone).then_some(path)
}

/// A descriptor as the kernel takes it: the lower half of its argument.
pub(super) fn signed(fd: u64) -> i32 {
    (fd & 0xffff_ffff) as u32 as i32
}

/// The name of a program, for people.
pub(super) fn program(process: u32) -> String {
    let name = fs_err::read(format!("/proc/{process}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().to_owned()
}

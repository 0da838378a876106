//! Properties of another process: its descriptors, working directory and program.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Programs that use io_uring if it is available and work the same without it, as in Docker containers, whose profile
/// refuses it. They use libuv and OCaml's eio. Without io_uring their traces are complete.
const RING_OPTIONAL_PROGRAMS: &[&str] = &["node", "semgrep-core"];

/// Returns whether a process runs a program that works the same without io_uring.
pub(super) fn can_run_without_io_uring(process: u32) -> bool {
    let program = fs_err::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    RING_OPTIONAL_PROGRAMS.iter().any(|known| program.file_name() == Some(OsStr::new(known)))
}

/// Returns whether a program's file gives it more rights than its caller has: a setuid or setgid bit, or capabilities.
pub(super) fn gains_privileges(path: &Path) -> bool {
    let Ok(metadata) = fs_err::metadata(path) else { return false };
    let (mode, mut value) = (metadata.mode(), [0_u8; 64]);
    let changes_user = mode & 0o4000 != 0 && metadata.uid() != rustix::process::geteuid().as_raw();
    let changes_group = mode & 0o2010 == 0o2010 && metadata.gid() != rustix::process::getegid().as_raw();
    metadata.is_file()
        && (changes_user || changes_group || rustix::fs::getxattr(path, "security.capability", &mut value).is_ok())
}

/// Variable that the host sets for the processes of an install; they pass it on to those that they start.
const PHASE_VARIABLE: &[u8] = b"NOXIDE_TRACE_PHASE=install";

/// Returns whether a process belongs to an install that the host runs.
pub(super) fn is_install_process(process: u32) -> bool {
    let variables = fs_err::read(format!("/proc/{process}/environ")).unwrap_or_default();
    variables.split(|byte| *byte == 0).any(|variable| variable == PHASE_VARIABLE)
}

/// Returns whether `no_new_privs` is set for a process, so that setuid bits have no effect for the programs it starts.
pub(super) fn has_no_new_privileges(process: u32) -> bool {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("NoNewPrivs:").is_some_and(|value| value.trim() == "1"))
}

/// Returns a path that a process uses as an absolute path, links unresolved.
pub(super) fn absolute_path(process: u32, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_path_buf());
    }
    Some(fs_err::read_link(format!("/proc/{process}/cwd")).ok()?.join(path))
}

/// Normalizes a path that refers to `/proc` or `/dev` through `..`; directories in them are not links.
fn normalize_special_path(path: PathBuf) -> PathBuf {
    if !path.as_os_str().as_bytes().windows(4).any(|part| part == b"/../") {
        return path;
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    if plain.starts_with("/proc") || plain.starts_with("/dev") { plain } else { path }
}

/// Resolves `/proc/self` for the calling process.
pub(super) fn resolve_proc_self(path: PathBuf, process: u32) -> PathBuf {
    let path = normalize_special_path(path);
    if path.components().nth(1) != Some(Component::Normal(OsStr::new("proc"))) {
        return path;
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
    path
}

/// Resolves a path that may refer to an open file (`/proc/self/fd/3`, `/dev/stdout`) to that file's own path, or `None`
/// if it has none.
pub(super) fn resolve_open_file_path(path: PathBuf, process: u32) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    if !bytes.starts_with(b"/proc/") && !bytes.starts_with(b"/dev/") {
        return Some(path);
    }
    let mut names = path.components().skip(1).map(|component| component.as_os_str().to_str().unwrap_or_default());
    let fd = match (names.next(), names.next()) {
        (Some("dev"), Some("stdin")) => Some((process, "0")),
        (Some("dev"), Some("stdout")) => Some((process, "1")),
        (Some("dev"), Some("stderr")) => Some((process, "2")),
        (Some("dev"), Some("fd")) => names.next().map(|fd| (process, fd)),
        (Some("proc"), Some(owner)) if names.next() == Some("fd") => {
            names.next().map(|fd| (owner.parse().unwrap_or(process), fd))
        }
        _ => None,
    };
    let Some((owner, fd)) = fd.and_then(|(owner, fd)| Some((owner, fd.parse().ok()?))) else { return Some(path) };
    let file = descriptor_path(owner, fd)?;
    let rest: PathBuf = names.collect();
    Some(if rest.as_os_str().is_empty() { file } else { file.join(rest) })
}

/// Returns the path of an open file or directory, or `None` if it has none (a pipe, a deleted file).
pub(super) fn descriptor_path(process: u32, fd: u64) -> Option<PathBuf> {
    let path = fs_err::read_link(format!("/proc/{process}/fd/{}", descriptor_number(fd))).ok()?;
    let gone = path.as_os_str().as_bytes().ends_with(b" (deleted)");
    (path.is_absolute() && !gone).then_some(path)
}

/// Returns the descriptor number: the lower half of the argument.
pub(super) fn descriptor_number(fd: u64) -> i32 {
    (fd & 0xffff_ffff) as u32 as i32
}

/// Returns the name of a process's program, for messages.
pub(super) fn program_name(process: u32) -> String {
    let name = fs_err::read(format!("/proc/{process}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn reopened_descriptors_resolve_to_their_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let file = fs_err::File::create(root.join("a")).unwrap();
        let own = std::process::id();
        let resolve = |path: String| resolve_open_file_path(PathBuf::from(path), own);
        let (fd, expected) = (file.as_raw_fd(), Some(root.join("a")));
        for path in [format!("/proc/self/fd/{fd}"), format!("/proc/{own}/fd/{fd}"), format!("/dev/fd/{fd}")] {
            assert_eq!(resolve(path.clone()), expected, "{path}");
        }
        let opened = fs_err::File::open(&root).unwrap();
        assert_eq!(resolve(format!("/proc/self/fd/{}/a", opened.as_raw_fd())), expected);
        fs_err::remove_file(root.join("a")).unwrap();
        assert_eq!(resolve(format!("/dev/fd/{fd}")), None, "it has no name any more");
        assert_eq!(resolve("/proc/self/fd/99999".to_owned()), None);
        for stream in 0..3 {
            let name = ["stdin", "stdout", "stderr"][stream];
            assert_eq!(resolve(format!("/dev/{name}")), descriptor_path(own, stream as u64));
        }
        for path in ["/proc/self/fd", "/proc/self/maps", "/dev/null", "/dev/fd", "/a/b"] {
            assert_eq!(resolve(path.to_owned()), Some(PathBuf::from(path)));
        }
    }

    #[test]
    fn per_process_paths_are_recognized_behind_parent_components() {
        let own = std::process::id();
        let resolved = |path: &str| resolve_proc_self(PathBuf::from(path), own).display().to_string();
        assert_eq!(resolved("/dev/shm/../fd/0/a"), "/dev/fd/0/a");
        assert_eq!(resolved("/a/../../proc/self/fd/0"), "/proc/self/fd/0");
        assert_eq!(resolved("/a/../b/file"), "/a/../b/file", "there may be links on it");
        let here = std::env::current_dir().unwrap();
        assert_eq!(Path::new(&resolved("/tmp/../proc/self/cwd/a")), here.join("a"));
    }
}

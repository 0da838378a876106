//! Regular files of limited size. Nothing else is opened: a pipe would wait for its writer, a device may never end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// Size limit of a document, such as a record or a lock file, in bytes.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Opens the regular file at `path` for reading; a link at `path` is not followed.
///
/// # Errors
/// If it does not exist, is not a regular file, or cannot be opened.
pub(crate) fn open_regular_file(path: &Path) -> io::Result<File> {
    open_with_flags(path, OFlags::NOFOLLOW).map_err(|error| add_path(path, &error))
}

/// Reads the regular file at `path`; a link at `path` is not followed.
///
/// # Errors
/// If it does not exist, is not a regular file, has more than `max_bytes`, or cannot be read.
pub(crate) fn read_regular_file(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_limited(open_regular_file(path)?, max_bytes).map_err(|error| add_path(path, &error))
}

/// Opens a file of a project for reading; it may be a link to a regular file.
///
/// # Errors
/// If it does not exist, leads to something else, or cannot be opened.
pub(crate) fn open_project_file(path: &Path) -> io::Result<File> {
    open_with_flags(path, OFlags::empty())
}

/// Reads a text file of a project of at most [`MAX_DOCUMENT_BYTES`]; it may be a link to a regular file. The error does not
/// name the file.
///
/// # Errors
/// If it does not exist, leads to something else, is too large or not UTF-8, or cannot be read.
pub(crate) fn read_project_text(path: &Path) -> io::Result<String> {
    read_limited_text(open_project_file(path)?, MAX_DOCUMENT_BYTES)
}

/// Reads an open text file to its end.
///
/// # Errors
/// If it has more than `max_bytes`, is not UTF-8, or cannot be read.
pub(crate) fn read_limited_text(file: impl Read, max_bytes: u64) -> io::Result<String> {
    let bytes = read_limited(file, max_bytes)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads an open file to its end.
///
/// # Errors
/// If it has more than `max_bytes`, or cannot be read.
pub(crate) fn read_limited(file: impl Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

fn open_with_flags(path: &Path, flags: OFlags) -> io::Result<File> {
    let not_regular = || io::Error::other("it is not a regular file");
    let file = match open(path, flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::NXIO) => return Err(not_regular()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn add_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_of_limited_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs_err::write(path("file"), "text").unwrap();
        assert_eq!(read_regular_file(&path("file"), 4).unwrap(), b"text");
        assert!(read_regular_file(&path("file"), 3).unwrap_err().to_string().contains("more than 3 bytes"));
        assert_eq!(read_regular_file(&path("none"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        symlink("file", path("link")).unwrap();
        assert_eq!(read_project_text(&path("link")).unwrap(), "text");
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        symlink("pipe", path("link-to-pipe")).unwrap();
        for name in ["link", "pipe", "socket", "device", "link-to-pipe", "."] {
            let error = read_regular_file(&path(name), 9).unwrap_err().to_string();
            assert!(error.contains("is not a regular file") && error.contains(name), "{name}: {error}");
        }
        for name in ["pipe", "socket", "device", "link-to-pipe", "."] {
            let error = read_project_text(&path(name)).unwrap_err().to_string();
            assert!(error.contains("is not a regular file"), "{name}: {error}");
        }
        fs_err::write(path("binary"), b"\xff").unwrap();
        assert!(read_project_text(&path("binary")).unwrap_err().to_string().contains("not UTF-8"));
    }
}

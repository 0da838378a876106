//! Interpreter of a script: the program that the kernel runs for a file that begins with `#!`.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Maximum number of interpreters that are scripts themselves, as in Linux.
pub(super) const MAX_SCRIPT_DEPTH: usize = 5;

/// How many bytes of a program the kernel reads to find its interpreter.
const FIRST_LINE_BYTES: u64 = 256;

/// Returns the interpreter of a script as its first line names it, or `None` for another program.
pub(super) fn read_script_interpreter(program: &Path) -> Option<PathBuf> {
    // A pipe with the name of a program would block.
    if !fs_err::metadata(program).ok()?.is_file() {
        return None;
    }
    let mut start = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(program).ok()?;
    file.take(FIRST_LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.split(|byte| matches!(byte, b' ' | b'\t' | 0)).find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        for (text, interpreter) in [
            ("#!/bin/sh\necho", Some("/bin/sh")),
            ("#! /usr/bin/env python -I\n", Some("/usr/bin/env")),
            ("#!\t./tool\t-x", Some("./tool")),
            ("#!\n/bin/sh", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(read_script_interpreter(&path), interpreter.map(PathBuf::from), "{text:?}");
        }
        let long = format!("#!/{}", "x".repeat(400));
        fs_err::write(&path, &long).unwrap();
        assert_eq!(read_script_interpreter(&path).unwrap().as_os_str().len(), 254, "what the kernel reads");
        assert_eq!(read_script_interpreter(directory.path()), None);
        assert_eq!(read_script_interpreter(Path::new("/dev/null")), None);
    }
}

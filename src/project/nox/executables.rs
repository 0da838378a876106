//! Executables on PATH, and the interpreter behind an installed Python command.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Returns the first executable of this name on PATH.
pub(super) fn find_on_path(path: &OsString, name: &str) -> Option<PathBuf> {
    env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether this is an executable file.
pub(super) fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Returns the interpreter that a console script such as `nox` names in its first lines; `None` for a binary or another
/// kind of script.
///
/// Supports `#!/path/python`, `#!/usr/bin/env python3` and the form for long paths or paths with spaces, where a shell
/// runs `'''exec' "/path with spaces/python" "$0" "$@"`.
pub(super) fn shebang_interpreter(script: &Path, find: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut head = Vec::new();
    fs_err::File::open(script).ok()?.take(4096).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let named = if let Some(rest) = first.strip_prefix("/usr/bin/env ") {
        find(rest.trim_start_matches("-S ").split_whitespace().next()?)?
    } else if first == "/bin/sh" {
        let exec = lines.next()?.strip_prefix("'''exec' ")?;
        let quote = exec.chars().next().filter(|c| matches!(c, '"' | '\''));
        match quote {
            Some(quote) => PathBuf::from(exec[1..].split(quote).next()?),
            None => PathBuf::from(exec.split_whitespace().next()?),
        }
    } else {
        PathBuf::from(first)
    };
    let name = named.file_name()?.to_string_lossy().into_owned();
    (name.starts_with("python") || name.starts_with("pypy")).then_some(named).filter(|python| python.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_shebang_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let python = directory.path().join("with space/python3");
        fs_err::create_dir(directory.path().join("with space")).unwrap();
        fs_err::File::create(&python).unwrap();
        let script = directory.path().join("nox");
        let read = |text: &str| {
            std::io::Write::write_all(&mut fs_err::File::create(&script).unwrap(), text.as_bytes()).unwrap();
            shebang_interpreter(&script, |name| (name == "python3").then(|| python.clone()))
        };
        let path = python.display();
        assert_eq!(read(&format!("#!{path}\nimport nox")), Some(python.clone()));
        assert_eq!(read("#!/usr/bin/env python3\n"), Some(python.clone()));
        assert_eq!(read("#!/usr/bin/env -S python3 -E\n"), Some(python.clone()));
        assert_eq!(read(&format!("#!/bin/sh\n'''exec' \"{path}\" \"$0\" \"$@\"\n")), Some(python.clone()));
        assert_eq!(read(&format!("#!/bin/sh\n'''exec' '{path}' \"$0\" \"$@\"\n")), Some(python.clone()));
        assert_eq!(read("#!/bin/sh\n'''exec' /none/python \"$0\"\n"), None);
        assert_eq!(read("#!/usr/bin/env bash\nexec pyenv exec nox\n"), None);
        assert_eq!(read("#!/bin/sh\nexec nox\n"), None);
        assert_eq!(read("\u{7f}ELF"), None);
    }
}

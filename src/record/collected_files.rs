//! Directory in which `noxide ci` collects the files of a run.

use std::io;
use std::path::Path;

use super::copy_tree;
use crate::fs::write_atomic;

/// Files of a run that are copied to the directory.
const COPIED_FILES: [&str; 4] = ["record.json", "events.jsonl", "logs", "artifacts"];
/// Files that the job itself writes to the directory.
const WRITTEN_FILES: [&str; 4] = ["junit.xml", "cache.json", "coverage.json", ".coverage"];

/// Creates the directory, and removes what an earlier job left there.
///
/// # Errors
/// When the directory is not writable.
pub(crate) fn reset_collection_dir(dir: &Path) -> io::Result<()> {
    fs_err::create_dir_all(dir)?;
    // Git ignores its content.
    write_atomic(&dir.join(".gitignore"), b"*\n")?;
    for name in COPIED_FILES.iter().chain(&WRITTEN_FILES) {
        let path = dir.join(name);
        let removed = if path.is_dir() { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Copies the files of a run to the directory.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn collect_run_files(run_dir: &Path, dir: &Path) -> io::Result<()> {
    COPIED_FILES.iter().try_for_each(|name| copy_tree(&run_dir.join(name), &dir.join(name)))
}

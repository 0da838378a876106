//! Directory in which `noxide ci` collects the files of a run.

use std::io;
use std::path::Path;

use crate::fs::{MAX_DOCUMENT_BYTES, RootDir, read_regular_file, remove_dir_tree, write_atomic};

/// Files of a run that are copied to the directory.
const COPIED_FILES: [&str; 4] = ["record.json", "events.jsonl", "logs", "artifacts"];
/// Files that the job itself writes to the directory.
const WRITTEN_FILES: [&str; 4] = ["junit.xml", "cache.json", "coverage.json", ".coverage"];

/// Content of the `.gitignore` in the directory, which also marks it as one of `noxide ci`.
const GITIGNORE: &[u8] = b"# Created by noxide ci.\n*\n";

/// Creates the directory, and removes what an earlier job left there.
///
/// # Errors
/// When the directory is a symbolic link, has files or directories that no job created, or is not writable.
pub(crate) fn reset_collection_dir(dir: &Path) -> io::Result<()> {
    if dir.is_symlink() {
        return Err(io::Error::other(format!("{} is a symbolic link; choose another directory", dir.display())));
    }
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let gitignore = dir.join(".gitignore");
    let is_of_earlier_job = read_regular_file(&gitignore, MAX_DOCUMENT_BYTES).is_ok_and(|text| text == GITIGNORE);
    let own_files = || COPIED_FILES.iter().chain(&WRITTEN_FILES).map(|name| dir.join(name));
    let foreign = own_files().chain([gitignore.clone()]).find(|path| path.symlink_metadata().is_ok());
    if let Some(foreign) = foreign.filter(|_| !is_of_earlier_job) {
        let foreign = foreign.display();
        return Err(io::Error::other(format!("{foreign} was not created by noxide ci; choose another directory")));
    }
    fs_err::create_dir_all(dir)?;
    // Git ignores its content.
    write_atomic(&gitignore, GITIGNORE)?;
    for path in own_files() {
        let removed = if is_dir(&path) { remove_dir_tree(&path) } else { fs_err::remove_file(&path) };
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
    let (run, target) = (RootDir::open(run_dir)?, RootDir::open(dir)?);
    COPIED_FILES.iter().map(Path::new).try_for_each(|name| run.copy_tree(name, &target, name))
}

//! Locations of run data, remembered for commands that do not load the noxfile.
//!
//! Only the noxfile and the arguments of a run know where nox creates environments. The location of a project's last
//! run is stored in the user's cache directory if it is not the default.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{MAX_DOCUMENT_BYTES, create_dirs, may_belong_to_others, read_regular_file, write_atomic};
use crate::project::{default_run_data_dir, path_serde, project_digest};

/// Version of the files.
const VERSION: u32 = 1;

/// The file of one project.
#[derive(Debug, Serialize, Deserialize)]
struct RunDataLocation {
    version: u32,
    /// The project's root, without links.
    #[serde(with = "path_serde")]
    root: PathBuf,
    /// Its run data directory.
    #[serde(with = "path_serde")]
    run_data_dir: PathBuf,
}

impl RunDataLocation {
    fn read(path: &Path) -> Option<Self> {
        let location: Self = serde_json::from_slice(&read_regular_file(path, MAX_DOCUMENT_BYTES).ok()?).ok()?;
        (location.version == VERSION).then_some(location)
    }
}

/// Returns the run data directory of the last run of the project in `root`, or the default.
pub(crate) fn find_run_data_dir(root: &Path, user_cache_dir: Option<&Path>) -> PathBuf {
    let location = user_cache_dir.and_then(|dir| RunDataLocation::read(&location_path(root, dir)));
    // A temporary directory may have been removed since, and created again by another user.
    let is_usable = |dir: &PathBuf| dir.join("runs").is_dir() && !may_belong_to_others(dir);
    let known = location.map(|location| location.run_data_dir).filter(is_usable);
    known.unwrap_or_else(|| default_run_data_dir(root))
}

/// Stores the run data directory of the project in `root`, unless it is the default; removes the files of projects
/// that do not exist any more.
///
/// # Errors
/// When the user's cache directory is not writable.
pub(crate) fn remember_run_data_dir(root: &Path, run_data_dir: &Path, user_cache_dir: &Path) -> io::Result<()> {
    let path = location_path(root, user_cache_dir);
    if run_data_dir == default_run_data_dir(root) {
        return match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let directory = locations_dir(user_cache_dir);
    create_dirs(&directory)?;
    for entry in fs_err::read_dir(&directory)?.flatten() {
        if RunDataLocation::read(&entry.path()).is_some_and(|location| !location.root.exists()) {
            // If this fails, the next run tries again.
            let _ = fs_err::remove_file(entry.path());
        }
    }
    let location = RunDataLocation {
        version: VERSION,
        root: fs_err::canonicalize(root)?,
        run_data_dir: std::path::absolute(run_data_dir)?,
    };
    write_atomic(&path, &serde_json::to_vec(&location)?)
}

fn locations_dir(user_cache_dir: &Path) -> PathBuf {
    user_cache_dir.join("run-data")
}

fn location_path(root: &Path, user_cache_dir: &Path) -> PathBuf {
    locations_dir(user_cache_dir).join(format!("{}.json", project_digest(root)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_location_of_the_last_run_is_found_until_it_or_its_project_is_gone() {
        let (project, cache, other) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, cache) = (project.path(), cache.path());
        let find = || find_run_data_dir(root, Some(cache));
        let moved = root.join("envs/.noxide");
        assert_eq!(find(), default_run_data_dir(root));
        remember_run_data_dir(root, &moved, cache).unwrap();
        assert_eq!(find(), default_run_data_dir(root), "there are no runs in it");
        fs_err::create_dir_all(moved.join("runs")).unwrap();
        assert_eq!(find(), moved);
        assert_eq!(find_run_data_dir(root, None), default_run_data_dir(root));
        assert_eq!(find_run_data_dir(other.path(), Some(cache)), default_run_data_dir(other.path()));
        remember_run_data_dir(root, &default_run_data_dir(root), cache).unwrap();
        remember_run_data_dir(root, &default_run_data_dir(root), cache).unwrap();
        assert_eq!(find(), default_run_data_dir(root));

        remember_run_data_dir(root, &moved, cache).unwrap();
        drop(project);
        remember_run_data_dir(other.path(), &moved, cache).unwrap();
        assert_eq!(fs_err::read_dir(locations_dir(cache)).unwrap().count(), 1, "that of the deleted project is gone");
    }

    #[test]
    fn an_unreadable_location_is_ignored_and_one_that_cannot_be_stored_is_an_error() {
        let (project, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = location_path(project.path(), cache.path());
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        for text in ["{", r#"{"version": 9, "root": "/", "run_data_dir": "/"}"#] {
            fs_err::write(&path, text).unwrap();
            let found = find_run_data_dir(project.path(), Some(cache.path()));
            assert_eq!(found, default_run_data_dir(project.path()), "{text}");
        }
        let file = cache.path().join("file");
        fs_err::write(&file, "").unwrap();
        assert!(remember_run_data_dir(project.path(), Path::new("/other"), &file).is_err());
    }
}

//! Coverage data files that sessions wrote in private, and their move to where sequential sessions would have left them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::graph::PlanIndex;
use crate::fs::remove_dir_tree;
use crate::project::{CommandUse, ResourceKind, UseMode};

/// File beside private data that describes where it belongs, written by the host.
const TARGET_FILE: &str = "target.json";

/// List of the files that were moved, with the index of their session; the host reads it before `coverage combine`.
const MOVED_FILES_LIST: &str = "published";

/// Where data belongs, as the host describes it.
#[derive(Debug, Deserialize)]
struct DataTarget {
    /// The data file that the session's command would have written.
    data: PathBuf,
    /// Whether the command first erased the files of parallel mode beside it (`.coverage.*`).
    erases_parallel_files: bool,
}

/// Coverage data of a run's sessions.
///
/// Sequential sessions overwrite the data file, so that of the last session in nox's order remains; files of parallel
/// mode (`.coverage.*`) remain until a session erases them. Sessions of a parallel run end in any order.
#[derive(Debug)]
pub(super) struct CoverageFiles {
    directory: PathBuf,
    /// The session that wrote each file.
    writers: BTreeMap<PathBuf, PlanIndex>,
    /// The last session that erased the files beside a data file.
    erasers: BTreeMap<PathBuf, PlanIndex>,
}

impl CoverageFiles {
    /// Creates the state of a run in which no session has ended.
    pub(super) fn new(run_dir: &Path) -> Self {
        Self { directory: run_dir.join("coverage"), writers: BTreeMap::new(), erasers: BTreeMap::new() }
    }

    /// Returns the variable with the directory for a session's data, and removes what an earlier attempt left in it.
    pub(super) fn session_env(&self, session: PlanIndex) -> Option<(String, String)> {
        let directory = self.session_directory(session);
        // A directory that does not exist is what is wanted; another error shows when the host creates it.
        let _ = remove_dir_tree(&directory);
        Some(("NOXIDE_COVERAGE_DIR".to_owned(), directory.into_os_string().into_string().ok()?))
    }

    /// Moves the data of a session that has ended into place. `uses` are the resources that its commands shared; `root` is
    /// the project's directory. Returns a notice for each problem.
    pub(super) fn move_into_place(&mut self, session: PlanIndex, uses: &[CommandUse], root: &Path) -> Vec<String> {
        let is_written_directly = |found: &&CommandUse| {
            found.kind == ResourceKind::CoverageData && found.mode == UseMode::Exclusive && found.until_end
        };
        for direct in uses.iter().filter(is_written_directly) {
            let writer = self.writers.entry(root.join(&direct.target)).or_insert(session);
            *writer = session.max(*writer);
        }
        let directory = self.session_directory(session);
        let Ok(entries) = fs_err::read_dir(&directory) else { return Vec::new() };
        let mut directories: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        directories.sort();
        let moved: Vec<io::Result<()>> =
            directories.iter().map(|directory| self.move_directory_into_place(session, directory)).collect();
        let _ = remove_dir_tree(&directory);
        let notice = |error| format!("cannot move coverage data into place: {error}; measure the session again alone");
        moved.into_iter().filter_map(Result::err).map(notice).collect()
    }

    fn move_directory_into_place(&mut self, session: PlanIndex, directory: &Path) -> io::Result<()> {
        let target: DataTarget = serde_json::from_slice(&fs_err::read(directory.join(TARGET_FILE))?)?;
        let (Some(parent), Some(name)) = (target.data.parent(), target.data.file_name()) else { return Ok(()) };
        if target.erases_parallel_files {
            self.erase_earlier(session, parent, &target.data, name)?;
        }
        let later_eraser = self.erasers.get(&target.data).is_some_and(|eraser| *eraser > session);
        for entry in fs_err::read_dir(directory)?.flatten() {
            let path = parent.join(entry.file_name());
            let is_obsolete = later_eraser || self.writers.get(&path).is_some_and(|writer| *writer > session);
            if entry.file_name() == TARGET_FILE || entry.file_name().as_encoded_bytes().ends_with(b"-journal") {
                continue;
            }
            if !is_obsolete {
                move_file(&entry.path(), &path)?;
                self.list_moved_file(session, &path)?;
                self.writers.insert(path, session);
            }
        }
        Ok(())
    }

    /// Removes data files with a suffix that existed before the session: those of earlier sessions and of earlier runs.
    fn erase_earlier(&mut self, session: PlanIndex, directory: &Path, data: &Path, name: &OsStr) -> io::Result<()> {
        let eraser = self.erasers.entry(data.to_path_buf()).or_insert(session);
        *eraser = session.max(*eraser);
        let prefix = [name.as_encoded_bytes(), b"."].concat();
        for entry in fs_err::read_dir(directory)?.flatten() {
            let is_earlier = self.writers.get(&entry.path()).is_none_or(|writer| *writer < session);
            if entry.file_name().as_encoded_bytes().starts_with(&prefix) && is_earlier && is_database(&entry.path()) {
                fs_err::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn list_moved_file(&self, session: PlanIndex, path: &Path) -> io::Result<()> {
        let mut list =
            fs_err::OpenOptions::new().create(true).append(true).open(self.directory.join(MOVED_FILES_LIST))?;
        writeln!(list, "{session} {}", path.display())
    }

    fn session_directory(&self, session: PlanIndex) -> PathBuf {
        self.directory.join(session.to_string())
    }
}

/// Whether a file is a database, as coverage data is, and not a configuration such as `.coverage.toml`.
fn is_database(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 15];
    fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"SQLite format 3"
}

/// Moves a file, also to another file system.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs_err::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs_err::copy(from, to)?;
            fs_err::remove_file(from)
        }
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        files: CoverageFiles,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files = CoverageFiles::new(&directory.path().join("run"));
            Self { directory, files }
        }

        fn end_session(&mut self, index: usize, erases_parallel_files: bool, names: &[&str]) {
            let directory = self.files.session_directory(PlanIndex(index)).join("0");
            fs_err::create_dir_all(&directory).unwrap();
            let target = serde_json::json!({ "data": self.directory.path().join(".coverage"), "erases_parallel_files": erases_parallel_files });
            fs_err::write(directory.join(TARGET_FILE), target.to_string()).unwrap();
            for name in names {
                fs_err::write(directory.join(name), format!("SQLite format 3 {index}")).unwrap();
            }
            let notices = self.files.move_into_place(PlanIndex(index), &[], self.directory.path());
            assert_eq!(notices, Vec::<String>::new());
        }

        fn left(&self) -> Vec<(String, char)> {
            let entries = fs_err::read_dir(self.directory.path()).unwrap().flatten();
            let files = entries.filter(|entry| entry.path().is_file());
            let mut left: Vec<(String, char)> = files
                .map(|entry| {
                    let text = fs_err::read_to_string(entry.path()).unwrap();
                    (entry.file_name().into_string().unwrap(), text.chars().last().unwrap())
                })
                .collect();
            left.sort();
            left
        }
    }

    fn files(left: &[(&str, char)]) -> Vec<(String, char)> {
        left.iter().map(|(name, session)| ((*name).to_owned(), *session)).collect()
    }

    #[test]
    fn the_last_session_in_order_leaves_its_file() {
        let mut run = Fixture::new();
        for index in [1, 2, 0] {
            run.end_session(index, false, &[".coverage"]);
        }
        assert_eq!(run.left(), files(&[(".coverage", '2')]));
    }

    #[test]
    fn files_with_a_suffix_stay_until_a_later_session_erases_them() {
        let mut run = Fixture::new();
        fs_err::write(run.directory.path().join(".coverage.old"), "SQLite format 3 x").unwrap();
        fs_err::write(run.directory.path().join(".coverage.toml"), "[run] 7").unwrap();
        run.end_session(3, false, &[".coverage.d"]);
        run.end_session(2, true, &[".coverage.c"]);
        run.end_session(1, false, &[".coverage.b"]);
        assert_eq!(run.left(), files(&[(".coverage.c", '2'), (".coverage.d", '3'), (".coverage.toml", '7')]));
    }

    #[test]
    fn a_session_that_wrote_the_shared_file_counts_as_its_writer() {
        let mut run = Fixture::new();
        let direct: CommandUse = serde_json::from_value(serde_json::json!({
            "kind": "coverage-data", "target": ".coverage", "mode": "exclusive", "until_end": true, "command": ""
        }))
        .unwrap();
        fs_err::write(run.directory.path().join(".coverage"), "SQLite format 3 5").unwrap();
        run.files.move_into_place(PlanIndex(5), &[direct], run.directory.path());
        run.end_session(4, false, &[".coverage"]);
        assert_eq!(run.left(), files(&[(".coverage", '5')]));
        run.end_session(6, false, &[".coverage"]);
        assert_eq!(run.left(), files(&[(".coverage", '6')]));
    }
}

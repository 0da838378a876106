//! Coverage data found, combined and measured: slipcover's by our own code, coverage.py's by the project's own tool.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::{DirEntry, WalkDir};

use super::error::CliError;
use crate::fs::write_atomic;
use crate::report::SlipcoverCoverage;

/// What was combined.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CombinedCoverage {
    /// `slipcover` or `coverage.py`.
    pub(super) tool: &'static str,
    /// How much is covered, in percent.
    pub(super) percent: f64,
    /// How many data files went in.
    pub(super) files: usize,
    /// Where the combined data lies.
    pub(super) path: PathBuf,
}

impl CombinedCoverage {
    /// The percentage in hundredths, cut off: 96.999 is not yet 97.
    pub(super) fn percent_hundredths(&self) -> u32 {
        (self.percent * 100.0 + 1e-6) as u32
    }
}

/// No data file of slipcover is larger.
const MAX_SLIPCOVER_BYTES: u64 = 256 * 1024 * 1024;

/// Combines the coverage data below `folders` into `target`. `roots` are the folders it may have been measured in.
///
/// # Errors
/// When there is none, it does not go together, or there is no coverage.py for its files.
pub(super) fn combine_coverage(
    folders: &[PathBuf],
    roots: &[&Path],
    target: &Path,
) -> Result<Vec<CombinedCoverage>, CliError> {
    let mut databases = Vec::new();
    let mut slipcover: Vec<(PathBuf, SlipcoverCoverage)> = Vec::new();
    let here = std::env::current_dir().unwrap_or_default();
    for path in find_coverage_files(folders, target) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            databases.extend(is_sqlite_database(&path).then_some(path));
        } else if fs_err::metadata(&path).is_ok_and(|facts| facts.len() <= MAX_SLIPCOVER_BYTES) {
            let read = fs_err::read(&path).ok().and_then(|bytes| {
                let root = roots.iter().copied().chain([here.as_path()]).find(|root| has_paths_below(&bytes, root));
                SlipcoverCoverage::parse(&bytes, root)
            });
            slipcover.extend(read.map(|data| (path, data)));
        }
    }
    if databases.is_empty() && slipcover.is_empty() {
        return Err(CliError::InvalidInput(
            "no coverage data was found: neither .coverage files nor JSON of slipcover; keep them by `outputs`"
                .to_owned(),
        ));
    }
    let written = |source| CliError::Io { context: "cannot write the combined coverage".to_owned(), source };
    fs_err::create_dir_all(target).map_err(written)?;
    let mut combined = Vec::new();
    if let Some(percent) = combine_with_coverage_py(&databases, target)? {
        combined.push(percent);
    }
    let files = slipcover.len();
    let mut parts = slipcover.into_iter();
    if let Some((_, mut all)) = parts.next() {
        for (path, data) in parts {
            all.merge(data).map_err(|error| CliError::InvalidInput(format!("{}: {error}", path.display())))?;
        }
        let path = target.join("coverage.json");
        write_atomic(&path, format!("{}\n", all.to_json()).as_bytes()).map_err(written)?;
        combined.push(CombinedCoverage { tool: "slipcover", percent: all.percent_covered(), files, path });
    }
    Ok(combined)
}

/// Files that may be coverage data by their names, each once.
///
/// What an earlier merge put into `target` is made anew, and `.noxide` keeps other runs too: it is looked into only
/// where a folder of `folders` lies in it.
fn find_coverage_files(folders: &[PathBuf], target: &Path) -> Vec<PathBuf> {
    let target = fs_err::canonicalize(target).ok();
    let mut found = Vec::new();
    let data = |name: &str| {
        name == ".coverage" || name.starts_with(".coverage.") || (name.ends_with(".json") && name.contains("cov"))
    };
    for folder in folders.iter().filter(|folder| !folder.ends_with(".noxide")) {
        let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
        let kept = |entry: &DirEntry| should_search(entry) && (entry.depth() == 0 || entry.file_name() != ".noxide");
        for entry in walk.filter_entry(kept).flatten().filter(|entry| entry.file_type().is_file()) {
            let Ok(path) = fs_err::canonicalize(entry.path()) else { continue };
            let made = path.parent() == target.as_deref();
            if data(&entry.file_name().to_string_lossy()) && !made && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// Whether a document speaks of files below a folder.
fn has_paths_below(bytes: &[u8], root: &Path) -> bool {
    let root = format!("\"{}/", root.display());
    bytes.windows(root.len()).any(|part| part == root.as_bytes())
}

/// Whether a file is an SQLite database, as coverage.py's data is.
fn is_sqlite_database(path: &Path) -> bool {
    let mut head = [0; 16];
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && &head == b"SQLite format 3\0"
}

/// Has coverage.py combine its data files and say how much they cover.
fn combine_with_coverage_py(databases: &[PathBuf], target: &Path) -> Result<Option<CombinedCoverage>, CliError> {
    if databases.is_empty() {
        return Ok(None);
    }
    let tool = find_coverage_py().ok_or_else(|| CliError::Io {
        context: "cannot combine .coverage files: no coverage.py in PATH, .venv or .nox".to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let path = target.join(".coverage");
    // `combine` would add to what an earlier merge left.
    let _ = fs_err::remove_file(&path);
    let run = |arguments: &[&std::ffi::OsStr]| {
        let done = Command::new(&tool).args(arguments).output();
        done.map_err(|source| CliError::Io { context: format!("cannot start {}", tool.display()), source })
    };
    let data = std::ffi::OsString::from(format!("--data-file={}", path.display()));
    let mut arguments: Vec<&std::ffi::OsStr> = vec!["combine".as_ref(), "--keep".as_ref(), "--quiet".as_ref(), &data];
    arguments.extend(databases.iter().map(|path| path.as_os_str()));
    let combined = run(&arguments)?;
    let words = |output: &std::process::Output| {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        text.trim().to_owned()
    };
    let failed = |what: &str, why: String| CliError::Io {
        context: format!(
            "coverage {what} (set `relative_files = true` in [tool.coverage.run] where runners differ in their folder)"
        ),
        source: std::io::Error::other(why),
    };
    if !combined.status.success() {
        return Err(failed("combine", words(&combined)));
    }
    // Its exit code says whether the project's own floor is met; the number stands on its last line in any case.
    let report = run(&[
        "report".as_ref(),
        &data,
        "--format=total".as_ref(),
        "--precision=2".as_ref(),
        "--ignore-errors".as_ref(),
    ])?;
    let said = String::from_utf8_lossy(&report.stdout).into_owned();
    let percent = said.lines().find_map(|line| line.trim().parse::<f64>().ok());
    let percent = percent.ok_or_else(|| failed("report", words(&report)))?;
    Ok(Some(CombinedCoverage { tool: "coverage.py", percent, files: databases.len(), path }))
}

/// The project's own coverage.py: of the environment in use, of `.venv`, of a session's, or of PATH.
fn find_coverage_py() -> Option<PathBuf> {
    let bin = |environment: &Path| environment.join("bin/coverage");
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(std::env::var_os("VIRTUAL_ENV").map(|environment| bin(Path::new(&environment))));
    places.push(bin(Path::new(".venv")));
    let sessions = fs_err::read_dir(".nox").into_iter().flatten().flatten().map(|entry| bin(&entry.path()));
    let mut sessions: Vec<PathBuf> = sessions.collect();
    sessions.sort_unstable();
    places.extend(sessions);
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).map(|folder| folder.join("coverage")));
    places.into_iter().find(|place| place.is_file())
}

/// Folders that hold neither runs nor data but many files are passed over.
pub(super) fn should_search(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let below = entry.depth() > 0 && entry.file_type().is_dir();
    !(below && [".git", ".nox", ".venv", "node_modules"].iter().any(|passed_over| name == *passed_over))
}

//! Combination of coverage data: slipcover's files are merged here, coverage.py's by the project's own coverage.py.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::str::FromStr;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde_json::{Value, json};
use walkdir::WalkDir;

use super::slipcover::{CoverageError, SlipcoverCoverage};
use crate::fs::{open_regular_file, read_limited, write_atomic};
use crate::record::{is_run_data_dir, may_contain_coverage};
use crate::text::{format_size, pluralize};

/// CPU time of coverage.py, in seconds: a constant part, and the part for each MiB of data.
const MAX_COVERAGE_SECONDS: (u64, u64) = (60, 20);

/// Most data files, and files that may be some by their names.
const MAX_DATA_FILES: usize = 10_000;
/// Largest data file of slipcover. Parsed, it may need ten times as much memory.
const MAX_SLIPCOVER_BYTES: u64 = 32 << 20;
/// Largest size of all data files of slipcover together.
const MAX_SLIPCOVER_TOTAL_BYTES: u64 = 256 << 20;
/// Most files, lines and branches in the merged data of slipcover.
const MAX_SLIPCOVER_ITEMS: usize = 5_000_000;

/// The coverage of one tool's combined data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CombinedCoverage {
    /// `slipcover` or `coverage.py`.
    pub(crate) tool: &'static str,
    /// Covered lines (and branches), in percent.
    pub(crate) percent: f64,
    /// Number of data files combined.
    pub(crate) files: usize,
    /// File of the combined data.
    pub(crate) path: PathBuf,
}

impl CombinedCoverage {
    /// Returns whether the coverage reaches the floor, if there is one; 96.999 % does not reach 97 %.
    pub(crate) fn reaches(&self, floor: Option<CoverageFloor>) -> bool {
        floor.is_none_or(|floor| (self.percent * 100.0 + 1e-6) as u32 >= floor.hundredths)
    }

    /// Returns the figures as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let path = self.path.display().to_string();
        json!({ "tool": self.tool, "percent": self.percent, "files": self.files, "path": path })
    }

    /// Returns the figures as text: `97.20 % (slipcover, 2 data files), below the required 98 %`.
    pub(crate) fn describe(&self, floor: Option<CoverageFloor>) -> String {
        let files = pluralize(self.files, "data file");
        let verdict = match floor {
            Some(floor) if self.reaches(Some(floor)) => format!(", required {} %", floor.percent()),
            Some(floor) => format!(", below the required {} %", floor.percent()),
            None => String::new(),
        };
        format!("{:.2} % ({}, {files}){verdict}", self.percent, self.tool)
    }
}

/// Minimum required coverage, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CoverageFloor {
    hundredths: u32,
}

impl CoverageFloor {
    /// Returns the floor in percent.
    pub(crate) fn percent(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }
}

impl FromStr for CoverageFloor {
    type Err = CoverageFloorError;

    fn from_str(text: &str) -> Result<Self, CoverageFloorError> {
        let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| CoverageFloorError)?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(CoverageFloorError);
        }
        Ok(Self { hundredths: (percent * 100.0).round() as u32 })
    }
}

/// A coverage floor that is not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 to 100")]
pub(crate) struct CoverageFloorError;

/// Errors combining coverage data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CombineCoverageError {
    /// The data is missing or cannot be used.
    #[error(transparent)]
    Data(#[from] CoverageDataError),
    /// There are coverage.py files, but no coverage.py.
    #[error("cannot combine .coverage files: coverage.py is not installed in .venv, in .nox or on PATH")]
    NoCoveragePy,
    /// coverage.py failed.
    #[error("`coverage {command}` failed: {message}")]
    CoveragePy {
        /// Its subcommand.
        command: &'static str,
        /// Its output.
        message: String,
    },
    /// A file cannot be written, or coverage.py cannot be started.
    #[error("cannot combine coverage data: {0}")]
    Io(#[from] io::Error),
}

/// What is wrong with coverage data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoverageDataError {
    /// No data file was found.
    #[error("no coverage data found: there are no .coverage files and no JSON files of slipcover")]
    NoData,
    /// The data files of slipcover have no line.
    #[error(
        "the coverage data of slipcover ({}) has no lines; check that `--source` names the measured code and that it ran",
        pluralize(*files, "file")
    )]
    NoLines {
        /// Number of data files.
        files: usize,
    },
    /// The data files are too many or too large.
    #[error("cannot combine coverage data: there are more than {limit}; combine fewer files at once")]
    TooMuch {
        /// The limit, with its unit.
        limit: String,
    },
    /// Data files contradict each other.
    #[error("cannot merge {}: {source}", path.display())]
    Mismatch {
        /// The file that contradicts the others.
        path: PathBuf,
        /// What differs.
        source: CoverageError,
    },
}

/// Combines the coverage data below `dirs` into the directory `target`; `roots` are project directories whose
/// absolute paths the data may contain, in addition to the current one.
///
/// # Errors
/// When there is no data, files contradict each other, or coverage.py is missing or fails.
pub(crate) fn combine_coverage(
    dirs: &[PathBuf],
    roots: &[&Path],
    target: &Path,
) -> Result<Vec<CombinedCoverage>, CombineCoverageError> {
    let current_dir = std::env::current_dir().unwrap_or_default();
    let roots: Vec<&Path> = roots.iter().copied().chain([current_dir.as_path()]).collect();
    let mut databases = Vec::new();
    let mut slipcover = SlipcoverTotal::default();
    for path in find_coverage_files(dirs, target)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            slipcover.add_file(path, &roots)?;
        } else {
            databases.extend(is_sqlite_database(&path).then_some(path));
        }
    }
    if databases.is_empty() && slipcover.files == 0 {
        return Err(CoverageDataError::NoData.into());
    }
    let total = slipcover.total.take();
    if total.as_ref().is_some_and(SlipcoverCoverage::is_empty) {
        return Err(CoverageDataError::NoLines { files: slipcover.files }.into());
    }
    fs_err::create_dir_all(target)?;
    let mut combined = Vec::new();
    combined.extend(combine_with_coverage_py(&databases, target)?);
    if let Some(total) = total {
        let path = target.join("coverage.json");
        write_atomic(&path, format!("{}\n", total.to_json()).as_bytes())?;
        let (percent, files) = (total.percent_covered(), slipcover.files);
        combined.push(CombinedCoverage { tool: "slipcover", percent, files, path });
    }
    Ok(combined)
}

/// Merged data of slipcover. Each file is merged when it is read, so that only one of them is in memory.
#[derive(Debug, Default)]
struct SlipcoverTotal {
    total: Option<SlipcoverCoverage>,
    /// Number of merged files.
    files: usize,
    bytes: u64,
}

impl SlipcoverTotal {
    /// Adds a file, unless it is something else than data of slipcover.
    fn add_file(&mut self, path: PathBuf, roots: &[&Path]) -> Result<(), CombineCoverageError> {
        let Ok(file) = open_regular_file(&path) else { return Ok(()) };
        let size = file.metadata()?.len();
        if size > MAX_SLIPCOVER_BYTES && !mentions_slipcover(file.try_clone()?).unwrap_or(false) {
            return Ok(());
        }
        let too_large = |bytes: u64| CoverageDataError::TooMuch { limit: format_size(bytes) };
        if size > MAX_SLIPCOVER_BYTES {
            return Err(too_large(MAX_SLIPCOVER_BYTES).into());
        }
        let Ok(bytes) = read_limited(file, MAX_SLIPCOVER_BYTES) else { return Ok(()) };
        let Some(coverage) = SlipcoverCoverage::parse(&bytes, roots) else { return Ok(()) };
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > MAX_SLIPCOVER_TOTAL_BYTES {
            return Err(too_large(MAX_SLIPCOVER_TOTAL_BYTES).into());
        }
        self.files += 1;
        let items = match &mut self.total {
            None => self.total.insert(coverage).item_count(),
            Some(total) => {
                total.merge(coverage).map_err(|source| CoverageDataError::Mismatch { path, source })?;
                total.item_count()
            }
        };
        if items > MAX_SLIPCOVER_ITEMS {
            return Err(CoverageDataError::TooMuch { limit: pluralize(MAX_SLIPCOVER_ITEMS, "line") }.into());
        }
        Ok(())
    }
}

/// Returns whether a large document is data of slipcover: the name is at its start or, if keys are sorted, at its end.
fn mentions_slipcover(mut file: std::fs::File) -> io::Result<bool> {
    const PART: u64 = 64 << 10;
    let mut part = Vec::new();
    file.by_ref().take(PART).read_to_end(&mut part)?;
    file.seek(SeekFrom::End(-(PART as i64)))?;
    file.take(PART).read_to_end(&mut part)?;
    Ok(String::from_utf8_lossy(&part).contains("\"slipcover\""))
}

/// Finds files that may be coverage data by their names, each once.
///
/// Output of an earlier merge in `target` is skipped. A run data directory has other runs too: it is searched only if
/// a directory of `dirs` is inside it.
///
/// # Errors
/// When there are too many.
fn find_coverage_files(dirs: &[PathBuf], target: &Path) -> Result<Vec<PathBuf>, CombineCoverageError> {
    let target = fs_err::canonicalize(target).ok();
    let mut found = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    let is_data_name = |name: &str| {
        name == ".coverage" || name.starts_with(".coverage.") || (name.ends_with(".json") && name.contains("cov"))
    };
    for dir in dirs.iter().filter(|dir| !is_run_data_dir(dir)) {
        let walk = WalkDir::new(dir).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(may_contain_coverage).flatten().filter(|entry| entry.file_type().is_file()) {
            if !is_data_name(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let Ok(path) = fs_err::canonicalize(entry.path()) else { continue };
            let is_output = path.parent() == target.as_deref();
            if !is_output && known.insert(path.clone()) {
                found.push(path);
            }
            if found.len() > MAX_DATA_FILES {
                return Err(CoverageDataError::TooMuch { limit: pluralize(MAX_DATA_FILES, "data file") }.into());
            }
        }
    }
    Ok(found)
}

/// Returns whether a file is an SQLite database, the format of coverage.py's data.
fn is_sqlite_database(path: &Path) -> bool {
    let mut head = [0; 16];
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && &head == b"SQLite format 3\0"
}

/// Combines coverage.py's data files with coverage.py; returns `None` if there are none.
fn combine_with_coverage_py(
    databases: &[PathBuf],
    target: &Path,
) -> Result<Option<CombinedCoverage>, CombineCoverageError> {
    if databases.is_empty() {
        return Ok(None);
    }
    let program = find_coverage_py().ok_or(CombineCoverageError::NoCoveragePy)?;
    let path = target.join(".coverage");
    // `combine` would add to the output of an earlier merge.
    let _ = fs_err::remove_file(&path);
    let bytes: u64 =
        databases.iter().filter_map(|path| fs_err::metadata(path).ok()).map(|metadata| metadata.len()).sum();
    let seconds = MAX_COVERAGE_SECONDS.0 + MAX_COVERAGE_SECONDS.1 * (bytes >> 20);
    let run = |arguments: &[&OsStr]| {
        let output = run_limited(Command::new(&program).args(arguments), seconds);
        output.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))
    };
    let text = |output: &Output| {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        text.trim().to_owned()
    };
    let data_file = OsString::from(format!("--data-file={}", path.display()));
    let mut arguments: Vec<&OsStr> = vec!["combine".as_ref(), "--keep".as_ref(), "--quiet".as_ref(), &data_file];
    arguments.extend(databases.iter().map(|path| path.as_os_str()));
    let output = run(&arguments)?;
    if !output.status.success() {
        return Err(CombineCoverageError::CoveragePy { command: "combine", message: text(&output) });
    }
    // Its exit code says whether the project's own floor is met; the number is on the last line in either case.
    let output = run(&[
        "report".as_ref(),
        &data_file,
        "--format=total".as_ref(),
        "--precision=2".as_ref(),
        "--ignore-errors".as_ref(),
    ])?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let percent = stdout.lines().find_map(|line| line.trim().parse::<f64>().ok());
    let percent =
        percent.ok_or_else(|| CombineCoverageError::CoveragePy { command: "report", message: text(&output) })?;
    Ok(Some(CombinedCoverage { tool: "coverage.py", percent, files: databases.len(), path }))
}

/// Runs coverage.py with limits of memory and of CPU time, in seconds.
fn run_limited(command: &mut Command, seconds: u64) -> io::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    #[cfg(all(target_os = "linux", not(noxide_portable)))]
    {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        /// Address space of coverage.py, in bytes: data of another runner is not trusted.
        const MAX_COVERAGE_MEMORY: u64 = 4 << 30;
        let limit = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Without the limits it runs all the same.
        let _ = prlimit(pid, Resource::As, limit(MAX_COVERAGE_MEMORY));
        let _ = prlimit(pid, Resource::Cpu, limit(seconds));
    }
    // A device as a measured file waits without using the CPU.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let process = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let watch = std::thread::spawn(move || {
        let is_late = is_done.recv_timeout(Duration::from_secs(10 * seconds)) == Err(RecvTimeoutError::Timeout);
        if let Some(process) = process.filter(|_| is_late) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output();
    drop(done);
    let _ = watch.join();
    output
}

/// Finds the project's own coverage.py: in the active environment, `.venv`, a session's environment, or on PATH.
fn find_coverage_py() -> Option<PathBuf> {
    let program = |environment: &Path| environment.join("bin/coverage");
    let mut candidates: Vec<PathBuf> = Vec::new();
    candidates.extend(std::env::var_os("VIRTUAL_ENV").map(|environment| program(Path::new(&environment))));
    candidates.push(program(Path::new(".venv")));
    let sessions = fs_err::read_dir(".nox").into_iter().flatten().flatten().map(|entry| program(&entry.path()));
    let mut sessions: Vec<PathBuf> = sessions.collect();
    sessions.sort_unstable();
    candidates.extend(sessions);
    let path = std::env::var_os("PATH").unwrap_or_default();
    candidates.extend(std::env::split_paths(&path).map(|dir| dir.join("coverage")));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        for script in ["while :; do :; done", "exec sleep 600"] {
            let output = run_limited(Command::new("sh").args(["-c", script]), 1).unwrap();
            assert!(std::os::unix::process::ExitStatusExt::signal(&output.status).is_some(), "{script}: {output:?}");
        }
    }
}

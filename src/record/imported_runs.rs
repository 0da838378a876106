//! Imported runs: past CI runs without noxide, stored in `imported.json`, version 2.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::number_limits::find_invalid_number;
use crate::fs::{MAX_DOCUMENT_BYTES, read_regular_file, write_atomic};

/// Version of the document that is written and read.
pub(crate) const IMPORTED_VERSION: u32 = 2;

/// File name in the run data directory.
const FILE_NAME: &str = "imported.json";
/// Maximum number of imported runs; those imported first are dropped.
const MAX_RUNS: usize = 5_000;

/// Imported runs: `imported.json` in the run data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRuns {
    /// Always `IMPORTED_VERSION`.
    pub version: u32,
    /// Runs in the order they were imported.
    pub runs: Vec<ImportedRun>,
}

/// One imported run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRun {
    /// Source: `github`, `gitea`, `forgejo`, `statuses` or `nox-log`.
    pub source: String,
    /// Identifier, unique within the source.
    pub id: String,
    /// Wall clock at the start, as given by the source.
    pub started_at: Option<String>,
    /// Git commit, if known.
    pub commit: Option<String>,
    /// Wall time of the run in milliseconds, if known.
    pub wall_ms: Option<u64>,
    /// Whether it passed, if known.
    pub passed: Option<bool>,
    /// Jobs or sessions of the run.
    pub jobs: Vec<ImportedJob>,
}

/// One job or session of an imported run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedJob {
    /// Name of the job or session.
    pub name: String,
    /// Wall time in milliseconds, if known.
    pub wall_ms: Option<u64>,
    /// Whether it passed.
    pub passed: bool,
}

impl Default for ImportedRuns {
    fn default() -> Self {
        Self { version: IMPORTED_VERSION, runs: Vec::new() }
    }
}

impl ImportedRuns {
    /// Reads the imported runs of a run data directory; empty if there are none.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or has another version; the message names it.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE_NAME);
        let bytes = match read_regular_file(&path, MAX_DOCUMENT_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read?,
        };
        let reject =
            |reason: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()));
        let document: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| reject(format!("the file does not contain imported runs: {error}")))?;
        let version = document.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(IMPORTED_VERSION)) {
            let version = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            return Err(reject(format!(
                "this noxide reads version {IMPORTED_VERSION}, not version {version}; remove the file and import again"
            )));
        }
        if let Some(problem) = find_invalid_number(&document) {
            return Err(reject(format!("the file does not contain imported runs: {problem}")));
        }
        serde_json::from_value(document)
            .map_err(|error| reject(format!("the file does not contain imported runs: {error}")))
    }

    /// Writes the imported runs into a run data directory.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(&dir.join(FILE_NAME), &bytes)
    }

    /// Adds runs, replacing known ones, and returns how many are new.
    pub(crate) fn add_runs(&mut self, runs: Vec<ImportedRun>) -> usize {
        let key = |run: &ImportedRun| (run.source.clone(), run.id.clone());
        let known: HashSet<(String, String)> = self.runs.iter().map(key).collect();
        let added: HashSet<(String, String)> = runs.iter().map(key).collect();
        self.runs.retain(|run| !added.contains(&key(run)));
        self.runs.extend(runs);
        let excess = self.runs.len().saturating_sub(MAX_RUNS);
        self.runs.drain(..excess);
        added.difference(&known).count()
    }
}

/// Normalizes a job name, so that `Unit-Tests` and `unit_tests` are the same.
pub(super) fn normalize_job_name(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' '], "_")
}

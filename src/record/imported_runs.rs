//! Past CI runs that were not noxide's, as imported: `imported.json`, version 1.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fs::write_atomic;

/// The version of the document this program writes.
pub(crate) const IMPORTED_VERSION: u32 = 1;

/// The file's name in `.noxide`.
const FILE_NAME: &str = "imported.json";
/// The newest imports that are kept: what is older says little of today.
const MAX_RUNS: usize = 5_000;

/// Imported runs: `.noxide/imported.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRuns {
    /// Always [`IMPORTED_VERSION`] in what this program writes.
    pub version: u32,
    /// The runs, in the order they were imported.
    pub runs: Vec<ImportedRun>,
}

/// One past run, or what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRun {
    /// Where it is from: `github`, `gitea`, `forgejo`, `statuses` or `nox-log`.
    pub source: String,
    /// What tells it from others of its source.
    pub id: String,
    /// Wall clock at its start, as the source says it.
    pub time: Option<String>,
    /// Git commit.
    pub commit: Option<String>,
    /// Milliseconds from start to end of the whole run, where known.
    pub wall: Option<u64>,
    /// Whether it ended well, where known.
    pub passed: Option<bool>,
    /// Its jobs or sessions.
    pub jobs: Vec<ImportedJob>,
}

/// One job or session of a past run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedJob {
    /// Its name.
    pub name: String,
    /// Milliseconds it took; none where the source does not say.
    pub wall: Option<u64>,
    /// Whether it passed.
    pub passed: bool,
}

impl Default for ImportedRuns {
    fn default() -> Self {
        Self { version: IMPORTED_VERSION, runs: Vec::new() }
    }
}

impl ImportedRuns {
    /// Reads what was imported into a folder `.noxide`; nothing where there is nothing.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or of a version this program does not know; the message names it.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let bytes = match fs_err::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read?,
        };
        let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
        let version = serde_json::from_slice::<serde_json::Value>(&bytes)
            .map_err(|error| refuse(format!("this is no import: {error}")))?
            .get("version")
            .and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(IMPORTED_VERSION)) {
            let version = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            return Err(refuse(format!(
                "its version ({version}) is not known to this noxide: remove it, import again"
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| refuse(format!("this is no import: {error}")))
    }

    /// Writes it into a folder `.noxide`.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_atomic(&folder.join(FILE_NAME), &bytes)
    }

    /// Takes runs in; one that is known already is replaced. Gives how many are new.
    pub(crate) fn add_runs(&mut self, runs: Vec<ImportedRun>) -> usize {
        let key = |run: &ImportedRun| (run.source.clone(), run.id.clone());
        let known: HashSet<(String, String)> = self.runs.iter().map(key).collect();
        let coming: HashSet<(String, String)> = runs.iter().map(key).collect();
        self.runs.retain(|run| !coming.contains(&key(run)));
        self.runs.extend(runs);
        let over = self.runs.len().saturating_sub(MAX_RUNS);
        self.runs.drain(..over);
        coming.difference(&known).count()
    }
}

/// A name as different tools write it: `Unit-Tests` and `unit_tests` are the same.
pub(super) fn normalize_job_name(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' '], "_")
}

//! Baseline of known findings: a file of fingerprints that later audits ignore.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::project_files::is_inside;
use crate::fs::{read_project_text, write_atomic};

/// Version of the baseline format.
const BASELINE_VERSION: u32 = 1;

/// Known findings, as stored on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub(crate) version: u32,
    /// Number of findings per fingerprint (rule, file, text).
    pub(crate) findings: BTreeMap<String, usize>,
}

/// Error of reading a baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not a baseline.
    #[error("{} is not a baseline (line {line}, column {column}); write it again with --write-baseline", path.display())]
    Syntax {
        /// Path of the baseline.
        path: PathBuf,
        /// Line of the error. The parser's message is left out, because it quotes the file.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// Settings name a file outside of the project.
    #[error("{} is outside of the project and is not read; name it with --baseline", .0.display())]
    Outside(PathBuf),
    /// Settings behind a link out of the project name a file that is not used: the path may be a line of any file.
    #[error(
        "the baseline of the settings, which are a link out of the project, is missing, invalid or outside of the \
         project; name it with --baseline"
    )]
    Hidden,
    /// Another release of noxide wrote the file.
    #[error(
        "{} has format version {version}, not {BASELINE_VERSION}; write it again with --write-baseline",
        path.display()
    )]
    Version {
        /// Path of the baseline.
        path: PathBuf,
        /// Version found in the file.
        version: u32,
    },
}

/// Where a baseline is. One that settings name must be in the project: an audit of a checkout writes no other file, and
/// its errors do not tell what other files contain.
#[derive(Clone, Debug)]
pub(crate) struct BaselineFile {
    pub(crate) path: PathBuf,
    root: PathBuf,
    origin: BaselineOrigin,
}

/// Who names a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaselineOrigin {
    /// The user, on the command line: it may be outside of the project.
    CommandLine,
    /// The settings.
    Settings,
    /// Settings behind a link out of the project: no message shows the path.
    HiddenSettings,
}

impl BaselineFile {
    /// The baseline at a path, relative to the project.
    pub(crate) fn new(path: &str, root: &Path, origin: BaselineOrigin) -> Self {
        Self { path: root.join(path), root: root.to_owned(), origin }
    }

    /// Reads the baseline.
    pub(crate) fn read(&self) -> Result<Baseline, BaselineError> {
        let is_hidden = self.origin == BaselineOrigin::HiddenSettings;
        self.read_named().map_err(|error| if is_hidden { BaselineError::Hidden } else { error })
    }

    /// Returns the path for messages.
    pub(crate) fn shown_path(&self) -> String {
        match self.origin {
            BaselineOrigin::HiddenSettings => "the baseline of the settings".to_owned(),
            BaselineOrigin::CommandLine | BaselineOrigin::Settings => self.path.display().to_string(),
        }
    }

    fn read_named(&self) -> Result<Baseline, BaselineError> {
        let exists = self.path.symlink_metadata().is_ok();
        let is_inside = if exists { is_inside(&self.path, &self.root) } else { self.is_created_inside() };
        if self.origin != BaselineOrigin::CommandLine && !is_inside {
            return Err(BaselineError::Outside(self.path.clone()));
        }
        Baseline::read(&self.path)
    }

    /// Writes a baseline.
    ///
    /// # Errors
    /// When the path is outside, or the file cannot be written.
    pub(crate) fn write(&self, baseline: &Baseline) -> std::io::Result<()> {
        if self.origin != BaselineOrigin::CommandLine && !self.is_created_inside() {
            let message = format!("{} is outside of the project; name it with --baseline", self.shown_path());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let hide = |error: std::io::Error| match self.origin {
            BaselineOrigin::HiddenSettings => std::io::Error::new(error.kind(), BaselineError::Hidden),
            BaselineOrigin::CommandLine | BaselineOrigin::Settings => error,
        };
        write_atomic(&self.path, baseline.to_json().as_bytes()).map_err(hide)
    }

    /// Whether a file that is created at the path is in the project.
    fn is_created_inside(&self) -> bool {
        let leads_up = self.path.components().any(|part| part == Component::ParentDir);
        let current = |dir: &'_ Path| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() };
        let mut parents = self.path.ancestors().skip(1).map(current);
        let parent = if leads_up { parents.next() } else { parents.find(|dir| dir.exists()) };
        parent.is_some_and(|parent| is_inside(&parent, &self.root))
    }
}

impl Baseline {
    pub(crate) fn from_findings(findings: &[Finding]) -> Self {
        let mut counts = BTreeMap::new();
        for finding in findings {
            *counts.entry(finding.fingerprint()).or_insert(0) += 1;
        }
        Self { version: BASELINE_VERSION, findings: counts }
    }

    fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = read_project_text(path)
            .map_err(|error| std::io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))?;
        let baseline: Self = serde_json::from_str(&text).map_err(|error| BaselineError::Syntax {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        if baseline.version != BASELINE_VERSION {
            return Err(BaselineError::Version { path: path.to_owned(), version: baseline.version });
        }
        Ok(baseline)
    }

    /// Returns the baseline as JSON, with a final line ending.
    pub(crate) fn to_json(&self) -> String {
        format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// Splits findings into the new ones and the number of known ones.
    pub(crate) fn remove_known(mut self, findings: Vec<Finding>) -> (Vec<Finding>, usize) {
        let total = findings.len();
        let new: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| match self.findings.get_mut(&finding.fingerprint()) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        let known = total - new.len();
        (new, known)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AuditOptions;
    use super::super::rule_runner::{run_audit, tests::project};
    use super::*;

    #[test]
    fn known_findings_stay_known_when_lines_move() {
        let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install uv==0.8.0 nox .\n";
        let find =
            |text: &str| run_audit(&project(&[(".forgejo/workflows/ci.yml", text)], AuditOptions::default())).findings;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known.json");
        let baseline = Baseline::from_findings(&find(text));
        fs_err::write(&path, baseline.to_json()).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        let moved = text.replace("jobs:", "\n\njobs:");
        let total = find(&moved).len();
        let (new, known) = Baseline::read(&path).unwrap().remove_known(find(&moved));
        assert_eq!((new.len(), known), (0, total));
        let with_new_job =
            format!("{text}  b:\n    runs-on: docker\n    steps:\n      - run: pip install uv==0.8.0 nox .\n");
        let (new, _) = baseline.remove_known(find(&with_new_job));
        assert!(new.iter().any(|finding| finding.rule.id == "NX301") && new.len() >= 2);
        fs_err::write(&path, "{\"version\": 2, \"findings\": {}}").unwrap();
        assert!(Baseline::read(&path).unwrap_err().to_string().contains("version 2"));
        fs_err::write(&path, "[]").unwrap();
        assert!(Baseline::read(&path).unwrap_err().to_string().contains("not a baseline"));
        assert!(Baseline::read(&directory.path().join("none")).is_err());
    }
}

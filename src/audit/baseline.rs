//! A baseline: findings that were there before, and are passed over until they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// Known findings as kept on disk: each with how often it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// Version of the form.
    pub(crate) version: u32,
    /// Fingerprint (rule, file, text) and count.
    pub(crate) findings: BTreeMap<String, usize>,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no baseline.
    #[error("{} is no baseline of noxide: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Baseline {
    /// The baseline of these findings.
    pub(crate) fn from_findings(findings: &[Finding]) -> Self {
        let mut counts = BTreeMap::new();
        for finding in findings {
            *counts.entry(finding.fingerprint()).or_insert(0) += 1;
        }
        Self { version: 1, findings: counts }
    }

    /// Reads a baseline.
    pub(crate) fn read(path: &Path) -> Result<Self, BaselineError> {
        let form = |why: String| BaselineError::Invalid { path: path.to_owned(), reason: why };
        let text = fs_err::read_to_string(path)?;
        let baseline: Self = serde_json::from_str(&text).map_err(|error| form(error.to_string()))?;
        if baseline.version == 1 { Ok(baseline) } else { Err(form(format!("version {}, not 1", baseline.version))) }
    }

    /// Its text on disk.
    pub(crate) fn to_json(&self) -> String {
        format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// The findings that are new, and how many were known.
    pub(crate) fn remove_known(mut self, findings: Vec<Finding>) -> (Vec<Finding>, usize) {
        let all = findings.len();
        let fresh: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| match self.findings.get_mut(&finding.fingerprint()) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        let known = all - fresh.len();
        (fresh, known)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AuditOptions;
    use super::super::rule_runner::{run_audit, tests::project};
    use super::*;

    #[test]
    fn known_findings_stay_known_when_lines_move() {
        let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install nox\n";
        let find =
            |text: &str| run_audit(&project(&[(".forgejo/workflows/ci.yml", text)], AuditOptions::default())).findings;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known.json");
        let baseline = Baseline::from_findings(&find(text));
        fs_err::write(&path, baseline.to_json()).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline);
        let moved = text.replace("jobs:", "\n\njobs:");
        let all = find(&moved).len();
        let (fresh, known) = Baseline::read(&path).unwrap().remove_known(find(&moved));
        assert_eq!((fresh.len(), known), (0, all));
        let grown = format!("{text}  b:\n    runs-on: docker\n    steps:\n      - run: pip install nox\n");
        let (fresh, _) = baseline.remove_known(find(&grown));
        assert!(fresh.iter().any(|finding| finding.rule.id == "NX301") && fresh.len() >= 2);
        fs_err::write(&path, "{\"version\": 2, \"findings\": {}}").unwrap();
        assert!(Baseline::read(&path).unwrap_err().to_string().contains("version 2"));
        fs_err::write(&path, "[]").unwrap();
        assert!(Baseline::read(&path).unwrap_err().to_string().contains("no baseline"));
        assert!(Baseline::read(&folder.path().join("none")).is_err());
    }
}

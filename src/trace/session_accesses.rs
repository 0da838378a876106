//! Accesses of one session, as sets of paths.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::access_phase::AccessPhase;
use crate::project::{CommandUse, ResourceKind, UseMode};

/// Accesses of one session. Paths inside the project are relative to its root, others absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAccesses {
    /// Reasons why the trace is incomplete, such as `it runs a 32-bit program`; empty if it is complete.
    pub incomplete_reasons: Vec<String>,
    /// A program whose setuid bit or capabilities have no effect because the session is traced, such as `sudo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprivileged_program: Option<String>,
    /// Number of inspected system calls.
    pub traced_calls: u64,
    /// Whether the session connected or sent to another machine.
    pub uses_network: bool,
    /// Existing files that it read or executed, or whose metadata it read.
    pub read: BTreeSet<String>,
    /// The subset of `read` of which only metadata was read.
    #[serde(default)]
    pub stat_only: BTreeSet<String>,
    /// Paths that it looked up and that did not exist.
    pub absent: BTreeSet<String>,
    /// Directories that it listed.
    pub listed: BTreeSet<String>,
    /// Paths that it changed.
    pub changes: BTreeMap<String, PathEffect>,
    /// Ports and sockets it bound: `port 8270`, `socket build/s`, `abstract socket x`.
    pub bound: BTreeSet<String>,
    /// Ports and sockets it connected or sent to without having bound them itself.
    pub connected: BTreeSet<String>,
    /// Device and inode of files with several names, so that all names are recognized as one file.
    pub hard_links: BTreeMap<String, String>,
    /// Resources that noxide keeps apart while their commands run: two sessions do not conflict on their files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub conflict_free: BTreeSet<ConflictFreeFiles>,
    /// The phases in which a path was accessed, of those that were accessed in others than the session's work.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, BTreeSet<AccessPhase>>,
    /// Earliest possible time of the first access of each path; only known in the run that traced it.
    #[serde(skip)]
    pub first_accesses: BTreeMap<String, Instant>,
}

/// Files that several sessions use without a conflict, because noxide separates the uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictFreeFiles {
    /// What builds of this source tree write: they take turns.
    Build(String),
    /// This coverage data file: each session gets its own.
    CoverageData(String),
    /// This environment, which sessions bring into the same state: that with this key.
    Environment(String, String),
}

impl ConflictFreeFiles {
    /// Returns the files that the uses of a session's commands keep apart.
    pub(crate) fn from_uses(uses: &[CommandUse]) -> BTreeSet<Self> {
        let separate = |found: &CommandUse| match (found.kind, found.mode) {
            (ResourceKind::Build, _) => Some(Self::Build(found.target.clone())),
            (ResourceKind::CoverageData, UseMode::Private) => Some(Self::CoverageData(found.target.clone())),
            (ResourceKind::Environment, UseMode::Sync) => {
                Some(Self::Environment(found.target.clone(), found.key.clone()))
            }
            _ => None,
        };
        uses.iter().filter_map(separate).collect()
    }

    /// Whether a path is one of these files.
    pub(crate) fn contains(&self, path: &str) -> bool {
        match self {
            Self::Build(tree) => relative_to(path, tree).is_some_and(|inside| {
                let is_output = |name: &str| BUILD_DIRECTORIES.contains(&name);
                inside.split('/').next().is_some_and(is_output)
                    || inside.split('/').any(|name| name.ends_with(".egg-info"))
            }),
            Self::Environment(environment, _) => path == environment || relative_to(path, environment).is_some(),
            Self::CoverageData(data) => {
                path.strip_prefix(data.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            }
        }
    }
}

/// Returns the parent directory of a path as traces store it: relative to the project, or absolute.
pub(super) fn parent_directory(path: &str) -> &str {
    path.rsplit_once('/').map_or(if path.starts_with('/') { "/" } else { "." }, |(directory, _)| directory)
}

/// Returns the rest of a path below a directory, in which `.` is the project.
fn relative_to<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = if directory == "." { path } else { path.strip_prefix(directory)?.strip_prefix('/')? };
    Some(rest).filter(|rest| !rest.is_empty())
}

/// Directories at the root of a source tree to which build backends write.
const BUILD_DIRECTORIES: [&str; 5] = ["build", "_skbuild", "target", ".eggs", ".pdm-build"];

/// Change of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEffect {
    /// Kind of the change.
    pub kind: EffectKind,
    /// Digest of the file after the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The first program that changed it.
    pub program: String,
    /// Whether the file ends with content that the session found in it, or would have found: it appended to it, changed it
    /// in place, or read it before writing it anew (created exclusively, truncated, replaced by a rename, or removed first).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_content: bool,
}

/// Kind of change of a path between the start and end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// The file did not exist before.
    Created,
    /// The file existed and its content changed.
    Written,
    /// The file was written with the same content.
    Rewritten,
    /// The file was deleted and created again: it was missing for a while.
    Replaced,
    /// The file was deleted.
    Deleted,
    /// The file was created and deleted again.
    CreatedAndDeleted,
    /// The directory did not exist before.
    DirectoryCreated,
    /// The directory was removed.
    DirectoryDeleted,
    /// The directory was removed and created again.
    DirectoryReplaced,
}

impl EffectKind {
    /// Returns the change as a verb phrase with the session as its subject.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Created => "creates",
            Self::Written => "writes",
            Self::Rewritten => "rewrites with the same content",
            Self::Replaced => "deletes and creates",
            Self::Deleted => "deletes",
            Self::CreatedAndDeleted => "creates and deletes",
            Self::DirectoryCreated => "creates",
            Self::DirectoryDeleted => "removes",
            Self::DirectoryReplaced => "removes and creates",
        }
    }

    /// Returns whether the change is of a directory.
    pub(crate) fn is_directory(self) -> bool {
        matches!(self, Self::DirectoryCreated | Self::DirectoryDeleted | Self::DirectoryReplaced)
    }
}

impl SessionAccesses {
    /// Returns whether the trace saw every access.
    pub(crate) fn is_complete(&self) -> bool {
        self.incomplete_reasons.is_empty()
    }

    /// Returns whether it accessed a path only after this time, such as the end of another session. When it listed the
    /// directory of the path is unknown.
    pub(crate) fn accesses_only_after(&self, path: &str, time: Instant) -> bool {
        let is_listed = self.listed.contains(parent_directory(path));
        !is_listed && self.first_accesses.get(path).is_some_and(|first| *first > time)
    }

    /// Returns the files that it did not write anew: if it runs again, it starts from what it left in them.
    pub(crate) fn kept_files(&self) -> impl Iterator<Item = &String> {
        self.changes.iter().filter(|(_, effect)| effect.keeps_content).map(|(path, _)| path)
    }

    /// Returns the accesses of a session that could not be traced.
    pub(crate) fn for_untraced(reason: String) -> Self {
        Self { incomplete_reasons: vec![reason], ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_builds_and_coverage_data_are_recognized() {
        let own = ConflictFreeFiles::Build(".".to_owned());
        let (below, data) =
            (ConflictFreeFiles::Build("sub".to_owned()), ConflictFreeFiles::CoverageData(".coverage".to_owned()));
        let environment = ConflictFreeFiles::Environment(".venv".to_owned(), String::new());
        for (files, path, expected) in [
            (&own, "build/lib/a.py", true),
            (&own, "src/own.egg-info/PKG-INFO", true),
            (&own, ".pdm-build/.gitignore", true),
            (&own, "src/build/a.py", false),
            (&own, ".", false),
            (&below, "sub/build", true),
            (&below, "build", false),
            (&below, "subway/build", false),
            (&data, ".coverage", true),
            (&data, ".coverage.host.pid1.X", true),
            (&data, ".coverage-journal", true),
            (&data, ".coveragerc", false),
            (&environment, ".venv", true),
            (&environment, ".venv/lib/a.py", true),
            (&environment, ".venv2/lib/a.py", false),
        ] {
            assert_eq!(files.contains(path), expected, "{files:?} {path}");
        }
    }
}

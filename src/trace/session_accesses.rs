//! Accesses of one session, as sets of paths.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Accesses of one session. Paths inside the project are relative to its root, others absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAccesses {
    /// Reasons why the trace is incomplete, such as `it runs a 32-bit program`; empty if it is complete.
    pub incomplete_reasons: Vec<String>,
    /// A program that should have gained rights when it started, as `sudo` does, and gained none because of the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprivileged_program: Option<String>,
    /// Number of inspected system calls.
    pub traced_calls: u64,
    /// Whether the session connected to another machine.
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
    /// Ports and sockets it connected to without having bound them itself.
    pub connected: BTreeSet<String>,
    /// Device and inode of files with several names, so that all names are recognized as one file.
    pub hard_links: BTreeMap<String, String>,
}

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
    pub(crate) fn is_folder(self) -> bool {
        matches!(self, Self::DirectoryCreated | Self::DirectoryDeleted | Self::DirectoryReplaced)
    }
}

impl SessionAccesses {
    /// Returns whether the trace saw every access.
    pub(crate) fn is_complete(&self) -> bool {
        self.incomplete_reasons.is_empty()
    }

    /// Returns the accesses of a session that could not be traced.
    pub(crate) fn for_untraced(reason: String) -> Self {
        Self { incomplete_reasons: vec![reason], ..Self::default() }
    }
}

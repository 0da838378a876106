//! What one session touched, as sets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What one session touched. Paths are relative to the project's root where they lie in it, else absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAccesses {
    /// Why the trace is incomplete, a sentence each; empty where it is complete.
    pub blind: Vec<String>,
    /// System calls that were looked at.
    pub calls: u64,
    /// Whether it connected to another machine.
    pub network: bool,
    /// Files that were there and that it read, ran, or asked for facts of.
    pub read: BTreeSet<String>,
    /// Those of them of which it only asked for facts.
    #[serde(default)]
    pub asked: BTreeSet<String>,
    /// Paths it looked for and did not find.
    pub absent: BTreeSet<String>,
    /// Folders it listed.
    pub listed: BTreeSet<String>,
    /// What it changed.
    pub effects: BTreeMap<String, PathEffect>,
    /// Ports and sockets it gave an address to: `port 8270`, `socket build/s`, `abstract socket x`.
    pub bound: BTreeSet<String>,
    /// Ports and sockets it connected to, which it had not bound itself.
    pub connected: BTreeSet<String>,
    /// Device and inode of files with more than one name, so that all names of one file are known as one.
    pub aliases: BTreeMap<String, String>,
}

/// A change of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEffect {
    /// What became of it.
    pub kind: EffectKind,
    /// Digest of the file as the session left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The program that changed it first.
    pub by: String,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// It was not there before.
    Created,
    /// It was there, and its content is another now.
    Written,
    /// It was written, and its content is what it was.
    Rewritten,
    /// It was removed and made again: for a while it was not there.
    Replaced,
    /// It was removed.
    Deleted,
    /// It was made and is gone again.
    Scratch,
    /// It is a folder that was not there before.
    Made,
    /// It is a folder that was removed.
    Unmade,
    /// It is a folder that was removed and made again.
    Remade,
}

impl EffectKind {
    /// In words, of a session.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Created => "creates",
            Self::Written => "writes",
            Self::Rewritten => "rewrites with the same bytes",
            Self::Replaced => "deletes and creates",
            Self::Deleted => "deletes",
            Self::Scratch => "creates and deletes",
            Self::Made => "makes",
            Self::Unmade => "removes",
            Self::Remade => "removes and makes",
        }
    }

    /// Whether it is about a folder.
    pub(crate) fn is_folder(self) -> bool {
        matches!(self, Self::Made | Self::Unmade | Self::Remade)
    }
}

impl SessionAccesses {
    /// Whether nothing was missed.
    pub(crate) fn is_complete(&self) -> bool {
        self.blind.is_empty()
    }

    /// The trace of a session that could not be traced.
    pub(crate) fn for_untraced(why: String) -> Self {
        Self { blind: vec![why], ..Self::default() }
    }
}

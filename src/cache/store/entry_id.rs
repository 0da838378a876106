//! Entry IDs, and keys of entries that have several versions.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fs::{MAX_DOCUMENT_BYTES, Sha256Digest};

/// Beginning of the IDs of records of past runs.
pub(super) const HISTORY_PREFIX: &str = "history-";
/// Beginning of the IDs of results of traces.
pub(super) const TRACE_PREFIX: &str = "trace-";

/// What an entry contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A wheel unpacked by uv. ID: the SHA-256 of the wheel.
    Wheel,
    /// A wheel that uv built from a source archive. ID: the SHA-256 of the archive and the name of the wheel.
    BuiltWheel,
    /// Bytecode of the modules of a wheel. ID: the tree digest of the wheel and the tag of the interpreter.
    Bytecode,
    /// A uv cache with unknown layout. ID: a digest of uv's version.
    UvCache,
    /// An environment of a session. ID: a digest of its path, interpreter and inputs.
    Environment,
    /// A directory from the settings. ID: a digest of its path.
    Directory,
}

impl EntryKind {
    /// All kinds, in display order.
    pub(crate) const ALL: [Self; 6] =
        [Self::Wheel, Self::BuiltWheel, Self::Bytecode, Self::UvCache, Self::Environment, Self::Directory];

    /// Returns its name, which is also the name of its directory in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wheel => "wheel",
            Self::BuiltWheel => "built-wheel",
            Self::Bytecode => "bytecode",
            Self::UvCache => "uv-cache",
            Self::Environment => "environment",
            Self::Directory => "directory",
        }
    }

    /// Returns whether entries of this kind are saved again under one key; the newest is used.
    pub(crate) fn is_resaved(self) -> bool {
        !self.has_wheel_record()
    }

    /// Returns whether its tree contains a `RECORD` with the digest of every file.
    pub(crate) fn has_wheel_record(self) -> bool {
        matches!(self, Self::Wheel | Self::BuiltWheel)
    }
}

/// The ID of an entry: its kind, and text that is valid as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// What the entry contains.
    pub kind: EntryKind,
    id: String,
}

impl EntryId {
    /// Returns the size limit of its files together, in bytes, if it is lower than that of the store: of records and results of
    /// traces, which are read by noxide.
    pub(crate) fn max_bytes(&self) -> Option<u64> {
        let is_document = |prefix: &&str| self.id.starts_with(prefix);
        let is_read_by_noxide =
            self.kind == EntryKind::Directory && [HISTORY_PREFIX, TRACE_PREFIX].iter().any(is_document);
        is_read_by_noxide.then_some(MAX_DOCUMENT_BYTES)
    }

    /// Creates an ID if `id` consists of 3 to 200 letters, digits, `.`, `_`, `-`, `+` and `!` and does not begin with a dot.
    pub fn new(kind: EntryKind, id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte);
        let is_valid = (3..=200).contains(&id.len()) && id.bytes().all(is_allowed) && !id.starts_with('.');
        is_valid.then_some(Self { kind, id })
    }

    /// Returns the ID of a wheel.
    pub fn for_wheel(digest: Sha256Digest) -> Self {
        Self { kind: EntryKind::Wheel, id: digest.to_string() }
    }

    /// Returns the text without the kind.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Parses the display form, such as `wheel/ab12…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        Self::new(EntryKind::ALL.into_iter().find(|known| known.as_str() == kind)?, id)
    }

    /// Returns its directory relative to the store.
    pub(super) fn relative_path(&self) -> PathBuf {
        ["entries", self.kind.as_str(), &self.id[..2], &self.id].iter().collect()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

/// Returns the time of a version, in nanoseconds since 1970, or 0 if it is more than a day in the future: the clock of the
/// machine that saved it was wrong, and it would remain the newest.
pub(in crate::cache) fn plausible_version(time: i128, now: i128) -> i128 {
    const NANOSECONDS_PER_DAY: i128 = 24 * 3_600 * 1_000_000_000;
    if time > now.saturating_add(NANOSECONDS_PER_DAY) { 0 } else { time }
}

/// The part of an entry ID that all versions of an entry share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionedKey {
    pub(super) kind: EntryKind,
    /// ID prefixes of the versions, in order of preference.
    pub(super) id_prefixes: Vec<String>,
}

impl VersionedKey {
    pub(super) fn new(kind: EntryKind, key: &str) -> Self {
        Self { kind, id_prefixes: vec![format!("{key}.")] }
    }

    /// Adds a less preferred ID prefix; an empty one is ignored.
    #[must_use]
    pub(super) fn or_prefix(mut self, prefix: &str) -> Self {
        self.id_prefixes.extend((!prefix.is_empty()).then(|| prefix.to_owned()));
        self
    }

    /// Returns the prefixes of the versions in display form, in order of preference: `environment/0a1b….`.
    pub(crate) fn entry_prefixes(&self) -> impl Iterator<Item = String> {
        self.id_prefixes.iter().map(|prefix| format!("{}/{prefix}", self.kind.as_str()))
    }
}

impl EntryId {
    /// Splits the ID of a version into its key and the time of saving, in nanoseconds since 1970.
    pub(crate) fn split_version(&self) -> Option<(&str, i128)> {
        let (key, time) = self.id().rsplit_once('.').filter(|_| self.kind.is_resaved())?;
        Some((key, time.parse().ok()?))
    }

    /// Creates an ID for a new version of a key, with the current time in nanoseconds.
    pub(super) fn new_version(kind: EntryKind, key: &str) -> Option<Self> {
        Self::new(kind, format!("{key}.{}", jiff::Timestamp::now().as_nanosecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_valid_ids() {
        let id = EntryId::for_wheel(Sha256Digest::hash_bytes(b"x"));
        assert_eq!(EntryId::parse(&id.to_string()), Some(id.clone()));
        assert!(id.relative_path().starts_with("entries/wheel/2d"));
        for invalid in ["wheel/..", "wheel/../../x", "wheel/a b c", "wheel/ab", "other/abc", "abc", "wheel/.abc"] {
            assert_eq!(EntryId::parse(invalid), None, "{invalid}");
        }
        assert!(EntryId::parse("built-wheel/abc.docopt-0.6.2-py2.py3-none-any").is_some());
        assert!(EntryKind::BuiltWheel.has_wheel_record() && !EntryKind::Environment.has_wheel_record());
    }
}

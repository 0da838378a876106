//! Names of entries.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fs::Sha256Digest;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A wheel as uv unpacked it; its id is the SHA-256 of the wheel.
    Wheel,
    /// A wheel that uv built from a source archive; its id is the archive's SHA-256 and the wheel's name.
    BuiltWheel,
    /// Bytecode of a wheel's modules; its id is the digest of the wheel's tree and the tag of the interpreter.
    Bytecode,
    /// All of a uv cache whose layout is not known; its id is uv's version.
    UvCache,
    /// An environment of a session; its id is the digest of its path and interpreter.
    Venv,
    /// Any other folder that settings name; its id is the digest of its path.
    Folder,
}

impl EntryKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 6] =
        [Self::Wheel, Self::BuiltWheel, Self::Bytecode, Self::UvCache, Self::Venv, Self::Folder];

    /// Its word, also the name of its folder in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wheel => "wheel",
            Self::BuiltWheel => "built-wheel",
            Self::Bytecode => "bytecode",
            Self::UvCache => "uv-cache",
            Self::Venv => "venv",
            Self::Folder => "folder",
        }
    }

    /// Whether it is one of the states of something, of which the newest counts.
    pub(crate) fn is_versioned(self) -> bool {
        !self.has_record()
    }

    /// Whether its tree carries a `RECORD` with the digest of every file.
    pub(crate) fn has_record(self) -> bool {
        matches!(self, Self::Wheel | Self::BuiltWheel)
    }
}

/// The name of an entry: what it is, and an id fit for a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// What it holds.
    pub kind: EntryKind,
    id: String,
}

impl EntryId {
    /// A name, if the id is one: 3 to 200 of letters, digits, `.`, `_`, `-`, `+` and `!`, not beginning with a dot.
    pub fn new(kind: EntryKind, id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte);
        let good = (3..=200).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with('.');
        good.then_some(Self { kind, id })
    }

    /// The entry of a wheel.
    pub fn for_wheel(digest: Sha256Digest) -> Self {
        Self { kind: EntryKind::Wheel, id: digest.to_string() }
    }

    /// The id without the kind.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads `wheel/ab12…`, as it is shown.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        Self::new(EntryKind::ALL.into_iter().find(|known| known.as_str() == kind)?, id)
    }

    /// Its folder below the store's.
    pub(super) fn relative_path(&self) -> PathBuf {
        ["entries", self.kind.as_str(), &self.id[..2], &self.id].iter().collect()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

/// Something that there are states of, as a name by which the newest is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionedKey {
    pub(super) kind: EntryKind,
    /// What ids of its states begin with; of several beginnings the first that there is one of counts.
    pub(super) id_prefixes: Vec<String>,
}

impl VersionedKey {
    pub(super) fn new(kind: EntryKind, key: &str) -> Self {
        Self { kind, id_prefixes: vec![format!("{key}.")] }
    }

    /// The same, or where there is none of it, a state whose id begins so.
    #[must_use]
    pub(super) fn or_prefix(mut self, start: &str) -> Self {
        self.id_prefixes.extend((!start.is_empty()).then(|| start.to_owned()));
        self
    }

    /// What names of entries begin with that are states of it, the best first: `venv/0a1b….`.
    pub(crate) fn entry_prefixes(&self) -> impl Iterator<Item = String> {
        self.id_prefixes.iter().map(|start| format!("{}/{start}", self.kind.as_str()))
    }
}

impl EntryId {
    /// What it is a state of, and when it was, in nanoseconds since 1970; none for what has no states.
    pub(crate) fn split_version(&self) -> Option<(&str, i128)> {
        let (key, time) = self.id().rsplit_once('.').filter(|_| self.kind.is_versioned())?;
        Some((key, time.parse().ok()?))
    }

    /// A name for the state that something has now. Two states are two entries: the name holds when it was, to the
    /// nanosecond.
    pub(super) fn new_version(kind: EntryKind, key: &str) -> Option<Self> {
        Self::new(kind, format!("{key}.{}", jiff::Timestamp::now().as_nanosecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_ids() {
        let id = EntryId::for_wheel(Sha256Digest::hash_bytes(b"x"));
        assert_eq!(EntryId::parse(&id.to_string()), Some(id.clone()));
        assert!(id.relative_path().starts_with("entries/wheel/2d"));
        for wrong in ["wheel/..", "wheel/../../x", "wheel/a b c", "wheel/ab", "other/abc", "abc", "wheel/.abc"] {
            assert_eq!(EntryId::parse(wrong), None, "{wrong}");
        }
        assert!(EntryId::parse("built-wheel/abc.docopt-0.6.2-py2.py3-none-any").is_some());
        assert!(EntryKind::BuiltWheel.has_record() && !EntryKind::Venv.has_record());
    }
}

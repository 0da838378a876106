//! What is known of an entry as a whole: the first line of its facts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry_id::{EntryId, EntryKind};

/// The version of the facts of an entry.
const VERSION: u32 = 2;

/// What is known of an entry as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMeta {
    version: u32,
    kind: EntryKind,
    id: String,
    /// Its name for people: `numpy 2.4.5`.
    pub name: String,
    /// What it asks for: as the wheel's METADATA says (`Requires-Dist`), or the entries that an environment is made of.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Files in its tree.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// BLAKE3 digest of its tree, the same on every machine.
    pub tree_digest: String,
    /// BLAKE3 digest of the listing that follows.
    pub manifest_digest: String,
    /// When it was taken into this store.
    pub saved_at: Timestamp,
}

impl EntryMeta {
    /// A head whose sums are still to be made.
    pub fn new(id: &EntryId, name: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            kind: id.kind,
            id: id.id().to_owned(),
            name: name.into(),
            requires: Vec::new(),
            files: 0,
            bytes: 0,
            tree_digest: String::new(),
            manifest_digest: String::new(),
            saved_at: Timestamp::now(),
        }
    }

    /// Reads the first line of an entry's facts; `id` is whose they must be.
    ///
    /// # Errors
    /// In words, what is wrong with them.
    pub(crate) fn parse(line: &str, id: &EntryId) -> Result<Self, String> {
        let head: Self = serde_json::from_str(line).map_err(|error| format!("the first line: {error}"))?;
        if head.version != VERSION {
            return Err(format!("version {} of facts, this noxide knows {VERSION}", head.version));
        }
        if head.kind != id.kind || head.id != id.id() {
            return Err(format!("they are of {}/{}", head.kind.as_str(), head.id));
        }
        Ok(head)
    }

    /// The entry it is of.
    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        EntryId::new(self.kind, self.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_another_entry_or_version_are_none() {
        let id = EntryId::new(EntryKind::Wheel, "abc").unwrap();
        let head = EntryMeta::new(&id, "a 1");
        let line = serde_json::to_string(&head).unwrap();
        assert_eq!(EntryMeta::parse(&line, &id), Ok(head.clone()));
        assert_eq!(head.entry_id(), Some(id.clone()));
        let other = EntryId::new(EntryKind::Wheel, "abx").unwrap();
        assert!(EntryMeta::parse(&line, &other).unwrap_err().contains("wheel/abc"));
        assert!(
            EntryMeta::parse(&line.replace("\"version\":1", "\"version\":2"), &id).unwrap_err().contains("version 2")
        );
        assert!(EntryMeta::parse("{", &id).is_err());
    }
}

//! Entries that are states of one thing, of which the newest counts.

use crate::fs::DirLock;

use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::store_dir::Store;

/// Something that there are states of, as a name by which the newest is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionedKey {
    kind: EntryKind,
    /// What ids of its states begin with; of several beginnings the first that there is one of counts.
    id_prefixes: Vec<String>,
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

impl Store {
    /// The newest state that can be read.
    pub(super) fn latest_version(&self, kind: EntryKind, key: &str) -> Option<StoreEntry> {
        self.latest_with_prefix(kind, &format!("{key}."))
    }

    /// The newest whose name begins so; names hold the time behind the last dot.
    pub(super) fn latest_with_prefix(&self, kind: EntryKind, start: &str) -> Option<StoreEntry> {
        let mut ids = self.entry_ids_with_prefix(kind, start);
        ids.sort_by_key(|id| std::cmp::Reverse(id.split_version().map(|(_, time)| time)));
        ids.iter().find_map(|id| self.open_entry(id).ok().flatten())
    }

    /// Whether there is a state of something.
    pub fn has_version(&self, name: &VersionedKey) -> bool {
        name.id_prefixes
            .iter()
            .any(|start| self.entry_ids_with_prefix(name.kind, start).iter().any(|id| self.has_entry(id)))
    }

    /// Removes the states before `new`, unless somebody reads them just now.
    pub(super) fn remove_older_versions(&self, kind: EntryKind, key: &str, new: &str) {
        let Ok(workspace) = self.create_workspace() else { return };
        let ids = self.entry_ids_with_prefix(kind, &format!("{key}."));
        for (number, id) in ids.iter().filter(|id| id.to_string().as_str() < new).enumerate() {
            if let Ok(Some(_alone)) = DirLock::try_acquire_exclusive(&self.entry_path(id)) {
                // What cannot be moved now is pruned when it is old.
                let _ = std::fs::rename(self.entry_path(id), workspace.path().join(number.to_string()));
            }
        }
    }
}

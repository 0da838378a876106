//! Entries that are states of one thing, of which the newest counts.

use crate::fs::Lease;

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::root::Store;

impl EntryId {
    /// A name for the state that something has now. Two states are two entries: the name holds when it was, to the
    /// nanosecond.
    pub(super) fn of_state(kind: Kind, key: &str) -> Option<Self> {
        Self::new(kind, format!("{key}.{}", jiff::Timestamp::now().as_nanosecond()))
    }
}

impl Store {
    /// The newest state that can be read.
    pub(super) fn newest(&self, kind: Kind, key: &str) -> Option<Entry> {
        self.newest_of(kind, &format!("{key}."))
    }

    /// The newest whose name begins so; names hold the time behind the last dot.
    pub(super) fn newest_of(&self, kind: Kind, start: &str) -> Option<Entry> {
        let mut ids = self.of_kind(kind, start);
        let time = |id: &EntryId| id.id().rsplit('.').next().and_then(|time| time.parse::<u128>().ok());
        ids.sort_by_key(|id| std::cmp::Reverse(time(id)));
        ids.iter().find_map(|id| self.entry(id).ok().flatten())
    }

    /// Removes the states before `new`, unless somebody reads them just now.
    pub(super) fn drop_others(&self, kind: Kind, key: &str, new: &str) {
        let Ok(workspace) = self.workspace() else { return };
        let ids = self.of_kind(kind, &format!("{key}."));
        for (number, id) in ids.iter().filter(|id| id.to_string().as_str() < new).enumerate() {
            if let Ok(Some(_alone)) = Lease::alone(&self.place(id)) {
                // What cannot be moved now is pruned when it is old.
                let _ = std::fs::rename(self.place(id), workspace.path().join(number.to_string()));
            }
        }
    }
}

//! Entries that are states of one thing, of which the newest counts.

use crate::fs::Lease;

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::root::Store;

/// Something that there are states of, as a name by which the newest is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateName {
    kind: Kind,
    /// What ids of its states begin with; of several beginnings the first that there is one of counts.
    starts: Vec<String>,
}

impl StateName {
    pub(super) fn new(kind: Kind, key: &str) -> Self {
        Self { kind, starts: vec![format!("{key}.")] }
    }

    /// The same, or where there is none of it, a state whose id begins so.
    #[must_use]
    pub(super) fn or_like(mut self, start: &str) -> Self {
        self.starts.extend((!start.is_empty()).then(|| start.to_owned()));
        self
    }

    /// What names of entries begin with that are states of it, the best first: `venv/0a1b….`.
    pub fn starts(&self) -> impl Iterator<Item = String> {
        self.starts.iter().map(|start| format!("{}/{start}", self.kind.as_str()))
    }
}

impl EntryId {
    /// What it is a state of, and when it was, in nanoseconds since 1970; none for what has no states.
    pub fn state(&self) -> Option<(&str, i128)> {
        let (key, time) = self.id().rsplit_once('.').filter(|_| self.kind.is_state())?;
        Some((key, time.parse().ok()?))
    }

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
        ids.sort_by_key(|id| std::cmp::Reverse(id.state().map(|(_, time)| time)));
        ids.iter().find_map(|id| self.entry(id).ok().flatten())
    }

    /// Whether there is a state of something.
    pub fn has_state(&self, name: &StateName) -> bool {
        name.starts.iter().any(|start| self.of_kind(name.kind, start).iter().any(|id| self.has(id)))
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

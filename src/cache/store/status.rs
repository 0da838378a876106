//! What a store holds, in figures.

use jiff::Timestamp;
use serde::Serialize;

use crate::fs::parallel_map;

use super::entry_id::EntryKind;
use super::store_dir::Store;

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Its folder.
    pub path: String,
    /// Whether it can be written to.
    pub writable: bool,
    /// What it holds, by kind.
    pub kinds: Vec<EntryKindStatus>,
    /// Entries in all.
    pub entries: u64,
    /// Files in all.
    pub files: u64,
    /// Bytes in all: of the files, each entry's counted, whether or not they are shared with a uv cache.
    pub bytes: u64,
    /// The most bytes that a prune leaves.
    pub max_size: u64,
    /// A prune removes what was unused for so many seconds.
    pub max_unused_seconds: u64,
    /// Entries whose facts cannot be read; `verify` names them.
    pub unreadable: u64,
    /// Damaged entries that were put aside.
    pub quarantined: Vec<String>,
}

/// What it holds of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryKindStatus {
    /// The kind.
    pub kind: EntryKind,
    /// Entries.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// When one was last used.
    pub last_used: Option<Timestamp>,
}

impl Store {
    /// Counts what the store holds; reads the heads of all entries and no more.
    pub fn status(&self) -> StoreStatus {
        let mut kinds = Vec::new();
        let mut unreadable = 0;
        for kind in EntryKind::ALL {
            let ids = self.entry_ids_with_prefix(kind, "");
            if ids.is_empty() {
                continue;
            }
            let mut sum = EntryKindStatus { kind, entries: 0, files: 0, bytes: 0, last_used: None };
            for (head, used) in parallel_map(&ids, |id| (self.entry_meta(id), self.last_used(id))) {
                let Ok(head) = head else {
                    unreadable += 1;
                    continue;
                };
                sum.entries += 1;
                sum.files += head.files;
                sum.bytes += head.bytes;
                sum.last_used = sum.last_used.max(used.and_then(|used| Timestamp::try_from(used).ok()));
            }
            kinds.push(sum);
        }
        let mut aside: Vec<String> = std::fs::read_dir(self.quarantine_dir())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        aside.sort();
        StoreStatus {
            path: self.root().display().to_string(),
            writable: self.is_writable(),
            entries: kinds.iter().map(|kind| kind.entries).sum(),
            files: kinds.iter().map(|kind| kind.files).sum(),
            bytes: kinds.iter().map(|kind| kind.bytes).sum(),
            kinds,
            max_size: self.options.max_size,
            max_unused_seconds: self.options.max_unused.as_secs(),
            unreadable,
            quarantined: aside,
        }
    }
}

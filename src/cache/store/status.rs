//! Statistics of a store.

use jiff::Timestamp;
use serde::Serialize;

use crate::fs::parallel_map;

use super::entry_id::EntryKind;
use super::store_dir::Store;

/// Content of a store in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Directory of the store.
    pub path: String,
    /// Whether the store can be written to.
    pub writable: bool,
    /// Content by kind of entry.
    pub kinds: Vec<EntryKindStatus>,
    /// Number of entries.
    pub entries: u64,
    /// Number of files.
    pub files: u64,
    /// Total size of the files in bytes, including files shared with a uv cache.
    pub bytes: u64,
    /// Size limit in bytes.
    pub max_size: u64,
    /// Age limit for unused entries, in seconds.
    pub max_unused_seconds: u64,
    /// Number of entries with unreadable metadata; `verify` names them.
    pub unreadable: u64,
    /// Names of quarantined entries.
    pub quarantined: Vec<String>,
}

/// Content of one kind in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryKindStatus {
    /// Kind of entry.
    pub kind: EntryKind,
    /// Number of entries.
    pub entries: u64,
    /// Number of files.
    pub files: u64,
    /// Total size in bytes.
    pub bytes: u64,
    /// Latest use of an entry of this kind.
    pub last_used: Option<Timestamp>,
}

impl Store {
    /// Counts entries, files and bytes. Reads only the metadata of the entries.
    pub fn status(&self) -> StoreStatus {
        let mut kinds = Vec::new();
        let mut unreadable = 0;
        for kind in EntryKind::ALL {
            let ids = self.entry_ids_with_prefix(kind, "");
            if ids.is_empty() {
                continue;
            }
            let mut status = EntryKindStatus { kind, entries: 0, files: 0, bytes: 0, last_used: None };
            for (meta, last_used) in parallel_map(&ids, |id| (self.entry_meta(id), self.last_used(id))) {
                let Ok(meta) = meta else {
                    unreadable += 1;
                    continue;
                };
                status.entries += 1;
                status.files += meta.files;
                status.bytes += meta.bytes;
                status.last_used =
                    status.last_used.max(last_used.and_then(|last_used| Timestamp::try_from(last_used).ok()));
            }
            kinds.push(status);
        }
        let mut quarantined: Vec<String> = std::fs::read_dir(self.quarantine_dir())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        quarantined.sort();
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
            quarantined,
        }
    }
}

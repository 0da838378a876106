//! The store's own folder: opened, made, and its entries found.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::options::CacheOptions;
use crate::fs::{DirLock, LockedTempDir, write_atomic};

use super::corruption::Corruption;
use super::entry::EntryMeta;
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind, VersionedKey};

/// The version of the store's folder.
const VERSION: u32 = 2;

/// Tells backup programs that all in here can be made again (the convention of cache directories).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Nobody says where it lies.
    #[error("no folder for the store: neither NOXIDE_CACHE_DIR nor HOME is set")]
    NoLocation,
    /// Its folder cannot be made or read.
    #[error("the store at {} cannot be used: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is of a noxide that keeps other things there.
    #[error("the store at {} is of version {found_version}, this noxide knows {VERSION}; name another by NOXIDE_CACHE_DIR", path.display())]
    UnsupportedVersion {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found_version: u32,
    },
    /// It can be read, not written.
    #[error("the store at {} is read-only", .0.display())]
    ReadOnly(PathBuf),
}

/// What `store.json` says.
#[derive(Serialize, Deserialize)]
struct StoreFile {
    version: u32,
}

/// A store that is open. Nothing is locked as a whole: processes meet at single entries.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    pub(super) options: CacheOptions,
    writable: bool,
}

impl Store {
    /// Opens the store, making it where there is none, and removes what killed processes left in it.
    ///
    /// One that can be read and not written is opened too: restoring from it works.
    ///
    /// # Errors
    /// When its folder cannot be had, or is another version's.
    pub fn open(options: &CacheOptions) -> Result<Self, StoreError> {
        let root = options.dir.clone().ok_or(StoreError::NoLocation)?;
        let unusable = |source| StoreError::Unusable { path: root.clone(), source };
        let path = root.join("store.json");
        let writable = match std::fs::read(&path) {
            Ok(text) => {
                let file: StoreFile = serde_json::from_slice(&text).map_err(|error| unusable(error.into()))?;
                if file.version != VERSION {
                    return Err(StoreError::UnsupportedVersion { path: root, found_version: file.version });
                }
                rustix::fs::access(&root, rustix::fs::Access::WRITE_OK).is_ok()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_store(&root, &path).map_err(unusable)?;
                true
            }
            Err(error) => return Err(unusable(error)),
        };
        let store = Self { root, options: options.clone(), writable };
        if writable {
            LockedTempDir::remove_stale(&store.work_dir());
        }
        Ok(store)
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What its caller chose.
    pub fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// Whether entries can be added to it.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// A folder for work in progress on the store's own file system.
    ///
    /// # Errors
    /// When the store is read-only, or the folder cannot be made.
    pub(in crate::cache) fn create_workspace(&self) -> Result<LockedTempDir, StoreError> {
        if !self.writable {
            return Err(StoreError::ReadOnly(self.root.clone()));
        }
        LockedTempDir::create_in(&self.work_dir())
            .map_err(|source| StoreError::Unusable { path: self.root.clone(), source })
    }

    /// Where damaged entries are put aside.
    pub(super) fn quarantine_dir(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Where facts are kept that cost time to find again, such as a uv's layout.
    pub(in crate::cache) fn probe_results_dir(&self) -> PathBuf {
        self.root.join("probes")
    }

    pub(super) fn entry_path(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.relative_path())
    }

    /// Whether there is an entry of that name.
    pub fn has_entry(&self, id: &EntryId) -> bool {
        self.entry_path(id).join("manifest").is_file()
    }

    /// Holds an entry for as long as the value lives; `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with its facts. Its files are not looked at: [`Store::verify_entries`] does.
    pub fn open_entry(&self, id: &EntryId) -> Result<Option<StoreEntry>, Corruption> {
        StoreEntry::open(id, self.entry_path(id))
    }

    /// What is known of an entry as a whole.
    ///
    /// # Errors
    /// What is wrong with its facts.
    pub fn entry_meta(&self, id: &EntryId) -> Result<EntryMeta, Corruption> {
        StoreEntry::read_meta(id, &self.entry_path(id))
    }

    /// The names of all entries, sorted.
    pub fn entry_ids(&self) -> Vec<EntryId> {
        let mut found: Vec<EntryId> =
            EntryKind::ALL.into_iter().flat_map(|kind| self.entry_ids_with_prefix(kind, "")).collect();
        found.sort();
        found
    }

    /// The names of all entries of a kind whose id begins so.
    pub(super) fn entry_ids_with_prefix(&self, kind: EntryKind, start: &str) -> Vec<EntryId> {
        let folder = self.root.join("entries").join(kind.as_str());
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let shelves = match start.get(..2) {
            Some(shelf) => vec![shelf.to_owned()],
            None => names(&folder),
        };
        let ids = shelves.iter().flat_map(|shelf| names(&folder.join(shelf)));
        ids.filter(|id| id.starts_with(start)).filter_map(|id| EntryId::new(kind, id)).collect()
    }

    /// When an entry was last used, if that is known.
    pub(crate) fn last_used(&self, id: &EntryId) -> Option<std::time::SystemTime> {
        std::fs::metadata(self.entry_path(id).join("manifest")).and_then(|facts| facts.modified()).ok()
    }

    fn work_dir(&self) -> PathBuf {
        self.root.join("tmp")
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

fn create_store(root: &Path, path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root.join("entries"))?;
    write_atomic(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
    let file = serde_json::to_vec(&StoreFile { version: VERSION })?;
    write_atomic(path, &file)
}

//! The directory of the store: opening it, and finding its entries.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::options::StoreOptions;
use crate::fs::{
    DirLock, LockedTempDir, MAX_DOCUMENT_BYTES, create_dirs, may_belong_to_others, read_regular_file, write_atomic,
};

use super::damage::Damage;
use super::entry::{EntryMeta, EntryOrigin, StoreEntry};
use super::entry_id::{EntryId, EntryKind, VersionedKey, plausible_version};

/// Version of the store format.
const STORE_VERSION: u32 = 2;

/// Marks the directory as a cache, so that backup programs skip it (the CACHEDIR.TAG convention).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No location is configured.
    #[error("there is no directory for the store, or it may belong to another user; set NOXIDE_CACHE_DIR or HOME")]
    NoLocation,
    /// The directory cannot be created, read or written.
    #[error("the store at {} cannot be used: {source}", path.display())]
    Unusable {
        /// The directory of the store.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// The store was created by a noxide with another store format.
    #[error("the store at {} has version {found_version}, but this noxide uses version {STORE_VERSION}; remove it or set NOXIDE_CACHE_DIR to another directory", path.display())]
    UnsupportedVersion {
        /// The directory of the store.
        path: PathBuf,
        /// The version of the store.
        found_version: u32,
    },
    /// The directory, or one above it, is in a directory in which everyone can create files, and belongs to another user.
    #[error(
        "the store at {} may belong to another user; set NOXIDE_CACHE_DIR to a directory of your own",
        .0.display()
    )]
    NotOwned(PathBuf),
    /// The store is not writable.
    #[error("the store at {} is read-only", .0.display())]
    ReadOnly(PathBuf),
}

/// Content of `store.json`.
#[derive(Serialize, Deserialize)]
struct StoreFile {
    version: u32,
}

/// An open store. Only single entries are locked, so that processes can use the store concurrently.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    pub(super) options: StoreOptions,
    writable: bool,
    /// Tree digests of `noxide.sums`, by the SHA-256 of the wheel; `None` without that file.
    expected_trees: Option<Arc<BTreeMap<String, String>>>,
}

impl Store {
    /// Opens the store, creates it if it does not exist, and removes the temporary directories of killed processes.
    ///
    /// A read-only store can be opened and restored from.
    ///
    /// # Errors
    /// If the directory cannot be used, or has another version.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let root = options.dir.clone().ok_or(StoreError::NoLocation)?;
        let root = options.signer.as_ref().map_or(root.clone(), |signer| root.join(format!("signed-{signer}")));
        let root = if options.has_checksums { root.join("with-sums") } else { root };
        let unusable = |source| StoreError::Unusable { path: root.clone(), source };
        let existing = root.ancestors().find(|path| path.exists());
        if existing.is_some_and(may_belong_to_others) {
            return Err(StoreError::NotOwned(root));
        }
        let path = root.join("store.json");
        let writable = match read_regular_file(&path, MAX_DOCUMENT_BYTES) {
            Ok(text) => {
                let file: StoreFile = serde_json::from_slice(&text).map_err(|error| unusable(error.into()))?;
                if file.version != STORE_VERSION {
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
        let store = Self { root, options: options.clone(), writable, expected_trees: None };
        if writable {
            LockedTempDir::remove_stale(&store.work_dir());
        }
        Ok(store)
    }

    /// Returns the store with the tree digests of `noxide.sums`, by the SHA-256 of the wheel: an entry may come from a remote
    /// cache that an earlier run trusted. What they exclude is neither used nor uploaded, as if it did not exist.
    #[must_use]
    pub fn with_expected_trees(mut self, trees: BTreeMap<String, String>) -> Self {
        self.expected_trees = Some(Arc::new(trees));
        self
    }

    /// Returns whether `noxide.sums` excludes an entry: a wheel whose tree differs from that in the file, every entry whose
    /// origin is `Remote`, also if its tree is listed (uv's files in it were not checked), and every entry that is not of this
    /// machine and not in the file.
    pub(super) fn is_excluded(&self, meta: &EntryMeta) -> bool {
        let Some(trees) = &self.expected_trees else { return false };
        let id = meta.entry_id().filter(|id| id.kind == EntryKind::Wheel);
        match id.and_then(|id| trees.get(id.id())) {
            Some(tree) => *tree != meta.tree_digest || meta.origin == EntryOrigin::Remote,
            None => meta.origin != EntryOrigin::Machine,
        }
    }

    /// Returns whether `noxide.sums` lists an entry with its tree.
    pub(super) fn is_listed(&self, meta: &EntryMeta) -> bool {
        let id = meta.entry_id().filter(|id| id.kind == EntryKind::Wheel);
        let tree = self.expected_trees.as_ref().zip(id).and_then(|(trees, id)| trees.get(id.id()));
        tree.is_some_and(|tree| *tree == meta.tree_digest)
    }

    /// Returns whether an entry exists that `noxide.sums` excludes.
    pub(super) fn has_excluded_entry(&self, id: &EntryId) -> bool {
        self.expected_trees.is_some() && self.entry_meta(id).is_ok_and(|meta| self.is_excluded(&meta))
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the options that the store was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Returns whether entries can be added.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Creates a temporary directory on the file system of the store.
    ///
    /// # Errors
    /// If the store is read-only, or the directory cannot be created.
    pub(in crate::cache) fn create_workspace(&self) -> Result<LockedTempDir, StoreError> {
        if !self.writable {
            return Err(StoreError::ReadOnly(self.root.clone()));
        }
        LockedTempDir::create_in(&self.work_dir())
            .map_err(|source| StoreError::Unusable { path: self.root.clone(), source })
    }

    /// Returns the directory of damaged entries.
    pub(super) fn quarantine_dir(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Returns the directory of probe results, such as the cache layout of a uv.
    pub(in crate::cache) fn probe_results_dir(&self) -> PathBuf {
        self.root.join("probes")
    }

    pub(super) fn entry_path(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.relative_path())
    }

    /// Returns whether an entry exists.
    pub fn has_entry(&self, id: &EntryId) -> bool {
        let found = self.entry_path(id).join("listing").symlink_metadata();
        found.is_ok_and(|found| found.is_file()) && !self.has_excluded_entry(id)
    }

    /// Opens an entry and locks it until the value is dropped; returns `None` if it does not exist, is excluded, or is locked
    /// by another process.
    ///
    /// # Errors
    /// If the metadata are damaged. Files are not checked, see [`Store::verify_entries`].
    pub fn open_entry(&self, id: &EntryId) -> Result<Option<StoreEntry>, Damage> {
        Ok(StoreEntry::open(id, self.entry_path(id))?.filter(|entry| !self.is_excluded(&entry.meta)))
    }

    /// Reads the metadata of an entry.
    ///
    /// # Errors
    /// If the metadata are damaged.
    pub fn entry_meta(&self, id: &EntryId) -> Result<EntryMeta, Damage> {
        StoreEntry::read_meta(id, &self.entry_path(id))
    }

    /// Returns the IDs of all entries, sorted.
    pub fn entry_ids(&self) -> Vec<EntryId> {
        let mut found: Vec<EntryId> =
            EntryKind::ALL.into_iter().flat_map(|kind| self.entry_ids_with_prefix(kind, "")).collect();
        found.sort();
        found
    }

    /// Returns the IDs of one kind that begin with `prefix`.
    pub(super) fn entry_ids_with_prefix(&self, kind: EntryKind, prefix: &str) -> Vec<EntryId> {
        let directory = self.root.join("entries").join(kind.as_str());
        let names = |directory: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let prefix_directories = match prefix.get(..2) {
            Some(shard) => vec![shard.to_owned()],
            None => names(&directory),
        };
        let ids = prefix_directories.iter().flat_map(|part| names(&directory.join(part)));
        ids.filter(|id| id.starts_with(prefix)).filter_map(|id| EntryId::new(kind, id)).collect()
    }

    /// Returns when an entry was last used, if that is known.
    pub(crate) fn last_used(&self, id: &EntryId) -> Option<std::time::SystemTime> {
        std::fs::metadata(self.entry_path(id).join("listing")).and_then(|metadata| metadata.modified()).ok()
    }

    fn work_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

impl Store {
    /// Opens the newest readable version of a key.
    pub(super) fn latest_version(&self, kind: EntryKind, key: &str) -> Option<StoreEntry> {
        self.latest_with_prefix(kind, &format!("{key}."))
    }

    /// Opens the newest readable version whose ID begins with `prefix`.
    pub(super) fn latest_with_prefix(&self, kind: EntryKind, prefix: &str) -> Option<StoreEntry> {
        let mut ids = self.entry_ids_with_prefix(kind, prefix);
        let now = jiff::Timestamp::now().as_nanosecond();
        let saved_at = |id: &EntryId| id.split_version().map(|(_, time)| plausible_version(time, now));
        ids.sort_by_key(|id| std::cmp::Reverse(saved_at(id)));
        ids.iter().find_map(|id| self.open_entry(id).ok().flatten())
    }

    /// Returns whether there is a version of `key`.
    pub fn has_version(&self, key: &VersionedKey) -> bool {
        key.id_prefixes
            .iter()
            .any(|prefix| self.entry_ids_with_prefix(key.kind, prefix).iter().any(|id| self.has_entry(id)))
    }

    /// Removes the versions older than `new`, except for those in use. Versions from a clock in the future are older.
    pub(super) fn remove_older_versions(&self, kind: EntryKind, key: &str, new: &str) {
        let Ok(workspace) = self.create_workspace() else { return };
        let ids = self.entry_ids_with_prefix(kind, &format!("{key}."));
        let now = jiff::Timestamp::now().as_nanosecond();
        let is_from_future =
            |id: &EntryId| id.split_version().is_some_and(|(_, time)| plausible_version(time, now) != time);
        let is_older = |id: &&EntryId| id.to_string() != new && (id.to_string().as_str() < new || is_from_future(id));
        for (index, id) in ids.iter().filter(is_older).enumerate() {
            if let Ok(Some(_lock)) = DirLock::try_acquire_exclusive(&self.entry_path(id)) {
                // If this fails, a later prune removes the entry.
                let _ = std::fs::rename(self.entry_path(id), workspace.path().join(index.to_string()));
            }
        }
    }
}

fn create_store(root: &Path, path: &Path) -> io::Result<()> {
    create_dirs(&root.join("entries"))?;
    write_atomic(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
    let file = serde_json::to_vec(&StoreFile { version: STORE_VERSION })?;
    write_atomic(path, &file)
}

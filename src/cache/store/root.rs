//! The store's own folder: opened, made, and its entries found.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::options::CacheOptions;
use crate::fs::{Workspace, write_atomic};

use super::entry::Entry;
use super::head::Head;
use super::id::{EntryId, Kind};
use super::wrong::Wrong;

/// The version of the store's folder.
const VERSION: u32 = 1;

/// Tells backup programs that all in here can be made again (the convention of cache directories).
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Nobody says where it lies.
    #[error("no folder for the store: neither NOXIDE_CACHE_DIR nor HOME is set")]
    Nowhere,
    /// Its folder cannot be made or read.
    #[error("the store at {} cannot be used: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is of a noxide that keeps other things there.
    #[error("the store at {} is of version {found}, this noxide knows {VERSION}; name another by NOXIDE_CACHE_DIR", path.display())]
    Version {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found: u32,
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
        let root = options.dir.clone().ok_or(StoreError::Nowhere)?;
        let unusable = |source| StoreError::Unusable { path: root.clone(), source };
        let path = root.join("store.json");
        let writable = match std::fs::read(&path) {
            Ok(text) => {
                let file: StoreFile = serde_json::from_slice(&text).map_err(|error| unusable(error.into()))?;
                if file.version != VERSION {
                    return Err(StoreError::Version { path: root, found: file.version });
                }
                rustix::fs::access(&root, rustix::fs::Access::WRITE_OK).is_ok()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&root, &path).map_err(unusable)?;
                true
            }
            Err(error) => return Err(unusable(error)),
        };
        let store = Self { root, options: options.clone(), writable };
        if writable {
            Workspace::clear(&store.work());
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
    pub(in crate::cache) fn workspace(&self) -> Result<Workspace, StoreError> {
        if !self.writable {
            return Err(StoreError::ReadOnly(self.root.clone()));
        }
        Workspace::new(&self.work()).map_err(|source| StoreError::Unusable { path: self.root.clone(), source })
    }

    /// Where damaged entries are put aside.
    pub(super) fn aside(&self) -> PathBuf {
        self.root.join("aside")
    }

    /// Where facts are kept that cost time to find again, such as a uv's layout.
    pub(in crate::cache) fn notes(&self) -> PathBuf {
        self.root.join("notes")
    }

    pub(super) fn place(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.place())
    }

    /// Whether there is an entry of that name.
    pub fn has(&self, id: &EntryId) -> bool {
        self.place(id).join("facts").is_file()
    }

    /// Holds an entry for as long as the value lives; `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with its facts. Its files are not looked at: [`Store::verify`] does.
    pub fn entry(&self, id: &EntryId) -> Result<Option<Entry>, Wrong> {
        Entry::open(id, self.place(id))
    }

    /// What is known of an entry as a whole.
    ///
    /// # Errors
    /// What is wrong with its facts.
    pub fn head(&self, id: &EntryId) -> Result<Head, Wrong> {
        Entry::head(id, &self.place(id))
    }

    /// The names of all entries, sorted.
    pub fn entries(&self) -> Vec<EntryId> {
        let mut found: Vec<EntryId> = Kind::ALL.into_iter().flat_map(|kind| self.of_kind(kind, "")).collect();
        found.sort();
        found
    }

    /// The names of all entries of a kind whose id begins so.
    pub(super) fn of_kind(&self, kind: Kind, start: &str) -> Vec<EntryId> {
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
    pub fn last_used(&self, id: &EntryId) -> Option<std::time::SystemTime> {
        std::fs::metadata(self.place(id).join("facts")).and_then(|facts| facts.modified()).ok()
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }
}

fn make(root: &Path, path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root.join("entries"))?;
    write_atomic(&root.join("CACHEDIR.TAG"), TAG.as_bytes())?;
    let file = serde_json::to_vec(&StoreFile { version: VERSION })?;
    write_atomic(path, &file)
}

//! A store entry: its metadata, its tree, and its placements in uv caches.

use super::damage::Damage;
use super::entry_id::{EntryId, EntryKind};
use super::tree_listing::TreeListing;
use super::uv_placement::UvPlacement;
use crate::fs::{DirLock, FileStat, blake3_hex, open_regular_file, read_regular_file};
use crate::text::to_single_line;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Version of the metadata and the list of files of an entry.
const ENTRY_VERSION: u32 = 2;

/// Maximum size of the list of files in bytes: enough for the paths of a million files.
const MAX_LISTING_BYTES: u64 = 512 << 20;
/// Maximum size of one of uv's own files in bytes; they have a few kilobytes.
const MAX_UV_FILE_BYTES: u64 = 16 << 20;
/// Maximum size of the files of an entry, in bytes, so that sums of sizes do not overflow.
const MAX_BYTES: u64 = 1 << 44;

/// Where the content of an entry came from: `noxide.sums` excludes what was restored without that file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryOrigin {
    /// A remote cache, with nothing that vouches for it; also if the origin is unknown.
    #[default]
    Remote,
    /// A remote cache; its tree is the one in `noxide.sums`, and uv's cached metadata were left out.
    VerifiedRemote,
    /// This machine: saved after uv or a session created it.
    Machine,
}

/// Metadata of an entry: the first line of its file `listing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMeta {
    version: u32,
    kind: EntryKind,
    id: String,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// The entries that an environment consists of; empty for other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Number of files.
    pub files: u64,
    /// Total size of the files, in bytes.
    pub bytes: u64,
    /// BLAKE3 digest of the tree, the same on every machine.
    pub tree_digest: String,
    /// BLAKE3 digest of the rest of the file, the list of files.
    pub listing_digest: String,
    /// When the entry was added to this store.
    pub saved_at: Timestamp,
    /// Where the content came from.
    #[serde(default)]
    pub origin: EntryOrigin,
}

impl EntryMeta {
    /// Creates metadata without sizes and digests.
    pub fn new(id: &EntryId, name: impl Into<String>) -> Self {
        Self {
            version: ENTRY_VERSION,
            kind: id.kind,
            id: id.id().to_owned(),
            name: name.into(),
            members: Vec::new(),
            files: 0,
            bytes: 0,
            tree_digest: String::new(),
            listing_digest: String::new(),
            saved_at: Timestamp::now(),
            origin: EntryOrigin::Machine,
        }
    }

    /// Parses the first line of the file `listing`, which must belong to `id`.
    ///
    /// # Errors
    /// [`Damage::InvalidMeta`].
    pub(crate) fn parse(line: &str, id: &EntryId) -> Result<Self, Damage> {
        let invalid = |reason: String| Damage::InvalidMeta(reason);
        let mut meta: Self = serde_json::from_str(line).map_err(|error| invalid(format!("first line: {error}")))?;
        if meta.version != ENTRY_VERSION {
            return Err(invalid(format!("version {}, but this noxide uses version {ENTRY_VERSION}", meta.version)));
        }
        if meta.kind != id.kind || meta.id != id.id() {
            let id = to_single_line(&meta.id);
            return Err(invalid(format!("it belongs to another entry, {}/{id}", meta.kind.as_str())));
        }
        if meta.bytes > MAX_BYTES || meta.files > MAX_BYTES {
            return Err(invalid("its size is not possible".to_owned()));
        }
        // Names are printed.
        meta.name = to_single_line(&meta.name);
        Ok(meta)
    }

    /// Returns the ID of the entry.
    pub(crate) fn entry_id(&self) -> Option<EntryId> {
        EntryId::new(self.kind, self.id.clone())
    }
}

/// An entry that is locked against removal.
#[derive(Debug)]
pub struct StoreEntry {
    /// ID of the entry.
    pub id: EntryId,
    /// Metadata of the entry.
    pub meta: EntryMeta,
    /// Files of the entry.
    pub listing: TreeListing,
    pub(super) path: PathBuf,
    /// The user that the entry belongs to.
    pub(super) owner: u32,
    _lock: DirLock,
}

impl StoreEntry {
    /// Opens and locks the entry at a path; returns `None` if it does not exist, or if another process keeps it locked.
    pub(super) fn open(id: &EntryId, path: PathBuf) -> Result<Option<Self>, Damage> {
        let unreadable = |error: std::io::Error| Damage::Unreadable(error.to_string());
        let lock = match DirLock::acquire_shared(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => None,
            lock => lock.map_err(unreadable)?,
        };
        let Some(lock) = lock else { return Ok(None) };
        let bytes = read_regular_file(&path.join("listing"), MAX_LISTING_BYTES);
        let bytes = bytes.map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let meta = EntryMeta::parse(first, id)?;
        if blake3_hex(rest.as_bytes()) != meta.listing_digest {
            return Err(Damage::InvalidMeta("the list of files has another digest".to_owned()));
        }
        let listing = TreeListing::parse(rest).map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        let owner = FileStat::from_path(&path)?.uid;
        Ok(Some(Self { id: id.clone(), meta, listing, path, owner, _lock: lock }))
    }

    /// Reads only the metadata of the entry at a path.
    pub(super) fn read_meta(id: &EntryId, path: &Path) -> Result<EntryMeta, Damage> {
        let mut line = String::new();
        let file = open_regular_file(&path.join("listing")).map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        // The first line has a few hundred bytes; a damaged file may have no line break.
        let read = BufReader::new(file.take(1 << 20)).read_line(&mut line);
        read.map_err(|error| Damage::InvalidMeta(error.to_string()))?;
        EntryMeta::parse(&line, id)
    }

    /// Returns the root of the tree.
    pub fn tree_path(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// Returns the placements in uv caches with the content of uv's files; damaged placements are skipped.
    pub fn placements(&self) -> Vec<(UvPlacement, Vec<Vec<u8>>)> {
        let Ok(directories) = std::fs::read_dir(self.path.join("uv")) else { return Vec::new() };
        let mut directories: Vec<PathBuf> = directories.flatten().map(|entry| entry.path()).collect();
        directories.sort();
        directories.iter().filter_map(|directory| read_placement(directory, &self.id).ok()).collect()
    }

    /// Returns the damage of uv's files in the entry.
    pub(super) fn find_placement_damage(&self) -> Vec<(String, Damage)> {
        let Ok(directories) = std::fs::read_dir(self.path.join("uv")) else { return Vec::new() };
        let damaged = directories.flatten().filter_map(|entry| {
            let name = format!("uv/{}", entry.file_name().to_string_lossy());
            read_placement(&entry.path(), &self.id).err().map(|corruption| (name, corruption))
        });
        damaged.collect()
    }
}

fn read_placement(directory: &Path, id: &EntryId) -> Result<(UvPlacement, Vec<Vec<u8>>), Damage> {
    let text = read_regular_file(&directory.join("placement.json"), MAX_UV_FILE_BYTES);
    let text = text.map_err(|error| Damage::InvalidMeta(error.to_string()))?;
    let placement: UvPlacement =
        serde_json::from_slice(&text).map_err(|error| Damage::InvalidMeta(error.to_string()))?;
    if placement.kind() != Some(id.kind) {
        return Err(Damage::InvalidPath);
    }
    let mut files = Vec::new();
    for (index, file) in placement.files().iter().enumerate() {
        let bytes = read_regular_file(&directory.join(index.to_string()), MAX_UV_FILE_BYTES);
        let bytes = bytes.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Damage::Missing,
            _ => Damage::Unreadable(error.to_string()),
        })?;
        if blake3_hex(&bytes) != file.digest {
            return Err(Damage::ContentMismatch);
        }
        files.push(bytes);
    }
    if !placement.has_pointer_of(id, &files) {
        return Err(Damage::InvalidMeta("uv's pointer file names something else".to_owned()));
    }
    Ok((placement, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_another_entry_or_version_are_refused() {
        let id = EntryId::new(EntryKind::Wheel, "abc").unwrap();
        let meta = EntryMeta::new(&id, "a 1");
        let line = serde_json::to_string(&meta).unwrap();
        assert_eq!(EntryMeta::parse(&line, &id), Ok(meta.clone()));
        assert_eq!(meta.entry_id(), Some(id.clone()));
        let other = EntryId::new(EntryKind::Wheel, "abx").unwrap();
        assert!(EntryMeta::parse(&line, &other).unwrap_err().to_string().contains("wheel/abc"));
        assert!(
            EntryMeta::parse(&line.replace("\"version\":2", "\"version\":3"), &id)
                .unwrap_err()
                .to_string()
                .contains("version 3")
        );
        assert!(EntryMeta::parse("{", &id).is_err());
        let unknown = line.replace(",\"origin\":\"machine\"", "");
        assert!(unknown.len() < line.len());
        assert_eq!(EntryMeta::parse(&unknown, &id).unwrap().origin, EntryOrigin::Remote, "trusted least");
    }
}

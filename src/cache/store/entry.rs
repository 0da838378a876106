//! A store entry: its metadata, its tree, and the files by which uv finds it.

use super::corruption::Corruption;
use super::entry_id::{EntryId, EntryKind};
use super::tree_manifest::TreeManifest;
use crate::fs::{DirLock, blake3_hex, safe_relative_path};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

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

/// The version of what is kept of uv's own files.
const PLACEMENT_VERSION: u32 = 2;

/// How a tree is put into a uv cache: files of uv's own, copied as they were, the pointer last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UvPlacement {
    version: u32,
    /// The bucket they are of, such as `wheels-v8`: only a uv with a bucket of that name reads them.
    pub bucket: String,
    /// Where the tree goes: `archive-v0/<id>`.
    pub tree_path: String,
    /// The link to it that stands beside the pointer.
    pub link: String,
    /// uv's files in the order they are put down.
    pub files: Vec<UvPlacementFile>,
}

/// One file of uv's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UvPlacementFile {
    /// Its path in the uv cache.
    pub(crate) path: String,
    /// BLAKE3 digest of its bytes.
    pub(crate) digest: String,
}

impl UvPlacement {
    /// Describes files of uv's own: their paths in the cache and their bytes.
    pub fn new(bucket: String, archive: String, link: String, files: &[(String, Vec<u8>)]) -> Self {
        let file =
            |(path, bytes): &(String, Vec<u8>)| UvPlacementFile { path: path.clone(), digest: blake3_hex(bytes) };
        Self { version: PLACEMENT_VERSION, bucket, tree_path: archive, link, files: files.iter().map(file).collect() }
    }

    /// The name of its folder in the entry: by bucket and place, so that the same is known again.
    pub(super) fn folder_name(bucket: &str, link: &str) -> String {
        format!("{bucket}.{}", &blake3_hex(link.as_bytes())[..16])
    }

    /// Whether every path in it stays inside the cache, and below the bucket it names.
    fn is_valid(&self) -> bool {
        let plain = |name: &str| !name.contains('/') && safe_relative_path(name).is_some();
        let in_bucket = |path: &str| safe_relative_path(path).is_some_and(|path| path.starts_with(&self.bucket));
        let archive = self.tree_path.split_once('/').is_some_and(|(bucket, id)| plain(bucket) && plain(id));
        self.version == PLACEMENT_VERSION
            && plain(&self.bucket)
            && archive
            && in_bucket(&self.link)
            && !self.files.is_empty()
            && self.files.iter().all(|file| in_bucket(&file.path))
    }
}

/// An entry, held so that nobody removes it meanwhile.
#[derive(Debug)]
pub struct StoreEntry {
    /// Its name.
    pub id: EntryId,
    /// What is known of it.
    pub meta: EntryMeta,
    /// What its tree holds.
    pub manifest: TreeManifest,
    pub(super) path: PathBuf,
    _lease: DirLock,
}

impl StoreEntry {
    /// Holds the entry at a place; `None` where there is none.
    pub(super) fn open(id: &EntryId, place: PathBuf) -> Result<Option<Self>, Corruption> {
        let unreadable = |error: std::io::Error| Corruption::Unreadable(error.to_string());
        let Some(lease) = DirLock::acquire_shared(&place).map_err(unreadable)? else { return Ok(None) };
        let facts = std::fs::read_to_string(place.join("manifest"))
            .map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
        let (first, rest) = facts.split_once('\n').unwrap_or((&facts, ""));
        let head = EntryMeta::parse(first, id).map_err(Corruption::InvalidMeta)?;
        if blake3_hex(rest.as_bytes()) != head.manifest_digest {
            return Err(Corruption::InvalidMeta("the listing is not the one they name".to_owned()));
        }
        let listing = TreeManifest::parse(rest).map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
        Ok(Some(Self { id: id.clone(), meta: head, manifest: listing, path: place, _lease: lease }))
    }

    /// Reads only the head of the entry at a place.
    pub(super) fn read_meta(id: &EntryId, place: &Path) -> Result<EntryMeta, Corruption> {
        let mut line = String::new();
        let file = File::open(place.join("manifest")).map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
        // A head is a few hundred bytes; what is longer is none.
        let read = BufReader::new(file.take(1 << 20)).read_line(&mut line);
        read.map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
        EntryMeta::parse(&line, id).map_err(Corruption::InvalidMeta)
    }

    /// The root of its tree.
    pub fn tree_path(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// How it is put into a uv cache: one for each place that uv had it at; what is unsound among them is left out.
    pub fn placements(&self) -> Vec<(UvPlacement, Vec<Vec<u8>>)> {
        let Ok(folders) = std::fs::read_dir(self.path.join("uv")) else { return Vec::new() };
        let mut folders: Vec<PathBuf> = folders.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        folders.iter().filter_map(|folder| read_placement(folder).ok()).collect()
    }

    /// What is wrong with uv's files in it.
    pub(super) fn find_placement_faults(&self) -> Vec<(String, Corruption)> {
        let Ok(folders) = std::fs::read_dir(self.path.join("uv")) else { return Vec::new() };
        let faults = folders.flatten().filter_map(|entry| {
            let name = format!("uv/{}", entry.file_name().to_string_lossy());
            read_placement(&entry.path()).err().map(|wrong| (name, wrong))
        });
        faults.collect()
    }
}

fn read_placement(folder: &Path) -> Result<(UvPlacement, Vec<Vec<u8>>), Corruption> {
    let text =
        std::fs::read(folder.join("placement.json")).map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
    let placing: UvPlacement =
        serde_json::from_slice(&text).map_err(|error| Corruption::InvalidMeta(error.to_string()))?;
    if !placing.is_valid() {
        return Err(Corruption::InvalidPath);
    }
    let mut files = Vec::new();
    for (number, file) in placing.files.iter().enumerate() {
        let bytes = std::fs::read(folder.join(number.to_string())).map_err(|_| Corruption::Missing)?;
        if blake3_hex(&bytes) != file.digest {
            return Err(Corruption::ContentMismatch);
        }
        files.push(bytes);
    }
    Ok((placing, files))
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

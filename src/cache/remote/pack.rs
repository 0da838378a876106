//! Packs: a zstd frame for each entry, followed by an index that zstd readers skip.

use super::manifest::{MANIFEST_VERSION, PackFrame};
use crate::cache::limited_items::limited_list;
use crate::cache::store::{
    EntryId, EntryKind, EntryOrigin, PublishOutcome, StagedEntry, Store, StoreEntry, StoreError, TreeNode,
    TreeNodeKind, UvPlacement,
};
use crate::fs::{LockedTempDir, open_regular_file, parallel_map};
use crate::project::dependencies::normalize_name;
use crate::text::{shorten_text, to_single_line};
use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// First bytes of the content of every frame; the digit is the version.
const FRAME_MAGIC: &[u8; 5] = b"nxe2\n";
/// Maximum length of a header in bytes: enough for the paths of a million files.
const MAX_HEADER_BYTES: u64 = 128 << 20;
/// Maximum number of files, links and empty directories in a frame.
const MAX_FRAME_ITEMS: usize = 250_000;
/// Maximum number of files, links and empty directories that one download imports.
const MAX_DOWNLOAD_ITEMS: usize = 2_000_000;
/// Maximum length of a display name in characters.
const MAX_NAME_CHARS: usize = 1_000;
/// Maximum size of one of uv's own files in bytes; they have a few kilobytes.
const MAX_UV_FILE_BYTES: u64 = 16 << 20;
/// Maximum total size of uv's own files in a frame, in bytes.
const MAX_UV_FILES_BYTES: u64 = 64 << 20;

/// What one download may still import. Frames are small if they contain nothing but names or zeros, so each counts its items
/// and its bytes.
#[derive(Debug)]
pub(super) struct ImportBudget {
    items: AtomicUsize,
    bytes: AtomicU64,
}

impl ImportBudget {
    /// Creates a budget of this many bytes.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { items: AtomicUsize::new(MAX_DOWNLOAD_ITEMS), bytes: AtomicU64::new(max_bytes) }
    }

    /// Returns whether this many uncompressed bytes may still be imported, and counts them.
    pub(super) fn try_use_bytes(&self, bytes: u64) -> bool {
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Returns whether this many items may still be imported, and counts them.
    fn try_use(&self, items: usize) -> bool {
        self.items.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(items)).is_ok()
    }
}

/// Why a frame is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The frame is malformed or of an unknown version.
    #[error("its data in the remote cache is damaged: {0}")]
    Damaged(String),
    /// The frame contains another entry than requested.
    #[error("its data in the remote cache is that of {0}")]
    WrongEntry(String),
    /// The store refused the entry.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct FrameHeader {
    entry: String,
    name: String,
    /// The entries that an environment consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "limited_list::<_, _, 10_000>")]
    members: Vec<String>,
    #[serde(deserialize_with = "limited_list::<_, _, 16>")]
    uv_placements: Vec<UvPlacementHeader>,
    #[serde(deserialize_with = "limited_list::<_, _, MAX_FRAME_ITEMS>")]
    nodes: Vec<FrameItem>,
}

/// A placement in a uv cache, and the size of each of uv's own files.
#[derive(Serialize, Deserialize)]
struct UvPlacementHeader {
    placement: UvPlacement,
    #[serde(deserialize_with = "limited_list::<_, _, 16>")]
    file_sizes: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FrameItem {
    /// Path, size, whether the owner may execute it.
    File(String, u64, bool),
    /// Path, target.
    Symlink(String, String),
    EmptyDir(String),
}

/// Writes the uncompressed content of a frame and returns its length.
pub(super) fn write_frame(entry: &StoreEntry, out: &mut dyn Write) -> io::Result<u64> {
    if entry.listing.nodes.len() > MAX_FRAME_ITEMS {
        return Err(io::Error::other(format!("it has more than {MAX_FRAME_ITEMS} files")));
    }
    let uv_placements = entry.placements();
    let frame_item = |node: &TreeNode| match &node.kind {
        TreeNodeKind::File { size, executable, .. } => FrameItem::File(node.path.clone(), *size, *executable),
        TreeNodeKind::Symlink { target } => FrameItem::Symlink(node.path.clone(), target.clone()),
        TreeNodeKind::EmptyDirectory => FrameItem::EmptyDir(node.path.clone()),
    };
    let placement = |(placement, files): &(UvPlacement, Vec<Vec<u8>>)| UvPlacementHeader {
        placement: placement.clone(),
        file_sizes: files.iter().map(|file| file.len() as u64).collect(),
    };
    let header = FrameHeader {
        entry: entry.id.to_string(),
        name: entry.meta.name.clone(),
        members: entry.meta.members.clone(),
        uv_placements: uv_placements.iter().map(placement).collect(),
        nodes: entry.listing.nodes.iter().map(frame_item).collect(),
    };
    let header = serde_json::to_vec(&header)?;
    out.write_all(FRAME_MAGIC)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut length = (FRAME_MAGIC.len() + 8 + header.len()) as u64;
    for file in uv_placements.iter().flat_map(|(_, files)| files) {
        out.write_all(file)?;
        length += file.len() as u64;
    }
    let tree = entry.tree_path();
    for node in &entry.listing.nodes {
        let TreeNodeKind::File { size, .. } = node.kind else { continue };
        let mut file = open_regular_file(&tree.join(&node.path))?.take(size);
        if io::copy(&mut file, out)? != size {
            return Err(io::Error::other(format!("{} is shorter than listed", node.path)));
        }
        length += size;
    }
    Ok(length)
}

/// What is known about a frame that is imported.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameTrust<'a> {
    /// The tree digest that it must have.
    pub(super) expected_tree: &'a str,
    /// Whether uv's cached metadata are trusted too. Not with `noxide.sums`, which covers the tree only: the metadata name
    /// the wheel's dependencies, and uv believes them more than the wheel.
    pub(super) trusts_metadata: bool,
}

/// Imports the content of a frame into the store.
pub(super) fn read_frame(
    store: &Store,
    id: &EntryId,
    content: &mut dyn Read,
    trust: FrameTrust<'_>,
    budget: &ImportBudget,
) -> Result<PublishOutcome, FrameError> {
    let damaged = |error: io::Error| FrameError::Damaged(error.to_string());
    let mut magic = [0; 5];
    content.read_exact(&mut magic).map_err(damaged)?;
    if &magic != FRAME_MAGIC {
        return Err(FrameError::Damaged("unknown format or version".to_owned()));
    }
    let mut length = [0; 8];
    content.read_exact(&mut length).map_err(damaged)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES {
        return Err(FrameError::Damaged(format!("a header of {length} bytes")));
    }
    let mut header = Vec::new();
    content.take(length).read_to_end(&mut header).map_err(damaged)?;
    let header: FrameHeader =
        serde_json::from_slice(&header).map_err(|error| FrameError::Damaged(error.to_string()))?;
    if header.entry != id.to_string() {
        return Err(FrameError::WrongEntry(shorten_text(&to_single_line(&header.entry), MAX_NAME_CHARS)));
    }
    let refused = |reason: String| FrameError::Refused(reason);
    if !budget.try_use(header.nodes.len()) {
        return Err(refused(format!("the download has more than {MAX_DOWNLOAD_ITEMS} files")));
    }
    let mut staged = store
        .stage_entry(id, &shorten_text(&header.name, MAX_NAME_CHARS))
        .map_err(|error| refused(error.to_string()))?;
    staged.set_members(header.members);
    staged.set_origin(match trust.trusts_metadata {
        true => EntryOrigin::Remote,
        false => EntryOrigin::VerifiedRemote,
    });
    let mut uv_bytes = 0_u64;
    for placement in header.uv_placements {
        let mut files = Vec::new();
        for size in placement.file_sizes {
            uv_bytes = uv_bytes.saturating_add(size);
            if size > MAX_UV_FILE_BYTES || uv_bytes > MAX_UV_FILES_BYTES {
                return Err(FrameError::Damaged(format!("files of uv with {uv_bytes} bytes")));
            }
            let mut file = Vec::new();
            content.take(size).read_to_end(&mut file).map_err(damaged)?;
            files.push(file);
        }
        if is_uv_placement_valid(id, &placement.placement, &files)
            && is_link_of_wheel(id, placement.placement.link(), &header.nodes)
        {
            let (placement, files) = match trust.trusts_metadata {
                true => (placement.placement, files),
                false => placement.placement.without_metadata(files),
            };
            staged.add_placement(placement, files);
        }
    }
    stage_items(&mut staged, header.nodes, content)?;
    staged
        .publish(Some(trust.expected_tree))
        .map_err(|damaged| refused(damaged.first().map(ToString::to_string).unwrap_or_default()))
}

fn stage_items(staged: &mut StagedEntry<'_>, items: Vec<FrameItem>, content: &mut dyn Read) -> Result<(), FrameError> {
    for item in items {
        let added = match &item {
            FrameItem::File(path, size, executable) => {
                staged.add_file(path, *executable, *size, &mut content.take(*size))
            }
            FrameItem::Symlink(path, target) => staged.add_symlink(path, target),
            FrameItem::EmptyDir(path) => staged.add_empty_directory(path),
        };
        added.map_err(|damage| FrameError::Refused(damage.to_string()))?;
    }
    Ok(())
}

/// Returns whether uv places this entry like this, and uv's pointer names its tree and nothing else.
fn is_uv_placement_valid(id: &EntryId, placement: &UvPlacement, files: &[Vec<u8>]) -> bool {
    placement.kind() == Some(id.kind) && files.len() == placement.files().len() && placement.has_pointer_of(id, files)
}

/// Returns whether uv would look for a wheel with this content at this path in its cache (`UvPlacement::link`): the path
/// has the name and version of the wheel's `.dist-info`. Otherwise one wheel could be put in the place of another.
fn is_link_of_wheel(id: &EntryId, link: &str, nodes: &[FrameItem]) -> bool {
    if id.kind != EntryKind::Wheel {
        return true;
    }
    let record = nodes.iter().find_map(|node| match node {
        FrameItem::File(path, ..) => path.strip_suffix(".dist-info/RECORD").filter(|stem| !stem.contains('/')),
        _ => None,
    });
    let Some((name, version)) = record.and_then(|stem| stem.split_once('-')) else { return false };
    let mut parts = link.rsplit('/');
    let (Some(file), Some(directory)) = (parts.next(), parts.next()) else { return false };
    let name = normalize_name(name);
    let is_version = |found: &str| {
        found == version
            || found.parse::<Version>().ok().zip(version.parse().ok()).is_some_and(|(one, other)| one == other)
    };
    // Some versions of uv begin the file name with that of the package.
    let found = file.split('-').find(|part| normalize_name(part) != name).unwrap_or_default();
    normalize_name(directory) == name && is_version(found)
}

/// zstd level: a higher level takes more time than the smaller upload saves.
const COMPRESSION_LEVEL: i32 = 3;
/// Magic number of a frame that zstd readers skip.
const SKIPPABLE_FRAME_MAGIC: u32 = 0x184D_2A5E;
/// Number of entries that are compressed in parallel and buffered until they are written.
const COMPRESSION_BATCH: usize = 16;
/// Larger frames are buffered in a file.
const MAX_BUFFERED_BYTES: usize = 16 << 20;

/// A pack that is being written to a temporary file.
#[derive(Debug)]
pub(super) struct PackWriter {
    pub(super) file: File,
    /// The frames, still without the key of the pack.
    pub(super) frames: Vec<PackFrame>,
    /// Length in bytes.
    pub(super) length: u64,
    hasher: blake3::Hasher,
    _temp_dir: LockedTempDir,
}

impl PackWriter {
    /// Creates an empty pack in the temporary directory of a store.
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        let workspace = store.create_workspace()?;
        let unusable = |source: io::Error| StoreError::Unusable { path: store.root().to_path_buf(), source };
        let file = File::options().read(true).write(true).create_new(true).open(workspace.path().join("pack"));
        Ok(Self {
            file: file.map_err(unusable)?,
            frames: Vec::new(),
            length: 0,
            hasher: blake3::Hasher::new(),
            _temp_dir: workspace,
        })
    }

    /// Adds entries, compressed in parallel. Skips entries that cannot be read, and returns warnings for them.
    pub(super) fn add_entries(&mut self, entries: &[StoreEntry], today: i64) -> io::Result<Vec<String>> {
        let mut warnings = Vec::new();
        for batch in entries.chunks(COMPRESSION_BATCH) {
            for (entry, compressed) in batch.iter().zip(parallel_map(batch, compress_entry)) {
                match compressed {
                    Ok((mut bytes, uncompressed_length)) => {
                        let length = bytes.seek(SeekFrom::End(0))?;
                        bytes.seek(SeekFrom::Start(0))?;
                        let mut buckets: Vec<String> = entry
                            .placements()
                            .into_iter()
                            .map(|(placement, _)| placement.bucket().to_owned())
                            .collect();
                        buckets.sort();
                        buckets.dedup();
                        let frame = PackFrame {
                            entry: entry.id.to_string(),
                            name: entry.meta.name.clone(),
                            pack: String::new(),
                            offset: self.length,
                            length,
                            uncompressed_length,
                            frame_digest: String::new(),
                            tree_digest: entry.meta.tree_digest.clone(),
                            buckets,
                            last_used_day: today,
                        };
                        self.append_frame(frame, &mut bytes)?;
                    }
                    Err(error) => warnings.push(format!("{}: {error}", entry.meta.name)),
                }
            }
        }
        Ok(warnings)
    }

    /// Adds a compressed frame.
    pub(super) fn append_frame(&mut self, mut frame: PackFrame, bytes: &mut dyn io::Read) -> io::Result<()> {
        let mut frame_hasher = blake3::Hasher::new();
        let mut chunk = vec![0; 128 * 1024];
        let (offset, mut length) = (self.length, 0);
        loop {
            let read = bytes.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            frame_hasher.update(&chunk[..read]);
            self.write_bytes(&chunk[..read])?;
            length += read as u64;
        }
        (frame.offset, frame.length, frame.frame_digest) =
            (offset, length, frame_hasher.finalize().to_hex().to_string());
        self.frames.push(frame);
        Ok(())
    }

    /// Writes the index and returns the digest of the pack.
    pub(super) fn finish(&mut self) -> io::Result<String> {
        let index = serde_json::to_vec(&serde_json::json!({ "version": MANIFEST_VERSION, "frames": self.frames }))?;
        let length = u32::try_from(index.len()).map_err(io::Error::other)?;
        self.write_bytes(&SKIPPABLE_FRAME_MAGIC.to_le_bytes())?;
        self.write_bytes(&length.to_le_bytes())?;
        self.write_bytes(&index)?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

fn compress_entry(entry: &StoreEntry) -> io::Result<(tempfile::SpooledTempFile, u64)> {
    let mut encoder = zstd::Encoder::new(tempfile::SpooledTempFile::new(MAX_BUFFERED_BYTES), COMPRESSION_LEVEL)?;
    let uncompressed_length = write_frame(entry, &mut encoder)?;
    Ok((encoder.finish()?, uncompressed_length))
}

//! Packs: a zstd frame for each entry, followed by an index that zstd readers skip.

use super::manifest::{MANIFEST_VERSION, PackFrame};
use crate::cache::store::{
    EntryId, EntryKind, PublishOutcome, StagedEntry, Store, StoreEntry, StoreError, TreeNode, TreeNodeKind, UvPlacement,
};
use crate::fs::{LockedTempDir, parallel_map};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// First bytes of the content of every frame; the digit is the version.
const FRAME_MAGIC: &[u8; 5] = b"nxe2\n";
/// Maximum length of a header in bytes: enough for the paths of a million files.
const MAX_HEADER_BYTES: u64 = 256 << 20;

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<String>,
    uv_placements: Vec<UvPlacementHeader>,
    nodes: Vec<FrameItem>,
}

/// A placement in a uv cache, and the size of each of uv's own files.
#[derive(Serialize, Deserialize)]
struct UvPlacementHeader {
    placement: UvPlacement,
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
        let mut file = fs_err::File::open(tree.join(&node.path))?.take(size);
        if io::copy(&mut file, out)? != size {
            return Err(io::Error::other(format!("{} is shorter than listed", node.path)));
        }
        length += size;
    }
    Ok(length)
}

/// Imports the content of a frame into the store; `expected_tree` is the tree digest that it must have.
pub(super) fn read_frame(
    store: &Store,
    id: &EntryId,
    content: &mut dyn Read,
    expected_tree: Option<&str>,
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
        return Err(FrameError::WrongEntry(header.entry));
    }
    let refused = |reason: String| FrameError::Refused(reason);
    let mut staged = store.stage_entry(id, &header.name).map_err(|error| refused(error.to_string()))?;
    staged.set_members(header.members);
    for placement in header.uv_placements {
        let mut files = Vec::new();
        for size in placement.file_sizes {
            // Limits memory: these files have a few kilobytes.
            let mut file = Vec::new();
            content.take(size.min(16 << 20)).read_to_end(&mut file).map_err(damaged)?;
            files.push(file);
        }
        if is_uv_placement_valid(id, &placement.placement, &files) {
            staged.add_placement(placement.placement, files);
        }
    }
    stage_items(&mut staged, header.nodes, content)?;
    staged
        .publish(expected_tree)
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

/// Returns whether uv's files contain the digest of this wheel and, unless uv built it, the pointer file contains the name of
/// its tree.
fn is_uv_placement_valid(id: &EntryId, placement: &UvPlacement, files: &[Vec<u8>]) -> bool {
    let digest = id.id().get(..64).unwrap_or_default();
    let tree = placement.tree_path().rsplit('/').next().unwrap_or_default();
    let contains = |file: &Vec<u8>, text: &str| {
        !text.is_empty() && file.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let names_wheel = files.iter().any(|file| contains(file, digest));
    let names_tree = id.kind == EntryKind::BuiltWheel || files.last().is_some_and(|pointer| contains(pointer, tree));
    placement.kind() == Some(id.kind) && files.len() == placement.files().len() && names_wheel && names_tree
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

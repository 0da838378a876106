//! Packs: a zstd frame for each entry, followed by an index that zstd readers skip.

use super::manifest::{MANIFEST_VERSION, PackFrame};
use crate::cache::store::{
    EntryId, EntryKind, PublishOutcome, StagedEntry, Store, StoreEntry, StoreError, TreeNode, TreeNodeKind, UvPlacement,
};
use crate::fs::{LockedTempDir, parallel_map};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What every frame's content begins with; the digit is its version.
const FRAME_MAGIC: &[u8; 5] = b"nxe2\n";
/// The longest header that is read: paths of a million files.
const MAX_HEADER_BYTES: u64 = 256 << 20;

/// Why a frame is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// It is no frame of a version that is known.
    #[error("its frame is damaged: {0}")]
    Damaged(String),
    /// It holds something else than was asked for.
    #[error("its frame is of {0}")]
    WrongEntry(String),
    /// The store refused it.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct FrameHeader {
    entry: String,
    name: String,
    /// The entries that an environment is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requires: Vec<String>,
    uv_placements: Vec<UvPlacementHeader>,
    nodes: Vec<FrameItem>,
}

/// uv's own files of one place, their sizes in order.
#[derive(Serialize, Deserialize)]
struct UvPlacementHeader {
    placement: UvPlacement,
    file_sizes: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FrameItem {
    /// Path, size, whether it may be run.
    File(String, u64, bool),
    /// Path, target.
    Symlink(String, String),
    EmptyDir(String),
}

/// Writes an entry's content, not compressed, and gives how long it is.
pub(super) fn write_frame(entry: &StoreEntry, out: &mut dyn Write) -> io::Result<u64> {
    let placings = entry.placements();
    let item = |listed: &TreeNode| match &listed.kind {
        TreeNodeKind::File { size, executable, .. } => FrameItem::File(listed.path.clone(), *size, *executable),
        TreeNodeKind::Symlink { target } => FrameItem::Symlink(listed.path.clone(), target.clone()),
        TreeNodeKind::EmptyFolder => FrameItem::EmptyDir(listed.path.clone()),
    };
    let place = |(facts, files): &(UvPlacement, Vec<Vec<u8>>)| UvPlacementHeader {
        placement: facts.clone(),
        file_sizes: files.iter().map(|file| file.len() as u64).collect(),
    };
    let header = FrameHeader {
        entry: entry.id.to_string(),
        name: entry.meta.name.clone(),
        // A wheel says itself what it asks for.
        requires: if entry.id.kind.has_record() { Vec::new() } else { entry.meta.requires.clone() },
        uv_placements: placings.iter().map(place).collect(),
        nodes: entry.manifest.nodes.iter().map(item).collect(),
    };
    let header = serde_json::to_vec(&header)?;
    out.write_all(FRAME_MAGIC)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut length = (FRAME_MAGIC.len() + 8 + header.len()) as u64;
    for file in placings.iter().flat_map(|(_, files)| files) {
        out.write_all(file)?;
        length += file.len() as u64;
    }
    let tree = entry.tree_path();
    for listed in &entry.manifest.nodes {
        let TreeNodeKind::File { size, .. } = listed.kind else { continue };
        let mut file = fs_err::File::open(tree.join(&listed.path))?.take(size);
        if io::copy(&mut file, out)? != size {
            return Err(io::Error::other(format!("{} is shorter than listed", listed.path)));
        }
        length += size;
    }
    Ok(length)
}

/// Reads a frame's content into the store; `tree` is the digest it must have, where that is known from elsewhere than
/// the store it comes from.
pub(super) fn read_frame(
    store: &Store,
    id: &EntryId,
    content: &mut dyn Read,
    tree: Option<&str>,
) -> Result<PublishOutcome, FrameError> {
    let damaged = |error: io::Error| FrameError::Damaged(error.to_string());
    let mut magic = [0; 5];
    content.read_exact(&mut magic).map_err(damaged)?;
    if &magic != FRAME_MAGIC {
        return Err(FrameError::Damaged("it begins otherwise".to_owned()));
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
    let refused = |why: String| FrameError::Refused(why);
    let mut incoming = store.stage_entry(id, &header.name).map_err(|error| refused(error.to_string()))?;
    if !id.kind.has_record() {
        incoming.set_requires(header.requires);
    }
    for place in header.uv_placements {
        let mut files = Vec::new();
        for size in place.file_sizes {
            // A pointer is half a kilobyte, metadata a few.
            let mut file = Vec::new();
            content.take(size.min(16 << 20)).read_to_end(&mut file).map_err(damaged)?;
            files.push(file);
        }
        if is_uv_placement_valid(id, &place.placement, &files) {
            incoming.add_placement(place.placement, files);
        }
    }
    stage_items(&mut incoming, header.nodes, content)?;
    incoming.publish(tree).map_err(|found| {
        let first = found.first().map(|damage| format!("{}: {}", damage.path, damage.corruption)).unwrap_or_default();
        refused(first.trim_start_matches(": ").to_owned())
    })
}

fn stage_items(
    incoming: &mut StagedEntry<'_>,
    items: Vec<FrameItem>,
    content: &mut dyn Read,
) -> Result<(), FrameError> {
    for item in items {
        let taken = match &item {
            FrameItem::File(path, size, executable) => {
                incoming.add_file(path, *executable, *size, &mut content.take(*size))
            }
            FrameItem::Symlink(path, target) => incoming.add_symlink(path, target),
            FrameItem::EmptyDir(path) => incoming.add_empty_folder(path),
        };
        taken.map_err(|damage| FrameError::Refused(format!("{}: {}", damage.path, damage.corruption)))?;
    }
    Ok(())
}

/// Whether uv's files are of this wheel and, for one that was fetched, its pointer names the tree that stands beside it:
/// by the bytes they must hold.
fn is_uv_placement_valid(id: &EntryId, placing: &UvPlacement, files: &[Vec<u8>]) -> bool {
    let digest = id.id().get(..64).unwrap_or_default();
    let tree = placing.tree_path.rsplit('/').next().unwrap_or_default();
    let holds =
        |file: &Vec<u8>, text: &str| !text.is_empty() && file.windows(text.len()).any(|part| part == text.as_bytes());
    let of_wheel = files.iter().any(|file| holds(file, digest));
    let of_tree = id.kind == EntryKind::BuiltWheel || files.last().is_some_and(|pointer| holds(pointer, tree));
    files.len() == placing.files.len() && of_wheel && of_tree
}

/// How hard it is compressed: what costs less than sending the bytes saved.
const COMPRESSION_LEVEL: i32 = 3;
/// The number of a frame that readers of zstd skip.
const SKIPPABLE_FRAME_MAGIC: u32 = 0x184D_2A5E;
/// Entries that are compressed at once; their frames lie in memory or in files until they are written.
const COMPRESSION_BATCH: usize = 16;
/// A frame that is larger waits in a file.
const MAX_BUFFERED_BYTES: usize = 16 << 20;

/// A pack that is not yet sent.
#[derive(Debug)]
pub(super) struct PackWriter {
    /// Its bytes.
    pub(super) file: File,
    /// Its frames; the key of the pack is not yet in them.
    pub(super) frames: Vec<PackFrame>,
    /// How long it is.
    pub(super) length: u64,
    hasher: blake3::Hasher,
    _temp_dir: LockedTempDir,
}

impl PackWriter {
    /// An empty pack in the store's own space.
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        let workspace = store.create_workspace()?;
        let unusable = |source: io::Error| StoreError::Unusable { path: store.root().to_path_buf(), source };
        let made = File::options().read(true).write(true).create_new(true).open(workspace.path().join("pack"));
        Ok(Self {
            file: made.map_err(unusable)?,
            frames: Vec::new(),
            length: 0,
            hasher: blake3::Hasher::new(),
            _temp_dir: workspace,
        })
    }

    /// Adds entries, compressed side by side. One that cannot be read is named and left out.
    pub(super) fn add_entries(&mut self, entries: &[StoreEntry], today: i64) -> io::Result<Vec<String>> {
        let mut left_out = Vec::new();
        for batch in entries.chunks(COMPRESSION_BATCH) {
            for (entry, made) in batch.iter().zip(parallel_map(batch, compress_entry)) {
                match made {
                    Ok((mut bytes, raw)) => {
                        let length = bytes.seek(SeekFrom::End(0))?;
                        bytes.seek(SeekFrom::Start(0))?;
                        let mut buckets: Vec<String> =
                            entry.placements().into_iter().map(|(placing, _)| placing.bucket).collect();
                        buckets.sort();
                        buckets.dedup();
                        let frame = PackFrame {
                            entry: entry.id.to_string(),
                            name: entry.meta.name.clone(),
                            pack: String::new(),
                            offset: self.length,
                            length,
                            uncompressed_length: raw,
                            frame_digest: String::new(),
                            tree_digest: entry.meta.tree_digest.clone(),
                            buckets,
                            last_used_day: today,
                        };
                        self.append_frame(frame, &mut bytes)?;
                    }
                    Err(error) => left_out.push(format!("{}: {error}", entry.meta.name)),
                }
            }
        }
        Ok(left_out)
    }

    /// Adds a frame whose bytes are there already.
    pub(super) fn append_frame(&mut self, mut frame: PackFrame, bytes: &mut dyn io::Read) -> io::Result<()> {
        let mut own = blake3::Hasher::new();
        let mut chunk = vec![0; 128 * 1024];
        let (offset, mut length) = (self.length, 0);
        loop {
            let read = bytes.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            own.update(&chunk[..read]);
            self.write_bytes(&chunk[..read])?;
            length += read as u64;
        }
        (frame.offset, frame.length, frame.frame_digest) = (offset, length, own.finalize().to_hex().to_string());
        self.frames.push(frame);
        Ok(())
    }

    /// Closes it with its index; gives its digest, which is its name.
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
    let raw = write_frame(entry, &mut encoder)?;
    Ok((encoder.finish()?, raw))
}

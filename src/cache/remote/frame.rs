//! One entry as one zstd frame: its tree and uv's own files, read only into the store, which verifies them.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::cache::store::{
    EntryId, EntryKind, PublishOutcome, StagedEntry, Store, StoreEntry, TreeNode, TreeNodeKind, UvPlacement,
};

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

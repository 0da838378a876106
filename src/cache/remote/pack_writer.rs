//! A pack in the making: frames one behind the other, an index behind them that zstd passes over.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::frame;
use super::manifest::{MANIFEST_VERSION, PackFrame};
use crate::cache::store::{Store, StoreEntry, StoreError};
use crate::fs::{LockedTempDir, parallel_map};

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
    let raw = frame::write_frame(entry, &mut encoder)?;
    Ok((encoder.finish()?, raw))
}

//! Verification of all entries: every file is read and compared with the listing and with `RECORD`.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::cache::options::StoreOptions;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileStat, is_symlink_contained, parallel_map, sha256_file, walk_tree};

use super::damage::{Damage, EntryDamage};
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::pyc_format::find_bytecode_damage;
use super::store_dir::Store;
use super::tree_listing::{TreeNode, TreeNodeKind};
use super::wheel_record::find_wheel_record_damage;

/// Bytes that a thread reads before it starts the next chunk of an entry.
const CHUNK_BYTES: u64 = 16 << 20;

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Number of entries checked.
    pub entries: u64,
    /// Number of files read.
    pub files: u64,
    /// Number of bytes read.
    pub bytes: u64,
    /// Damage found.
    pub damaged: Vec<EntryDamage>,
    /// Paths below `entries/` that do not belong to an entry.
    pub unknown_paths: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

impl VerifyReport {
    /// Returns whether no damage was found.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.unknown_paths.is_empty()
    }
}

impl Store {
    /// Reads every file of every entry and reports all damage. Changes nothing.
    pub fn verify_entries(&self, progress: &dyn ProgressReporter) -> VerifyReport {
        let started = Instant::now();
        let ids = self.entry_ids();
        let amounts: Vec<Option<WorkAmount>> = parallel_map(&ids, |id| {
            let meta = self.entry_meta(id).ok()?;
            Some(WorkAmount { entries: 1, files: meta.files, bytes: meta.bytes })
        });
        progress.start_phase(CachePhase::Verify, amounts.iter().flatten().copied().sum());
        // Large entries first, so that all threads finish at about the same time.
        let mut order: Vec<(EntryId, u64)> =
            ids.into_iter().zip(amounts).map(|(id, amount)| (id, amount.map_or(0, |amount| amount.bytes))).collect();
        order.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let (large, small): (Vec<_>, Vec<_>) = order.into_iter().partition(|(_, bytes)| *bytes > 2 * CHUNK_BYTES);
        let mut report = VerifyReport::default();
        for (id, _) in &large {
            report.merge(self.verify_entry(id, progress, true));
        }
        for found in parallel_map(&small, |(id, _)| self.verify_entry(id, progress, false)) {
            report.merge(found);
        }
        report.damaged.sort_by(|a, b| (&a.name, &a.entry, &a.path).cmp(&(&b.name, &b.entry, &b.path)));
        report.unknown_paths = self.find_unknown_paths();
        report.seconds = started.elapsed().as_secs_f64();
        progress.finish_phase();
        report
    }

    /// Verifies one entry, with all threads if `parallel` is set.
    pub(super) fn verify_entry(&self, id: &EntryId, progress: &dyn ProgressReporter, parallel: bool) -> VerifyReport {
        let damage_at =
            |name: &str, path: String, damage| EntryDamage { entry: id.clone(), name: name.to_owned(), path, damage };
        let mut report = VerifyReport { entries: 1, ..VerifyReport::default() };
        let entry = match self.open_entry(id) {
            Ok(Some(entry)) => entry,
            // Pruned since its ID was read.
            Ok(None) => return VerifyReport::default(),
            Err(damage) => {
                report.damaged.push(damage_at("", String::new(), damage));
                return report;
            }
        };
        report.files = entry.meta.files;
        report.bytes = entry.meta.bytes;
        let mut damaged_paths = self.find_tree_damage(&entry);
        damaged_paths.extend(find_content_damage(&entry, progress, parallel));
        if id.kind.has_wheel_record() && damaged_paths.is_empty() {
            damaged_paths.extend(find_wheel_record_damage(&entry.listing, &entry.tree_path()));
        }
        if id.kind == EntryKind::Environment && damaged_paths.is_empty() {
            damaged_paths.extend(self.find_layout_damage(&entry));
        }
        if id.kind == EntryKind::Bytecode && damaged_paths.is_empty() {
            damaged_paths.extend(find_bytecode_damage(&entry.listing, &entry.tree_path()));
        }
        damaged_paths.extend(entry.find_placement_damage());
        progress.advance(WorkAmount { entries: 1, ..WorkAmount::default() });
        report.damaged =
            damaged_paths.into_iter().map(|(path, damage)| damage_at(&entry.meta.name, path, damage)).collect();
        report
    }

    /// Returns the damage that can be found without reading files: unlisted and missing paths, types, links, sizes.
    fn find_tree_damage(&self, entry: &StoreEntry) -> Vec<(String, Damage)> {
        let tree = entry.tree_path();
        let found = match walk_tree(&tree) {
            Ok(found) => found,
            Err(error) => return vec![(String::new(), Damage::Unreadable(error.to_string()))],
        };
        let mut damaged_paths = Vec::new();
        if entry.listing.tree_digest() != entry.meta.tree_digest {
            damaged_paths.push((String::new(), Damage::InvalidMeta("the tree has another digest".to_owned())));
        }
        if entry.listing.total_bytes() > self.options.max_entry_size {
            damaged_paths.push((String::new(), Damage::TooLarge { limit: self.options.max_entry_size, unit: "bytes" }));
        }
        if entry.listing.nodes.len() > StoreOptions::MAX_ENTRY_FILES {
            damaged_paths
                .push((String::new(), Damage::TooLarge { limit: StoreOptions::MAX_ENTRY_FILES as u64, unit: "files" }));
        }
        let mut listed: HashMap<&Path, &TreeNode> =
            entry.listing.nodes.iter().map(|node| (Path::new(&node.path), node)).collect();
        for (path, stat) in found {
            let name = || path.to_string_lossy().into_owned();
            match listed.remove(path.as_path()) {
                Some(node) => {
                    damaged_paths
                        .extend(find_node_damage(entry, node, &tree.join(&path), &stat).map(|damage| (name(), damage)));
                }
                None if stat.is_dir() => {}
                None if !stat.is_file() && !stat.is_symlink() => damaged_paths.push((name(), Damage::FileTypeMismatch)),
                None => damaged_paths.push((name(), Damage::Unlisted)),
            }
        }
        let mut missing: Vec<&Path> = listed.into_keys().collect();
        missing.sort();
        damaged_paths.extend(missing.into_iter().map(|path| (path.to_string_lossy().into_owned(), Damage::Missing)));
        damaged_paths
    }

    /// Returns paths below `entries/` that are not those of an entry.
    fn find_unknown_paths(&self) -> Vec<String> {
        let entries = self.root().join("entries");
        let names = |directory: &Path| -> Vec<String> {
            let found = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let mut names: Vec<String> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        let mut unknown_paths = Vec::new();
        for name in names(&entries) {
            let Some(kind) = EntryKind::ALL.into_iter().find(|kind| kind.as_str() == name) else {
                unknown_paths.push(format!("entries/{name}"));
                continue;
            };
            for shard in names(&entries.join(&name)) {
                for id in names(&entries.join(&name).join(&shard)) {
                    if EntryId::new(kind, id.clone()).is_none() || !id.starts_with(&shard) {
                        unknown_paths.push(format!("entries/{name}/{shard}/{id}"));
                    }
                }
            }
        }
        unknown_paths
    }
}

impl VerifyReport {
    fn merge(&mut self, other: Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
        self.damaged.extend(other.damaged);
    }
}

fn find_node_damage(entry: &StoreEntry, node: &TreeNode, path: &Path, stat: &FileStat) -> Option<Damage> {
    match &node.kind {
        TreeNodeKind::File { size, executable, .. } => match () {
            () if !stat.is_file() => Some(Damage::FileTypeMismatch),
            () if stat.uid != entry.owner => Some(Damage::ForeignOwner),
            () if stat.has_special_bits() => Some(Damage::SpecialMode),
            () if stat.size != *size => Some(Damage::SizeMismatch { listed: *size, found: stat.size }),
            () if stat.is_executable() != *executable => Some(Damage::PermissionMismatch),
            () => None,
        },
        TreeNodeKind::Symlink { .. } if !stat.is_symlink() => Some(Damage::FileTypeMismatch),
        TreeNodeKind::Symlink { target } => match std::fs::read_link(path) {
            Ok(found) if !is_symlink_contained(Path::new(&node.path), &found) => {
                Some(Damage::EscapingSymlink(found.to_string_lossy().into_owned()))
            }
            Ok(found) if found == Path::new(target) => None,
            _ => Some(Damage::ContentMismatch),
        },
        TreeNodeKind::EmptyDirectory => (!stat.is_dir()).then_some(Damage::FileTypeMismatch),
    }
}

/// Reads every file and compares its digest. Files of a wrong size or type are skipped; `find_tree_damage` reports them.
fn find_content_damage(entry: &StoreEntry, progress: &dyn ProgressReporter, parallel: bool) -> Vec<(String, Damage)> {
    let tree = entry.tree_path();
    let read = |nodes: &[TreeNode]| {
        let mut damaged_paths = Vec::new();
        let mut amount = WorkAmount::default();
        for node in nodes {
            let TreeNodeKind::File { sha256, size, .. } = &node.kind else { continue };
            amount += WorkAmount { entries: 0, files: 1, bytes: *size };
            let path = tree.join(&node.path);
            let is_readable = FileStat::from_path(&path).is_ok_and(|stat| stat.is_file() && stat.size == *size);
            match is_readable.then(|| sha256_file(&path)) {
                Some(Ok((found, _))) if found != *sha256 => {
                    damaged_paths.push((node.path.clone(), Damage::ContentMismatch));
                }
                Some(Err(error)) => damaged_paths.push((node.path.clone(), Damage::Unreadable(error.to_string()))),
                _ => {}
            }
        }
        progress.advance(amount);
        damaged_paths
    };
    if parallel {
        parallel_map(&split_into_chunks(&entry.listing.nodes), |nodes| read(nodes)).concat()
    } else {
        read(&entry.listing.nodes)
    }
}

/// Splits nodes into chunks of about [`CHUNK_BYTES`].
fn split_into_chunks(nodes: &[TreeNode]) -> Vec<&[TreeNode]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, node) in nodes.iter().enumerate() {
        if let TreeNodeKind::File { size, .. } = node.kind {
            bytes += size;
        }
        if bytes >= CHUNK_BYTES || index + 1 == nodes.len() {
            chunks.push(&nodes[start..=index]);
            (start, bytes) = (index + 1, 0);
        }
    }
    chunks
}

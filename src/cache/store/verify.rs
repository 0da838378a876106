//! Every byte of the store read and compared: with the listing, and with the wheel's own RECORD.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::cache::options::CacheOptions;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileStat, is_symlink_contained, parallel_map, sha256_file, walk_tree};

use super::corruption::{Corruption, EntryDamage};
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::pyc_format::find_bytecode_faults;
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};
use super::wheel_record::find_record_faults;

/// Bytes that one thread reads before it takes the next piece of an entry.
const CHUNK_BYTES: u64 = 16 << 20;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Entries looked at.
    pub entries: u64,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Each fault.
    pub damaged: Vec<EntryDamage>,
    /// What lies among the entries and is none.
    pub unknown_paths: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.unknown_paths.is_empty()
    }
}

impl Store {
    /// Reads every file of every entry and names all that is wrong; changes nothing.
    pub fn verify_entries(&self, progress: &dyn ProgressReporter) -> VerifyReport {
        let begun = Instant::now();
        let ids = self.entry_ids();
        let heads: Vec<Option<WorkAmount>> = parallel_map(&ids, |id| {
            let head = self.entry_meta(id).ok()?;
            Some(WorkAmount { entries: 1, files: head.files, bytes: head.bytes })
        });
        progress.start_phase(CachePhase::Verify, heads.iter().flatten().copied().sum());
        // The largest first: the end of the work is then spread evenly.
        let mut order: Vec<(EntryId, u64)> =
            ids.into_iter().zip(heads).map(|(id, amount)| (id, amount.map_or(0, |amount| amount.bytes))).collect();
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
        report.unknown_paths = self.find_stray_paths();
        report.seconds = begun.elapsed().as_secs_f64();
        progress.finish_phase();
        report
    }

    /// Looks at one entry; `spread` reads its files by all threads.
    pub(super) fn verify_entry(&self, id: &EntryId, progress: &dyn ProgressReporter, spread: bool) -> VerifyReport {
        let damage = |name: &str, path: String, wrong| EntryDamage {
            entry: id.clone(),
            name: name.to_owned(),
            path,
            corruption: wrong,
        };
        let mut report = VerifyReport { entries: 1, ..VerifyReport::default() };
        let entry = match self.open_entry(id) {
            Ok(Some(entry)) => entry,
            // Pruned since its name was read.
            Ok(None) => return VerifyReport::default(),
            Err(wrong) => {
                report.damaged.push(damage("", String::new(), wrong));
                return report;
            }
        };
        report.files = entry.meta.files;
        report.bytes = entry.meta.bytes;
        let mut faults = self.find_tree_faults(&entry);
        faults.extend(find_content_faults(&entry, progress, spread));
        if id.kind.has_record() && faults.is_empty() {
            faults.extend(find_record_faults(&entry.manifest, &entry.tree_path()));
        }
        if id.kind == EntryKind::Venv && faults.is_empty() {
            faults.extend(self.find_layout_fault(&entry));
        }
        if id.kind == EntryKind::Bytecode && faults.is_empty() {
            faults.extend(find_bytecode_faults(&entry.manifest, &entry.tree_path()));
        }
        faults.extend(entry.find_placement_faults());
        progress.advance(WorkAmount { entries: 1, ..WorkAmount::default() });
        report.damaged = faults.into_iter().map(|(path, wrong)| damage(&entry.meta.name, path, wrong)).collect();
        report
    }

    /// What is wrong with the shape of a tree: what is there and not listed, kinds of files, links, sizes.
    fn find_tree_faults(&self, entry: &StoreEntry) -> Vec<(String, Corruption)> {
        let tree = entry.tree_path();
        let found = match walk_tree(&tree) {
            Ok(found) => found,
            Err(error) => return vec![(String::new(), Corruption::Unreadable(error.to_string()))],
        };
        let mut faults = Vec::new();
        if entry.manifest.tree_digest() != entry.meta.tree_digest {
            faults.push((String::new(), Corruption::InvalidMeta("the tree is not the one they name".to_owned())));
        }
        if entry.manifest.total_bytes() > self.options.max_entry_size {
            faults.push((String::new(), Corruption::TooLarge { limit: self.options.max_entry_size, unit: "bytes" }));
        }
        if entry.manifest.nodes.len() > CacheOptions::MAX_ENTRY_FILES {
            faults.push((
                String::new(),
                Corruption::TooLarge { limit: CacheOptions::MAX_ENTRY_FILES as u64, unit: "files" },
            ));
        }
        let mut listed: HashMap<&Path, &TreeNode> =
            entry.manifest.nodes.iter().map(|item| (Path::new(&item.path), item)).collect();
        for (path, stamp) in found {
            let name = || path.to_string_lossy().into_owned();
            match listed.remove(path.as_path()) {
                Some(item) => {
                    faults.extend(find_node_fault(item, &tree.join(&path), &stamp).map(|wrong| (name(), wrong)));
                }
                None if stamp.is_dir() => {}
                None if !stamp.is_file() && !stamp.is_symlink() => faults.push((name(), Corruption::FileTypeMismatch)),
                None => faults.push((name(), Corruption::Unlisted)),
            }
        }
        let mut missing: Vec<&Path> = listed.into_keys().collect();
        missing.sort();
        faults.extend(missing.into_iter().map(|path| (path.to_string_lossy().into_owned(), Corruption::Missing)));
        faults
    }

    /// Names among the entries that no entry has.
    fn find_stray_paths(&self) -> Vec<String> {
        let entries = self.root().join("entries");
        let names = |folder: &Path| -> Vec<String> {
            let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<String> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        let mut strays = Vec::new();
        for name in names(&entries) {
            let Some(kind) = EntryKind::ALL.into_iter().find(|kind| kind.as_str() == name) else {
                strays.push(format!("entries/{name}"));
                continue;
            };
            for shelf in names(&entries.join(&name)) {
                for id in names(&entries.join(&name).join(&shelf)) {
                    if EntryId::new(kind, id.clone()).is_none() || !id.starts_with(&shelf) {
                        strays.push(format!("entries/{name}/{shelf}/{id}"));
                    }
                }
            }
        }
        strays
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

fn find_node_fault(item: &TreeNode, path: &Path, stamp: &FileStat) -> Option<Corruption> {
    match &item.kind {
        TreeNodeKind::File { size, executable, .. } => match () {
            () if !stamp.is_file() => Some(Corruption::FileTypeMismatch),
            () if stamp.has_special_bits() => Some(Corruption::SpecialMode),
            () if stamp.size != *size => Some(Corruption::SizeMismatch { listed: *size, found: stamp.size }),
            () if stamp.is_executable() != *executable => Some(Corruption::PermissionMismatch),
            () => None,
        },
        TreeNodeKind::Symlink { .. } if !stamp.is_symlink() => Some(Corruption::FileTypeMismatch),
        TreeNodeKind::Symlink { target } => match std::fs::read_link(path) {
            Ok(found) if !is_symlink_contained(Path::new(&item.path), &found) => {
                Some(Corruption::EscapingSymlink(found.to_string_lossy().into_owned()))
            }
            Ok(found) if found == Path::new(target) => None,
            _ => Some(Corruption::ContentMismatch),
        },
        TreeNodeKind::EmptyFolder => (!stamp.is_dir()).then_some(Corruption::FileTypeMismatch),
    }
}

/// Reads every file and compares its digest; files of a wrong length or kind were named already.
fn find_content_faults(entry: &StoreEntry, progress: &dyn ProgressReporter, spread: bool) -> Vec<(String, Corruption)> {
    let tree = entry.tree_path();
    let read = |items: &[TreeNode]| {
        let mut faults = Vec::new();
        let mut amount = WorkAmount::default();
        for item in items {
            let TreeNodeKind::File { sha256, size, .. } = &item.kind else { continue };
            amount += WorkAmount { entries: 0, files: 1, bytes: *size };
            let path = tree.join(&item.path);
            let sound = FileStat::from_path(&path).is_ok_and(|stamp| stamp.is_file() && stamp.size == *size);
            match sound.then(|| sha256_file(&path)) {
                Some(Ok((found, _))) if found != *sha256 => {
                    faults.push((item.path.clone(), Corruption::ContentMismatch));
                }
                Some(Err(error)) => faults.push((item.path.clone(), Corruption::Unreadable(error.to_string()))),
                _ => {}
            }
        }
        progress.advance(amount);
        faults
    };
    if spread {
        parallel_map(&split_into_chunks(&entry.manifest.nodes), |items| read(items)).concat()
    } else {
        read(&entry.manifest.nodes)
    }
}

/// Cuts a listing where so many bytes are together.
fn split_into_chunks(items: &[TreeNode]) -> Vec<&[TreeNode]> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (number, item) in items.iter().enumerate() {
        if let TreeNodeKind::File { size, .. } = item.kind {
            bytes += size;
        }
        if bytes >= CHUNK_BYTES || number + 1 == items.len() {
            pieces.push(&items[start..=number]);
            (start, bytes) = (number + 1, 0);
        }
    }
    pieces
}

//! Restoring wheels into a uv cache: each file checked and linked, then the tree renamed into place.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::uv::UvCache;
use crate::fs::{FileLinker, FileStat, LinkMode, LockedTempDir, create_dirs, parallel_map, sha256_file, walk_tree};

use super::damage::{Damage, EntryDamage};
use super::entry::StoreEntry;
use super::entry_id::EntryId;
use super::restore_plan::{CacheMiss, PlannedRestore, RestorePlan};
use super::store_dir::Store;
use super::tree_listing::{TreeListing, TreeNode, TreeNodeKind};

/// Number of files that a thread restores before it starts the next chunk.
const FILES_PER_CHUNK: usize = 512;

/// Result of a restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RestoreReport {
    /// Entries restored.
    pub restored: Vec<RestoredEntry>,
    /// Names of packages that were already present and intact.
    pub already_present: Vec<String>,
    /// Packages that could not be restored, and why.
    pub misses: Vec<CacheMiss>,
    /// Damage found. A damaged entry of the store is quarantined and is a miss; a damaged tree in uv's cache is replaced
    /// from the store.
    pub damaged: Vec<EntryDamage>,
    /// Number of files restored.
    pub files: u64,
    /// Total size of these files, in bytes.
    pub bytes: u64,
    /// How files were placed: `clone`, `hardlink` or `copy`; `None` if there were none.
    pub link_mode: Option<&'static str>,
    /// Time spent on checking files, in seconds: the sum of all threads, divided by their number.
    pub check_seconds: f64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// An entry that was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoredEntry {
    /// The entry ID as text, such as `wheel/ab12…`.
    pub entry: String,
    /// Display name, such as `numpy 2.4.5`.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Total size in bytes.
    pub bytes: u64,
}

impl RestoreReport {
    /// Adds the result of another restore of the same run.
    pub(crate) fn merge(&mut self, other: Self) {
        self.restored.extend(other.restored);
        self.already_present.extend(other.already_present);
        self.misses.extend(other.misses);
        self.damaged.extend(other.damaged);
        (self.files, self.bytes) = (self.files + other.files, self.bytes + other.bytes);
        self.link_mode = self.link_mode.or(other.link_mode);
        self.check_seconds += other.check_seconds;
        self.seconds += other.seconds;
    }

    /// Returns whether every requested package is present.
    pub(crate) fn is_complete(&self) -> bool {
        self.misses.is_empty()
    }

    /// Adds the result of restoring a directory.
    pub(crate) fn add_directory(&mut self, result: Result<RestoredEntry, CacheMiss>) {
        match result {
            Ok(restored) if restored.files == 0 => self.already_present.push(restored.name),
            Ok(restored) => {
                self.files += restored.files;
                self.bytes += restored.bytes;
                self.restored.push(restored);
            }
            Err(miss) => self.misses.push(miss),
        }
    }
}

/// Why an environment or directory cannot be restored.
#[derive(Debug, Error)]
pub(super) enum RestoreError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An environment refers to something that is not a wheel.
    #[error("{0} is not a wheel")]
    NotAWheel(String),
    /// A wheel of an environment was pruned.
    #[error("its wheel {0} is not in the store")]
    MissingWheel(EntryId),
    /// A file of an entry is not the one that was saved, or cannot be read.
    #[error("{path}: {damage}")]
    Damaged {
        /// The damaged entry.
        entry: EntryId,
        /// Path of the file.
        path: String,
        /// What is wrong.
        damage: Damage,
    },
}

/// Consecutive nodes of one tree.
struct TreeChunk<'a> {
    tree_index: usize,
    nodes: &'a [TreeNode],
}

impl Store {
    /// Restores and verifies the selected wheels that a uv cache does not contain.
    ///
    /// This never fails: a wheel that cannot be restored is a miss with a reason, and uv downloads it.
    pub fn restore_wheels(
        &self,
        selection: &PackageSelection,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> RestoreReport {
        let started = Instant::now();
        let plan = self.plan_restore(selection, cache);
        let mut report = self.apply_restore(plan, cache, progress);
        report.seconds = started.elapsed().as_secs_f64();
        report
    }

    /// Applies a plan.
    pub(crate) fn apply_restore(
        &self,
        mut plan: RestorePlan,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> RestoreReport {
        let mut report = RestoreReport {
            already_present: std::mem::take(&mut plan.present),
            misses: std::mem::take(&mut plan.misses),
            damaged: std::mem::take(&mut plan.damaged),
            ..RestoreReport::default()
        };
        for damage in report.damaged.iter().filter(|damage| damage.path.is_empty()) {
            self.quarantine_entry(&damage.entry);
        }
        if plan.pending.is_empty() {
            return report;
        }
        let locked = cache.lock_shared().and_then(|lock| Ok((lock, cache.create_workspace()?)));
        let (_lock, workspace) = match locked {
            Ok(locked) => locked,
            Err(error) => {
                let reason = format!("the uv cache cannot be written to: {error}");
                report.misses.extend(plan.pending.iter().map(|planned| entry_miss(&planned.entry, &reason)));
                return report;
            }
        };
        progress.start_phase(CachePhase::Restore, plan.total_amount());
        let linker = FileLinker::new();
        let check_nanoseconds = AtomicU64::new(0);
        let damaged_paths = stage_trees(&plan.pending, workspace.path(), &linker, &check_nanoseconds, progress);
        report.check_seconds = check_nanoseconds.into_inner() as f64 / 1e9 / crate::fs::worker_count() as f64;
        for (index, planned) in plan.pending.iter().enumerate() {
            let damaged_paths = damaged_paths.get(&index).map_or(&[][..], Vec::as_slice);
            let published =
                if damaged_paths.is_empty() { publish_staged_tree(planned, index, cache, &workspace) } else { Ok(()) };
            match (damaged_paths, published) {
                ([], Ok(())) => {
                    self.mark_used(&planned.entry.id);
                    report.files += planned.entry.meta.files;
                    report.bytes += planned.entry.meta.bytes;
                    report.restored.push(RestoredEntry {
                        entry: planned.entry.id.to_string(),
                        name: planned.entry.meta.name.clone(),
                        files: planned.entry.meta.files,
                        bytes: planned.entry.meta.bytes,
                    });
                }
                ([], Err(error)) => report.misses.push(entry_miss(&planned.entry, &error.to_string())),
                (damaged_paths, _) => self.reject_damaged(planned, damaged_paths, cache, &workspace, &mut report),
            }
        }
        report.link_mode = (report.files > 0).then(|| linker.current_mode().as_str());
        progress.finish_phase();
        report
    }

    /// Quarantines and reports a damaged entry, and removes its tree from the uv cache so that uv downloads it again.
    fn reject_damaged(
        &self,
        planned: &PlannedRestore,
        damaged_paths: &[(String, Damage)],
        cache: &UvCache,
        workspace: &LockedTempDir,
        report: &mut RestoreReport,
    ) {
        let mut reason = "damaged and quarantined".to_owned();
        let is_damage = |damage: &Damage| !damage.is_io_error();
        if damaged_paths.iter().any(|(_, damage)| is_damage(damage)) {
            self.quarantine_entry(&planned.entry.id);
        } else if let Some((path, damage)) = damaged_paths.first() {
            // The entry may be intact, and only writing to the uv cache failed, for example on a full disk.
            reason = format!("{path}: {damage}");
        }
        if let Some(tree) = &planned.existing_tree
            && let Err(error) = cache.remove_tree(tree, Some(&planned.placement), workspace)
        {
            reason = format!("damaged in the uv cache too, and cannot be removed there: {error}");
        }
        report.misses.push(entry_miss(&planned.entry, &reason));
        let damage = |(path, damage): &(String, Damage)| EntryDamage {
            entry: planned.entry.id.clone(),
            name: planned.entry.meta.name.clone(),
            path: path.clone(),
            damage: damage.clone(),
        };
        report.damaged.extend(damaged_paths.iter().filter(|(_, damage)| is_damage(damage)).map(damage));
    }

    /// Quarantines the entry that an error names as damaged, and returns the message for the miss.
    pub(super) fn quarantine_damaged(&self, error: &RestoreError) -> String {
        match error {
            RestoreError::Damaged { entry, damage, .. } if !damage.is_io_error() => {
                self.quarantine_entry(entry);
                format!("damaged and quarantined: {error}")
            }
            _ => error.to_string(),
        }
    }

    /// Moves an entry to the quarantine, where it can be inspected.
    pub(super) fn quarantine_entry(&self, id: &EntryId) -> Option<PathBuf> {
        if !self.is_writable() {
            return None;
        }
        create_dirs(&self.quarantine_dir()).ok()?;
        let name = format!("{}-{}", id.kind.as_str(), id.id());
        (0..100).find_map(|index| {
            let target = self.quarantine_dir().join(format!("{name}.{index}"));
            // Renaming onto an existing directory fails, so no quarantined entry is overwritten.
            std::fs::rename(self.entry_path(id), &target).ok().map(|()| target)
        })
    }

    /// Records that an entry was used, at most once an hour to avoid writes.
    pub(super) fn mark_used(&self, id: &EntryId) {
        let recently = |used: std::time::SystemTime| used.elapsed().is_ok_and(|age| age.as_secs() < 3_600);
        if !self.is_writable() || self.last_used(id).is_some_and(recently) {
            return;
        }
        if let Ok(file) = std::fs::OpenOptions::new().append(true).open(self.entry_path(id).join("listing")) {
            // If this fails, the entry only appears older than it is.
            let _ = file.set_modified(std::time::SystemTime::now());
        }
    }
}

fn entry_miss(entry: &StoreEntry, reason: &str) -> CacheMiss {
    CacheMiss { name: entry.meta.name.clone(), reason: reason.to_owned() }
}

/// Writes the trees of a plan below `directory`, and returns the damage by index of the tree.
fn stage_trees(
    planned: &[PlannedRestore],
    directory: &Path,
    linker: &FileLinker,
    check_nanoseconds: &AtomicU64,
    progress: &dyn ProgressReporter,
) -> BTreeMap<usize, Vec<(String, Damage)>> {
    let mut damaged_paths: BTreeMap<usize, Vec<(String, Damage)>> = BTreeMap::new();
    let indices: Vec<usize> = (0..planned.len()).collect();
    let nodes = |index: usize| &planned[index].entry.listing.nodes;
    let created = parallel_map(&indices, |index| create_directories(nodes(*index), &directory.join(index.to_string())));
    let mut tree_chunks = Vec::new();
    for (index, result) in created.into_iter().enumerate() {
        match result {
            Ok(()) => tree_chunks
                .extend(nodes(index).chunks(FILES_PER_CHUNK).map(|nodes| TreeChunk { tree_index: index, nodes })),
            Err(error) => {
                damaged_paths.entry(index).or_default().push((String::new(), Damage::Unreadable(error.to_string())));
            }
        }
        progress.advance(WorkAmount { entries: 1, files: 0, bytes: 0 });
    }
    let found = parallel_map(&tree_chunks, |chunk| {
        let (from, to) = (planned[chunk.tree_index].entry.tree_path(), directory.join(chunk.tree_index.to_string()));
        let mut found = Vec::new();
        let mut amount = WorkAmount::default();
        let mut check_time = Duration::ZERO;
        for node in chunk.nodes {
            let source = from.join(&node.path);
            let started = Instant::now();
            let verified = verify_stored_file(&planned[chunk.tree_index].entry, node, &source, linker);
            check_time += started.elapsed();
            if let Err(damage) = verified.and_then(|()| link_node(node, &source, &to.join(&node.path), linker)) {
                found.push((node.path.clone(), damage));
            }
            if let TreeNodeKind::File { size, .. } = node.kind {
                amount += WorkAmount { entries: 0, files: 1, bytes: size };
            }
        }
        check_nanoseconds.fetch_add(u64::try_from(check_time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        progress.advance(amount);
        found
    });
    for (chunk, found) in tree_chunks.iter().zip(found) {
        if !found.is_empty() {
            damaged_paths.entry(chunk.tree_index).or_default().extend(found);
        }
    }
    damaged_paths
}

/// Creates the directories of a tree, each once: in a sorted listing the files of a directory are adjacent.
fn create_directories(nodes: &[TreeNode], root: &Path) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut last: Option<&Path> = None;
    for node in nodes {
        let path = Path::new(&node.path);
        let directory = if node.kind == TreeNodeKind::EmptyDirectory { Some(path) } else { path.parent() };
        let Some(directory) = directory.filter(|directory| Some(*directory) != last) else { continue };
        last = Some(directory);
        match std::fs::create_dir(root.join(directory)) {
            Ok(()) => {}
            Err(_) => std::fs::create_dir_all(root.join(directory))?,
        }
    }
    Ok(())
}

/// Checks that a file of an entry is still the one that was verified.
pub(super) fn verify_stored_file(
    entry: &StoreEntry,
    node: &TreeNode,
    from: &Path,
    linker: &FileLinker,
) -> Result<(), Damage> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, changed } = &node.kind else { return Ok(()) };
    let stat = FileStat::from_path(from)?;
    if !stat.is_file() {
        return Err(Damage::FileTypeMismatch);
    }
    if stat.uid != entry.owner {
        return Err(Damage::ForeignOwner);
    }
    if stat.has_special_bits() {
        return Err(Damage::SpecialMode);
    }
    if stat.size != *size {
        return Err(Damage::SizeMismatch { listed: *size, found: stat.size });
    }
    if stat.is_executable() != *executable {
        return Err(Damage::PermissionMismatch);
    }
    // Creating a hard link changes the inode's change time, so with hard links only the modification time is compared.
    let is_same_file = stat.inode == *inode && stat.mtime_ns == *modified;
    let is_inode_changed = linker.current_mode() == LinkMode::Clone && stat.ctime_ns != *changed;
    if (!is_same_file || is_inode_changed) && sha256_file(from)?.0 != *sha256 {
        return Err(Damage::ContentMismatch);
    }
    Ok(())
}

fn link_node(node: &TreeNode, from: &Path, to: &Path, linker: &FileLinker) -> Result<(), Damage> {
    match &node.kind {
        TreeNodeKind::EmptyDirectory => Ok(()),
        TreeNodeKind::Symlink { target } => Ok(std::os::unix::fs::symlink(target, to)?),
        TreeNodeKind::File { .. } => Ok(linker.link_file(from, to)?),
    }
}

/// Returns whether a tree has exactly the files of a listing, comparing all bytes.
fn is_tree_of(listing: &TreeListing, tree: &Path) -> bool {
    let listed: BTreeMap<&Path, &TreeNodeKind> =
        listing.nodes.iter().map(|node| (Path::new(node.path.as_str()), &node.kind)).collect();
    let Ok(found) = walk_tree(tree) else { return false };
    let is_listed = |(path, stat): &(PathBuf, FileStat)| match listed.get(path.as_path()) {
        Some(TreeNodeKind::File { sha256, executable, .. }) => {
            stat.is_file()
                && stat.is_executable() == *executable
                && sha256_file(&tree.join(path)).is_ok_and(|(found, _)| found == *sha256)
        }
        Some(TreeNodeKind::Symlink { target }) => {
            std::fs::read_link(tree.join(path)).is_ok_and(|found| found == Path::new(target))
        }
        Some(TreeNodeKind::EmptyDirectory) => stat.is_dir(),
        None => stat.is_dir() && listed.keys().any(|listed| listed.starts_with(path)),
    };
    found.iter().all(is_listed)
        && found.iter().filter(|(path, _)| listed.contains_key(path.as_path())).count() == listed.len()
}

fn publish_staged_tree(
    planned: &PlannedRestore,
    index: usize,
    cache: &UvCache,
    workspace: &LockedTempDir,
) -> io::Result<()> {
    let staged = workspace.path().join(index.to_string());
    match &planned.existing_tree {
        None => cache.publish_tree(&staged, &planned.placement, &planned.placement_files, workspace, &|tree| {
            is_tree_of(&planned.entry.listing, tree)
        }),
        Some(tree) => {
            cache.remove_tree(tree, None, workspace)?;
            std::fs::rename(&staged, tree)
        }
    }
}

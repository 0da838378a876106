//! Entries put to where they are used: linked file by file, each looked at, the tree renamed into place at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cache::package_selection::PackageSelection;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::cache::uv::UvCache;
use crate::fs::{FileLinker, FileStat, LinkMode, LockedTempDir, parallel_map, sha256_file};

use super::corruption::{Corruption, EntryDamage};
use super::entry::StoreEntry;
use super::entry_id::EntryId;
use super::restore_plan::{CacheMiss, PlannedRestore, RestorePlan};
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};

/// So many files are put down by one thread before it takes the next.
const FILES_PER_CHUNK: usize = 512;

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RestoreReport {
    /// What was put down.
    pub restored: Vec<RestoredEntry>,
    /// What was there already and whole.
    pub already_present: Vec<String>,
    /// What could not be had, and why.
    pub misses: Vec<CacheMiss>,
    /// What was damaged and is put aside; each of it is a miss too, unless it could be put right.
    pub damaged: Vec<EntryDamage>,
    /// Files put down.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How files were put down: `clone`, `hardlink` or `copy`; none where there were none.
    pub link_mode: Option<&'static str>,
    /// How much of the time went into looking at files before they were put down, by all threads together over their number.
    pub check_seconds: f64,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that was put down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoredEntry {
    /// The entry, such as `wheel/ab12…`.
    pub entry: String,
    /// Its name and version.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl RestoreReport {
    /// Adds what another restore of the same run did.
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

    /// Whether everything wanted is here now.
    pub(crate) fn is_complete(&self) -> bool {
        self.misses.is_empty()
    }

    /// Adds what became of a folder.
    pub(crate) fn add_folder(&mut self, done: Result<RestoredEntry, CacheMiss>) {
        match done {
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

/// Some files of one tree.
struct TreeChunk<'a> {
    tree_index: usize,
    nodes: &'a [TreeNode],
}

impl Store {
    /// Puts what is wanted into a uv cache: the part that is not here yet, verified as it goes.
    ///
    /// It does not fail: what cannot be had is a miss with its reason, and uv fetches that.
    pub fn restore_wheels(
        &self,
        wanted: &PackageSelection,
        cache: &UvCache,
        progress: &dyn ProgressReporter,
    ) -> RestoreReport {
        let begun = Instant::now();
        let plan = self.plan_restore(wanted, cache);
        let mut report = self.apply_restore(plan, cache, progress);
        report.seconds = begun.elapsed().as_secs_f64();
        report
    }

    /// Carries a plan out.
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
        let held = cache.lock_shared().and_then(|lease| Ok((lease, cache.create_workspace()?)));
        let (_lease, workspace) = match held {
            Ok(held) => held,
            Err(error) => {
                let reason = format!("the uv cache cannot be written to: {error}");
                report.misses.extend(plan.pending.iter().map(|to| entry_miss(&to.entry, &reason)));
                return report;
            }
        };
        progress.start_phase(CachePhase::Restore, plan.total_amount());
        let linker = FileLinker::new();
        let checked = AtomicU64::new(0);
        let faults = stage_trees(&plan.pending, workspace.path(), &linker, &checked, progress);
        report.check_seconds = checked.into_inner() as f64 / 1e9 / crate::fs::worker_count() as f64;
        for (number, to) in plan.pending.iter().enumerate() {
            let faults = faults.get(&number).map_or(&[][..], Vec::as_slice);
            let published = if faults.is_empty() { publish_staged_tree(to, number, cache, &workspace) } else { Ok(()) };
            match (faults, published) {
                ([], Ok(())) => {
                    self.mark_used(&to.entry.id);
                    report.files += to.entry.meta.files;
                    report.bytes += to.entry.meta.bytes;
                    report.restored.push(RestoredEntry {
                        entry: to.entry.id.to_string(),
                        name: to.entry.meta.name.clone(),
                        files: to.entry.meta.files,
                        bytes: to.entry.meta.bytes,
                    });
                }
                ([], Err(error)) => report.misses.push(entry_miss(&to.entry, &error.to_string())),
                (faults, _) => self.reject_damaged(to, faults, cache, &workspace, &mut report),
            }
        }
        report.link_mode = (report.files > 0).then(|| linker.current_mode().as_str());
        progress.finish_phase();
        report
    }

    /// Puts a damaged entry aside and names it; what the uv cache has of it goes too, so that uv fetches it anew.
    fn reject_damaged(
        &self,
        to: &PlannedRestore,
        faults: &[(String, Corruption)],
        cache: &UvCache,
        workspace: &LockedTempDir,
        report: &mut RestoreReport,
    ) {
        let mut reason = "damaged, put aside".to_owned();
        let hurts = |wrong: &Corruption| !wrong.is_io_error();
        if faults.iter().any(|(_, wrong)| hurts(wrong)) {
            self.quarantine_entry(&to.entry.id);
        } else if let Some((path, wrong)) = faults.first() {
            // The store may be sound and only the way to the uv cache blocked: a full disk, say.
            reason = format!("{path}: {wrong}");
        }
        if let Some(tree) = &to.existing_tree
            && let Err(error) = cache.remove_tree(tree, Some(&to.placement), workspace)
        {
            reason = format!("damaged in the uv cache too, and it cannot be removed there: {error}");
        }
        report.misses.push(entry_miss(&to.entry, &reason));
        let damage = |(path, wrong): &(String, Corruption)| EntryDamage {
            entry: to.entry.id.clone(),
            name: to.entry.meta.name.clone(),
            path: path.clone(),
            corruption: wrong.clone(),
        };
        report.damaged.extend(faults.iter().filter(|(_, wrong)| hurts(wrong)).map(damage));
    }

    /// Moves an entry out of the way, to where people can look at it.
    pub(super) fn quarantine_entry(&self, id: &EntryId) -> Option<PathBuf> {
        if !self.is_writable() {
            return None;
        }
        std::fs::create_dir_all(self.quarantine_dir()).ok()?;
        let name = format!("{}-{}", id.kind.as_str(), id.id());
        (0..100).find_map(|number| {
            let place = self.quarantine_dir().join(format!("{name}.{number}"));
            // Onto a folder that is there a rename fails, so nothing put aside is lost.
            std::fs::rename(self.entry_path(id), &place).ok().map(|()| place)
        })
    }

    /// Notes that an entry was used; to the hour, so that restoring writes next to nothing.
    pub(super) fn mark_used(&self, id: &EntryId) {
        let recently = |used: std::time::SystemTime| used.elapsed().is_ok_and(|age| age.as_secs() < 3_600);
        if !self.is_writable() || self.last_used(id).is_some_and(recently) {
            return;
        }
        if let Ok(file) = std::fs::OpenOptions::new().append(true).open(self.entry_path(id).join("manifest")) {
            // A use that is not noted only makes the entry look older than it is.
            let _ = file.set_modified(std::time::SystemTime::now());
        }
    }
}

fn entry_miss(entry: &StoreEntry, reason: &str) -> CacheMiss {
    CacheMiss { name: entry.meta.name.clone(), reason: reason.to_owned() }
}

/// Puts every file of the plan below `folder`, tree by tree; gives what was wrong, by the number of the tree.
fn stage_trees(
    planned: &[PlannedRestore],
    folder: &Path,
    linker: &FileLinker,
    checked: &AtomicU64,
    progress: &dyn ProgressReporter,
) -> BTreeMap<usize, Vec<(String, Corruption)>> {
    let mut faults: BTreeMap<usize, Vec<(String, Corruption)>> = BTreeMap::new();
    let numbers: Vec<usize> = (0..planned.len()).collect();
    let items = |number: usize| &planned[number].entry.manifest.nodes;
    let made = parallel_map(&numbers, |number| create_folders(items(*number), &folder.join(number.to_string())));
    let mut chunks = Vec::new();
    for (number, made) in made.into_iter().enumerate() {
        match made {
            Ok(()) => chunks.extend(
                items(number).chunks(FILES_PER_CHUNK).map(|items| TreeChunk { tree_index: number, nodes: items }),
            ),
            Err(error) => {
                faults.entry(number).or_default().push((String::new(), Corruption::Unreadable(error.to_string())));
            }
        }
        progress.advance(WorkAmount { entries: 1, files: 0, bytes: 0 });
    }
    let found = parallel_map(&chunks, |chunk| {
        let (from, to) = (planned[chunk.tree_index].entry.tree_path(), folder.join(chunk.tree_index.to_string()));
        let mut found = Vec::new();
        let mut amount = WorkAmount::default();
        let mut looking = Duration::ZERO;
        for item in chunk.nodes {
            let place = from.join(&item.path);
            let begun = Instant::now();
            let looked = verify_stored_file(item, &place, linker);
            looking += begun.elapsed();
            if let Err(wrong) = looked.and_then(|()| link_node(item, &place, &to.join(&item.path), linker)) {
                found.push((item.path.clone(), wrong));
            }
            if let TreeNodeKind::File { size, .. } = item.kind {
                amount += WorkAmount { entries: 0, files: 1, bytes: size };
            }
        }
        checked.fetch_add(u64::try_from(looking.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        progress.advance(amount);
        found
    });
    for (chunk, found) in chunks.iter().zip(found) {
        if !found.is_empty() {
            faults.entry(chunk.tree_index).or_default().extend(found);
        }
    }
    faults
}

/// Makes the folders of a tree, each once: a sorted listing names a folder's files together.
fn create_folders(items: &[TreeNode], root: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut last: Option<&Path> = None;
    for item in items {
        let path = Path::new(&item.path);
        let folder = if item.kind == TreeNodeKind::EmptyFolder { Some(path) } else { path.parent() };
        let Some(folder) = folder.filter(|folder| Some(*folder) != last) else { continue };
        last = Some(folder);
        match std::fs::create_dir(root.join(folder)) {
            Ok(()) => {}
            Err(_) => std::fs::create_dir_all(root.join(folder))?,
        }
    }
    Ok(())
}

/// Whether what the store has is still what was verified.
pub(super) fn verify_stored_file(item: &TreeNode, from: &Path, linker: &FileLinker) -> Result<(), Corruption> {
    let TreeNodeKind::File { sha256, size, executable, inode, modified, changed } = &item.kind else { return Ok(()) };
    let stamp = FileStat::from_path(from)?;
    if !stamp.is_file() {
        return Err(Corruption::FileTypeMismatch);
    }
    if stamp.has_special_bits() {
        return Err(Corruption::SpecialMode);
    }
    if stamp.size != *size {
        return Err(Corruption::SizeMismatch { listed: *size, found: stamp.size });
    }
    if stamp.is_executable() != *executable {
        return Err(Corruption::PermissionMismatch);
    }
    // A hard link moves the time of change, so among these only the time of the last write tells.
    let untouched = stamp.inode == *inode && stamp.mtime_ns == *modified;
    let touched = linker.current_mode() == LinkMode::Clone && stamp.ctime_ns != *changed;
    if (!untouched || touched) && sha256_file(from)?.0 != *sha256 {
        return Err(Corruption::ContentMismatch);
    }
    Ok(())
}

fn link_node(item: &TreeNode, from: &Path, to: &Path, linker: &FileLinker) -> Result<(), Corruption> {
    match &item.kind {
        TreeNodeKind::EmptyFolder => Ok(()),
        TreeNodeKind::Symlink { target } => Ok(std::os::unix::fs::symlink(target, to)?),
        TreeNodeKind::File { .. } => Ok(linker.link_file(from, to)?),
    }
}

fn publish_staged_tree(
    to: &PlannedRestore,
    number: usize,
    cache: &UvCache,
    workspace: &LockedTempDir,
) -> std::io::Result<()> {
    let staged = workspace.path().join(number.to_string());
    match &to.existing_tree {
        None => cache.publish_tree(&staged, &to.placement, &to.placement_files, workspace),
        Some(tree) => {
            cache.remove_tree(tree, None, workspace)?;
            std::fs::rename(&staged, tree)
        }
    }
}

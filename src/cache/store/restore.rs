//! Entries put to where they are used: linked file by file, each looked at, the tree renamed into place at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cache::progress::{Amount, Phase, Progress};
use crate::cache::uv::UvCache;
use crate::cache::wanted::Wanted;
use crate::fs::{LinkMode, Linker, Stamp, Workspace, in_parallel, sha256_of};

use super::entry::Entry;
use super::id::EntryId;
use super::listing::{Listed, What};
use super::restore_plan::{Miss, RestorePlan, ToPlace};
use super::root::Store;
use super::wrong::{Damage, Wrong};

/// So many files are put down by one thread before it takes the next.
const CHUNK: usize = 512;

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RestoreReport {
    /// What was put down.
    pub restored: Vec<Restored>,
    /// What was there already and whole.
    pub here: Vec<String>,
    /// What could not be had, and why.
    pub misses: Vec<Miss>,
    /// What was damaged and is put aside; each of it is a miss too, unless it could be put right.
    pub damaged: Vec<Damage>,
    /// Files put down.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How files were put down: `clone`, `hardlink` or `copy`; none where there were none.
    pub link: Option<&'static str>,
    /// How much of the time went into looking at files before they were put down, by all threads together over their number.
    pub check_seconds: f64,
    /// How long it took.
    pub seconds: f64,
}

/// One entry that was put down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
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
    pub fn add(&mut self, other: Self) {
        self.restored.extend(other.restored);
        self.here.extend(other.here);
        self.misses.extend(other.misses);
        self.damaged.extend(other.damaged);
        (self.files, self.bytes) = (self.files + other.files, self.bytes + other.bytes);
        self.link = self.link.or(other.link);
        self.check_seconds += other.check_seconds;
        self.seconds += other.seconds;
    }

    /// Whether everything wanted is here now.
    pub fn is_complete(&self) -> bool {
        self.misses.is_empty()
    }

    /// Adds what became of a folder.
    pub fn add_folder(&mut self, done: Result<Restored, Miss>) {
        match done {
            Ok(restored) if restored.files == 0 => self.here.push(restored.name),
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
struct Chunk<'a> {
    tree: usize,
    items: &'a [Listed],
}

impl Store {
    /// Puts what is wanted into a uv cache: the part that is not here yet, verified as it goes.
    ///
    /// It does not fail: what cannot be had is a miss with its reason, and uv fetches that.
    pub fn restore(&self, wanted: &Wanted, cache: &UvCache, progress: &dyn Progress) -> RestoreReport {
        let begun = Instant::now();
        let plan = self.plan_restore(wanted, cache);
        let mut report = self.apply_restore(plan, cache, progress);
        report.seconds = begun.elapsed().as_secs_f64();
        report
    }

    /// Carries a plan out.
    pub fn apply_restore(&self, mut plan: RestorePlan, cache: &UvCache, progress: &dyn Progress) -> RestoreReport {
        let mut report = RestoreReport {
            here: std::mem::take(&mut plan.here),
            misses: std::mem::take(&mut plan.misses),
            damaged: std::mem::take(&mut plan.damaged),
            ..RestoreReport::default()
        };
        for damage in report.damaged.iter().filter(|damage| damage.path.is_empty()) {
            self.put_aside(&damage.entry);
        }
        if plan.place.is_empty() {
            return report;
        }
        let held = cache.lease().and_then(|lease| Ok((lease, cache.workspace()?)));
        let (_lease, workspace) = match held {
            Ok(held) => held,
            Err(error) => {
                let reason = format!("the uv cache cannot be written to: {error}");
                report.misses.extend(plan.place.iter().map(|to| miss(&to.entry, &reason)));
                return report;
            }
        };
        progress.begin(Phase::Restore, plan.amount());
        let linker = Linker::new();
        let checked = AtomicU64::new(0);
        let faults = put_down(&plan.place, workspace.path(), &linker, &checked, progress);
        report.check_seconds = checked.into_inner() as f64 / 1e9 / crate::fs::threads() as f64;
        for (number, to) in plan.place.iter().enumerate() {
            let faults = faults.get(&number).map_or(&[][..], Vec::as_slice);
            let published = if faults.is_empty() { publish(to, number, cache, &workspace) } else { Ok(()) };
            match (faults, published) {
                ([], Ok(())) => {
                    self.touch(&to.entry.id);
                    report.files += to.entry.head.files;
                    report.bytes += to.entry.head.bytes;
                    report.restored.push(Restored {
                        entry: to.entry.id.to_string(),
                        name: to.entry.head.name.clone(),
                        files: to.entry.head.files,
                        bytes: to.entry.head.bytes,
                    });
                }
                ([], Err(error)) => report.misses.push(miss(&to.entry, &error.to_string())),
                (faults, _) => self.refuse(to, faults, cache, &workspace, &mut report),
            }
        }
        report.link = (report.files > 0).then(|| linker.mode().as_str());
        progress.end();
        report
    }

    /// Puts a damaged entry aside and names it; what the uv cache has of it goes too, so that uv fetches it anew.
    fn refuse(
        &self,
        to: &ToPlace,
        faults: &[(String, Wrong)],
        cache: &UvCache,
        workspace: &Workspace,
        report: &mut RestoreReport,
    ) {
        let mut reason = "damaged, put aside".to_owned();
        let hurts = |wrong: &Wrong| !wrong.is_of_the_system();
        if faults.iter().any(|(_, wrong)| hurts(wrong)) {
            self.put_aside(&to.entry.id);
        } else if let Some((path, wrong)) = faults.first() {
            // The store may be sound and only the way to the uv cache blocked: a full disk, say.
            reason = format!("{path}: {wrong}");
        }
        if let Some(tree) = &to.only_tree
            && let Err(error) = cache.remove(tree, Some(&to.placing), workspace)
        {
            reason = format!("damaged in the uv cache too, and it cannot be removed there: {error}");
        }
        report.misses.push(miss(&to.entry, &reason));
        let damage = |(path, wrong): &(String, Wrong)| Damage {
            entry: to.entry.id.clone(),
            name: to.entry.head.name.clone(),
            path: path.clone(),
            wrong: wrong.clone(),
        };
        report.damaged.extend(faults.iter().filter(|(_, wrong)| hurts(wrong)).map(damage));
    }

    /// Moves an entry out of the way, to where people can look at it.
    pub(super) fn put_aside(&self, id: &EntryId) -> Option<PathBuf> {
        if !self.is_writable() {
            return None;
        }
        std::fs::create_dir_all(self.aside()).ok()?;
        let name = format!("{}-{}", id.kind.as_str(), id.id());
        (0..100).find_map(|number| {
            let place = self.aside().join(format!("{name}.{number}"));
            // Onto a folder that is there a rename fails, so nothing put aside is lost.
            std::fs::rename(self.place(id), &place).ok().map(|()| place)
        })
    }

    /// Notes that an entry was used; to the hour, so that restoring writes next to nothing.
    pub(super) fn touch(&self, id: &EntryId) {
        let recently = |used: std::time::SystemTime| used.elapsed().is_ok_and(|age| age.as_secs() < 3_600);
        if !self.is_writable() || self.last_used(id).is_some_and(recently) {
            return;
        }
        if let Ok(file) = std::fs::OpenOptions::new().append(true).open(self.place(id).join("facts")) {
            // A use that is not noted only makes the entry look older than it is.
            let _ = file.set_modified(std::time::SystemTime::now());
        }
    }
}

fn miss(entry: &Entry, reason: &str) -> Miss {
    Miss { name: entry.head.name.clone(), reason: reason.to_owned() }
}

/// Puts every file of the plan below `folder`, tree by tree; gives what was wrong, by the number of the tree.
fn put_down(
    planned: &[ToPlace],
    folder: &Path,
    linker: &Linker,
    checked: &AtomicU64,
    progress: &dyn Progress,
) -> BTreeMap<usize, Vec<(String, Wrong)>> {
    let mut faults: BTreeMap<usize, Vec<(String, Wrong)>> = BTreeMap::new();
    let numbers: Vec<usize> = (0..planned.len()).collect();
    let items = |number: usize| &planned[number].entry.listing.items;
    let made = in_parallel(&numbers, |number| make_folders(items(*number), &folder.join(number.to_string())));
    let mut chunks = Vec::new();
    for (number, made) in made.into_iter().enumerate() {
        match made {
            Ok(()) => chunks.extend(items(number).chunks(CHUNK).map(|items| Chunk { tree: number, items })),
            Err(error) => faults.entry(number).or_default().push((String::new(), Wrong::Unreadable(error.to_string()))),
        }
        progress.advance(Amount { entries: 1, files: 0, bytes: 0 });
    }
    let found = in_parallel(&chunks, |chunk| {
        let (from, to) = (planned[chunk.tree].entry.tree(), folder.join(chunk.tree.to_string()));
        let mut found = Vec::new();
        let mut amount = Amount::default();
        let mut looking = Duration::ZERO;
        for item in chunk.items {
            let place = from.join(&item.path);
            let begun = Instant::now();
            let looked = look(item, &place, linker);
            looking += begun.elapsed();
            if let Err(wrong) = looked.and_then(|()| put_item(item, &place, &to.join(&item.path), linker)) {
                found.push((item.path.clone(), wrong));
            }
            if let What::File { size, .. } = item.what {
                amount += Amount { entries: 0, files: 1, bytes: size };
            }
        }
        checked.fetch_add(u64::try_from(looking.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        progress.advance(amount);
        found
    });
    for (chunk, found) in chunks.iter().zip(found) {
        if !found.is_empty() {
            faults.entry(chunk.tree).or_default().extend(found);
        }
    }
    faults
}

/// Makes the folders of a tree, each once: a sorted listing names a folder's files together.
fn make_folders(items: &[Listed], root: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut last: Option<&Path> = None;
    for item in items {
        let path = Path::new(&item.path);
        let folder = if item.what == What::Folder { Some(path) } else { path.parent() };
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
pub(super) fn look(item: &Listed, from: &Path, linker: &Linker) -> Result<(), Wrong> {
    let What::File { sha256, size, executable, inode, modified, changed } = &item.what else { return Ok(()) };
    let stamp = Stamp::of(from)?;
    if !stamp.is_file() {
        return Err(Wrong::FileKind);
    }
    if stamp.is_special() {
        return Err(Wrong::Special);
    }
    if stamp.size != *size {
        return Err(Wrong::Size { listed: *size, found: stamp.size });
    }
    if stamp.is_executable() != *executable {
        return Err(Wrong::Permissions);
    }
    // A hard link moves the time of change, so among these only the time of the last write tells.
    let untouched = stamp.inode == *inode && stamp.modified == *modified;
    let touched = linker.mode() == LinkMode::Clone && stamp.changed != *changed;
    if (!untouched || touched) && sha256_of(from)?.0 != *sha256 {
        return Err(Wrong::Content);
    }
    Ok(())
}

fn put_item(item: &Listed, from: &Path, to: &Path, linker: &Linker) -> Result<(), Wrong> {
    match &item.what {
        What::Folder => Ok(()),
        What::Link { target } => Ok(std::os::unix::fs::symlink(target, to)?),
        What::File { .. } => Ok(linker.put(from, to)?),
    }
}

fn publish(to: &ToPlace, number: usize, cache: &UvCache, workspace: &Workspace) -> std::io::Result<()> {
    let staged = workspace.path().join(number.to_string());
    match &to.only_tree {
        None => cache.publish(&staged, &to.placing, &to.files, workspace),
        Some(tree) => {
            cache.remove(tree, None, workspace)?;
            std::fs::rename(&staged, tree)
        }
    }
}

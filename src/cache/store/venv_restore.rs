//! An environment put back to its place: its wheels' files by links, its own as copies, all of it at once.

use std::io;
use std::path::Path;

use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileLinker, FileStat, LockedTempDir, parallel_map};

use super::corruption::Corruption;
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::restore::{RestoredEntry, verify_stored_file};
use super::restore_plan::CacheMiss;
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};
use super::venv_layout::{VenvLayout, VenvNode, VenvNodeSource};
use super::venv_save::VenvSpec;

/// So many things are put down by one thread before it takes the next.
const NODES_PER_CHUNK: usize = 512;

/// Why an environment cannot be had: a sentence, and the entry at fault where one is damaged.
struct VenvRestoreError(String, Option<EntryId>);

impl From<io::Error> for VenvRestoreError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string(), None)
    }
}

impl Store {
    /// Puts an environment to its place, where nothing may be yet; all of it or nothing.
    ///
    /// # Errors
    /// Why it cannot be had. What is damaged is put aside.
    pub fn restore_venv(&self, kept: &VenvSpec, progress: &dyn ProgressReporter) -> Result<RestoredEntry, CacheMiss> {
        let miss = |reason: String| CacheMiss { name: kept.display_name(), reason };
        if FileStat::from_path(&kept.path).is_ok() {
            return Err(miss("there is one already".to_owned()));
        }
        let Some(entry) = self.latest_version(EntryKind::Venv, &kept.key) else {
            return Err(miss(CacheMiss::NOT_STORED.to_owned()));
        };
        // One that was brought from elsewhere was taken in here later than it was made: its name says when.
        let made = entry.id.split_version().map(|(_, time)| time);
        if kept.not_before.is_some_and(|time| made.is_none_or(|made| made < time.as_nanosecond())) {
            return Err(miss("it was made longer ago than max-age".to_owned()));
        }
        let done = self.build_venv(&entry, kept, progress);
        done.map_err(|VenvRestoreError(reason, damaged)| match damaged {
            Some(id) => {
                self.quarantine_entry(&id);
                miss(format!("damaged, put aside: {reason}"))
            }
            None => miss(reason),
        })
    }

    fn build_venv(
        &self,
        entry: &StoreEntry,
        kept: &VenvSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, VenvRestoreError> {
        let damaged =
            |wrong: Corruption| VenvRestoreError(format!("{}: {wrong}", VenvLayout::FILE_NAME), Some(entry.id.clone()));
        let parts = VenvLayout::from_entry(entry).map_err(damaged)?;
        if Path::new(&parts.path) != kept.path || Path::new(&parts.python) != kept.python {
            return Err(damaged(Corruption::InvalidMeta("it is of another place or interpreter".to_owned())));
        }
        let wheels = self.open_venv_wheels(&parts).map_err(|(name, damage)| VenvRestoreError(name, damage))?;
        let placed = parts.resolve_nodes(&entry.manifest, &wheels).map_err(damaged)?;
        let parent = kept.path.parent().unwrap_or(&kept.path);
        fs_err::create_dir_all(parent)?;
        LockedTempDir::remove_stale(parent);
        let workspace = LockedTempDir::create_in(parent)?;
        let new = workspace.path().join("new");
        let total: WorkAmount = placed.iter().map(node_amount).sum();
        progress.start_phase(CachePhase::Restore, WorkAmount { entries: 1, ..total });
        let put = write_nodes(&placed, &VenvSources { own: entry, wheels: &wheels }, &new, progress);
        progress.advance(WorkAmount { entries: 1, ..WorkAmount::default() });
        progress.finish_phase();
        put?;
        for (path, time) in &parts.modified_times {
            set_modified_time(&new.join(path), *time)?;
        }
        std::fs::rename(&new, &kept.path)?;
        for used in wheels.iter().chain([entry]) {
            self.mark_used(&used.id);
        }
        let (id, name) = (entry.id.to_string(), entry.meta.name.clone());
        Ok(RestoredEntry { entry: id, name, files: total.files, bytes: total.bytes })
    }

    /// What is wrong with what an environment is said to be made of; a wheel that is not here is no fault.
    pub(super) fn find_layout_fault(&self, entry: &StoreEntry) -> Option<(String, Corruption)> {
        let composed = VenvLayout::from_entry(entry).and_then(|parts| match self.open_venv_wheels(&parts) {
            Ok(wheels) => parts.resolve_nodes(&entry.manifest, &wheels).map(drop),
            Err(_) => Ok(()),
        });
        composed.err().map(|wrong| (VenvLayout::FILE_NAME.to_owned(), wrong))
    }

    /// The wheels of an environment, held; else which is missing, and which entry is damaged.
    fn open_venv_wheels(&self, parts: &VenvLayout) -> Result<Vec<StoreEntry>, (String, Option<EntryId>)> {
        let mut wheels = Vec::new();
        for part in &parts.wheels {
            let named = EntryId::parse(&part.entry);
            let Some(id) = named.filter(|id| id.kind.has_record()) else {
                return Err((format!("{} is no wheel", part.entry), None));
            };
            match self.open_entry(&id) {
                Ok(Some(wheel)) => wheels.push(wheel),
                Ok(None) => return Err((format!("{id}, which is in it, is not in the store"), None)),
                Err(wrong) => return Err((format!("{id}: {wrong}"), Some(id))),
            }
        }
        Ok(wheels)
    }
}

/// What an environment is put together from.
struct VenvSources<'a> {
    own: &'a StoreEntry,
    wheels: &'a [StoreEntry],
}

fn node_amount(placed: &VenvNode<'_>) -> WorkAmount {
    match &placed.source {
        VenvNodeSource::OwnFile(item) | VenvNodeSource::WheelFile(_, item) => match item.kind {
            TreeNodeKind::File { size, .. } => WorkAmount { entries: 0, files: 1, bytes: size },
            _ => WorkAmount::default(),
        },
        VenvNodeSource::Symlink(_) | VenvNodeSource::EmptyFolder => WorkAmount::default(),
    }
}

fn write_nodes(
    placed: &[VenvNode<'_>],
    trees: &VenvSources<'_>,
    new: &Path,
    progress: &dyn ProgressReporter,
) -> Result<(), VenvRestoreError> {
    std::fs::create_dir(new)?;
    let mut last: Option<&Path> = None;
    for thing in placed {
        let path = Path::new(&thing.path);
        let folder = if thing.source == VenvNodeSource::EmptyFolder { Some(path) } else { path.parent() };
        let Some(folder) = folder.filter(|folder| Some(*folder) != last) else { continue };
        last = Some(folder);
        if std::fs::create_dir(new.join(folder)).is_err() {
            std::fs::create_dir_all(new.join(folder))?;
        }
    }
    let linkers = (FileLinker::without_hardlinks(), FileLinker::new());
    let chunks: Vec<&[VenvNode<'_>]> = placed.chunks(NODES_PER_CHUNK).collect();
    let put = parallel_map(&chunks, |chunk| {
        let done = chunk.iter().try_for_each(|thing| write_node(thing, trees, new, &linkers));
        progress.advance(chunk.iter().map(node_amount).sum());
        done
    });
    put.into_iter().collect()
}

fn write_node(
    thing: &VenvNode<'_>,
    trees: &VenvSources<'_>,
    new: &Path,
    linkers: &(FileLinker, FileLinker),
) -> Result<(), VenvRestoreError> {
    let to = new.join(&thing.path);
    let put = |entry: &StoreEntry, item: &TreeNode, linker: &FileLinker| {
        let from = entry.tree_path().join(&item.path);
        let done = verify_stored_file(item, &from, linker).and_then(|()| Ok(linker.link_file(&from, &to)?));
        done.map_err(|wrong| {
            let damaged = (!wrong.is_io_error()).then(|| entry.id.clone());
            VenvRestoreError(format!("{}: {wrong}", thing.path), damaged)
        })
    };
    match &thing.source {
        VenvNodeSource::OwnFile(item) => put(trees.own, item, &linkers.0),
        VenvNodeSource::WheelFile(number, item) => put(&trees.wheels[*number], item, &linkers.1),
        VenvNodeSource::Symlink(target) => Ok(std::os::unix::fs::symlink(target, &to)?),
        VenvNodeSource::EmptyFolder => Ok(()),
    }
}

fn set_modified_time(path: &Path, nanoseconds: i64) -> io::Result<()> {
    let since = std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH + since);
    std::fs::File::open(path)?.set_times(times)
}

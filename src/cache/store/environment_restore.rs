//! Restoring of session environments: files of wheels as links, other files as copies, published with one rename.

use std::io;
use std::path::Path;

use crate::cache::options::StoreOptions;
use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileLinker, FileStat, LockedTempDir, parallel_map};

use super::damage::Damage;
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::environment_layout::{EnvironmentLayout, EnvironmentNode, EnvironmentNodeSource};
use super::environment_save::EnvironmentSpec;
use super::restore::{RestoreError, RestoredEntry, verify_stored_file};
use super::restore_plan::CacheMiss;
use super::store_dir::Store;
use super::tree_listing::{TreeNode, TreeNodeKind};

/// Number of files that a thread writes before it starts the next chunk.
const NODES_PER_CHUNK: usize = 512;

impl Store {
    /// Restores an environment to its path, where nothing may exist.
    ///
    /// # Errors
    /// The reason why it cannot be restored; nothing is then written. A damaged entry is quarantined.
    pub fn restore_environment(
        &self,
        spec: &EnvironmentSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, CacheMiss> {
        let miss = |reason: String| CacheMiss { name: spec.display_name(), reason };
        if FileStat::from_path(&spec.path).is_ok() {
            return Err(miss("it already exists".to_owned()));
        }
        let Some(entry) = self.latest_version(EntryKind::Environment, &spec.key) else {
            return Err(miss(CacheMiss::NOT_STORED.to_owned()));
        };
        // A downloaded entry was added to this store later than the environment was saved: its ID has the right time.
        let saved_at = entry.id.split_version().map(|(_, time)| time);
        if spec.not_before.is_some_and(|time| saved_at.is_none_or(|saved_at| saved_at < time.as_nanosecond())) {
            return Err(miss("it is older than max-age".to_owned()));
        }
        self.build_environment(&entry, spec, progress).map_err(|error| miss(self.quarantine_damaged(&error)))
    }

    fn build_environment(
        &self,
        entry: &StoreEntry,
        spec: &EnvironmentSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, RestoreError> {
        let invalid_layout = |damage: Damage| RestoreError::Damaged {
            entry: entry.id.clone(),
            path: EnvironmentLayout::FILE_NAME.to_owned(),
            damage,
        };
        let layout = EnvironmentLayout::from_entry(entry).map_err(invalid_layout)?;
        if Path::new(&layout.path) != spec.path || Path::new(&layout.python) != spec.python {
            return Err(invalid_layout(Damage::InvalidMeta("for another path or interpreter".to_owned())));
        }
        let wheels = self.open_environment_wheels(&layout)?;
        let nodes = layout.resolve_nodes(&entry.listing, &wheels).map_err(invalid_layout)?;
        let parent = spec.path.parent().unwrap_or(&spec.path);
        fs_err::create_dir_all(parent)?;
        LockedTempDir::remove_stale(parent);
        let workspace = LockedTempDir::create_in(parent)?;
        let staged = workspace.path().join("new");
        let total: WorkAmount = nodes.iter().map(node_amount).sum();
        progress.start_phase(CachePhase::Restore, WorkAmount { entries: 1, ..total });
        let written = write_nodes(&nodes, &EnvironmentSources { own: entry, wheels: &wheels }, &staged, progress);
        progress.advance(WorkAmount { entries: 1, ..WorkAmount::default() });
        progress.finish_phase();
        written?;
        for (path, time) in &layout.modified_times {
            set_modified_time(&staged.join(path), *time)?;
        }
        std::fs::rename(&staged, &spec.path)?;
        for used in wheels.iter().chain([entry]) {
            self.mark_used(&used.id);
        }
        let (id, name) = (entry.id.to_string(), entry.meta.name.clone());
        Ok(RestoredEntry { entry: id, name, files: total.files, bytes: total.bytes })
    }

    /// Checks the layout of an environment's entry. A wheel that is not in the store is not damage.
    pub(super) fn find_layout_damage(&self, entry: &StoreEntry) -> Option<(String, Damage)> {
        let checked =
            EnvironmentLayout::from_entry(entry).and_then(|layout| match self.open_environment_wheels(&layout) {
                Ok(wheels) => layout.resolve_nodes(&entry.listing, &wheels).map(drop),
                Err(_) => Ok(()),
            });
        checked.err().map(|damage| (EnvironmentLayout::FILE_NAME.to_owned(), damage))
    }

    fn open_environment_wheels(&self, layout: &EnvironmentLayout) -> Result<Vec<StoreEntry>, RestoreError> {
        let (mut opened, mut files): (Vec<StoreEntry>, usize) = (Vec::new(), 0);
        for wheel in &layout.wheels {
            let id = EntryId::parse(&wheel.entry).filter(|id| id.kind.has_wheel_record());
            let id = id.ok_or_else(|| RestoreError::NotAWheel(wheel.entry.clone()))?;
            match self.open_entry(&id) {
                Ok(Some(entry)) => opened.push(entry),
                Ok(None) => return Err(RestoreError::MissingWheel(id)),
                Err(damage) => return Err(RestoreError::Damaged { path: id.to_string(), entry: id, damage }),
            }
            files += opened.last().map_or(0, |entry| entry.listing.nodes.len());
            if files > StoreOptions::MAX_ENTRY_FILES {
                // `resolve_nodes` refuses so many, whatever the others contain.
                break;
            }
        }
        Ok(opened)
    }
}

/// The entries that an environment is built from.
struct EnvironmentSources<'a> {
    own: &'a StoreEntry,
    wheels: &'a [StoreEntry],
}

fn node_amount(node: &EnvironmentNode<'_>) -> WorkAmount {
    match &node.source {
        EnvironmentNodeSource::OwnFile(file) | EnvironmentNodeSource::WheelFile(_, file) => match file.kind {
            TreeNodeKind::File { size, .. } => WorkAmount { entries: 0, files: 1, bytes: size },
            _ => WorkAmount::default(),
        },
        EnvironmentNodeSource::Symlink(_) | EnvironmentNodeSource::EmptyDirectory => WorkAmount::default(),
    }
}

fn write_nodes(
    nodes: &[EnvironmentNode<'_>],
    sources: &EnvironmentSources<'_>,
    root: &Path,
    progress: &dyn ProgressReporter,
) -> Result<(), RestoreError> {
    std::fs::create_dir(root)?;
    let mut last: Option<&Path> = None;
    for node in nodes {
        let path = Path::new(&node.path);
        let directory = if node.source == EnvironmentNodeSource::EmptyDirectory { Some(path) } else { path.parent() };
        let Some(directory) = directory.filter(|directory| Some(*directory) != last) else { continue };
        last = Some(directory);
        if std::fs::create_dir(root.join(directory)).is_err() {
            std::fs::create_dir_all(root.join(directory))?;
        }
    }
    let linkers = (FileLinker::without_hardlinks(), FileLinker::new());
    let chunks: Vec<&[EnvironmentNode<'_>]> = nodes.chunks(NODES_PER_CHUNK).collect();
    let results = parallel_map(&chunks, |chunk| {
        let result = chunk.iter().try_for_each(|node| write_node(node, sources, root, &linkers));
        progress.advance(chunk.iter().map(node_amount).sum());
        result
    });
    results.into_iter().collect()
}

fn write_node(
    node: &EnvironmentNode<'_>,
    sources: &EnvironmentSources<'_>,
    root: &Path,
    (copier, linker): &(FileLinker, FileLinker),
) -> Result<(), RestoreError> {
    let target = root.join(&node.path);
    let place_file = |entry: &StoreEntry, file: &TreeNode, linker: &FileLinker| {
        let source = entry.tree_path().join(&file.path);
        let placed =
            verify_stored_file(entry, file, &source, linker).and_then(|()| Ok(linker.link_file(&source, &target)?));
        placed.map_err(|damage| RestoreError::Damaged { entry: entry.id.clone(), path: node.path.clone(), damage })
    };
    match &node.source {
        EnvironmentNodeSource::OwnFile(file) => place_file(sources.own, file, copier),
        EnvironmentNodeSource::WheelFile(wheel_index, file) => place_file(&sources.wheels[*wheel_index], file, linker),
        EnvironmentNodeSource::Symlink(link_target) => Ok(std::os::unix::fs::symlink(link_target, &target)?),
        EnvironmentNodeSource::EmptyDirectory => Ok(()),
    }
}

fn set_modified_time(path: &Path, nanoseconds: i64) -> io::Result<()> {
    let since_epoch = std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH + since_epoch);
    std::fs::File::open(path)?.set_times(times)
}

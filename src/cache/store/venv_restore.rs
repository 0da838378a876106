//! Restoring of session environments: files of wheels as links, other files as copies, published with one rename.

use std::io;
use std::path::Path;

use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileLinker, FileStat, LockedTempDir, parallel_map};

use super::corruption::Corruption;
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind};
use super::restore::{RestoreError, RestoredEntry, verify_stored_file};
use super::restore_plan::CacheMiss;
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};
use super::venv_layout::{VenvLayout, VenvNode, VenvNodeSource};
use super::venv_save::VenvSpec;

/// Number of files that a thread writes before it starts the next chunk.
const NODES_PER_CHUNK: usize = 512;

impl Store {
    /// Restores an environment to its path, where nothing may exist.
    ///
    /// # Errors
    /// The reason why it cannot be restored; nothing is then written. A damaged entry is quarantined.
    pub fn restore_venv(&self, spec: &VenvSpec, progress: &dyn ProgressReporter) -> Result<RestoredEntry, CacheMiss> {
        let miss = |reason: String| CacheMiss { name: spec.display_name(), reason };
        if FileStat::from_path(&spec.path).is_ok() {
            return Err(miss("it already exists".to_owned()));
        }
        let Some(entry) = self.latest_version(EntryKind::Venv, &spec.key) else {
            return Err(miss(CacheMiss::NOT_STORED.to_owned()));
        };
        // A downloaded entry was added to this store later than the environment was saved: its ID has the right time.
        let saved_at = entry.id.split_version().map(|(_, time)| time);
        if spec.not_before.is_some_and(|time| saved_at.is_none_or(|saved_at| saved_at < time.as_nanosecond())) {
            return Err(miss("it is older than max-age".to_owned()));
        }
        self.build_venv(&entry, spec, progress).map_err(|error| miss(self.quarantine_damaged(&error)))
    }

    fn build_venv(
        &self,
        entry: &StoreEntry,
        spec: &VenvSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, RestoreError> {
        let invalid_layout = |corruption: Corruption| RestoreError::Damaged {
            entry: entry.id.clone(),
            path: VenvLayout::FILE_NAME.to_owned(),
            corruption,
        };
        let layout = VenvLayout::from_entry(entry).map_err(invalid_layout)?;
        if Path::new(&layout.path) != spec.path || Path::new(&layout.python) != spec.python {
            return Err(invalid_layout(Corruption::InvalidMeta("for another path or interpreter".to_owned())));
        }
        let wheels = self.open_venv_wheels(&layout)?;
        let nodes = layout.resolve_nodes(&entry.manifest, &wheels).map_err(invalid_layout)?;
        let parent = spec.path.parent().unwrap_or(&spec.path);
        fs_err::create_dir_all(parent)?;
        LockedTempDir::remove_stale(parent);
        let workspace = LockedTempDir::create_in(parent)?;
        let staged = workspace.path().join("new");
        let total: WorkAmount = nodes.iter().map(node_amount).sum();
        progress.start_phase(CachePhase::Restore, WorkAmount { entries: 1, ..total });
        let written = write_nodes(&nodes, &VenvSources { own: entry, wheels: &wheels }, &staged, progress);
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

    /// Checks the layout of an environment's entry. A wheel that is not in the store is not a fault.
    pub(super) fn find_layout_fault(&self, entry: &StoreEntry) -> Option<(String, Corruption)> {
        let checked = VenvLayout::from_entry(entry).and_then(|layout| match self.open_venv_wheels(&layout) {
            Ok(wheels) => layout.resolve_nodes(&entry.manifest, &wheels).map(drop),
            Err(_) => Ok(()),
        });
        checked.err().map(|corruption| (VenvLayout::FILE_NAME.to_owned(), corruption))
    }

    fn open_venv_wheels(&self, layout: &VenvLayout) -> Result<Vec<StoreEntry>, RestoreError> {
        let open = |wheel: &super::venv_layout::VenvWheel| {
            let id = EntryId::parse(&wheel.entry).filter(|id| id.kind.has_record());
            let id = id.ok_or_else(|| RestoreError::NotAWheel(wheel.entry.clone()))?;
            match self.open_entry(&id) {
                Ok(Some(entry)) => Ok(entry),
                Ok(None) => Err(RestoreError::MissingWheel(id)),
                Err(corruption) => Err(RestoreError::Damaged { path: id.to_string(), entry: id, corruption }),
            }
        };
        layout.wheels.iter().map(open).collect()
    }
}

/// The entries that an environment is built from.
struct VenvSources<'a> {
    own: &'a StoreEntry,
    wheels: &'a [StoreEntry],
}

fn node_amount(node: &VenvNode<'_>) -> WorkAmount {
    match &node.source {
        VenvNodeSource::OwnFile(file) | VenvNodeSource::WheelFile(_, file) => match file.kind {
            TreeNodeKind::File { size, .. } => WorkAmount { entries: 0, files: 1, bytes: size },
            _ => WorkAmount::default(),
        },
        VenvNodeSource::Symlink(_) | VenvNodeSource::EmptyFolder => WorkAmount::default(),
    }
}

fn write_nodes(
    nodes: &[VenvNode<'_>],
    sources: &VenvSources<'_>,
    root: &Path,
    progress: &dyn ProgressReporter,
) -> Result<(), RestoreError> {
    std::fs::create_dir(root)?;
    let mut last: Option<&Path> = None;
    for node in nodes {
        let path = Path::new(&node.path);
        let directory = if node.source == VenvNodeSource::EmptyFolder { Some(path) } else { path.parent() };
        let Some(directory) = directory.filter(|directory| Some(*directory) != last) else { continue };
        last = Some(directory);
        if std::fs::create_dir(root.join(directory)).is_err() {
            std::fs::create_dir_all(root.join(directory))?;
        }
    }
    let linkers = (FileLinker::without_hardlinks(), FileLinker::new());
    let chunks: Vec<&[VenvNode<'_>]> = nodes.chunks(NODES_PER_CHUNK).collect();
    let results = parallel_map(&chunks, |chunk| {
        let result = chunk.iter().try_for_each(|node| write_node(node, sources, root, &linkers));
        progress.advance(chunk.iter().map(node_amount).sum());
        result
    });
    results.into_iter().collect()
}

fn write_node(
    node: &VenvNode<'_>,
    sources: &VenvSources<'_>,
    root: &Path,
    (copier, linker): &(FileLinker, FileLinker),
) -> Result<(), RestoreError> {
    let target = root.join(&node.path);
    let place_file = |entry: &StoreEntry, file: &TreeNode, linker: &FileLinker| {
        let source = entry.tree_path().join(&file.path);
        let placed = verify_stored_file(file, &source, linker).and_then(|()| Ok(linker.link_file(&source, &target)?));
        placed.map_err(|corruption| RestoreError::Damaged {
            entry: entry.id.clone(),
            path: node.path.clone(),
            corruption,
        })
    };
    match &node.source {
        VenvNodeSource::OwnFile(file) => place_file(sources.own, file, copier),
        VenvNodeSource::WheelFile(wheel_index, file) => place_file(&sources.wheels[*wheel_index], file, linker),
        VenvNodeSource::Symlink(link_target) => Ok(std::os::unix::fs::symlink(link_target, &target)?),
        VenvNodeSource::EmptyFolder => Ok(()),
    }
}

fn set_modified_time(path: &Path, nanoseconds: i64) -> io::Result<()> {
    let since_epoch = std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let times = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH + since_epoch);
    std::fs::File::open(path)?.set_times(times)
}

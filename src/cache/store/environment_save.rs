//! Saving of session environments: wheels by reference, other files by content.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fs::{FileLinker, FileStat, MAX_DOCUMENT_BYTES, blake3_hex, parallel_map, read_regular_file};

use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind, VersionedKey};
use super::environment_layout::{EnvironmentLayout, EnvironmentWheel, install_path};
use super::environment_scan::{EnvironmentContents, ScannedEnvironment};
use super::save::{SaveError, SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_listing::{TreeListing, TreeNode, TreeNodeKind};

/// An environment to save or restore, valid for one path, one interpreter and one set of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSpec {
    pub(super) path: PathBuf,
    pub(super) python: PathBuf,
    pub(super) key: String,
    pub(super) not_before: Option<Timestamp>,
}

impl EnvironmentSpec {
    /// Describes the environment at an absolute path for an interpreter; `inputs` is everything else that determines its
    /// content. Returns `None` if the interpreter cannot be identified.
    pub fn new(path: &Path, python: &Path, inputs: &str) -> Option<Self> {
        let python = std::fs::canonicalize(python).ok()?;
        let stat = FileStat::from_path(&python).ok().filter(|_| path.is_absolute())?;
        let mut hasher = blake3::Hasher::new();
        let build = format!("{} {}", stat.size, stat.mtime_ns);
        let (path_bytes, python_bytes) = (path.as_os_str().as_encoded_bytes(), python.as_os_str().as_encoded_bytes());
        for part in [path_bytes, python_bytes, build.as_bytes(), inputs.as_bytes()] {
            // Each part is preceded by its length, so that part boundaries affect the digest.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let key = hasher.finalize().to_hex()[..32].to_owned();
        Some(Self { path: path.to_path_buf(), python, key, not_before: None })
    }

    /// Restricts restores to environments saved at `time` or later.
    #[must_use]
    pub(crate) fn with_not_before(self, time: Option<Timestamp>) -> Self {
        Self { not_before: time, ..self }
    }

    /// Returns the path of the environment.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the key of its versions in the store.
    pub(crate) fn versioned_key(&self) -> VersionedKey {
        VersionedKey::new(EntryKind::Environment, &self.key)
    }

    /// Returns its name for display: the path.
    pub(crate) fn display_name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Store {
    /// Saves an environment, or returns `None` if its current content is stored already.
    ///
    /// # Errors
    /// The reason why it is not saved.
    pub fn save_environment(&self, spec: &EnvironmentSpec) -> Result<Option<SavedEntry>, SaveFailure> {
        let scanned = check_reusable(spec).and_then(|()| self.scan_environment(&spec.path));
        let environment = scanned.map_err(|error| error.for_name(spec.display_name()))?;
        self.save_scanned_environment(spec, &environment, &HashSet::new())
    }

    /// Saves a scanned environment. `paths_of_other_entries` are saved with another entry, such as bytecode.
    ///
    /// # Errors
    /// The reason why it is not saved.
    pub(crate) fn save_scanned_environment(
        &self,
        spec: &EnvironmentSpec,
        environment: &ScannedEnvironment,
        paths_of_other_entries: &HashSet<String>,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        self.save_environment_if_changed(spec, environment, paths_of_other_entries)
            .map_err(|error| error.for_name(spec.display_name()))
    }

    fn save_environment_if_changed(
        &self,
        spec: &EnvironmentSpec,
        environment: &ScannedEnvironment,
        paths_of_other_entries: &HashSet<String>,
    ) -> Result<Option<SavedEntry>, SaveError> {
        check_reusable(spec)?;
        let (layout, loose_files) = split_environment_files(spec, environment, paths_of_other_entries)?;
        let newest = self.latest_version(EntryKind::Environment, &spec.key);
        if newest
            .as_ref()
            .is_some_and(|entry| is_environment_unchanged(entry, &layout, &loose_files, &environment.contents))
        {
            newest.iter().for_each(|entry| self.mark_used(&entry.id));
            return Ok(None);
        }
        let saved = self.publish_environment(spec, &layout, &loose_files)?;
        // Releases the entry, so that it can be removed.
        drop(newest);
        self.remove_older_versions(EntryKind::Environment, &spec.key, &saved.entry);
        self.prune_if_over_limits();
        Ok(Some(saved))
    }

    fn publish_environment(
        &self,
        spec: &EnvironmentSpec,
        layout: &EnvironmentLayout,
        loose_files: &HashSet<String>,
    ) -> Result<SavedEntry, SaveError> {
        let id = EntryId::new_version(EntryKind::Environment, &spec.key).ok_or(SaveError::InvalidId)?;
        let mut staged = self.stage_entry(&id, &spec.display_name())?;
        let directories: HashSet<&Path> =
            loose_files.iter().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        let is_loose =
            |path: &Path| directories.contains(path) || path.to_str().is_some_and(|path| loose_files.contains(path));
        // Sessions and installers may write to these files, so they are never hard-linked.
        staged.import_matching(&spec.path, &FileLinker::without_hardlinks(), &is_loose)?;
        let text = layout.to_entry_file().map_err(SaveError::InvalidLayout)?;
        staged.add_file(EnvironmentLayout::FILE_NAME, false, text.len() as u64, &mut text.as_slice())?;
        staged.set_members(layout.wheels.iter().map(|wheel| wheel.entry.clone()).collect());
        match staged.publish(None)? {
            PublishOutcome::New(meta) => Ok(SavedEntry::new(&id, *meta)),
            PublishOutcome::AlreadyExists => Err(SaveError::AlreadySaved),
        }
    }
}

/// Checks that an environment was created by uv for this interpreter, because nox reuses no other.
fn check_reusable(spec: &EnvironmentSpec) -> Result<(), SaveError> {
    let config =
        String::from_utf8_lossy(&read_regular_file(&spec.path.join("pyvenv.cfg"), MAX_DOCUMENT_BYTES)?).into_owned();
    if !config.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == "uv")) {
        return Err(SaveError::NotCreatedByUv);
    }
    if std::fs::canonicalize(spec.path.join("bin/python")).ok().as_ref() != Some(&spec.python) {
        return Err(SaveError::OtherInterpreter);
    }
    Ok(())
}

/// Returns the layout of an environment, and the paths of the files that belong to no wheel.
fn split_environment_files(
    spec: &EnvironmentSpec,
    environment: &ScannedEnvironment,
    paths_of_other_entries: &HashSet<String>,
) -> Result<(EnvironmentLayout, HashSet<String>), SaveError> {
    let (contents, wheels) = (&environment.contents, &environment.wheels);
    let mut layout = EnvironmentLayout::new(&spec.path, &spec.python, &contents.site_packages);
    let mut loose_files: HashSet<String> =
        contents.files.keys().filter(|path| !paths_of_other_entries.contains(*path)).cloned().collect();
    for wheel in wheels {
        let files: Vec<(String, &TreeNode)> = wheel
            .listing
            .files()
            .filter_map(|node| Some((install_path(&contents.site_packages, &node.path)?, node)))
            .collect();
        let matches = parallel_map(&files, |(path, node)| environment.matches_wheel_file(node, path));
        let mut not_restored = BTreeSet::new();
        for ((path, _), matches) in files.into_iter().zip(matches) {
            let matches = matches.ok_or_else(|| SaveError::SharedFileModified(path.clone()))?;
            // If two wheels have a file at the same path, it is attributed to the first.
            if !matches || !loose_files.remove(&path) {
                not_restored.insert(path);
            }
        }
        layout.wheels.push(EnvironmentWheel { entry: wheel.id.to_string(), excluded: not_restored });
    }
    layout.links.clone_from(&contents.symlinks);
    layout.empty_directories.clone_from(&contents.empty_directories);
    layout.modified_times.clone_from(&contents.dist_info_times);
    // Installers and Python rely on the modification times of these files.
    let times = loose_files.iter().filter_map(|path| Some((path.clone(), contents.files.get(path)?.mtime_ns)));
    layout.modified_times.extend(times);
    // Do not save what a restore would refuse.
    layout.check_limits().map_err(SaveError::InvalidLayout)?;
    layout.resolve_nodes(&TreeListing::default(), wheels).map_err(SaveError::InvalidLayout)?;
    Ok((layout, loose_files))
}

/// Returns whether a stored environment has this layout (including modification times) and files of the same sizes.
fn is_environment_unchanged(
    entry: &StoreEntry,
    layout: &EnvironmentLayout,
    loose_files: &HashSet<String>,
    contents: &EnvironmentContents,
) -> bool {
    let is_same = |node: &TreeNode| {
        let TreeNodeKind::File { size, executable, .. } = node.kind else { return false };
        let stat = loose_files.get(&node.path).and_then(|path| contents.files.get(path));
        stat.is_some_and(|stat| (stat.size, stat.is_executable()) == (size, executable))
    };
    let files: Vec<&TreeNode> =
        entry.listing.files().filter(|node| node.path != EnvironmentLayout::FILE_NAME).collect();
    files.len() == loose_files.len()
        && files.iter().all(|node| is_same(node))
        && EnvironmentLayout::from_entry(entry)
            .is_ok_and(|stored| blake3_hex(&stored.to_json()) == blake3_hex(&layout.to_json()))
}

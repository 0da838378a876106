//! Environments of sessions, taken into the store: their wheels by name, and what is their own.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::fs::{FileLinker, FileStat, blake3_hex, parallel_map};

use super::corruption::EntryDamage;
use super::entry::StoreEntry;
use super::entry_id::VersionedKey;
use super::entry_id::{EntryId, EntryKind};
use super::save::{SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_manifest::{TreeNode, TreeNodeKind};
use super::venv_layout::{VenvLayout, VenvWheel, install_path};
use super::venv_scan::{ScannedVenv, VenvContents};

/// An environment that is kept: for this place, this interpreter and these facts alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenvSpec {
    pub(super) path: PathBuf,
    pub(super) python: PathBuf,
    pub(super) key: String,
    pub(super) not_before: Option<Timestamp>,
}

impl VenvSpec {
    /// The environment at an absolute path, of this interpreter; `facts` is all else that decides what it holds. None
    /// where the interpreter cannot be told from others.
    pub fn new(path: &Path, python: &Path, facts: &str) -> Option<Self> {
        let python = std::fs::canonicalize(python).ok()?;
        let stamp = FileStat::from_path(&python).ok().filter(|_| path.is_absolute())?;
        let mut hasher = blake3::Hasher::new();
        let build = format!("{} {}", stamp.size, stamp.mtime_ns);
        let (place, program) = (path.as_os_str().as_encoded_bytes(), python.as_os_str().as_encoded_bytes());
        for part in [place, program, build.as_bytes(), facts.as_bytes()] {
            // With its length, so that no two texts run together.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let key = hasher.finalize().to_hex()[..32].to_owned();
        Some(Self { path: path.to_path_buf(), python, key, not_before: None })
    }

    /// The same, of use only where it was taken in at that time or later.
    #[must_use]
    pub(crate) fn with_not_before(self, time: Option<Timestamp>) -> Self {
        Self { not_before: time, ..self }
    }

    /// Its place.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called in the store.
    pub(crate) fn versioned_key(&self) -> VersionedKey {
        VersionedKey::new(EntryKind::Venv, &self.key)
    }

    /// What people call it: its place.
    pub(crate) fn display_name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Store {
    /// Keeps an environment as it is now; none where it is known as it is.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn save_venv(&self, kept: &VenvSpec) -> Result<Option<SavedEntry>, SaveFailure> {
        let not = |reason: String| SaveFailure { name: kept.display_name(), reason };
        let environment = check_ownership(kept).and_then(|()| self.scan_venv(&kept.path)).map_err(not)?;
        self.save_scanned_venv(kept, &environment, &HashSet::new())
    }

    /// The same of an environment that was looked at, without its files at these places.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(crate) fn save_scanned_venv(
        &self,
        kept: &VenvSpec,
        environment: &ScannedVenv,
        without: &HashSet<String>,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        let not = |reason: String| SaveFailure { name: kept.display_name(), reason };
        check_ownership(kept).map_err(not)?;
        let (parts, own) = split_venv_files(kept, environment, without).map_err(not)?;
        let newest = self.latest_version(EntryKind::Venv, &kept.key);
        if newest.as_ref().is_some_and(|entry| is_venv_unchanged(entry, &parts, &own, &environment.contents)) {
            newest.iter().for_each(|entry| self.mark_used(&entry.id));
            return Ok(None);
        }
        let saved = self.publish_venv(kept, &parts, &own).map_err(not)?;
        drop(newest);
        self.remove_older_versions(EntryKind::Venv, &kept.key, &saved.entry);
        self.prune_if_over_limits();
        Ok(Some(saved))
    }

    fn publish_venv(&self, kept: &VenvSpec, parts: &VenvLayout, own: &HashSet<String>) -> Result<SavedEntry, String> {
        let words = |damage: &EntryDamage| format!("{}: {}", damage.path, damage.corruption);
        let id = EntryId::new_version(EntryKind::Venv, &kept.key).ok_or("its name is none")?;
        let mut incoming = self.stage_entry(&id, &kept.display_name()).map_err(|error| error.to_string())?;
        let folders: HashSet<&Path> = own.iter().flat_map(|path| Path::new(path).ancestors().skip(1)).collect();
        let wanted = |path: &Path| folders.contains(path) || path.to_str().is_some_and(|path| own.contains(path));
        // Its own files may be written to, by the environment's owner and by installers: they share nothing.
        incoming
            .import_matching(&kept.path, &FileLinker::without_hardlinks(), &wanted)
            .map_err(|damage| words(&damage))?;
        let text = parts.to_json();
        let made = incoming.add_file(VenvLayout::FILE_NAME, false, text.len() as u64, &mut text.as_slice());
        made.map_err(|damage| words(&damage))?;
        incoming.set_requires(parts.wheels.iter().map(|wheel| wheel.entry.clone()).collect());
        match incoming.publish(None) {
            Ok(PublishOutcome::New(head)) => {
                Ok(SavedEntry { entry: id.to_string(), name: head.name, files: head.files, bytes: head.bytes })
            }
            Ok(PublishOutcome::AlreadyExists) => Err("another process kept it".to_owned()),
            Err(damaged) => Err(damaged.first().map(words).unwrap_or_default()),
        }
    }
}

/// Whether an environment is one that nox would take for its own and this interpreter's; else why not.
fn check_ownership(kept: &VenvSpec) -> Result<(), String> {
    let config = fs_err::read_to_string(kept.path.join("pyvenv.cfg")).map_err(|error| error.to_string())?;
    if !config.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == "uv")) {
        return Err("it was not made by uv".to_owned());
    }
    if std::fs::canonicalize(kept.path.join("bin/python")).ok().as_ref() != Some(&kept.python) {
        return Err("it was made for another interpreter".to_owned());
    }
    Ok(())
}

/// Tells what of an environment is its wheels', and gives the paths of the rest.
fn split_venv_files(
    kept: &VenvSpec,
    environment: &ScannedVenv,
    without: &HashSet<String>,
) -> Result<(VenvLayout, HashSet<String>), String> {
    let (seen, wheels) = (&environment.contents, &environment.wheels);
    let mut parts = VenvLayout::new(&kept.path, &kept.python, &seen.site_packages);
    let mut own: HashSet<String> = seen.files.keys().filter(|path| !without.contains(*path)).cloned().collect();
    for wheel in wheels {
        let files: Vec<(String, &TreeNode)> = wheel
            .manifest
            .files()
            .filter_map(|item| Some((install_path(&seen.site_packages, &item.path)?, item)))
            .collect();
        let shared = parallel_map(&files, |(path, item)| environment.matches_wheel_file(item, path));
        let mut except = BTreeSet::new();
        for ((path, _), shared) in files.into_iter().zip(shared) {
            // Of two wheels that have a file at one place the first gives it.
            if !shared.ok_or_else(|| format!("{path} was written to, and it is a file of the store too"))?
                || !own.remove(&path)
            {
                except.insert(path);
            }
        }
        parts.wheels.push(VenvWheel { entry: wheel.id.to_string(), excluded: except });
    }
    parts.links.clone_from(&seen.symlinks);
    parts.empty_folders.clone_from(&seen.empty_folders);
    parts.modified_times.clone_from(&seen.dist_info_times);
    // Its own files come back with their times: installers and Python go by them.
    let timed = own.iter().filter_map(|path| Some((path.clone(), seen.files.get(path)?.mtime_ns)));
    parts.modified_times.extend(timed);
    // What a restore would refuse is not kept.
    parts.resolve_nodes(&super::tree_manifest::TreeManifest::default(), wheels).map_err(|wrong| wrong.to_string())?;
    Ok((parts, own))
}

/// Whether an environment is as it was kept: the same parts, among them the times of its own files, and those of the
/// same sizes.
fn is_venv_unchanged(entry: &StoreEntry, parts: &VenvLayout, own: &HashSet<String>, seen: &VenvContents) -> bool {
    let same = |item: &TreeNode| {
        let TreeNodeKind::File { size, executable, .. } = item.kind else { return false };
        let stamp = own.get(&item.path).and_then(|path| seen.files.get(path));
        stamp.is_some_and(|stamp| (stamp.size, stamp.is_executable()) == (size, executable))
    };
    let files: Vec<&TreeNode> = entry.manifest.files().filter(|item| item.path != VenvLayout::FILE_NAME).collect();
    files.len() == own.len()
        && files.iter().all(|item| same(item))
        && VenvLayout::from_entry(entry).is_ok_and(|kept| blake3_hex(&kept.to_json()) == blake3_hex(&parts.to_json()))
}

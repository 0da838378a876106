//! Directories in the store: a tool's own downloads, pip's cache, run history, results of traces, uv caches of unknown layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileLinker, FileStat, LockedTempDir, RootDir, blake3_hex, may_belong_to_others, walk_tree};

use super::damage::Damage;
use super::entry::StoreEntry;
use super::entry_id::{EntryId, EntryKind, HISTORY_PREFIX, TRACE_PREFIX, VersionedKey};
use super::restore::{RestoreError, RestoredEntry, verify_stored_file};
use super::restore_plan::CacheMiss;
use super::save::{SaveError, SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_listing::TreeNodeKind;

impl Store {
    /// Returns the directories that settings add to the store.
    pub(crate) fn configured_directories(&self) -> Vec<DirectorySpec> {
        let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(DirectorySpec::from_settings);
        self.options().directories.iter().filter_map(absolute).collect()
    }
}

/// A directory to save or restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirectorySpec {
    kind: EntryKind,
    key: String,
    /// Prefix of keys of which the newest version is used if this key is not stored; empty for none.
    fallback_prefix: String,
    name: String,
    path: PathBuf,
    /// Name prefixes of the top-level paths to include; empty for all.
    top_level_prefixes: &'static [&'static str],
    /// Whether the directory may contain links.
    may_have_links: bool,
}

impl DirectorySpec {
    /// Describes a directory from the settings. The tool that owns it may write to the files, so they are never
    /// hard-linked.
    pub(crate) fn from_settings(path: PathBuf) -> Self {
        let key = blake3_hex(path.as_os_str().as_encoded_bytes())[..32].to_owned();
        Self {
            kind: EntryKind::Directory,
            key,
            fallback_prefix: String::new(),
            name: path.display().to_string(),
            path,
            top_level_prefixes: &[],
            may_have_links: true,
        }
    }

    /// Describes all wheels of a uv cache, valid for one version of uv.
    pub(crate) fn for_uv_cache(path: PathBuf, version: &str) -> Self {
        let key = blake3_hex(version.as_bytes())[..32].to_owned();
        let name = format!("cache of {version}");
        Self {
            kind: EntryKind::UvCache,
            key,
            fallback_prefix: String::new(),
            name,
            path,
            top_level_prefixes: &["wheels-", "archive-", "sdists-"],
            may_have_links: true,
        }
    }

    /// Describes pip's cache (downloads and built wheels) for digests of the interpreters and of the installs. If it is
    /// not stored for these installs, the newest version for the same interpreters is used.
    pub(crate) fn for_pip_cache(path: PathBuf, pythons: &str, installs: &str) -> Self {
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        let fallback_prefix = format!("pip-{}-", short(pythons));
        let (key, name) = (format!("{fallback_prefix}{}", short(installs)), "pip's cache".to_owned());
        let (kind, top_level_prefixes) = (EntryKind::Directory, &["http", "wheels"][..]);
        Self { kind, key, fallback_prefix, name, path, top_level_prefixes, may_have_links: false }
    }

    /// Describes the records of past runs of these sessions of a project.
    pub(crate) fn for_run_history(path: PathBuf, project: &str, sessions: &[&str]) -> Self {
        let short = |text: &str| blake3_hex(text.as_bytes())[..16].to_owned();
        let key = format!("{HISTORY_PREFIX}{}-{}", short(project), short(&sessions.join("\n")));
        let name = "session timing history".to_owned();
        Self {
            kind: EntryKind::Directory,
            key,
            fallback_prefix: String::new(),
            name,
            path,
            top_level_prefixes: &[],
            may_have_links: false,
        }
    }

    /// Describes the results of traces of these sessions of a project. If there are none for these sessions, the newest
    /// of other sessions of the project are used.
    pub(crate) fn for_trace_results(path: PathBuf, project: &str, sessions: &[&str]) -> Self {
        let short = |text: &str| blake3_hex(text.as_bytes())[..16].to_owned();
        let fallback_prefix = format!("{TRACE_PREFIX}{}-", short(project));
        let key = format!("{fallback_prefix}{}", short(&sessions.join("\n")));
        let (kind, name) = (EntryKind::Directory, "results of traces".to_owned());
        let top_level_prefixes = &["conflicts.json", "sessions"][..];
        Self { kind, key, fallback_prefix, name, path, top_level_prefixes, may_have_links: false }
    }

    /// Returns the key of its versions in the store.
    pub(crate) fn versioned_key(&self) -> VersionedKey {
        VersionedKey::new(self.kind, &self.key).or_prefix(&self.fallback_prefix)
    }

    fn should_include(&self, path: &Path) -> bool {
        let top = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        self.top_level_prefixes.is_empty()
            || top.is_some_and(|top| self.top_level_prefixes.iter().any(|prefix| top.starts_with(prefix)))
    }

    /// Returns whether a setting names the directory. If a name on its path can be taken by another user, as in `/tmp`, the
    /// files may be that user's: they would be uploaded, and restored as this user's own on other machines.
    fn may_belong_to_others(&self) -> bool {
        let is_from_settings = self.kind == EntryKind::Directory && self.may_have_links;
        let existing = self.path.ancestors().find(|path| path.symlink_metadata().is_ok());
        is_from_settings && existing.is_some_and(may_belong_to_others)
    }

    fn file_linker(&self) -> FileLinker {
        if self.kind == EntryKind::UvCache { FileLinker::new() } else { FileLinker::without_hardlinks() }
    }
}

impl Store {
    /// Saves a directory, or returns `None` if its current content is stored already or it does not exist.
    ///
    /// # Errors
    /// The reason why it is not saved.
    pub(crate) fn save_directory(
        &self,
        spec: &DirectorySpec,
        progress: &dyn ProgressReporter,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        if !spec.path.is_dir() {
            return Ok(None);
        }
        if spec.may_belong_to_others() {
            return Err(SaveError::ForeignDirectory.for_name(&spec.name));
        }
        let found = walk_tree(&spec.path).map_err(|error| SaveError::from(error).for_name(&spec.name))?;
        let found: Vec<(PathBuf, FileStat)> = found.into_iter().filter(|(path, _)| spec.should_include(path)).collect();
        let newest = self.latest_version(spec.kind, &spec.key);
        if newest.as_ref().is_some_and(|entry| is_directory_unchanged(entry, &found)) {
            newest.iter().for_each(|entry| self.mark_used(&entry.id));
            return Ok(None);
        }
        let files = found.iter().filter(|(_, stat)| stat.is_file());
        let total = files.map(|(_, stat)| WorkAmount { entries: 0, files: 1, bytes: stat.size }).sum();
        progress.start_phase(CachePhase::Save, total);
        let saved = self.publish_directory(spec);
        progress.advance(total);
        progress.finish_phase();
        let saved = saved.map_err(|error| error.for_name(&spec.name))?;
        // Release the lock on the previous version, so that it can be removed.
        drop(newest);
        self.remove_older_versions(spec.kind, &spec.key, &saved.entry);
        Ok(Some(saved))
    }

    fn publish_directory(&self, spec: &DirectorySpec) -> Result<SavedEntry, SaveError> {
        let id = EntryId::new_version(spec.kind, &spec.key).ok_or(SaveError::InvalidId)?;
        let mut staged = self.stage_entry(&id, &spec.name)?;
        staged.import_matching(&spec.path, &spec.file_linker(), &|path| spec.should_include(path))?;
        match staged.publish(None)? {
            PublishOutcome::New(meta) => Ok(SavedEntry::new(&id, *meta)),
            PublishOutcome::AlreadyExists => Err(SaveError::AlreadySaved),
        }
    }

    /// Restores the files of a directory that are missing; existing files are not changed.
    ///
    /// # Errors
    /// The reason why it cannot be restored. A damaged entry is quarantined.
    pub(crate) fn restore_directory(
        &self,
        spec: &DirectorySpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, CacheMiss> {
        let miss = |reason: String| CacheMiss { name: spec.name.clone(), reason };
        let fallback = || {
            let prefix = Some(&spec.fallback_prefix).filter(|prefix| !prefix.is_empty())?;
            self.latest_with_prefix(spec.kind, prefix)
        };
        let Some(entry) = self.latest_version(spec.kind, &spec.key).or_else(fallback) else {
            return Err(miss(CacheMiss::NOT_STORED.to_owned()));
        };
        // Again after it was created: another user may have been faster.
        let is_foreign = || {
            spec.may_belong_to_others() || (fs_err::create_dir_all(&spec.path).is_ok() && spec.may_belong_to_others())
        };
        if is_foreign() {
            return Err(miss(SaveError::ForeignDirectory.to_string()));
        }
        let total = WorkAmount { entries: 1, files: entry.meta.files, bytes: entry.meta.bytes };
        progress.start_phase(CachePhase::Restore, total);
        let result = restore_missing_files(&entry, spec);
        progress.advance(total);
        progress.finish_phase();
        match result {
            Ok((files, bytes)) => {
                self.mark_used(&entry.id);
                Ok(RestoredEntry { entry: entry.id.to_string(), name: spec.name.clone(), files, bytes })
            }
            Err(error) => Err(miss(self.quarantine_damaged(&error))),
        }
    }
}

/// Returns whether a directory has the stored names, sizes and modification times.
fn is_directory_unchanged(entry: &StoreEntry, found: &[(PathBuf, FileStat)]) -> bool {
    let listed: HashMap<&Path, &TreeNodeKind> =
        entry.listing.nodes.iter().map(|node| (Path::new(&node.path), &node.kind)).collect();
    let mut matched = 0;
    for (path, stat) in found {
        match listed.get(path.as_path()) {
            Some(TreeNodeKind::File { size, modified, executable, .. }) => {
                if !stat.is_file()
                    || stat.size != *size
                    || stat.mtime_ns != *modified
                    || stat.is_executable() != *executable
                {
                    return false;
                }
            }
            Some(TreeNodeKind::Symlink { .. }) if stat.is_symlink() => {}
            Some(TreeNodeKind::EmptyDirectory) if stat.is_dir() => {}
            None if stat.is_dir() => continue,
            _ => return false,
        }
        matched += 1;
    }
    matched == listed.len()
}

/// Moves each missing file into place with a rename, and returns the number and total size of the files. Links that are
/// below the directory already are not followed: an entry must not write through a link of another one.
fn restore_missing_files(entry: &StoreEntry, spec: &DirectorySpec) -> Result<(u64, u64), RestoreError> {
    let limit = entry.id.max_bytes().unwrap_or(u64::MAX);
    if entry.listing.total_bytes() > limit {
        let damage = Damage::TooLarge { limit, unit: "bytes" };
        return Err(RestoreError::Damaged { entry: entry.id.clone(), path: String::new(), damage });
    }
    fs_err::create_dir_all(&spec.path)?;
    let parent = spec.path.parent().unwrap_or(&spec.path);
    LockedTempDir::remove_stale(parent);
    let workspace = LockedTempDir::create_in(parent)?;
    let linker = spec.file_linker();
    let root = RootDir::open(&spec.path)?;
    let (tree, staged) = (entry.tree_path(), workspace.path().join("new"));
    let (mut files, mut bytes) = (0, 0);
    for node in entry.listing.nodes.iter().filter(|node| spec.should_include(Path::new(&node.path))) {
        let target = Path::new(&node.path);
        if root.exists(target)? {
            continue;
        }
        match &node.kind {
            TreeNodeKind::EmptyDirectory => root.create_dir(target)?,
            TreeNodeKind::Symlink { .. } if !spec.may_have_links => {
                return Err(RestoreError::Damaged {
                    entry: entry.id.clone(),
                    path: node.path.clone(),
                    damage: Damage::FileTypeMismatch,
                });
            }
            TreeNodeKind::Symlink { target: link_target } => {
                std::os::unix::fs::symlink(link_target, &staged)?;
                root.rename_from(&staged, target)?;
            }
            TreeNodeKind::File { size, .. } => {
                let source = tree.join(&node.path);
                verify_stored_file(entry, node, &source, &linker).map_err(|damage| RestoreError::Damaged {
                    entry: entry.id.clone(),
                    path: node.path.clone(),
                    damage,
                })?;
                linker.link_file(&source, &staged)?;
                root.rename_from(&staged, target)?;
                (files, bytes) = (files + 1, bytes + size);
            }
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::cache::options::StoreOptions;
    use crate::cache::progress::NoProgress;

    #[test]
    fn a_directory_whose_name_another_user_can_take_is_neither_saved_nor_restored() {
        let (home, shared, victim) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::set_permissions(shared.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        let store = Store::open(&StoreOptions { dir: Some(home.path().join("store")), ..StoreOptions::default() });
        let (store, path) = (store.unwrap(), shared.path().join("tool"));
        let spec = DirectorySpec::from_settings(path.clone());
        // This user's own directory, created first.
        fs_err::create_dir(&path).unwrap();
        fs_err::write(path.join("a"), "own").unwrap();
        assert_eq!(store.save_directory(&spec, &NoProgress).unwrap().unwrap().files, 1);
        fs_err::remove_dir_all(&path).unwrap();
        assert_eq!(store.restore_directory(&spec, &NoProgress).unwrap().files, 1, "created here");
        fs_err::remove_dir_all(&path).unwrap();
        // As if another user had taken the name.
        symlink(victim.path(), &path).unwrap();
        let miss = store.restore_directory(&spec, &NoProgress).unwrap_err();
        assert!(miss.reason.contains("may belong to another user"), "{miss:?}");
        assert_eq!(fs_err::read_dir(victim.path()).unwrap().count(), 0);
        fs_err::write(victim.path().join("a"), "other").unwrap();
        let failure = store.save_directory(&spec, &NoProgress).unwrap_err();
        assert!(failure.reason.contains("may belong to another user"), "{failure:?}");
    }
}

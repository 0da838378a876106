//! Folders kept as they are: a tool's own downloads, or all of a uv cache whose layout is not known.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cache::progress::{CachePhase, ProgressReporter, WorkAmount};
use crate::fs::{FileLinker, FileStat, LockedTempDir, blake3_hex, walk_tree};

use super::corruption::EntryDamage;
use super::entry::StoreEntry;
use super::entry_id::VersionedKey;
use super::entry_id::{EntryId, EntryKind};
use super::restore::{RestoredEntry, verify_stored_file};
use super::restore_plan::CacheMiss;
use super::save::{SaveFailure, SavedEntry};
use super::staging::PublishOutcome;
use super::store_dir::Store;
use super::tree_manifest::TreeNodeKind;

/// A folder that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderSpec {
    kind: EntryKind,
    key: String,
    /// What keys of like folders begin with, any of which will do where this one is not kept; empty where none will.
    fallback_prefix: String,
    name: String,
    path: PathBuf,
    /// Beginnings of names at its top; empty for all.
    top_level_prefixes: &'static [&'static str],
}

impl FolderSpec {
    /// A folder that settings name. Its files are never shared: whoever owns it may write to them.
    pub(crate) fn from_settings(path: PathBuf) -> Self {
        let key = blake3_hex(path.as_os_str().as_encoded_bytes())[..32].to_owned();
        Self {
            kind: EntryKind::Folder,
            key,
            fallback_prefix: String::new(),
            name: path.display().to_string(),
            path,
            top_level_prefixes: &[],
        }
    }

    /// The wheels of a uv cache, as a whole: for this version of uv alone.
    pub(crate) fn for_uv_cache(path: PathBuf, version: &str) -> Self {
        let key = blake3_hex(version.as_bytes())[..32].to_owned();
        let name = format!("the cache of {version}");
        Self {
            kind: EntryKind::UvCache,
            key,
            fallback_prefix: String::new(),
            name,
            path,
            top_level_prefixes: &["wheels-", "archive-", "sdists-"],
        }
    }

    /// pip's cache: what it fetched and the wheels it built, for these interpreters and what is installed; a state for
    /// the same interpreters serves where there is none for the same installs. Both are digests.
    pub(crate) fn for_pip_cache(path: PathBuf, pythons: &str, installs: &str) -> Self {
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        let like = format!("pip-{}-", short(pythons));
        let (key, name) = (format!("{like}{}", short(installs)), "pip's cache".to_owned());
        Self {
            kind: EntryKind::Folder,
            key,
            fallback_prefix: like,
            name,
            path,
            top_level_prefixes: &["http", "wheels"],
        }
    }

    /// Records of past runs of these sessions of a project.
    pub(crate) fn for_run_history(path: PathBuf, project: &str, sessions: &[&str]) -> Self {
        let short = |text: &str| blake3_hex(text.as_bytes())[..16].to_owned();
        let key = format!("history-{}-{}", short(project), short(&sessions.join("\n")));
        let name = "session timing history".to_owned();
        Self { kind: EntryKind::Folder, key, fallback_prefix: String::new(), name, path, top_level_prefixes: &[] }
    }

    /// What it is called in the store.
    pub(crate) fn versioned_key(&self) -> VersionedKey {
        VersionedKey::new(self.kind, &self.key).or_prefix(&self.fallback_prefix)
    }

    fn should_include(&self, path: &Path) -> bool {
        let top = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        self.top_level_prefixes.is_empty()
            || top.is_some_and(|top| self.top_level_prefixes.iter().any(|start| top.starts_with(start)))
    }

    fn file_linker(&self) -> FileLinker {
        if self.kind == EntryKind::UvCache { FileLinker::new() } else { FileLinker::without_hardlinks() }
    }
}

impl Store {
    /// Keeps a folder as it is now; none where it is known as it is, or is not there.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(crate) fn save_folder(
        &self,
        kept: &FolderSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<Option<SavedEntry>, SaveFailure> {
        let not = |reason: String| SaveFailure { name: kept.name.clone(), reason };
        if !kept.path.is_dir() {
            return Ok(None);
        }
        let found = walk_tree(&kept.path).map_err(|error| not(error.to_string()))?;
        let found: Vec<(PathBuf, FileStat)> = found.into_iter().filter(|(path, _)| kept.should_include(path)).collect();
        let newest = self.latest_version(kept.kind, &kept.key);
        if newest.as_ref().is_some_and(|entry| is_folder_unchanged(entry, &found)) {
            newest.iter().for_each(|entry| self.mark_used(&entry.id));
            return Ok(None);
        }
        let files = found.iter().filter(|(_, stamp)| stamp.is_file());
        let total = files.map(|(_, stamp)| WorkAmount { entries: 0, files: 1, bytes: stamp.size }).sum();
        progress.start_phase(CachePhase::Save, total);
        let saved = self.publish_folder(kept, &found);
        progress.advance(total);
        progress.finish_phase();
        let saved = saved.map_err(not)?;
        // What it replaces goes, unless somebody reads it just now.
        drop(newest);
        self.remove_older_versions(kept.kind, &kept.key, &saved.entry);
        Ok(Some(saved))
    }

    fn publish_folder(&self, kept: &FolderSpec, found: &[(PathBuf, FileStat)]) -> Result<SavedEntry, String> {
        let words = |damage: &EntryDamage| format!("{}: {}", damage.path, damage.corruption);
        let id = EntryId::new_version(kept.kind, &kept.key).ok_or("its name is none")?;
        let mut incoming = self.stage_entry(&id, &kept.name).map_err(|error| error.to_string())?;
        incoming
            .import_matching(&kept.path, &kept.file_linker(), &|path| kept.should_include(path))
            .map_err(|damage| words(&damage))?;
        match incoming.publish(None) {
            Ok(PublishOutcome::New(head)) => {
                let (files, bytes) = (head.files, head.bytes);
                Ok(SavedEntry { entry: id.to_string(), name: head.name, files, bytes })
            }
            Ok(PublishOutcome::AlreadyExists) => Err(format!("{} things were kept by another process", found.len())),
            Err(damaged) => Err(damaged.first().map(words).unwrap_or_default()),
        }
    }

    /// Puts what is missing of a folder to its place; what is there stays as it is.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn restore_folder(
        &self,
        kept: &FolderSpec,
        progress: &dyn ProgressReporter,
    ) -> Result<RestoredEntry, CacheMiss> {
        let miss = |reason: String| CacheMiss { name: kept.name.clone(), reason };
        let like = || {
            Some(&kept.fallback_prefix)
                .filter(|like| !like.is_empty())
                .and_then(|like| self.latest_with_prefix(kept.kind, like))
        };
        let Some(entry) = self.latest_version(kept.kind, &kept.key).or_else(like) else {
            return Err(miss(CacheMiss::NOT_STORED.to_owned()));
        };
        let total = WorkAmount { entries: 1, files: entry.meta.files, bytes: entry.meta.bytes };
        progress.start_phase(CachePhase::Restore, total);
        let done = restore_missing_files(&entry, kept);
        progress.advance(total);
        progress.finish_phase();
        match done {
            Ok((files, bytes)) => {
                self.mark_used(&entry.id);
                Ok(RestoredEntry { entry: entry.id.to_string(), name: kept.name.clone(), files, bytes })
            }
            Err((reason, damaged)) => {
                if damaged {
                    self.quarantine_entry(&entry.id);
                }
                Err(miss(reason))
            }
        }
    }
}

/// Whether a folder is as it was kept: the same names, sizes and times.
fn is_folder_unchanged(entry: &StoreEntry, found: &[(PathBuf, FileStat)]) -> bool {
    let listed: HashMap<&Path, &TreeNodeKind> =
        entry.manifest.nodes.iter().map(|item| (Path::new(&item.path), &item.kind)).collect();
    let mut seen = 0;
    for (path, stamp) in found {
        match listed.get(path.as_path()) {
            Some(TreeNodeKind::File { size, modified, executable, .. }) => {
                if !stamp.is_file()
                    || stamp.size != *size
                    || stamp.mtime_ns != *modified
                    || stamp.is_executable() != *executable
                {
                    return false;
                }
            }
            Some(TreeNodeKind::Symlink { .. }) if stamp.is_symlink() => {}
            Some(TreeNodeKind::EmptyFolder) if stamp.is_dir() => {}
            None if stamp.is_dir() => continue,
            _ => return false,
        }
        seen += 1;
    }
    seen == listed.len()
}

/// Puts each missing thing down by a rename, so that nobody sees a part of it; gives files and bytes, or why not, and
/// whether the entry is damaged.
fn restore_missing_files(entry: &StoreEntry, kept: &FolderSpec) -> Result<(u64, u64), (String, bool)> {
    let system = |error: std::io::Error| (error.to_string(), false);
    fs_err::create_dir_all(&kept.path).map_err(system)?;
    let beside = kept.path.parent().unwrap_or(&kept.path);
    LockedTempDir::remove_stale(beside);
    let workspace = LockedTempDir::create_in(beside).map_err(system)?;
    let linker = kept.file_linker();
    let (tree, new) = (entry.tree_path(), workspace.path().join("new"));
    let (mut files, mut bytes) = (0, 0);
    for item in &entry.manifest.nodes {
        let target = kept.path.join(&item.path);
        if FileStat::from_path(&target).is_ok() {
            continue;
        }
        let made = if item.kind == TreeNodeKind::EmptyFolder { Some(target.as_path()) } else { target.parent() };
        if let Some(made) = made {
            fs_err::create_dir_all(made).map_err(system)?;
        }
        match &item.kind {
            TreeNodeKind::EmptyFolder => {}
            TreeNodeKind::Symlink { target: to } => {
                std::os::unix::fs::symlink(to, &new).and_then(|()| std::fs::rename(&new, &target)).map_err(system)?;
            }
            TreeNodeKind::File { size, .. } => {
                let from = tree.join(&item.path);
                verify_stored_file(item, &from, &linker)
                    .map_err(|wrong| (format!("damaged, put aside: {}: {wrong}", item.path), !wrong.is_io_error()))?;
                linker.link_file(&from, &new).and_then(|()| std::fs::rename(&new, &target)).map_err(system)?;
                (files, bytes) = (files + 1, bytes + size);
            }
        }
    }
    Ok((files, bytes))
}

//! Folders kept as they are: a tool's own downloads, or all of a uv cache whose layout is not known.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cache::progress::{Amount, Phase, Progress};
use crate::fs::{Linker, Stamp, Workspace, blake3_hex, walk};

use super::entry::Entry;
use super::id::{EntryId, Kind};
use super::incoming::Published;
use super::listing::What;
use super::restore::{Restored, look};
use super::restore_plan::Miss;
use super::root::Store;
use super::save::{NotSaved, Saved};
use super::state::StateName;
use super::wrong::Damage;

/// A folder that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFolder {
    kind: Kind,
    key: String,
    /// What keys of like folders begin with, any of which will do where this one is not kept; empty where none will.
    like: String,
    name: String,
    path: PathBuf,
    /// Beginnings of names at its top; empty for all.
    only: &'static [&'static str],
}

impl KeptFolder {
    /// A folder that settings name. Its files are never shared: whoever owns it may write to them.
    pub fn named(path: PathBuf) -> Self {
        let key = blake3_hex(path.as_os_str().as_encoded_bytes())[..32].to_owned();
        Self { kind: Kind::Folder, key, like: String::new(), name: path.display().to_string(), path, only: &[] }
    }

    /// The wheels of a uv cache, as a whole: for this version of uv alone.
    pub fn uv_cache(path: PathBuf, version: &str) -> Self {
        let key = blake3_hex(version.as_bytes())[..32].to_owned();
        let name = format!("the cache of {version}");
        Self { kind: Kind::Bucket, key, like: String::new(), name, path, only: &["wheels-", "archive-", "sdists-"] }
    }

    /// pip's cache: what it fetched and the wheels it built, for these interpreters and what is installed; a state for
    /// the same interpreters serves where there is none for the same installs. Both are digests.
    pub fn pip_cache(path: PathBuf, pythons: &str, installs: &str) -> Self {
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        let like = format!("pip-{}-", short(pythons));
        let (key, name) = (format!("{like}{}", short(installs)), "pip's cache".to_owned());
        Self { kind: Kind::Folder, key, like, name, path, only: &["http", "wheels"] }
    }

    /// Records of past runs of these sessions of a project.
    pub fn past_runs(path: PathBuf, project: &str, sessions: &[&str]) -> Self {
        let short = |text: &str| blake3_hex(text.as_bytes())[..16].to_owned();
        let key = format!("past-{}-{}", short(project), short(&sessions.join("\n")));
        let name = "what sessions usually take".to_owned();
        Self { kind: Kind::Folder, key, like: String::new(), name, path, only: &[] }
    }

    /// What it is called in the store.
    pub fn state(&self) -> StateName {
        StateName::new(self.kind, &self.key).or_like(&self.like)
    }

    fn takes(&self, path: &Path) -> bool {
        let top = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        self.only.is_empty() || top.is_some_and(|top| self.only.iter().any(|start| top.starts_with(start)))
    }

    fn linker(&self) -> Linker {
        if self.kind == Kind::Bucket { Linker::new() } else { Linker::separate() }
    }
}

impl Store {
    /// Keeps a folder as it is now; none where it is known as it is, or is not there.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn save_folder(&self, kept: &KeptFolder, progress: &dyn Progress) -> Result<Option<Saved>, NotSaved> {
        let not = |reason: String| NotSaved { name: kept.name.clone(), reason };
        if !kept.path.is_dir() {
            return Ok(None);
        }
        let found = walk(&kept.path).map_err(|error| not(error.to_string()))?;
        let found: Vec<(PathBuf, Stamp)> = found.into_iter().filter(|(path, _)| kept.takes(path)).collect();
        let newest = self.newest(kept.kind, &kept.key);
        if newest.as_ref().is_some_and(|entry| is_same(entry, &found)) {
            newest.iter().for_each(|entry| self.touch(&entry.id));
            return Ok(None);
        }
        let files = found.iter().filter(|(_, stamp)| stamp.is_file());
        let total = files.map(|(_, stamp)| Amount { entries: 0, files: 1, bytes: stamp.size }).sum();
        progress.begin(Phase::Save, total);
        let saved = self.take_folder(kept, &found);
        progress.advance(total);
        progress.end();
        let saved = saved.map_err(not)?;
        // What it replaces goes, unless somebody reads it just now.
        drop(newest);
        self.drop_others(kept.kind, &kept.key, &saved.entry);
        Ok(Some(saved))
    }

    fn take_folder(&self, kept: &KeptFolder, found: &[(PathBuf, Stamp)]) -> Result<Saved, String> {
        let words = |damage: &Damage| format!("{}: {}", damage.path, damage.wrong);
        let id = EntryId::of_state(kept.kind, &kept.key).ok_or("its name is none")?;
        let mut incoming = self.incoming(&id, &kept.name).map_err(|error| error.to_string())?;
        incoming.adopt_some(&kept.path, &kept.linker(), &|path| kept.takes(path)).map_err(|damage| words(&damage))?;
        match incoming.publish(None) {
            Ok(Published::New(head)) => {
                let (files, bytes) = (head.files, head.bytes);
                Ok(Saved { entry: id.to_string(), name: head.name, files, bytes })
            }
            Ok(Published::AlreadyThere) => Err(format!("{} things were kept by another process", found.len())),
            Err(damaged) => Err(damaged.first().map(words).unwrap_or_default()),
        }
    }

    /// Puts what is missing of a folder to its place; what is there stays as it is.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn restore_folder(&self, kept: &KeptFolder, progress: &dyn Progress) -> Result<Restored, Miss> {
        let miss = |reason: String| Miss { name: kept.name.clone(), reason };
        let like = || Some(&kept.like).filter(|like| !like.is_empty()).and_then(|like| self.newest_of(kept.kind, like));
        let Some(entry) = self.newest(kept.kind, &kept.key).or_else(like) else {
            return Err(miss(Miss::NEVER.to_owned()));
        };
        let total = Amount { entries: 1, files: entry.head.files, bytes: entry.head.bytes };
        progress.begin(Phase::Restore, total);
        let done = put_back(&entry, kept);
        progress.advance(total);
        progress.end();
        match done {
            Ok((files, bytes)) => {
                self.touch(&entry.id);
                Ok(Restored { entry: entry.id.to_string(), name: kept.name.clone(), files, bytes })
            }
            Err((reason, damaged)) => {
                if damaged {
                    self.put_aside(&entry.id);
                }
                Err(miss(reason))
            }
        }
    }
}

/// Whether a folder is as it was kept: the same names, sizes and times.
fn is_same(entry: &Entry, found: &[(PathBuf, Stamp)]) -> bool {
    let listed: HashMap<&Path, &What> =
        entry.listing.items.iter().map(|item| (Path::new(&item.path), &item.what)).collect();
    let mut seen = 0;
    for (path, stamp) in found {
        match listed.get(path.as_path()) {
            Some(What::File { size, modified, executable, .. }) => {
                if !stamp.is_file()
                    || stamp.size != *size
                    || stamp.modified != *modified
                    || stamp.is_executable() != *executable
                {
                    return false;
                }
            }
            Some(What::Link { .. }) if stamp.is_link() => {}
            Some(What::Folder) if stamp.is_folder() => {}
            None if stamp.is_folder() => continue,
            _ => return false,
        }
        seen += 1;
    }
    seen == listed.len()
}

/// Puts each missing thing down by a rename, so that nobody sees a part of it; gives files and bytes, or why not, and
/// whether the entry is damaged.
fn put_back(entry: &Entry, kept: &KeptFolder) -> Result<(u64, u64), (String, bool)> {
    let system = |error: std::io::Error| (error.to_string(), false);
    fs_err::create_dir_all(&kept.path).map_err(system)?;
    let beside = kept.path.parent().unwrap_or(&kept.path);
    Workspace::clear(beside);
    let workspace = Workspace::new(beside).map_err(system)?;
    let linker = kept.linker();
    let (tree, new) = (entry.tree(), workspace.path().join("new"));
    let (mut files, mut bytes) = (0, 0);
    for item in &entry.listing.items {
        let target = kept.path.join(&item.path);
        if Stamp::of(&target).is_ok() {
            continue;
        }
        let made = if item.what == What::Folder { Some(target.as_path()) } else { target.parent() };
        if let Some(made) = made {
            fs_err::create_dir_all(made).map_err(system)?;
        }
        match &item.what {
            What::Folder => {}
            What::Link { target: to } => {
                std::os::unix::fs::symlink(to, &new).and_then(|()| std::fs::rename(&new, &target)).map_err(system)?;
            }
            What::File { size, .. } => {
                let from = tree.join(&item.path);
                look(item, &from, &linker).map_err(|wrong| {
                    (format!("damaged, put aside: {}: {wrong}", item.path), !wrong.is_of_the_system())
                })?;
                linker.put(&from, &new).and_then(|()| std::fs::rename(&new, &target)).map_err(system)?;
                (files, bytes) = (files + 1, bytes + size);
            }
        }
    }
    Ok((files, bytes))
}

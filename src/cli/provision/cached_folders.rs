//! Folders that a run keeps whole: pip's cache where sessions install by pip, and those that settings name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::store::{CacheMiss, EntryId, FolderSpec, VersionedKey};
use crate::cache::{ProgressReporter, Store};
use crate::cli::session_keys::SessionKeys;
use crate::fs::Sha256Digest;
use crate::project::{NoxfileManifest, SessionId};

/// The folders of one run: put back before its first session, kept when it is over.
#[derive(Debug, Default)]
pub(super) struct CachedFolders {
    folders: Option<Vec<FolderSpec>>,
    restored: bool,
}

impl CachedFolders {
    /// Finds out which they are, once.
    pub(super) fn resolve_folders(&mut self, manifest: &NoxfileManifest, keyed: &mut SessionKeys, store: &Store) {
        self.folders.get_or_insert_with(|| {
            let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(FolderSpec::from_settings);
            store.options().folders.iter().filter_map(absolute).chain(pip_cache_folder(manifest, keyed)).collect()
        });
    }

    /// What they are called in a store; nothing more once they were put back.
    pub(super) fn pending_keys(&self) -> Vec<VersionedKey> {
        self.folders.iter().flatten().filter(|_| !self.restored).map(FolderSpec::versioned_key).collect()
    }

    /// Puts back what is missing of each, once; gives what is in use now, and what went wrong, in sentences.
    pub(super) fn restore(&mut self, store: &Store, progress: &dyn ProgressReporter) -> (Vec<EntryId>, Vec<String>) {
        let (mut used, mut troubles) = (Vec::new(), Vec::new());
        for folder in self.folders.iter().flatten().filter(|_| !self.restored) {
            match store.restore_folder(folder, progress) {
                Ok(restored) => used.extend(EntryId::parse(&restored.entry)),
                // What was never kept is no trouble.
                Err(miss) if miss.reason == CacheMiss::NOT_STORED => {}
                Err(miss) => troubles.push(format!("cache: {}: {}", miss.name, miss.reason)),
            }
        }
        self.restored = true;
        (used, troubles)
    }

    /// Keeps each as it is now; gives what is new in the store, and what went wrong, in sentences.
    pub(super) fn save(&self, store: &Store, progress: &dyn ProgressReporter) -> (Vec<EntryId>, Vec<String>) {
        let (mut new, mut troubles) = (Vec::new(), Vec::new());
        for folder in self.folders.iter().flatten() {
            match store.save_folder(folder, progress) {
                Ok(saved) => new.extend(saved.and_then(|saved| EntryId::parse(&saved.entry))),
                Err(not) => troubles.push(format!("{} is not kept: {}", not.name, not.reason)),
            }
        }
        (new, troubles)
    }
}

/// Whether a session installs by pip.
pub(super) fn is_pip_session(manifest: &NoxfileManifest, id: SessionId) -> bool {
    let session = &manifest.sessions[id.0];
    matches!(session.backend.as_str(), "virtualenv" | "venv") && !session.installs.is_empty()
}

/// pip's cache, under a key of all sessions that install by pip: their interpreters, and what they install.
fn pip_cache_folder(manifest: &NoxfileManifest, keyed: &mut SessionKeys) -> Option<FolderSpec> {
    let ids = (0..manifest.sessions.len()).map(SessionId).filter(|id| is_pip_session(manifest, *id));
    let ids: Vec<SessionId> = ids.collect();
    ids.iter().for_each(|id| keyed.add_session(manifest, *id));
    let sessions: Vec<_> = ids.iter().filter_map(|id| keyed.session_key(*id)).collect();
    let pythons: BTreeSet<String> = sessions
        .iter()
        .filter_map(|session| session.interpreter.as_ref())
        .map(|python| format!("{} {} {}", python.version, python.abi, python.libc))
        .collect();
    let python = sessions.iter().find_map(|session| session.interpreter.as_ref())?;
    let recipes: BTreeSet<String> = sessions.iter().map(|session| session.fingerprint.digest()).collect();
    let digest =
        |words: BTreeSet<String>| Sha256Digest::hash_bytes(words.into_iter().collect::<Vec<_>>().join("\n").as_bytes());
    let folder = pip_cache_dir(&python.executable, &manifest.root)?;
    Some(FolderSpec::for_pip_cache(folder, &digest(pythons).to_string(), &digest(recipes).to_string()))
}

/// Where pip keeps its cache: as pip says; where this interpreter has none, as pip would say.
fn pip_cache_dir(python: &Path, root: &Path) -> Option<PathBuf> {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "cache", "dir", "--disable-pip-version-check"]).current_dir(root);
    let done = command.stdin(Stdio::null()).output().ok().filter(|done| done.status.success());
    let said = done.and_then(|done| String::from_utf8(done.stdout).ok()).map(|text| PathBuf::from(text.trim()));
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = || {
        let home = named("HOME");
        let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        let xdg = named("XDG_CACHE_HOME").filter(|_| !cfg!(target_os = "macos"));
        Some(xdg.or_else(|| home.map(|home| home.join(usual)))?.join("pip"))
    };
    said.filter(|path| path.is_absolute()).or_else(|| named("PIP_CACHE_DIR")).or_else(caches)
}

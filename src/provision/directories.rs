//! Directories that are cached as one entry each: pip's cache if sessions use pip, and those named in settings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::session_keys::SessionKeys;
use crate::cache::store::{CacheMiss, DirectorySpec, EntryId, VersionedKey};
use crate::cache::{ProgressReporter, Store};
use crate::fs::Sha256Digest;
use crate::project::{ManifestIndex, NoxfileManifest};

/// The cached directories of a run: restored before its first session, saved after the run.
#[derive(Debug, Default)]
pub(super) struct CachedDirectories {
    directories: Option<Vec<DirectorySpec>>,
    restored: bool,
}

impl CachedDirectories {
    /// Determines the directories, on the first call.
    pub(super) fn resolve_directories(&mut self, manifest: &NoxfileManifest, keys: &mut SessionKeys, store: &Store) {
        self.directories.get_or_insert_with(|| {
            let absolute = |path: &PathBuf| std::path::absolute(path).ok().map(DirectorySpec::from_settings);
            store.options().directories.iter().filter_map(absolute).chain(pip_cache_directory(manifest, keys)).collect()
        });
    }

    /// Returns the store keys of the directories that are not restored yet.
    pub(super) fn pending_keys(&self) -> Vec<VersionedKey> {
        self.directories.iter().flatten().filter(|_| !self.restored).map(DirectorySpec::versioned_key).collect()
    }

    /// Restores the missing files of each directory, on the first call. Returns the used entries, and warnings.
    pub(super) fn restore(&mut self, store: &Store, progress: &dyn ProgressReporter) -> (Vec<EntryId>, Vec<String>) {
        let (mut used, mut warnings) = (Vec::new(), Vec::new());
        for directory in self.directories.iter().flatten().filter(|_| !self.restored) {
            match store.restore_directory(directory, progress) {
                Ok(restored) => used.extend(EntryId::parse(&restored.entry)),
                Err(miss) if miss.reason == CacheMiss::NOT_STORED => {}
                Err(miss) => warnings.push(format!("cache: {}: {}", miss.name, miss.reason)),
            }
        }
        self.restored = true;
        (used, warnings)
    }

    /// Saves each directory. Returns the new entries, and warnings.
    pub(super) fn save(&self, store: &Store, progress: &dyn ProgressReporter) -> (Vec<EntryId>, Vec<String>) {
        let (mut new, mut warnings) = (Vec::new(), Vec::new());
        for directory in self.directories.iter().flatten() {
            match store.save_directory(directory, progress) {
                Ok(saved) => new.extend(saved.and_then(|saved| EntryId::parse(&saved.entry))),
                Err(failure) => warnings.push(format!("{} was not saved: {}", failure.name, failure.reason)),
            }
        }
        (new, warnings)
    }
}

/// Whether a session installs by pip.
pub(super) fn is_pip_session(manifest: &NoxfileManifest, id: ManifestIndex) -> bool {
    let session = &manifest.sessions[id.0];
    matches!(session.backend.as_str(), "virtualenv" | "venv") && !session.installs.is_empty()
}

/// Returns pip's cache, keyed by the interpreters and inputs of all sessions that install by pip.
fn pip_cache_directory(manifest: &NoxfileManifest, keys: &mut SessionKeys) -> Option<DirectorySpec> {
    let ids = (0..manifest.sessions.len()).map(ManifestIndex).filter(|id| is_pip_session(manifest, *id));
    let ids: Vec<ManifestIndex> = ids.collect();
    ids.iter().for_each(|id| keys.add_session(manifest, *id));
    let sessions: Vec<_> = ids.iter().filter_map(|id| keys.key_inputs_of(*id)).collect();
    let pythons: BTreeSet<String> = sessions
        .iter()
        .filter_map(|session| session.interpreter.as_ref())
        .map(|python| format!("{} {} {}", python.version, python.abi, python.libc))
        .collect();
    let python = sessions.iter().find_map(|session| session.interpreter.as_ref())?;
    let dependencies: BTreeSet<String> = sessions.iter().map(|session| session.key_inputs.digest()).collect();
    let digest =
        |lines: BTreeSet<String>| Sha256Digest::hash_bytes(lines.into_iter().collect::<Vec<_>>().join("\n").as_bytes());
    let directory = pip_cache_dir(&python.executable, &manifest.root)?;
    Some(DirectorySpec::for_pip_cache(directory, &digest(pythons).to_string(), &digest(dependencies).to_string()))
}

/// Returns pip's cache directory as pip reports it, or by pip's rules if the interpreter has no pip.
fn pip_cache_dir(python: &Path, root: &Path) -> Option<PathBuf> {
    let mut command = Command::new(python);
    // Isolated: a `pip.py` of the project is not pip.
    command.args(["-I", "-m", "pip", "cache", "dir", "--disable-pip-version-check"]).current_dir(root);
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success());
    let answer = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let answer = answer.map(|text| PathBuf::from(text.trim())).filter(|path| path.is_absolute());
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let default = || {
        let is_mac = cfg!(target_os = "macos");
        let below_home = || variable("HOME").map(|home| home.join(if is_mac { "Library/Caches" } else { ".cache" }));
        Some(variable("XDG_CACHE_HOME").filter(|_| !is_mac).or_else(below_home)?.join("pip"))
    };
    answer.or_else(|| variable("PIP_CACHE_DIR")).or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_of_the_project_is_not_run_in_place_of_pip() {
        let project = tempfile::tempdir().unwrap();
        let text = "open('ran', 'w').write('')\nprint('/evil')\n";
        fs_err::write(project.path().join("pip.py"), text).unwrap();
        let found = pip_cache_dir(Path::new("python3"), project.path());
        assert!(found.is_none_or(|path| path != Path::new("/evil")) && !project.path().join("ran").exists());
    }
}

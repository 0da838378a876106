//! Environments and bytecode of sessions: a missing environment that nox would reuse is restored, and saved after it was
//! built.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::environment_lock::EnvironmentLock;
use super::session_keys::SessionKeyInputs;
use crate::cache::keys::KeyInputKind;
use crate::cache::store::{
    CacheMiss, EntryId, EnvironmentSpec, RestoredEntry, SaveFailure, SavedEntry, StoredBytecode, VersionedKey,
};
use crate::cache::{ProgressReporter, SelectedPackage, Store};
use crate::fs::{blake3_hex, is_contained_path, write_atomic};
use crate::project::dependencies::normalize_name;
use crate::project::{ManifestIndex, Session};

/// File that the host writes to an environment: the installs that built it.
const INSTALLS_FILE: &str = ".noxide-installs.json";
/// File that the host writes to an environment: the bytecode files that it added.
const BYTECODE_FILE: &str = ".noxide-bytecode.json";
/// The variable that passes the directory of offered bytecode to the host.
const BYTECODE_DIR_VARIABLE: &str = "NOXIDE_BYTECODE";

/// Variables that change how an install proceeds but not its result.
const IGNORED_VARIABLES: [&str; 14] = [
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_LINK_MODE",
    "UV_NO_PROGRESS",
    "UV_NO_CACHE",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_BUILDS",
    "UV_CONCURRENT_INSTALLS",
    "UV_HTTP_TIMEOUT",
    "UV_LOCK_TIMEOUT",
    "UV_PYTHON_DOWNLOADS",
    "PIP_CACHE_DIR",
    "PIP_PROGRESS_BAR",
    "PIP_DISABLE_PIP_VERSION_CHECK",
];

/// The environments that a run may restore from the store or save there.
#[derive(Debug, Default)]
pub(super) struct EnvironmentCache {
    posargs: Vec<OsString>,
    /// Whether nox skips every install in an environment that exists (`--no-install`). If so, none is restored: nox would
    /// then skip `session.run_install`, which may do more than fill the environment.
    no_install: bool,
    /// Environments that nox reuses and that did not exist when their session was provisioned. Only these are saved: one
    /// that existed before may contain packages of unknown origin.
    missing_at_start: BTreeMap<ManifestIndex, EnvironmentSpec>,
    restored: BTreeSet<ManifestIndex>,
}

impl EnvironmentCache {
    /// Creates the cache for sessions that get these arguments.
    pub(super) fn new(no_install: bool, posargs: &[OsString]) -> Self {
        Self { posargs: posargs.to_vec(), no_install, ..Self::default() }
    }

    /// Restores a session's environment if it is missing and its session reuses environments. Returns `None` if the
    /// store has none that was built after `since`.
    ///
    /// # Errors
    /// When a stored environment cannot be restored.
    pub(super) fn restore(
        &mut self,
        (session, inputs): (&Session, &SessionKeyInputs),
        since: Option<Timestamp>,
        store: &Store,
        progress: &dyn ProgressReporter,
    ) -> Result<Option<RestoredEntry>, CacheMiss> {
        let Some(spec) = self.reusable_venv(session, inputs) else { return Ok(None) };
        let spec = spec.with_not_before(since);
        // Held by another noxide that is creating it; then it is there when the session starts.
        let lock = EnvironmentLock::try_acquire(spec.path());
        if matches!(lock, Ok(None)) {
            return Ok(None);
        }
        let result = store.restore_environment(&spec, progress);
        self.missing_at_start.insert(inputs.id, spec);
        match result {
            Ok(restored) => {
                self.restored.insert(inputs.id);
                Ok(Some(restored))
            }
            Err(miss) if miss.reason == CacheMiss::NOT_STORED => Ok(None),
            Err(miss) => Err(miss),
        }
    }

    /// Returns the store key of a session's environment; `None` if it exists or nox would not reuse it.
    pub(super) fn environment_key(&self, session: &Session, inputs: &SessionKeyInputs) -> Option<VersionedKey> {
        self.reusable_venv(session, inputs).map(|spec| spec.versioned_key())
    }

    fn reusable_venv(&self, session: &Session, inputs: &SessionKeyInputs) -> Option<EnvironmentSpec> {
        let (envdir, python) = (session.envdir.as_deref()?, inputs.interpreter.as_ref()?);
        let is_reused = session.reuse && !self.no_install && session.backend == "uv" && !session.installs.is_empty();
        let is_absent = std::fs::symlink_metadata(envdir).is_err();
        let digest = || environment_digest(session, inputs, &self.posargs);
        (is_reused && is_absent).then(|| EnvironmentSpec::new(envdir, &python.executable, &digest())).flatten()
    }

    /// Saves a session's environment, and its bytecode for interpreters with this tag. Skips a restored environment
    /// without new installs.
    pub(super) fn save(
        &self,
        id: ManifestIndex,
        envdir: &Path,
        bytecode_tag: &str,
        installed: bool,
        store: &Store,
    ) -> EnvironmentSaveResult {
        let mut result = EnvironmentSaveResult::default();
        let is_new = installed || !self.restored.contains(&id);
        // Without the host's file an install failed, or the installs are unknown.
        let spec = self.missing_at_start.get(&id).filter(|spec| is_new && spec.path().join(INSTALLS_FILE).is_file());
        let saves_bytecode = store.options().bytecode && installed && !bytecode_tag.is_empty();
        if !store.is_writable() || (spec.is_none() && !saves_bytecode) {
            return result;
        }
        let environment = match store.scan_environment(envdir) {
            Ok(environment) => environment,
            Err(reason) => {
                let warning =
                    |spec: &EnvironmentSpec| format!("environment {} was not saved: {reason}", spec.display_name());
                result.warnings.extend(spec.map(warning));
                return result;
            }
        };
        let mut excluded = HashSet::new();
        if saves_bytecode {
            for saved in store.save_bytecode(&environment, bytecode_tag) {
                result.add_saved(saved.map(Some));
            }
            excluded = store.stored_bytecode_paths(&environment, bytecode_tag);
            excluded.insert(BYTECODE_FILE.to_owned());
        }
        if let Some(spec) = spec {
            let saved = store.save_scanned_environment(spec, &environment, &excluded);
            let named = |failure: SaveFailure| SaveFailure { name: format!("environment {}", failure.name), ..failure };
            result.add_saved(saved.map_err(named));
        }
        result
    }
}

/// Entries that a saved environment added to the store.
#[derive(Debug, Default)]
pub(super) struct EnvironmentSaveResult {
    pub(super) new_entries: Vec<EntryId>,
    pub(super) warnings: Vec<String>,
}

impl EnvironmentSaveResult {
    fn add_saved(&mut self, saved: Result<Option<SavedEntry>, SaveFailure>) {
        match saved {
            Ok(saved) => self.new_entries.extend(saved.and_then(|saved| EntryId::parse(&saved.entry))),
            Err(failure) => self.warnings.push(format!("{} was not saved: {}", failure.name, failure.reason)),
        }
    }
}

/// Returns everything that determines the content of an environment, apart from its path and interpreter.
fn environment_digest(session: &Session, inputs: &SessionKeyInputs, posargs: &[OsString]) -> String {
    let mut parts = vec![inputs.key_inputs.digest(), session.venv_params.join("\0"), installer_variables()];
    // If the noxfile computes what to install, the result may depend on the arguments.
    if inputs
        .key_inputs
        .inputs
        .iter()
        .any(|input| input.kind == KeyInputKind::InstallCommand && input.name == "noxfile")
    {
        parts.extend(posargs.iter().map(|word| word.to_string_lossy().into_owned()));
    }
    parts.join("\n")
}

/// Returns the variables of uv and pip, with the digests of files that they name.
fn installer_variables() -> String {
    let is_relevant =
        |name: &str| (name.starts_with("UV_") || name.starts_with("PIP_")) && !IGNORED_VARIABLES.contains(&name);
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| is_relevant(name))?, value)))
        .map(|(name, value)| {
            let value = value.to_string_lossy();
            let files = value.split_whitespace().filter(|word| Path::new(word).is_file());
            let digests = files.filter_map(|file| Some(blake3_hex(&std::fs::read(file).ok()?)));
            format!("{name}={value} {}", digests.collect::<Vec<_>>().join(" "))
        })
        .collect();
    variables.sort();
    variables.join("\n")
}

/// Stored bytecode that is offered to the host, which adds it to environments after their installs.
#[derive(Debug, Default)]
pub(super) struct OfferedBytecode {
    /// A directory of the run; with `None` nothing is offered.
    directory: Option<PathBuf>,
    offered: BTreeSet<(String, EntryId)>,
}

impl OfferedBytecode {
    /// Creates the publisher for `directory`.
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self { directory: Some(directory), offered: BTreeSet::new() }
    }

    /// Offers the host the bytecode of these packages for interpreters with this tag. Returns the variable that passes its
    /// directory to the host, and the offered entries.
    pub(super) fn offer_packages<'a>(
        &mut self,
        packages: impl Iterator<Item = &'a SelectedPackage>,
        bytecode_tag: &str,
        store: &Store,
    ) -> (Option<(String, String)>, Vec<EntryId>) {
        let Some(directory) = self.directory.as_ref().filter(|_| store.options().bytecode && !bytecode_tag.is_empty())
        else {
            return (None, Vec::new());
        };
        let directory = directory.join(bytecode_tag);
        let mut used = Vec::new();
        for package in packages {
            for (id, bytecode) in package.digests.iter().flat_map(|digest| store.stored_bytecode(*digest, bytecode_tag))
            {
                if self.offered.contains(&(bytecode_tag.to_owned(), id.clone()))
                    || write_bytecode_entry(&directory, &package.name, &id, &bytecode)
                {
                    used.push(id.clone());
                    self.offered.insert((bytecode_tag.to_owned(), id));
                }
            }
        }
        (Some((BYTECODE_DIR_VARIABLE.to_owned(), directory.display().to_string())), used)
    }
}

/// Writes the bytecode of one wheel to a path such as `requests-2.32.0/<digest>`; returns false if that fails.
fn write_bytecode_entry(directory: &Path, package: &str, id: &EntryId, bytecode: &StoredBytecode) -> bool {
    let Some((name, version)) = package.split_once(' ') else { return false };
    // The name of a package may come from a remote cache.
    let name = format!("{}-{version}", normalize_name(name));
    if name.contains(['/', '\0']) || !is_contained_path(Path::new(&name)) || name.len() > 200 {
        return false;
    }
    let directory = directory.join(name);
    let text = serde_json::to_vec(bytecode).unwrap_or_default();
    std::fs::create_dir_all(&directory).and_then(|()| write_atomic(&directory.join(id.id()), &text)).is_ok()
}

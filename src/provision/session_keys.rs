//! Cache keys of sessions, computed from their installs and interpreters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::uv::{find_uv, uv_version};
use crate::cache::keys::{CacheKey, CacheKeyParts, KeyContext, KeyIndex, KeyInputs};
use crate::project::{Interpreter, ManifestIndex, NoxfileManifest};

/// Sessions and the inputs of their cache keys.
#[derive(Debug)]
pub(crate) struct SessionKeys {
    /// Sessions that have an environment, in the order they were added.
    pub(crate) sessions: Vec<SessionKeyInputs>,
    /// Files and versions from which the key inputs are read.
    pub(crate) key_context: KeyContext,
    /// Keys of earlier runs; `None` without a user cache directory.
    pub(crate) key_index: Option<KeyIndex>,
    /// Problems while the key inputs were read.
    pub(crate) warnings: Vec<String>,
    /// Errors of interpreters that were not found: nox skips these sessions and reports that itself.
    pub(crate) interpreter_errors: Vec<String>,
    project_name: String,
    uv: Option<PathBuf>,
    interpreters: HashMap<Option<String>, Option<Interpreter>>,
}

/// The inputs of one session's cache key.
#[derive(Debug)]
pub(crate) struct SessionKeyInputs {
    pub(crate) id: ManifestIndex,
    /// The inputs that determine what it installs.
    pub(crate) key_inputs: KeyInputs,
    /// Its interpreter; `None` if no such version is installed.
    pub(crate) interpreter: Option<Interpreter>,
}

impl SessionKeys {
    /// Reads the key inputs of these sessions; `uses_locked_versions`: all installs get the versions of uv.lock.
    pub(crate) fn new(
        manifest: &NoxfileManifest,
        uses_locked_versions: bool,
        user_cache_dir: Option<&Path>,
        ids: &[ManifestIndex],
    ) -> Self {
        let (mut key_context, warnings) = KeyContext::load(&manifest.root, &manifest.noxfile);
        let uv = find_uv(manifest);
        key_context.uses_locked_versions = uses_locked_versions;
        key_context.uv_version = uv.as_deref().and_then(uv_version);
        let project_name = detect_project_name(&manifest.root, &key_context);
        let mut keys = Self {
            sessions: Vec::new(),
            key_index: user_cache_dir.map(|directory| KeyIndex::new(directory, &project_name)),
            key_context,
            warnings,
            interpreter_errors: Vec::new(),
            project_name,
            uv,
            interpreters: HashMap::new(),
        };
        for id in ids {
            keys.add_session(manifest, *id);
        }
        keys
    }

    /// Adds a session, unless it has no environment or was added before.
    pub(super) fn add_session(&mut self, manifest: &NoxfileManifest, id: ManifestIndex) {
        let session = &manifest.sessions[id.0];
        if session.backend == "none" || self.key_inputs_of(id).is_some() {
            return;
        }
        let interpreter = self.find_interpreter(manifest, session.python.as_ref());
        let probed = interpreter.clone().unwrap_or_default();
        let inputs = self.key_context.key_inputs(session, &manifest.root, &probed);
        let key_inputs = KeyInputs::new(session.name.as_str(), inputs);
        self.sessions.push(SessionKeyInputs { id, key_inputs, interpreter });
    }

    /// Finds the interpreter of a Python specifier, and caches the result.
    fn find_interpreter(&mut self, manifest: &NoxfileManifest, python: Option<&String>) -> Option<Interpreter> {
        let spec = python.cloned();
        if let Some(known) = self.interpreters.get(&spec) {
            return known.clone();
        }
        let host = (manifest.executable.as_path(), manifest.nox.as_str());
        let found = Interpreter::find_for_spec(spec.as_deref(), host, self.uv.as_deref());
        let found = found.map_err(|error| self.interpreter_errors.push(error.to_string())).ok();
        self.interpreters.insert(spec, found.clone());
        found
    }

    /// Returns the name of the project in keys.
    pub(super) fn project_name(&self) -> &str {
        &self.project_name
    }

    /// Returns the inputs of one session's cache key.
    pub(super) fn key_inputs_of(&self, id: ManifestIndex) -> Option<&SessionKeyInputs> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// Returns the bytecode tag of a session's interpreter, such as `cpython-311`; empty if it is unknown.
    pub(super) fn bytecode_tag(&self, id: ManifestIndex) -> String {
        let interpreter = self.key_inputs_of(id).and_then(|session| session.interpreter.as_ref());
        interpreter.map(|interpreter| interpreter.cache_tag.clone()).unwrap_or_default()
    }

    /// Computes one cache key for these sessions.
    pub(crate) fn combined_key(&self, sessions: &[&SessionKeyInputs]) -> CacheKey {
        let interpreters: Vec<&Interpreter> =
            sessions.iter().filter_map(|session| session.interpreter.as_ref()).collect();
        let first = |part: fn(&Interpreter) -> &str| interpreters.first().map_or("", |python| part(python)).to_owned();
        let uv_version = self.key_context.uv_version.as_ref();
        let parts = CacheKeyParts {
            project: self.project_name.clone(),
            os: first(|python| &python.markers.sys_platform),
            arch: first(|python| &python.markers.platform_machine),
            libc: first(|python| &python.libc),
            pythons: interpreters.iter().map(|python| python.cache_tag.clone()).collect(),
            tool: uv_version.map_or_else(|| "pip".to_owned(), |version| format!("uv{version}")),
        };
        let key_inputs: Vec<KeyInputs> = sessions.iter().map(|session| session.key_inputs.clone()).collect();
        CacheKey::new(&parts, &key_inputs)
    }
}

/// Returns the name of the project in keys: that of its GitHub repository, else that in pyproject.toml, else that of
/// its directory.
fn detect_project_name(root: &Path, key_context: &KeyContext) -> String {
    let repository = std::env::var("GITHUB_REPOSITORY").ok().filter(|name| !name.is_empty());
    let directory =
        || root.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
    repository.or_else(|| key_context.pyproject.name.clone()).unwrap_or_else(directory)
}

/// Returns names and versions of the packages installed in an environment, sorted.
pub(super) fn installed_packages(environment: &Path) -> Vec<(String, String)> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().collect::<Vec<_>>();
    let site_packages = entries(&environment.join("lib")).into_iter().filter_map(|python| {
        let directory = python.path().join("site-packages");
        directory.is_dir().then_some(directory)
    });
    let mut packages: Vec<(String, String)> = site_packages
        .flat_map(|directory| entries(&directory))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (name, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
            Some((crate::project::dependencies::normalize_name(name), version.to_owned()))
        })
        .collect();
    packages.sort();
    packages
}

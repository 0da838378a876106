//! The sessions of a run with the keys of what they install.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::loaded_project::user_cache_dir;
use super::lock_constraints::find_uv;
use crate::cache::keys::{CacheKey, CacheKeyParts, DependencyFingerprint, KeyContext, KeyIndex};
use crate::project::{Interpreter, NoxfileManifest, SessionId};

/// Sessions with their keys.
#[derive(Debug)]
pub(super) struct SessionKeys {
    /// Those that have an environment, in the order asked for.
    pub(super) sessions: Vec<SessionKey>,
    /// What their facts were read from.
    pub(super) key_context: KeyContext,
    /// Entries of earlier runs; none where there is no folder for caches.
    pub(super) key_index: Option<KeyIndex>,
    /// What could not be read, in sentences.
    pub(super) warnings: Vec<String>,
    /// Interpreters that are not here, in sentences: nox skips these sessions, and says so itself.
    pub(super) missing_interpreters: Vec<String>,
    project_name: String,
    uv: Option<PathBuf>,
    interpreters: HashMap<Option<String>, Option<Interpreter>>,
}

/// One session with its key.
#[derive(Debug)]
pub(super) struct SessionKey {
    /// Which session.
    pub(super) id: SessionId,
    /// The facts of what it installs.
    pub(super) fingerprint: DependencyFingerprint,
    /// Its interpreter; none where there is none of that version.
    pub(super) interpreter: Option<Interpreter>,
}

impl SessionKeys {
    /// Reads the facts of these sessions.
    pub(super) fn new(manifest: &NoxfileManifest, locked: bool, ids: &[SessionId]) -> Self {
        let (mut surroundings, troubles) = KeyContext::load(&manifest.root, &manifest.noxfile);
        let uv = find_uv(manifest);
        surroundings.is_locked = locked;
        surroundings.uv_version = uv.as_deref().and_then(uv_version);
        let project = detect_project_name(&manifest.root, &surroundings);
        let keys = user_cache_dir().map(|folder| KeyIndex::new(&folder, &project));
        let (sessions, missing, pythons) = (Vec::new(), Vec::new(), HashMap::new());
        let mut keyed = Self {
            sessions,
            key_context: surroundings,
            key_index: keys,
            warnings: troubles,
            missing_interpreters: missing,
            project_name: project,
            uv,
            interpreters: pythons,
        };
        for id in ids {
            keyed.add_session(manifest, *id);
        }
        keyed
    }

    /// Reads the facts of one session more; nothing happens where it has no environment, or is known.
    pub(super) fn add_session(&mut self, manifest: &NoxfileManifest, id: SessionId) {
        let session = &manifest.sessions[id.0];
        if session.backend == "none" || self.session_key(id).is_some() {
            return;
        }
        let python = match self.interpreters.get(&session.python) {
            Some(known) => known.clone(),
            None => {
                let found = Interpreter::find_for_spec(
                    session.python.as_deref(),
                    (&manifest.executable, &manifest.nox),
                    self.uv.as_deref(),
                );
                let found = found.map_err(|error| self.missing_interpreters.push(error.to_string())).ok();
                self.interpreters.insert(session.python.clone(), found.clone());
                found
            }
        };
        let facts = self.key_context.key_inputs(session, &manifest.root, &python.clone().unwrap_or_default());
        self.sessions.push(SessionKey {
            id,
            fingerprint: DependencyFingerprint::new(session.name.as_str(), facts),
            interpreter: python,
        });
    }

    /// What the project is called among others.
    pub(super) fn project_name(&self) -> &str {
        &self.project_name
    }

    /// One session with its key.
    pub(super) fn session_key(&self, id: SessionId) -> Option<&SessionKey> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// The key of all of them, or of one.
    pub(super) fn combined_key(&self, sessions: &[&SessionKey]) -> CacheKey {
        let known: Vec<&Interpreter> = sessions.iter().filter_map(|session| session.interpreter.as_ref()).collect();
        let first = |part: fn(&Interpreter) -> &str| known.first().map_or("", |python| part(python)).to_owned();
        let parts = CacheKeyParts {
            project: self.project_name.clone(),
            os: first(|python| &python.markers.sys_platform),
            arch: first(|python| &python.markers.platform_machine),
            libc: first(|python| &python.libc),
            pythons: known.iter().map(|python| python.tag.clone()).collect(),
            tool: self
                .key_context
                .uv_version
                .as_ref()
                .map_or_else(|| "pip".to_owned(), |version| format!("uv{version}")),
        };
        let recipes: Vec<DependencyFingerprint> = sessions.iter().map(|session| session.fingerprint.clone()).collect();
        CacheKey::new(&parts, &recipes)
    }
}

/// What the project is called among others: as its forge knows it, else by its own name, else its folder's.
fn detect_project_name(root: &Path, surroundings: &KeyContext) -> String {
    let forge = std::env::var("GITHUB_REPOSITORY").ok().filter(|name| !name.is_empty());
    let folder = || root.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
    forge.or_else(|| surroundings.pyproject.name.clone()).unwrap_or_else(folder)
}

/// `0.13.9`, as uv says it.
fn uv_version(uv: &Path) -> Option<String> {
    let done = Command::new(uv).arg("--version").stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&done.stdout).split_whitespace().nth(1).map(str::to_owned)
}

/// Names and versions of what an environment holds, sorted.
pub(super) fn installed_packages(environment: &Path) -> Vec<(String, String)> {
    let site = |folder: std::fs::DirEntry| -> Option<PathBuf> {
        let site = folder.path().join("site-packages");
        site.is_dir().then_some(site)
    };
    let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().collect::<Vec<_>>();
    let sites = folders(&environment.join("lib")).into_iter().filter_map(site);
    let mut held: Vec<(String, String)> = sites
        .flat_map(|site| folders(&site))
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (name, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
            Some((crate::project::lock::normalize_name(name), version.to_owned()))
        })
        .collect();
    held.sort();
    held
}

//! The sessions of a run with the keys of what they install.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::dependencies::find_uv;
use super::opened::cache_folder;
use crate::cache::keys::{Key, KeyParts, Keys, Recipe, Surroundings};
use crate::project::{Interpreter, Manifest, SessionId};

/// Sessions with their keys.
#[derive(Debug)]
pub(super) struct Keyed {
    /// Those that have an environment, in the order asked for.
    pub(super) sessions: Vec<KeyedSession>,
    /// What their facts were read from.
    pub(super) surroundings: Surroundings,
    /// Entries of earlier runs; none where there is no folder for caches.
    pub(super) keys: Option<Keys>,
    /// What could not be read, in sentences.
    pub(super) troubles: Vec<String>,
    /// Interpreters that are not here, in sentences: nox skips these sessions, and says so itself.
    pub(super) missing: Vec<String>,
    project: String,
    uv: Option<PathBuf>,
    pythons: HashMap<Option<String>, Option<Interpreter>>,
}

/// One session with its key.
#[derive(Debug)]
pub(super) struct KeyedSession {
    /// Which session.
    pub(super) id: SessionId,
    /// The facts of what it installs.
    pub(super) recipe: Recipe,
    /// Its interpreter; none where there is none of that version.
    pub(super) python: Option<Interpreter>,
}

impl Keyed {
    /// Reads the facts of these sessions.
    pub(super) fn new(manifest: &Manifest, locked: bool, ids: &[SessionId]) -> Self {
        let (mut surroundings, troubles) = Surroundings::read(&manifest.root, &manifest.noxfile);
        let uv = find_uv(manifest);
        surroundings.locked = locked;
        surroundings.uv = uv.as_deref().and_then(version_of);
        let project = project_of(&manifest.root, &surroundings);
        let keys = cache_folder().map(|folder| Keys::new(&folder, &project));
        let (sessions, missing, pythons) = (Vec::new(), Vec::new(), HashMap::new());
        let mut keyed = Self { sessions, surroundings, keys, troubles, missing, project, uv, pythons };
        for id in ids {
            keyed.add(manifest, *id);
        }
        keyed
    }

    /// Reads the facts of one session more; nothing happens where it has no environment, or is known.
    pub(super) fn add(&mut self, manifest: &Manifest, id: SessionId) {
        let session = &manifest.sessions[id.0];
        if session.backend == "none" || self.session(id).is_some() {
            return;
        }
        let python = match self.pythons.get(&session.python) {
            Some(known) => known.clone(),
            None => {
                let found = Interpreter::find(
                    session.python.as_deref(),
                    (&manifest.executable, &manifest.nox),
                    self.uv.as_deref(),
                );
                let found = found.map_err(|error| self.missing.push(error.to_string())).ok();
                self.pythons.insert(session.python.clone(), found.clone());
                found
            }
        };
        let facts = self.surroundings.facts(session, &manifest.root, &python.clone().unwrap_or_default());
        self.sessions.push(KeyedSession { id, recipe: Recipe::new(session.name.as_str(), facts), python });
    }

    /// What the project is called among others.
    pub(super) fn project(&self) -> &str {
        &self.project
    }

    /// One session with its key.
    pub(super) fn session(&self, id: SessionId) -> Option<&KeyedSession> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// The key of all of them, or of one.
    pub(super) fn key(&self, sessions: &[&KeyedSession]) -> Key {
        let known: Vec<&Interpreter> = sessions.iter().filter_map(|session| session.python.as_ref()).collect();
        let first = |part: fn(&Interpreter) -> &str| known.first().map_or("", |python| part(python)).to_owned();
        let parts = KeyParts {
            project: self.project.clone(),
            os: first(|python| &python.markers.sys_platform),
            arch: first(|python| &python.markers.platform_machine),
            libc: first(|python| &python.libc),
            pythons: known.iter().map(|python| python.tag.clone()).collect(),
            tool: self.surroundings.uv.as_ref().map_or_else(|| "pip".to_owned(), |version| format!("uv{version}")),
        };
        let recipes: Vec<Recipe> = sessions.iter().map(|session| session.recipe.clone()).collect();
        Key::new(&parts, &recipes)
    }
}

/// What the project is called among others: as its forge knows it, else by its own name, else its folder's.
fn project_of(root: &Path, surroundings: &Surroundings) -> String {
    let forge = std::env::var("GITHUB_REPOSITORY").ok().filter(|name| !name.is_empty());
    let folder = || root.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned());
    forge.or_else(|| surroundings.pyproject.name.clone()).unwrap_or_else(folder)
}

/// `0.13.9`, as uv says it.
fn version_of(uv: &Path) -> Option<String> {
    let done = Command::new(uv).arg("--version").stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&done.stdout).split_whitespace().nth(1).map(str::to_owned)
}

/// Names and versions of what an environment holds, sorted.
pub(super) fn held(environment: &Path) -> Vec<(String, String)> {
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
            Some((crate::project::lock::normal(name), version.to_owned()))
        })
        .collect();
    held.sort();
    held
}

//! What decides which packages a session installs, fact by fact.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::requested_installs::{RequestedInstalls, parse_installs};
use crate::project::lock::{ClosureRoot, LockedPackage, Pyproject, RequirementsFile, UvLock};
use crate::project::{Interpreter, Session};

/// Kinds of facts, in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyInputKind {
    /// Operating system, architecture, C library.
    Platform,
    /// The interpreter: version and ABI.
    Python,
    /// The backend, and the version of uv.
    Installer,
    /// Whether installs are held to the lock.
    LockMode,
    /// An install of the session, in the noxfile's words; the noxfile itself where it does not say them.
    InstallCommand,
    /// A dependency table of pyproject.toml.
    PyprojectTable,
    /// A requirements or constraints file.
    RequirementsFile,
    /// A package of the lock.
    LockedPackage,
}

impl KeyInputKind {
    /// The kind in one word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Python => "python",
            Self::Installer => "installer",
            Self::LockMode => "lock-mode",
            Self::InstallCommand => "install-command",
            Self::PyprojectTable => "pyproject-table",
            Self::RequirementsFile => "requirements-file",
            Self::LockedPackage => "locked-package",
        }
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyInput {
    /// Its kind.
    pub(crate) kind: KeyInputKind,
    /// What it is about: a package, a table, a file.
    pub(crate) name: String,
    /// What is so, in words; long texts by their digest.
    pub(crate) value: String,
}

/// All that facts are read from, read once for all sessions.
#[derive(Clone, Debug, Default)]
pub struct KeyContext {
    /// The lock, where there is one.
    pub lock: Option<UvLock>,
    /// The dependency tables of pyproject.toml.
    pub pyproject: Pyproject,
    /// Digest of the noxfile.
    pub noxfile_digest: String,
    /// Version of uv, where there is one.
    pub uv_version: Option<String>,
    /// Whether installs are held to the lock.
    pub is_locked: bool,
}

impl KeyContext {
    /// Reads what lies in the project's root. A lock or a pyproject.toml that cannot be read is told and passed over.
    pub(crate) fn load(root: &Path, noxfile: &Path) -> (Self, Vec<String>) {
        let mut troubles = Vec::new();
        let mut found = Self { noxfile_digest: raw_file_digest(noxfile), ..Self::default() };
        let (lock, pyproject) = (root.join("uv.lock"), root.join("pyproject.toml"));
        if lock.exists() {
            match UvLock::read(&lock) {
                Ok(lock) => {
                    troubles.extend(lock.notice.clone());
                    found.lock = Some(lock);
                }
                Err(error) => troubles.push(error.to_string()),
            }
        }
        if pyproject.exists() {
            match Pyproject::read(&pyproject) {
                Ok(pyproject) => found.pyproject = pyproject,
                Err(error) => troubles.push(error.to_string()),
            }
        }
        (found, troubles)
    }

    /// What a session's installs ask for.
    pub(crate) fn requested_installs(&self, session: &Session, root: &Path) -> RequestedInstalls {
        let extras: Vec<String> = self.pyproject.extras.keys().cloned().collect();
        parse_installs(&session.installs, root, &extras)
    }

    /// The facts of one session, sorted.
    pub(crate) fn key_inputs(&self, session: &Session, root: &Path, python: &Interpreter) -> Vec<KeyInput> {
        let asked = self.requested_installs(session, root);
        let mut facts = vec![
            key_input(KeyInputKind::Platform, "os", &python.markers.sys_platform),
            key_input(KeyInputKind::Platform, "arch", &python.markers.platform_machine),
            key_input(KeyInputKind::Platform, "libc", &python.libc),
            key_input(KeyInputKind::Python, "version", &python.version),
            key_input(KeyInputKind::Python, "abi", &python.abi),
            key_input(KeyInputKind::Installer, "backend", &session.backend),
            key_input(KeyInputKind::LockMode, "locked", if self.is_locked { "yes" } else { "no" }),
        ];
        facts.extend(self.uv_version.as_deref().map(|version| key_input(KeyInputKind::Installer, "uv", version)));
        let number = |at: usize| format!("{:02}", at + 1);
        facts.extend(
            asked
                .commands
                .iter()
                .enumerate()
                .map(|(at, words)| key_input(KeyInputKind::InstallCommand, &number(at), words)),
        );
        if asked.has_unknown_args {
            facts.push(key_input(KeyInputKind::InstallCommand, "noxfile", &self.noxfile_digest));
        }
        facts.extend(self.table_inputs(&asked));
        facts.extend(asked.requirements_files.iter().map(|file| {
            let path = root.join(file);
            key_input(KeyInputKind::RequirementsFile, &file.display().to_string(), &requirements_digest(&path))
        }));
        if let Some(lock) = &self.lock {
            let roots: Vec<ClosureRoot> = asked.closure_roots.iter().cloned().collect();
            let closure = lock.resolve_closure(&roots, &python.markers);
            facts.extend(closure.remote_packages().map(package_input));
        }
        facts.sort();
        facts.dedup();
        facts
    }

    /// The tables that a session's installs look at: those of the extras and groups that they name, and uv's own.
    fn table_inputs(&self, asked: &RequestedInstalls) -> Vec<KeyInput> {
        let extras = asked.project_extras.as_ref().map(|extras| self.pyproject.expand_extras(extras));
        let tables = self.pyproject.dependency_tables.iter().filter_map(|(name, value)| {
            let counts = if asked.has_unknown_args || name.starts_with("tool.uv") {
                true
            } else if let Some(extra) = name.strip_prefix("project.optional-dependencies.") {
                extras.as_ref().is_some_and(|extras| extras.contains(extra))
            } else if name.starts_with("dependency-groups.") {
                // A group may include others.
                !asked.groups.is_empty()
            } else {
                asked.project_extras.is_some()
            };
            counts.then(|| key_input(KeyInputKind::PyprojectTable, name, value))
        });
        tables.collect()
    }
}

fn key_input(kind: KeyInputKind, name: &str, value: &str) -> KeyInput {
    KeyInput { kind, name: name.to_owned(), value: value.to_owned() }
}

fn package_input(package: &LockedPackage) -> KeyInput {
    let mut hashes: Vec<&str> = package.file_hashes().collect();
    hashes.sort_unstable();
    let version = package.version.as_deref().unwrap_or_default();
    let value = format!("{version} {}", &blake3::hash(hashes.join(" ").as_bytes()).to_hex()[..12]);
    key_input(KeyInputKind::LockedPackage, &package.name, value.trim())
}

/// What a requirements file says, whatever its layout and comments.
fn requirements_digest(path: &Path) -> String {
    let Ok(file) = RequirementsFile::read(path) else { return raw_file_digest(path) };
    blake3::hash(format!("{:?}{:?}{:?}", file.requirements, file.constraints, file.other_lines).as_bytes()).to_hex()
        [..16]
        .to_owned()
}

/// The digest of a file's bytes; empty where it cannot be read.
fn raw_file_digest(path: &Path) -> String {
    std::fs::read(path).map_or(String::new(), |bytes| blake3::hash(&bytes).to_hex()[..16].to_owned())
}

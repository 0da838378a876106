//! What decides which packages a session installs, fact by fact.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::asked::{Asked, asked};
use crate::project::lock::{Lock, LockedPackage, Pyproject, RequirementsFile, Root};
use crate::project::{Interpreter, Session};

/// Kinds of facts, in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactKind {
    /// Operating system, architecture, C library.
    Platform,
    /// The interpreter: version and ABI.
    Python,
    /// The backend, and the version of uv.
    Tool,
    /// Whether installs are held to the lock.
    Mode,
    /// An install of the session, in the noxfile's words; the noxfile itself where it does not say them.
    Install,
    /// A dependency table of pyproject.toml.
    Table,
    /// A requirements or constraints file.
    File,
    /// A package of the lock.
    Package,
}

impl FactKind {
    /// The kind in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Python => "python",
            Self::Tool => "tool",
            Self::Mode => "mode",
            Self::Install => "install",
            Self::Table => "table",
            Self::File => "file",
            Self::Package => "package",
        }
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// Its kind.
    pub kind: FactKind,
    /// What it is about: a package, a table, a file.
    pub name: String,
    /// What is so, in words; long texts by their digest.
    pub value: String,
}

/// All that facts are read from, read once for all sessions.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The lock, where there is one.
    pub lock: Option<Lock>,
    /// The dependency tables of pyproject.toml.
    pub pyproject: Pyproject,
    /// Digest of the noxfile.
    pub noxfile: String,
    /// Version of uv, where there is one.
    pub uv: Option<String>,
    /// Whether installs are held to the lock.
    pub locked: bool,
}

impl Surroundings {
    /// Reads what lies in the project's root. A lock or a pyproject.toml that cannot be read is told and passed over.
    pub fn read(root: &Path, noxfile: &Path) -> (Self, Vec<String>) {
        let mut troubles = Vec::new();
        let mut found = Self { noxfile: digest_of(noxfile), ..Self::default() };
        let (lock, pyproject) = (root.join("uv.lock"), root.join("pyproject.toml"));
        if lock.exists() {
            match Lock::read(&lock) {
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
    pub fn asked(&self, session: &Session, root: &Path) -> Asked {
        let extras: Vec<String> = self.pyproject.extras.keys().cloned().collect();
        asked(&session.installs, root, &extras)
    }

    /// The facts of one session, sorted.
    pub fn facts(&self, session: &Session, root: &Path, python: &Interpreter) -> Vec<Fact> {
        let asked = self.asked(session, root);
        let mut facts = vec![
            fact(FactKind::Platform, "os", &python.markers.sys_platform),
            fact(FactKind::Platform, "arch", &python.markers.platform_machine),
            fact(FactKind::Platform, "libc", &python.libc),
            fact(FactKind::Python, "version", &python.version),
            fact(FactKind::Python, "abi", &python.abi),
            fact(FactKind::Tool, "backend", &session.backend),
            fact(FactKind::Mode, "locked", if self.locked { "yes" } else { "no" }),
        ];
        facts.extend(self.uv.as_deref().map(|version| fact(FactKind::Tool, "uv", version)));
        let number = |at: usize| format!("{:02}", at + 1);
        facts.extend(asked.installs.iter().enumerate().map(|(at, words)| fact(FactKind::Install, &number(at), words)));
        if asked.unclear {
            facts.push(fact(FactKind::Install, "noxfile", &self.noxfile));
        }
        facts.extend(self.tables(&asked));
        facts.extend(asked.files.iter().map(|file| {
            let path = root.join(file);
            fact(FactKind::File, &file.display().to_string(), &file_digest(&path))
        }));
        if let Some(lock) = &self.lock {
            let roots: Vec<Root> = asked.roots.iter().cloned().collect();
            let closure = lock.closure(&roots, &python.markers);
            facts.extend(closure.remote().map(package_fact));
        }
        facts.sort();
        facts.dedup();
        facts
    }

    /// The tables that a session's installs look at: those of the extras and groups that they name, and uv's own.
    fn tables(&self, asked: &Asked) -> Vec<Fact> {
        let extras = asked.project.as_ref().map(|extras| self.pyproject.composed(extras));
        let tables = self.pyproject.tables.iter().filter_map(|(name, value)| {
            let counts = if asked.unclear || name.starts_with("tool.uv") {
                true
            } else if let Some(extra) = name.strip_prefix("project.optional-dependencies.") {
                extras.as_ref().is_some_and(|extras| extras.contains(extra))
            } else if name.starts_with("dependency-groups.") {
                // A group may include others.
                !asked.groups.is_empty()
            } else {
                asked.project.is_some()
            };
            counts.then(|| fact(FactKind::Table, name, value))
        });
        tables.collect()
    }
}

fn fact(kind: FactKind, name: &str, value: &str) -> Fact {
    Fact { kind, name: name.to_owned(), value: value.to_owned() }
}

fn package_fact(package: &LockedPackage) -> Fact {
    let mut hashes: Vec<&str> = package.hashes().collect();
    hashes.sort_unstable();
    let version = package.version.as_deref().unwrap_or_default();
    let value = format!("{version} {}", &blake3::hash(hashes.join(" ").as_bytes()).to_hex()[..12]);
    fact(FactKind::Package, &package.name, value.trim())
}

/// What a requirements file says, whatever its layout and comments.
fn file_digest(path: &Path) -> String {
    let Ok(file) = RequirementsFile::read(path) else { return digest_of(path) };
    blake3::hash(format!("{:?}{:?}{:?}", file.requirements, file.constraints, file.others).as_bytes()).to_hex()[..16]
        .to_owned()
}

/// The digest of a file's bytes; empty where it cannot be read.
fn digest_of(path: &Path) -> String {
    std::fs::read(path).map_or(String::new(), |bytes| blake3::hash(&bytes).to_hex()[..16].to_owned())
}

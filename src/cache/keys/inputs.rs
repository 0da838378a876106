//! Inputs of a cache key: everything that determines which packages a session installs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::requested_installs::{RequestedInstalls, parse_installs};
use crate::project::dependencies::{ClosureRoot, LockedPackage, Pyproject, RequirementsFile, UvLock};
use crate::project::{Interpreter, Session};

/// Kinds of inputs, in display order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyInputKind {
    /// Operating system, architecture, C library.
    Platform,
    /// The interpreter: version and ABI.
    Python,
    /// The environment backend, and the version of uv.
    Installer,
    /// Whether installs are constrained to the lock file.
    LockFileMode,
    /// An install command as written in the noxfile; the noxfile itself if its arguments are not constants.
    InstallCommand,
    /// A dependency table of `pyproject.toml`.
    PyprojectTable,
    /// A requirements or constraints file.
    RequirementsFile,
    /// A package of the lock file.
    LockedPackage,
}

impl KeyInputKind {
    /// Returns the name of the kind.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Python => "python",
            Self::Installer => "installer",
            Self::LockFileMode => "lock-file-mode",
            Self::InstallCommand => "install-command",
            Self::PyprojectTable => "pyproject-table",
            Self::RequirementsFile => "requirements-file",
            Self::LockedPackage => "locked-package",
        }
    }
}

/// One input of a cache key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyInput {
    /// Kind of the input.
    pub(crate) kind: KeyInputKind,
    /// Name of the input, such as a package, table or file.
    pub(crate) name: String,
    /// Value as text; long values as digests.
    pub(crate) value: String,
}

/// The project files that inputs are derived from, read once for all sessions.
#[derive(Clone, Debug, Default)]
pub struct KeyContext {
    /// `uv.lock`, if there is one.
    pub lock_file: Option<UvLock>,
    /// The dependency tables of `pyproject.toml`.
    pub pyproject: Pyproject,
    /// Digest of the noxfile.
    pub noxfile_digest: String,
    /// Version of uv, if there is one.
    pub uv_version: Option<String>,
    /// Whether installs are constrained to the lock file.
    pub uses_locked_versions: bool,
}

impl KeyContext {
    /// Reads the files of a project, and returns warnings for those that cannot be read.
    pub(crate) fn load(root: &Path, noxfile: &Path) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut context = Self { noxfile_digest: raw_file_digest(noxfile), ..Self::default() };
        let (lock_file, pyproject) = (root.join("uv.lock"), root.join("pyproject.toml"));
        if lock_file.exists() {
            match UvLock::read(&lock_file) {
                Ok(lock_file) => {
                    warnings.extend(lock_file.notice.clone());
                    context.lock_file = Some(lock_file);
                }
                Err(error) => warnings.push(error.to_string()),
            }
        }
        if pyproject.exists() {
            match Pyproject::read(&pyproject) {
                Ok(pyproject) => context.pyproject = pyproject,
                Err(error) => warnings.push(error.to_string()),
            }
        }
        (context, warnings)
    }

    /// Returns the packages that the installs of a session request.
    pub(crate) fn requested_installs(&self, session: &Session, root: &Path) -> RequestedInstalls {
        let extras: Vec<String> = self.pyproject.extras.keys().cloned().collect();
        parse_installs(&session.installs, root, &extras)
    }

    /// Returns the inputs of one session, sorted.
    pub(crate) fn key_inputs(&self, session: &Session, root: &Path, python: &Interpreter) -> Vec<KeyInput> {
        let requested = self.requested_installs(session, root);
        let mut inputs = vec![
            key_input(KeyInputKind::Platform, "os", &python.markers.sys_platform),
            key_input(KeyInputKind::Platform, "arch", &python.markers.platform_machine),
            key_input(KeyInputKind::Platform, "libc", &python.libc),
            key_input(KeyInputKind::Python, "version", &python.version),
            key_input(KeyInputKind::Python, "abi", &python.abi),
            key_input(KeyInputKind::Installer, "backend", &session.backend),
            key_input(KeyInputKind::LockFileMode, "locked", if self.uses_locked_versions { "yes" } else { "no" }),
        ];
        inputs.extend(self.uv_version.as_deref().map(|version| key_input(KeyInputKind::Installer, "uv", version)));
        let numbered = |index: usize| format!("{:02}", index + 1);
        inputs.extend(
            requested
                .commands
                .iter()
                .enumerate()
                .map(|(index, command)| key_input(KeyInputKind::InstallCommand, &numbered(index), command)),
        );
        if requested.has_unknown_args {
            inputs.push(key_input(KeyInputKind::InstallCommand, "noxfile", &self.noxfile_digest));
        }
        inputs.extend(self.table_inputs(&requested));
        inputs.extend(requested.requirements_files.iter().map(|file| {
            let path = root.join(file);
            key_input(KeyInputKind::RequirementsFile, &file.display().to_string(), &requirements_digest(&path))
        }));
        if let Some(lock_file) = &self.lock_file {
            let roots: Vec<ClosureRoot> = requested.closure_roots.iter().cloned().collect();
            let closure = lock_file.resolve_closure(&roots, &python.markers);
            inputs.extend(closure.remote_packages().map(package_input));
        }
        inputs.sort();
        inputs.dedup();
        inputs
    }

    /// Returns the `pyproject.toml` tables that affect the installs of a session: those of the requested extras and groups,
    /// and those of uv.
    fn table_inputs(&self, requested: &RequestedInstalls) -> Vec<KeyInput> {
        let extras = requested.project_extras.as_ref().map(|extras| self.pyproject.expand_extras(extras));
        let tables = self.pyproject.dependency_tables.iter().filter_map(|(name, value)| {
            let is_relevant = if requested.has_unknown_args || name.starts_with("tool.uv") {
                true
            } else if let Some(extra) = name.strip_prefix("project.optional-dependencies.") {
                extras.as_ref().is_some_and(|extras| extras.contains(extra))
            } else if name.starts_with("dependency-groups.") {
                // A group may include other groups.
                !requested.groups.is_empty()
            } else {
                requested.project_extras.is_some()
            };
            is_relevant.then(|| key_input(KeyInputKind::PyprojectTable, name, value))
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

/// Computes the digest of a requirements file, ignoring layout and comments.
fn requirements_digest(path: &Path) -> String {
    let Ok(file) = RequirementsFile::read(path) else { return raw_file_digest(path) };
    blake3::hash(format!("{:?}{:?}{:?}", file.requirements, file.constraints, file.other_lines).as_bytes()).to_hex()
        [..16]
        .to_owned()
}

/// Computes the digest of a file; empty if it cannot be read.
fn raw_file_digest(path: &Path) -> String {
    std::fs::read(path).map_or(String::new(), |bytes| blake3::hash(&bytes).to_hex()[..16].to_owned())
}

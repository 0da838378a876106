//! Manifest of a noxfile: the sessions and options that the host has loaded through nox.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::run_data_dir::run_data_dir;
use super::{SessionName, path_serde};

/// Index of a session in its manifest, in nox's registry order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ManifestIndex(pub usize);

/// A loaded noxfile as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoxfileManifest {
    /// Version of nox that loaded it, such as `2026.10.20`.
    pub nox: String,
    /// Version of the interpreter that runs nox, to the patch.
    pub python: String,
    /// Path of that interpreter.
    #[serde(with = "path_serde")]
    pub executable: PathBuf,
    /// The noxfile, absolute.
    #[serde(with = "path_serde")]
    pub noxfile: PathBuf,
    /// The directory of the noxfile, in which sessions start.
    #[serde(with = "path_serde")]
    pub root: PathBuf,
    /// The directory of the environments, absolute: nox's `envdir`.
    #[serde(with = "path_serde")]
    pub envdir: PathBuf,
    /// How sessions are started.
    pub mode: HostMode,
    /// Every session of the noxfile in registry order, selected or not; `ManifestIndex` is the index.
    pub sessions: Vec<Session>,
    /// The sessions that the arguments select, in nox's order, with those that nox added by `requires`.
    pub queue: Vec<ManifestIndex>,
    /// The noxfile's docstring, or empty.
    #[serde(default)]
    pub description: String,
    /// Whether nox is configured (by flag, variable or noxfile) to stop at the first failure.
    #[serde(default)]
    pub stop_on_first_error: bool,
    /// Whether nox skips installs in environments that it reuses (`-R`, `--no-install`).
    #[serde(default)]
    pub no_install: bool,
    /// Absolute path of nox's own report, if one is requested.
    #[serde(default, with = "path_serde::optional")]
    pub report: Option<PathBuf>,
    /// What nox's report says of each session, in order: the keys that this version of nox writes.
    #[serde(default)]
    pub report_keys: Vec<String>,
    /// `UV_CACHE_DIR` as the noxfile leaves it, if it is set.
    #[serde(default)]
    pub uv_cache: Option<PathBuf>,
    /// Notices about the noxfile, a sentence each.
    #[serde(default)]
    pub notices: Vec<String>,
}

impl NoxfileManifest {
    /// Returns the directory of the project's run data.
    pub fn run_data_dir(&self) -> PathBuf {
        run_data_dir(&self.envdir, &self.root)
    }

    /// Returns every name that nox accepts for a session.
    pub(crate) fn accepted_names(&self) -> Vec<&str> {
        let sessions = self.sessions.iter();
        sessions
            .flat_map(|session| std::iter::once(&session.base).chain(&session.signatures))
            .map(String::as_str)
            .collect()
    }

    /// Returns the notices about the noxfile and about how its sessions are started.
    pub(crate) fn all_notices(&self) -> Vec<String> {
        let mut notices = self.notices.clone();
        match &self.mode {
            HostMode::Fork => {}
            HostMode::Reload { why } => {
                notices.push(format!("each session loads the noxfile again: {why}; {IMPORT_EFFECTS}"));
            }
            HostMode::NoxProcess { why } => {
                notices.push(format!("each session runs in its own nox process: {why}; {IMPORT_EFFECTS}"));
            }
        }
        notices
    }
}

/// Consequence of loading the noxfile for each session.
const IMPORT_EFFECTS: &str =
    "what the noxfile does at import, such as clearing a directory, happens once for each session";

/// How the host starts a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum HostMode {
    /// A fork of the host, which has nox and the noxfile loaded: about 4 ms.
    Fork,
    /// A process of the host program that loads nox and the noxfile again.
    Reload {
        /// Why the host cannot fork, as a phrase.
        why: String,
    },
    /// A process `python -m nox`, for a nox with unknown internals.
    NoxProcess {
        /// What the host program does not find in nox, as a phrase.
        why: String,
    },
}

/// One session of a noxfile: nox's `SessionRunner` as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// nox's friendly name, unique.
    pub name: SessionName,
    /// Name of the session function, shared by all its variants (`tests` of `tests-3.12`).
    pub base: String,
    /// The names that nox accepts for it besides `base`, in nox's order; empty if its parametrization is empty.
    pub signatures: Vec<String>,
    /// First line of its docstring, or empty.
    pub description: String,
    /// Requested interpreter, a version; `None` if the session uses nox's own interpreter or has no environment
    /// (`backend` is then `none`).
    pub python: Option<String>,
    /// nox tags.
    pub tags: Vec<String>,
    /// Sessions that must have passed before it: nox's `requires`.
    pub requires: Vec<ManifestIndex>,
    /// Environment backend that nox uses (`uv`, `virtualenv`, `none` …); if the noxfile lists several, the first that
    /// is available.
    pub backend: String,
    /// Whether nox would reuse an existing environment.
    pub reuse: bool,
    /// Arguments for creating its environment: nox's `venv_params`.
    #[serde(default)]
    pub venv_params: Vec<String>,
    /// Absolute path of its environment; `None` if it has no environment.
    #[serde(with = "path_serde::optional")]
    pub envdir: Option<PathBuf>,
    /// Whether it runs when nothing is selected.
    pub default: bool,
    /// nox's `allow_parallel`: `Some(false)` means that no other session may run at the same time.
    pub allow_parallel: Option<bool>,
    /// Names and values of its parameters; values as Python prints them.
    pub parameters: Vec<(String, String)>,
    /// Its parameters as nox's report has them: a JSON object with the key `args`; `None` without parameters.
    #[serde(default)]
    pub call_spec: Option<String>,
    /// How it uses coverage data, according to its source.
    pub coverage: CoverageUse,
    /// Names that its source passes to `session.notify` as constants; at run time there may be others.
    #[serde(default)]
    pub notifies: Vec<String>,
    /// Command lines of its installs according to its source; `*` stands for words that are not constant.
    #[serde(default)]
    pub installs: Vec<Vec<String>>,
    /// The variables that it may share with other sessions, according to its source.
    #[serde(default)]
    pub shared_variables: SharedVariableUse,
    /// The source file of its function.
    #[serde(default, with = "path_serde::optional")]
    pub file: Option<PathBuf>,
    /// The line of that file where the function starts, decorators included.
    #[serde(default)]
    pub line: Option<u32>,
    /// Digest of the source of its function and of the functions of that file that it calls; `None` if unreadable.
    #[serde(default, rename = "source")]
    pub source_digest: Option<String>,
    /// Digest of what determines its commands: its source, parameters and arguments, as the host computes it; `None` if
    /// unknown. `trace::session_digest` also covers the interpreter and the backend.
    #[serde(default, rename = "definition")]
    pub definition_digest: Option<String>,
}

/// Environment variables and global variables of the noxfile that a session uses, according to the source of its
/// function and of the functions it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedVariableUse {
    /// Those it reads.
    pub reads: Vec<String>,
    /// Those it sets as a whole.
    pub sets: Vec<String>,
    /// Those it changes in part, such as lists to which it appends.
    pub changes: Vec<String>,
}

/// How a session uses coverage data, according to the source of its function and of the functions it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageUse {
    /// The data file it writes (by `coverage run` or `pytest --cov`), relative to the root.
    pub writes: Option<PathBuf>,
    /// Whether it combines or reports data that others wrote.
    pub reads: bool,
}

//! Manifest of a noxfile: the sessions and options that the host has loaded through nox.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{SessionName, path_serde};

/// Index of a session in its manifest, in nox's registry order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub usize);

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
    /// How sessions are started.
    pub mode: HostMode,
    /// Every session of the noxfile in registry order, selected or not; `SessionId` is the index.
    pub sessions: Vec<Session>,
    /// The sessions that the arguments select, in nox's order, with those that nox added by `requires`.
    pub queue: Vec<SessionId>,
    /// The noxfile's docstring, or empty.
    #[serde(default)]
    pub description: String,
    /// Whether nox is configured (by flag, variable or noxfile) to stop at the first failure.
    #[serde(default)]
    pub stop_on_first_error: bool,
    /// Absolute path of nox's own report, if one is requested.
    #[serde(default, with = "path_serde::optional")]
    pub report: Option<PathBuf>,
    /// uv's cache directory, if the environment of sessions sets one.
    #[serde(default)]
    pub uv_cache: Option<PathBuf>,
    /// Notices about the noxfile, a sentence each.
    #[serde(default)]
    pub notices: Vec<String>,
}

impl NoxfileManifest {
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
        if let HostMode::Process { why } = &self.mode {
            notices.push(format!("each session gets a nox process of its own: {why}"));
        }
        notices
    }
}

/// How the host starts a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum HostMode {
    /// A fork of the host, which has nox and the noxfile loaded: about 4 ms.
    Fork,
    /// A process that loads nox and the noxfile again.
    Process {
        /// Why forking is not possible, in words.
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
    /// All names that nox accepts for it, longest first.
    pub signatures: Vec<String>,
    /// First line of its docstring, or empty.
    pub description: String,
    /// Requested interpreter: a version, or `None` for nox's own or no environment.
    pub python: Option<String>,
    /// nox tags.
    pub tags: Vec<String>,
    /// Sessions that must have passed before it: nox's `requires`.
    pub requires: Vec<SessionId>,
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
    /// How it uses coverage data, according to its source.
    pub coverage: CoverageUse,
    /// Names that its source passes to `session.notify` as constants; at run time there may be others.
    #[serde(default)]
    pub notifies: Vec<String>,
    /// Command lines of its installs according to its source; `*` stands for words that are not constant.
    #[serde(default)]
    pub installs: Vec<Vec<String>>,
    /// The source file of its function.
    #[serde(default, with = "path_serde::optional")]
    pub file: Option<PathBuf>,
    /// The line of that file where the function starts, decorators included.
    #[serde(default)]
    pub line: Option<u32>,
    /// Digest of the source of its function and of the functions of that file that it calls; `None` if unreadable.
    #[serde(default)]
    pub source: Option<String>,
    /// Digest of what determines its commands: its source, parameters and arguments; `None` if unknown.
    #[serde(default)]
    pub definition: Option<String>,
}

/// How a session uses coverage data, according to the source of its function and of the functions it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageUse {
    /// The data file it writes (by `coverage run` or `pytest --cov`), relative to the root.
    pub writes: Option<PathBuf>,
    /// Whether it combines or reports data that others wrote.
    pub reads: bool,
}

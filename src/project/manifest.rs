//! What a noxfile declares, as the host read it through nox.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{SessionName, path_serde};

/// The number of a session in its manifest: its place in nox's registry order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub usize);

/// All that the host says of a noxfile once it is loaded.
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
    /// The folder sessions start in: the noxfile's own.
    #[serde(with = "path_serde")]
    pub root: PathBuf,
    /// How sessions are started.
    pub mode: HostMode,
    /// Every session of the noxfile in registry order, selected or not; `SessionId` is the index.
    pub sessions: Vec<Session>,
    /// What the arguments select, in nox's order, with what nox itself pulled in by `requires`.
    pub queue: Vec<SessionId>,
    /// The noxfile's docstring, or empty.
    #[serde(default)]
    pub description: String,
    /// Whether nox was told (by flag, variable or noxfile) to stop at the first failure.
    #[serde(default)]
    pub stop_on_first_error: bool,
    /// Where nox was told to write its own report, absolute.
    #[serde(default, with = "path_serde::maybe")]
    pub report: Option<PathBuf>,
    /// Where the environment of sessions says that uv's cache is.
    #[serde(default)]
    pub uv_cache: Option<PathBuf>,
    /// What people should know of the noxfile, a sentence each.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// How the host starts a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum HostMode {
    /// A fork of the host, which has nox and the noxfile loaded: about 4 ms.
    Fork,
    /// A process of its own that loads nox and the noxfile again.
    Process {
        /// Why a fork would not do, in words for people.
        why: String,
    },
}

/// One session of a noxfile: nox's `SessionRunner` as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// nox's friendly name, unique.
    pub name: SessionName,
    /// The function's session name, shared by all its variants (`tests` of `tests-3.12`).
    pub base: String,
    /// All names nox takes for it, longest first.
    pub signatures: Vec<String>,
    /// First line of its docstring, or empty.
    pub description: String,
    /// Interpreter asked for: a version, or none for nox's own or no environment.
    pub python: Option<String>,
    /// nox tags.
    pub tags: Vec<String>,
    /// Sessions that must have passed before it: nox's `requires`.
    pub requires: Vec<SessionId>,
    /// Environment backend that nox takes (`uv`, `virtualenv`, `none` …): of a list, the first that is there.
    pub backend: String,
    /// Whether nox would reuse an existing environment.
    pub reuse: bool,
    /// What its environment is made with besides: nox's `venv_params`.
    #[serde(default)]
    pub venv_params: Vec<String>,
    /// Folder of its environment, absolute; none where it has no environment.
    #[serde(with = "path_serde::maybe")]
    pub envdir: Option<PathBuf>,
    /// Whether it runs when nothing is selected.
    pub default: bool,
    /// nox's `allow_parallel`: `Some(false)` asks to be alone.
    pub allow_parallel: Option<bool>,
    /// Values of its parameters, shown as Python would print them.
    pub parameters: Vec<(String, String)>,
    /// What its function's source says it does with coverage data.
    pub coverage: CoverageUse,
    /// Names that its source passes to `session.notify` as constants; what it really notifies shows as it runs.
    #[serde(default)]
    pub notifies: Vec<String>,
    /// Command lines of its installs as far as its source says them; `*` stands for words that it does not say.
    #[serde(default)]
    pub installs: Vec<Vec<String>>,
    /// The file that holds its function.
    #[serde(default, with = "path_serde::maybe")]
    pub file: Option<PathBuf>,
    /// The line of that file where it starts, decorators included.
    #[serde(default)]
    pub line: Option<u32>,
    /// A digest of the source of its function and of those of the file that it calls; none where it cannot be read.
    #[serde(default)]
    pub source: Option<String>,
}

/// What a session does with coverage data, read from the source of its function and of the functions it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageUse {
    /// The data file it writes when it measures (`coverage run`, `pytest --cov`), relative to the root.
    pub writes: Option<PathBuf>,
    /// Whether what it writes gets a name of its own (parallel mode, or a `COVERAGE_FILE` of its own).
    pub own_file: bool,
    /// Whether it combines or reports data that others wrote.
    pub reads: bool,
}

//! Inventory table: the installs, caches, sessions, `needs` and critical path of every workflow.

use serde::Serialize;

/// The inventory of a project; serialized as the JSON of `noxide audit --inventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Version of the JSON format.
    pub version: u32,
    /// One row per workflow file.
    pub workflows: Vec<WorkflowRow>,
    /// One row per session of the noxfile.
    pub sessions: Vec<NoxfileSessionRow>,
    /// Whether the noxfile may have more sessions: a decorator that is not known makes some.
    pub may_have_more_sessions: bool,
    /// Sessions of the noxfile that no workflow runs; `None` if the files do not show all sessions that run.
    pub unused_sessions: Option<Vec<String>>,
}

/// A session of the noxfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NoxfileSessionRow {
    pub(crate) session: String,
    pub(crate) line: usize,
    /// Requirements it installs, sorted, and the commands with which it installs by another tool.
    pub(crate) installs: Vec<String>,
    /// Whether it may install more than the noxfile shows.
    pub(crate) may_install_more: bool,
    /// Jobs that are known to run it: workflow file and job id.
    pub(crate) jobs: Vec<(String, String)>,
    /// Whether a session that runs requires or notifies it.
    pub(crate) follows_other: bool,
}

/// A workflow file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowRow {
    /// Path relative to the project.
    pub path: String,
    /// The forge that it is read for.
    pub forge: &'static str,
    /// One row per job.
    pub jobs: Vec<JobRow>,
    /// The chain of `needs` that ends last, by measured durations; empty if they are not known.
    pub critical_path: Vec<String>,
    /// The chain of `needs` of most jobs, where the critical path is not known and no other chain is as long.
    pub longest_chain: Vec<String>,
    /// Duration of the critical path in milliseconds, if all sessions of its jobs have been measured.
    pub critical_path_ms: Option<u64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
    pub(crate) job: String,
    pub(crate) line: usize,
    pub(crate) installs: Vec<InstallRow>,
    pub(crate) caches: Vec<CacheRow>,
    /// Installers whose packages none of its caches holds, where it has caches.
    pub(crate) uncached: Vec<&'static str>,
    /// Whether an action may restore a cache that the files do not show.
    pub(crate) may_have_hidden_cache: bool,
    pub(crate) sessions: Vec<JobSessionRow>,
    /// What may install or run more than the files show.
    pub(crate) hidden: Vec<HiddenWork>,
    /// Reusable workflow that it calls.
    pub(crate) calls: Option<String>,
    /// Value of `if`.
    pub(crate) condition: Option<String>,
    /// Sessions that run one after another.
    pub(crate) sequential: Vec<String>,
    /// Duration of its sessions in milliseconds, if all have been measured; setup steps are not counted.
    pub(crate) duration_ms: Option<u64>,
    pub(crate) needs: Vec<String>,
}

/// A command that installs Python packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstallRow {
    /// Line of the command.
    pub line: usize,
    /// The installing tool, such as `pip` or `uv`; `action` for an action.
    pub installer: &'static str,
    /// The command as written, or the value of `uses`.
    pub command: String,
    /// Condition of its step or of the script.
    pub condition: Option<String>,
}

/// A session run by a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct JobSessionRow {
    pub(crate) line: usize,
    pub(crate) session: String,
    /// Usual duration in milliseconds in earlier runs, if there are any.
    pub(crate) usual_ms: Option<u64>,
    /// Condition of its step or of the script.
    pub(crate) condition: Option<String>,
}

/// A command or action that may install packages or run sessions that the files do not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenWork {
    /// Its line.
    pub line: usize,
    /// The command, or the value of `uses`.
    pub what: String,
    /// Whether it may install packages.
    pub hides_installs: bool,
    /// Whether it may run sessions.
    pub hides_sessions: bool,
}

/// A cache of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheRow {
    /// Line of the step's `uses`.
    pub line: usize,
    /// The action that restores and saves it: `actions/cache`, `setup-uv`, `setup-python`, or the name of another one.
    pub action: String,
    /// Cached paths; empty if the action chooses them.
    pub paths: Vec<String>,
    /// The key; `None` if the action computes it.
    pub key: Option<String>,
    /// Whether it is known to be on; otherwise an expression or the version of the action decides.
    pub is_known: bool,
    /// Condition of its step.
    pub condition: Option<String>,
}

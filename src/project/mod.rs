//! The Python project as declared: sessions, dependencies, interpreter, Git state.

mod command_use;
mod credentials;
pub mod dependencies;
mod forge_event;
mod git;
mod host;
mod interpreter;
mod manifest;
mod nox;
mod nox_flags;
pub(crate) mod path_serde;
mod run_data_dir;
mod session_name;

pub use command_use::{CommandUse, ResourceKind, UseMode};
pub(crate) use credentials::{
    CREDENTIAL_VARIABLES, environment_variable, find_invalid_credential, hidden_credentials, hide_credentials,
};
pub(crate) use forge_event::runs_own_code;
pub(crate) use git::{GitCheckout, find_ignored_paths, list_commits};
pub use host::{
    FinishedMessage, Host, HostError, HostMessage, HostMessages, HostOptions, HostRunRequest, InstallTotals,
    LoadFailure, LoadStage, NoxStatus, SeccompSetup, TracebackFrame,
};
pub(crate) use interpreter::default_interpreter;
pub use interpreter::{Interpreter, InterpreterError};
pub use manifest::{CoverageUse, HostMode, ManifestIndex, NoxfileManifest, Session, SharedVariableUse};
pub use nox::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
pub(crate) use nox::{contradicted_color_variable, expand_short_flags, find_installed_nox, install_private_nox};
pub use nox_flags::{EnvironmentArgs, NoxRunArgs, SelectionArgs};
pub(crate) use run_data_dir::{DEFAULT_ENVDIR, RUN_DATA_DIR, is_run_data_dir, project_digest};
pub use run_data_dir::{default_run_data_dir, run_data_dir};
pub use session_name::SessionName;

//! The Python project as declared: sessions, dependencies, interpreter, Git state.

mod command_use;
mod git;
mod host;
mod interpreter;
pub mod lock;
mod manifest;
mod nox;
pub(crate) mod path_serde;
mod session_name;

pub use command_use::{CommandUse, ResourceKind, UseMode};
pub(crate) use git::{GitCheckout, find_ignored_paths, list_commits};
pub use host::{
    FinishedMessage, Host, HostError, HostMessage, HostMessages, HostOptions, HostRunRequest, InstallTotals,
    LoadFailure, LoadStage, NoxStatus, SeccompSetup, TracebackFrame,
};
pub(crate) use interpreter::default_interpreter;
pub use interpreter::{Interpreter, InterpreterError};
pub use manifest::{CoverageUse, HostMode, NoxfileManifest, Session, SessionId};
pub use nox::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};
pub use session_name::SessionName;

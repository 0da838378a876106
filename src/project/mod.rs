//! What a Python project says of itself: its noxfile's sessions, through nox itself, its dependencies, its checkout.

mod git;
mod host;
mod interpreter;
pub mod lock;
mod manifest;
mod name;
mod nox;
pub(crate) mod path_facts;

pub use git::{Checkout, commits_of};
pub use host::{
    Finished, Frame, Host, HostError, HostEvents, HostMessage, HostOptions, Installs, LoadFailure, LoadStage,
    NoxStatus, RunOrder,
};
pub use interpreter::{Interpreter, InterpreterError};
pub use manifest::{CoverageUse, HostMode, Manifest, Session, SessionId};
pub use name::SessionName;
pub use nox::{NoxError, NoxOrigin, NoxPython, NoxSearch, find_nox};

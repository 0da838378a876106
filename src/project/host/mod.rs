//! The host: the Python process that has the noxfile loaded and starts a child for each session.

mod capture;
mod failure;
mod message;
mod process;
mod program;

pub use failure::{Frame, HostError, LoadFailure, LoadStage};
pub use message::{Finished, HostMessage, Installs, NoxStatus, RunOrder};
pub use process::{Host, HostEvents, HostOptions};

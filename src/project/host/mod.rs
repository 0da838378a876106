//! The host: the Python process that has the noxfile loaded and starts a child for each session.

mod error;
mod message;
mod output_tail;
mod process;
mod program;

pub use error::{HostError, LoadFailure, LoadStage, TracebackFrame};
pub use message::{FinishedMessage, HostMessage, HostRunRequest, InstallTotals, NoxStatus, SeccompSetup};
pub use process::{Host, HostMessages, HostOptions};

//! Host: the Python process that loads the noxfile once and forks one child per session.

mod error;
mod load_advice;
mod message;
mod output_tail;
mod process;
mod program;

pub use error::{HostError, LoadFailure, LoadStage, TracebackFrame};
pub use message::{FinishedMessage, HostMessage, HostRunRequest, InstallTotals, NoxStatus, SeccompSetup};
pub use process::{Host, HostMessages, HostOptions};

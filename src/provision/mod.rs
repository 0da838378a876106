//! Dependencies of a session: restored before it starts, saved after it ends.

mod constraints;
mod environments;
mod folders;
mod history;
mod options;
mod packages;
mod provisioner;
mod queue;
mod remote;
mod save;
mod session_keys;
mod summary;
mod uv;
mod worker;

pub(crate) use constraints::lock_constraints;
pub use options::{CacheMode, ProvisionOptions};
pub(crate) use provisioner::{CacheProvisioner, OpenedProvisioner, ProvisionError, ProvisionInputs};
pub use queue::{FinishedSession, ProvisionQueue, ProvisionResult, Provisioner};
pub(crate) use session_keys::{SessionKey, SessionKeys};
pub use worker::{ProvisionReport, ProvisionWorker};

//! Dependencies of a session: restored before it starts, saved after it ends.

mod constraints;
mod directories;
mod environment_lock;
mod environments;
mod history;
mod key_report;
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

pub(crate) use constraints::export_lock_file_constraints;
pub(crate) use environment_lock::EnvironmentLock;
pub use options::{CacheMode, ProvisionOptions};
pub(crate) use provisioner::{CacheProvisioner, ProvisionError, ProvisionInputs};
pub use queue::{FinishedSession, ProvisionQueue, ProvisionResult, Provisioner};
pub(crate) use session_keys::SessionKeys;
pub(crate) use summary::SessionCacheStats;
pub(crate) use uv::{UvCacheAccess, UvCacheError, find_project_uv};
pub use worker::{ProvisionReport, ProvisionWorker};

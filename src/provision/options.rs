//! Options of provisioning: whether the cache is used, and whether installs follow uv.lock.

use std::time::Duration;

use crate::project::dependencies::ConstraintFiles;

/// How a run provides the packages of its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionOptions {
    /// Whether the store is used and redundant installs are skipped.
    pub(crate) mode: CacheMode,
    /// Whether installs that ignore the lock file are constrained to its versions.
    pub(crate) uses_locked_versions: bool,
    /// How long after an install the same install runs offline; with `None` no install does.
    pub(crate) offline_max_age: Option<Duration>,
    /// The constraint files of `uses_locked_versions`, once they are exported.
    pub(crate) constraints: Option<ConstraintFiles>,
}

/// Whether a run uses the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// If possible: a cache that fails does not fail the run.
    #[default]
    Auto,
    /// Never: every install runs, as under nox.
    Off,
    /// Always: a run whose store or uv cannot be opened does not start.
    Require,
}

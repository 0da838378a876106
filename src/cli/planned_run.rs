//! What will be run, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::project::SessionId;
use crate::provision::CacheProvisioner;
use crate::record::{SessionHistory, ShardMetadata};
use crate::run::{RunPlan, RunTracing};
use crate::trace::SessionAccesses;

/// What will be run, and how.
pub(super) struct PlannedRun {
    pub(super) plan: RunPlan,
    pub(super) history: SessionHistory,
    pub(super) inputs: RunInputs,
    pub(super) tracing: RunTracing,
}

/// What came of a run.
pub(super) struct RunResult {
    /// The exit code.
    pub(super) exit_code: u8,
    /// What the traced sessions touched.
    pub(super) accesses: BTreeMap<SessionId, SessionAccesses>,
    /// The run's folder.
    pub(super) run_dir: PathBuf,
    /// What dependencies came from and go to.
    pub(super) provisioner: Option<CacheProvisioner>,
}

/// What a run is made of: which commit, and which part of a larger run.
#[derive(Default)]
pub(super) struct RunInputs {
    pub(super) commit: Option<String>,
    pub(super) shard: Option<ShardMetadata>,
    pub(super) provisioner: Option<CacheProvisioner>,
}

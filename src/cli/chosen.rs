//! What will be run, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::provision::Provision;
use crate::project::SessionId;
use crate::record::{History, ShardFacts};
use crate::run::{RunPlan, Tracing};
use crate::trace::Accesses;

/// What will be run, and how.
pub(super) struct Chosen {
    pub(super) plan: RunPlan,
    pub(super) history: History,
    pub(super) source: Source,
    pub(super) tracing: Tracing,
}

/// What came of a run.
pub(super) struct Done {
    /// The exit code.
    pub(super) exit: u8,
    /// What the traced sessions touched.
    pub(super) accesses: BTreeMap<SessionId, Accesses>,
    /// The run's folder.
    pub(super) folder: PathBuf,
    /// What dependencies came from and go to.
    pub(super) provision: Option<Provision>,
}

/// What a run is made of: which commit, and which part of a larger run.
#[derive(Default)]
pub(super) struct Source {
    pub(super) commit: Option<String>,
    pub(super) shard: Option<ShardFacts>,
    pub(super) provision: Option<Provision>,
}

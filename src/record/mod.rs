//! Facts of a run: events, records on disk, history.

mod artifacts;
mod cache_cost;
mod event;
mod history;
mod imported_runs;
mod merge;
mod new_run;
mod outcome;
mod reconstructed_events;
mod recorder;
mod run_lookup;
#[allow(clippy::module_inception)] // the room is about facts of runs, this file about the document called record
mod run_record;
mod run_store;
mod schedule_bounds;
mod temp_dir;

pub(crate) use artifacts::ARTIFACTS_VERSION;
pub use artifacts::{Artifact, ArtifactManifest};
pub(crate) use cache_cost::CacheCost;
pub use event::{
    AttemptResult, CacheStats, EventKind, EventSubscriber, InstallStats, NeedOrigin, RestoreProgress, RunEvent,
    RunMetadata, SessionNeed, SessionResult, SessionSpec, ShardMetadata,
};
pub use history::{SessionHistory, UsualStats};
pub use imported_runs::{ImportedJob, ImportedRun, ImportedRuns};
pub(crate) use merge::{MergePlan, copy_tree};
pub(crate) use new_run::{new_run_id, random_u64};
pub use outcome::Outcome;
pub(crate) use reconstructed_events::reconstruct_events;
pub use recorder::{RunRecorder, read_events, write_record};
pub(crate) use run_lookup::{RunLookupError, find_runs_below, should_search};
pub use run_record::{Machine, RecordedSession, RunRecord};
pub use run_store::{CrashedRun, RunStore};
pub(crate) use schedule_bounds::{lock_totals, longest_chains, slot_work};
pub(crate) use temp_dir::RunTempDir;

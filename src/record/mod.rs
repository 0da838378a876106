//! Facts of a run: events, records on disk, history.

mod artifacts;
mod cache_cost;
mod duration;
mod event;
mod history;
mod imported_runs;
mod merge;
mod outcome;
mod reconstructed_events;
mod recorder;
#[allow(clippy::module_inception)] // the room is about facts of runs, this file about the document called record
mod run_record;
mod run_store;
mod temp_dir;

pub use artifacts::{ARTIFACTS_VERSION, Artifact, ArtifactManifest};
pub use cache_cost::CacheCost;
pub use duration::{format_delta, format_duration, format_whole_seconds};
pub use event::{
    AttemptResult, CacheStats, EventKind, EventSubscriber, InstallStats, NeedOrigin, RestoreProgress, RunEvent,
    RunMetadata, SessionNeed, SessionResult, SessionSpec, ShardMetadata,
};
pub use history::{SessionHistory, UsualStats};
pub use imported_runs::{IMPORTED_VERSION, ImportedJob, ImportedRun, ImportedRuns};
pub use merge::{MergePlan, PlannedCopy, copy_tree};
pub use outcome::Outcome;
pub use reconstructed_events::reconstruct_events;
pub use recorder::{RunRecorder, read_events, write_record};
pub use run_record::{Machine, RECORD_VERSION, RecordedSession, RunRecord};
pub use run_store::{CrashedRun, RunStore};
pub use temp_dir::RunTempDir;

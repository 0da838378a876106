//! Runs as data: events, the run store, records and history.

mod artifacts;
mod cache_cost;
mod collected_files;
mod event;
mod history;
mod imported_runs;
pub(crate) mod log_reader;
mod merge;
mod new_run;
mod number_limits;
mod outcome;
mod recorder;
mod run_data_location;
mod run_id;
mod run_lookup;
mod run_record;
mod run_store;
mod run_summary;
mod schedule_bounds;
mod temp_dir;

pub(crate) use crate::project::{environment_variable, is_run_data_dir};
pub(crate) use artifacts::ARTIFACTS_VERSION;
pub use artifacts::{Artifact, ArtifactList};
pub(crate) use cache_cost::CacheCost;
pub(crate) use collected_files::{collect_run_files, reset_collection_dir};
pub use event::{
    AttemptResult, CacheStats, EventKind, EventSubscriber, InstallStats, LockDetails, LockOrigin, NeedOrigin,
    RestoreProgress, RunEvent, RunMetadata, SessionNeed, SessionResult, SessionSpec, ShardMetadata, SharedResources,
};
pub(crate) use history::lower_median;
pub use history::{SessionHistory, UsualStats};
pub use imported_runs::{ImportedJob, ImportedRun, ImportedRuns};
pub(crate) use log_reader::log_tail_text;
pub(crate) use merge::MergePlan;
pub use outcome::Outcome;
pub use recorder::{RunRecorder, read_events, write_record};
pub(crate) use recorder::{open_run_file, parse_event};
pub(crate) use run_data_location::{find_run_data_dir, remember_run_data_dir};
pub(crate) use run_id::{new_run_id, random_u64};
pub(crate) use run_lookup::{RunLookupError, check_event_logs, find_runs_below, may_contain_coverage};
pub use run_record::{Machine, RecordedSession, RunRecord};
pub(crate) use run_record::{describe_interrupt, reconstruct_events};
pub use run_store::{KilledRun, RunStore};
pub(crate) use run_summary::{EndedRun, RunSummary};
pub(crate) use schedule_bounds::{lock_totals, longest_chains_after, longest_chains_before, slot_work};
pub(crate) use temp_dir::RunTempDir;

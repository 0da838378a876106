//! Facts of a run: events, records on disk, history.

mod artifacts;
mod cost;
mod duration;
mod event;
mod folder;
mod history;
mod imported;
mod merge;
mod outcome;
#[allow(clippy::module_inception)] // the room is about facts of runs, this file about the document called record
mod record;
mod recorder;
mod retold;
mod scratch;

pub use artifacts::{ARTIFACTS_VERSION, Artifact, Artifacts};
pub use cost::CacheCost;
pub use duration::{delta, duration, rough};
pub use event::{
    Attempt, CacheUse, Event, Fact, InstallUse, NeedFacts, NeedOrigin, Portion, RunFacts, SessionFacts, SessionResult,
    ShardFacts, Subscriber,
};
pub use folder::{DeadRun, Folder};
pub use history::{History, Usual};
pub use imported::{IMPORTED_VERSION, Imported, ImportedJob, ImportedRun};
pub use merge::{Copied, MergePlan, copy};
pub use outcome::Outcome;
pub use record::{Machine, RECORD_VERSION, Record, RecordedSession};
pub use recorder::{Recorder, read_events, write_record};
pub use retold::retold;
pub use scratch::Scratch;

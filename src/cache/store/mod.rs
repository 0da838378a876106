//! The store on disk: entries, each whole or not at all, each verified before it is used.

mod entry;
mod folder;
mod head;
mod id;
mod incoming;
mod listing;
mod prune;
mod repair;
mod restore;
mod restore_plan;
mod root;
mod save;
mod state;
mod status;
mod venv;
mod venv_parts;
mod venv_restore;
mod verify;
mod wheel_record;
mod wrong;

pub use entry::{Entry, Placing, PlacingFile};
pub use folder::KeptFolder;
pub use head::Head;
pub use id::{EntryId, Kind};
pub use incoming::{Incoming, Published};
pub use listing::{Listed, Listing, What};
pub use prune::{PrunePlan, PruneReport, PrunedEntry, Why};
pub use repair::{Repair, Repaired};
pub use restore::{RestoreReport, Restored};
pub use restore_plan::{Miss, RestorePlan};
pub use root::{Store, StoreError};
pub use save::{NotSaved, SaveReport, Saved};
pub use status::{KindStatus, Status};
pub use venv::KeptVenv;
pub use verify::VerifyReport;
pub use wrong::{Damage, Wrong};

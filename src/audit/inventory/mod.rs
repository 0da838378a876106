//! Inventory of a project's CI: installs, caches, sessions and `needs` of every job, as JSON, text or Markdown.

mod build;
mod critical_path;
mod job_caches;
mod job_work;
mod known_actions;
mod other_installs;
mod render;
mod session_names;
mod step_condition;
mod table;

pub use build::build_inventory;
pub use table::{CacheRow, HiddenWork, InstallRow, Inventory, JobRow, NoxfileSessionRow, WorkflowRow};

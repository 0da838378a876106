//! Inventory of a project's CI: installs, caches, sessions and `needs` of every job, as JSON, text or Markdown.

mod render;
mod table;

pub use table::{CacheRow, InstallRow, Inventory, JobRow, NoxfileSessionRow, WorkflowRow, build_inventory};

//! The inventory of a project's CI: installs, caches, sessions and waits of every job, as a table, text or Markdown.

mod render;
mod table;

pub use table::{CacheRow, InstallRow, Inventory, JobRow, NoxfileSessionRow, WorkflowRow, build_inventory};

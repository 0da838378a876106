//! What rules offer as fixes: each a value made of edits and the change they must make.

pub mod cache_inputs;
pub mod cache_step;
pub mod coverage_run;
pub mod gate_job;
pub mod join_nox_calls;
pub mod log_upload;
pub mod merge_jobs;
pub mod merge_uploads;
pub mod moved_step;
pub mod path_filter;
pub mod run_script;
pub mod session_matrix;
pub mod step_edit;
pub mod tested_versions;
pub mod text_edit;
pub mod workflow_keys;

pub use text_edit::mark_unsafe;

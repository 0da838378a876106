//! Fixes that rules offer, one module per subject: each function builds a `Fix` from text edits and semantic changes.

pub(crate) mod cache_step;
pub(crate) mod coverage_run;
pub(crate) mod gate_job;
pub(crate) mod join_nox_calls;
pub(crate) mod log_upload;
pub(crate) mod merge_jobs;
pub(crate) mod merged_steps;
pub(crate) mod run_script;
pub(crate) mod session_matrix;
pub(crate) mod step_edit;
pub(crate) mod text_edit;
pub(crate) mod workflow_keys;

pub(crate) use text_edit::{mark_display_only, mark_unsafe};

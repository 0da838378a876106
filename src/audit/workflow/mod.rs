//! Workflows as jobs and steps, each value with its span.

mod action_ref;
mod expression;
mod job;
mod matrix;
mod needs_graph;
mod step;
mod text;
mod triggers;
mod workflow_file;

pub use action_ref::ActionRef;
pub use job::WorkflowJob;
pub(crate) use matrix::MatrixCombination;
pub use step::WorkflowStep;
pub use text::{SpannedText, StepScript};
pub use triggers::WorkflowTriggers;
pub(crate) use triggers::is_tag_only;
pub(crate) use workflow_file::{MAX_JOB_CALLS, MAX_JOB_COMMANDS, is_action_file};
pub use workflow_file::{Workflow, WorkflowFileKind};

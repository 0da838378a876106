//! A workflow as jobs and steps, each part with its place.

mod action_ref;
mod condition;
mod job;
mod matrix;
mod script;
mod spanned_text;
mod step;
mod triggers;
mod workflow_file;

pub use action_ref::ActionRef;
pub(crate) use condition::runs_after_failure;
pub use job::WorkflowJob;
pub use script::StepScript;
pub use spanned_text::SpannedText;
pub use step::WorkflowStep;
pub use triggers::WorkflowTriggers;
pub(crate) use workflow_file::is_action_file;
pub use workflow_file::{Workflow, WorkflowFileKind};

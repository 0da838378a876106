//! A workflow as jobs and steps, each part with its place.

mod action;
mod condition;
mod job;
mod matrix;
mod script;
mod step;
mod text;
mod trigger;
mod whole;

pub use action::ActionRef;
pub use condition::{runs_after_failure, tag_only};
pub use job::Job;
pub use matrix::Matrix;
pub use script::Script;
pub use step::Step;
pub use text::Text;
pub use trigger::Triggers;
pub(crate) use whole::is_action;
pub use whole::{FileKind, Workflow};

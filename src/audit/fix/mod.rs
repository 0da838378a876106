//! Fixes as data: text edits with their intended change of meaning, validation before writing, and the plan of all fixes.

mod edit;
mod plan;
mod validate;

pub use edit::{Fix, SemanticChange, TextEdit, YamlPathSegment};
pub use plan::{AppliedFix, FileChange, FixLevel, FixPlan, RejectedFix, plan_fixes};
pub use validate::FixError;

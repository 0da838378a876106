//! Fixes as data: text edits, the one change of meaning they make, the checks they pass, and the plan of all of them.

mod edit;
mod plan;
mod validate;

pub use edit::{Fix, SemanticChange, TextEdit, YamlPathSegment};
pub use plan::{AppliedFix, FileChange, FixLevel, FixPlan, RejectedFix, plan_fixes};
pub use validate::FixError;

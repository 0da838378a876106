//! Fixes as data: text edits with their semantic changes, validation before writing, and the plan of all fixes.

mod edit;
mod kept_work;
mod plan;
mod validate;

pub use edit::{Applicability, Fix, SemanticChange, TextEdit, YamlPathSegment};
pub use plan::{AppliedFix, FileChange, FixLevel, FixPlan, RejectedFix, plan_fixes};
pub use validate::FixError;
pub(crate) use validate::{CACHE_STEP_COMMENT, ENVIRONMENTS_STEP_COMMENT, is_noxide_comment};

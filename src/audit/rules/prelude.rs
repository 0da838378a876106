//! Imports shared by all rules.

pub(super) use super::super::finding::{Confidence, Persona, RuleIdent, Severity};
pub(super) use super::super::fixes;
pub(super) use super::super::forge::Forge;
pub(super) use super::super::job_cache;
pub(super) use super::super::job_cache::{JobCache, JobCacheKind};
pub(super) use super::super::project::{AuditProject, JobView};
pub(super) use super::super::rule::{ALL_FORGES, FindingSink, Rule};
pub(super) use super::super::shell::{ControlOperator, PackageInstaller};
pub(super) use super::super::source::Span;
pub(super) use super::super::workflow::{ActionRef, SpannedText, WorkflowFileKind, WorkflowStep};

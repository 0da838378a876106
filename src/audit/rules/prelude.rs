//! Imports shared by all rules, and a noxfile for their examples.

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

/// A noxfile of two sessions that do not depend on each other.
pub(super) const LINT_AND_TYPECHECK_NOXFILE: &str = r#"import nox

@nox.session
def lint(session):
    session.install("ruff")
    session.run("ruff", "check", "src")

@nox.session
def typecheck(session):
    session.install("mypy")
    session.run("mypy", "src")
"#;

//! What every rule uses.

pub(super) use super::super::cache::{Cache, CacheKind};
pub(super) use super::super::dialect::Dialect;
pub(super) use super::super::finding::{Confidence, Persona, RuleName, Severity};
pub(super) use super::super::fixes;
pub(super) use super::super::key;
pub(super) use super::super::rule::{EVERYWHERE, Found, Rule};
pub(super) use super::super::shell::{Installer, Joiner};
pub(super) use super::super::span::Span;
pub(super) use super::super::survey::{Project, View};
pub(super) use super::super::workflow::{ActionRef, FileKind, Step, Text, runs_after_failure};

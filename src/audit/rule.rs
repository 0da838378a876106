//! Audit rule as data: texts, examples and check function; and the sink that collects its findings.

use super::finding::{Confidence, Finding, FindingLocation, Persona, RuleIdent, Severity};
use super::forge::Forge;
use super::project::AuditProject;
use super::source::{SharedSource, Span};
use crate::text::to_single_line;

/// Every forge, for rules that apply to all forges.
pub(crate) const ALL_FORGES: &[Forge] = &[Forge::Forgejo, Forge::Gitea, Forge::Github];

/// Files of an example: path and text.
pub(crate) type ExampleFiles = &'static [(&'static str, &'static str)];

/// A rule. Its texts are the documentation, and its examples are tests.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) ident: RuleIdent,
    /// Why the problem matters.
    pub(crate) rationale: &'static str,
    /// What was measured or observed, and what the rule reports and does not report because of it.
    pub(crate) evidence: &'static str,
    /// How to resolve a finding, unless the finding has its own advice.
    pub(crate) advice: &'static str,
    /// Default severity; a finding can override it, as with confidence and persona.
    pub(crate) severity: Severity,
    pub(crate) confidence: Confidence,
    pub(crate) persona: Persona,
    /// Forges that the rule applies to.
    pub(crate) forges: &'static [Forge],
    /// Files that the rule reports.
    pub(crate) bad_example: ExampleFiles,
    /// Files that the rule does not report.
    pub(crate) good_example: ExampleFiles,
    pub(crate) check_project: fn(&AuditProject, &mut FindingSink),
}

/// Collects the findings of one rule.
#[derive(Debug)]
pub(crate) struct FindingSink {
    rule: &'static Rule,
    pub(super) findings: Vec<Finding>,
}

impl FindingSink {
    pub(super) fn new(rule: &'static Rule) -> Self {
        Self { rule, findings: Vec::new() }
    }

    /// Returns the finding that was added last.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Finding> {
        self.findings.last_mut()
    }

    /// Adds a finding with the rule's own severity, confidence, persona and advice.
    pub(crate) fn report(&mut self, source: &SharedSource, span: Span, message: impl Into<String>) -> &mut Finding {
        let rule = self.rule;
        self.findings.push(Finding {
            rule: rule.ident,
            severity: rule.severity,
            confidence: rule.confidence,
            persona: rule.persona,
            // It may quote names of the workflow.
            message: to_single_line(&message.into()),
            advice: rule.advice.to_owned(),
            location: FindingLocation::new(source, span, ""),
            related: Vec::new(),
            fix: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

//! What a rule is: its words, its examples, and the function that looks.

use super::dialect::Dialect;
use super::finding::{Confidence, Finding, FindingLocation, Persona, RuleIdent, Severity};
use super::fix::Fix;
use super::project::AuditProject;
use super::source::{SharedSource, Span};

/// The dialects of most rules.
pub(crate) const ALL_DIALECTS: &[Dialect] = &[Dialect::Forgejo, Dialect::Gitea, Dialect::Github];

/// An example's files: path and text.
pub(crate) type ExampleFiles = &'static [(&'static str, &'static str)];

/// A rule. Its words are the documentation, and its examples are tests.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Number, name and the one sentence.
    pub(crate) ident: RuleIdent,
    /// Why it matters.
    pub(crate) rationale: &'static str,
    /// What was seen or measured.
    pub(crate) evidence: &'static str,
    /// What to do.
    pub(crate) advice: &'static str,
    /// How bad, unless a finding says otherwise.
    pub(crate) severity: Severity,
    /// How sure, unless a finding says otherwise.
    pub(crate) confidence: Confidence,
    /// For whom, unless a finding says otherwise.
    pub(crate) persona: Persona,
    /// Where it holds.
    pub(crate) dialects: &'static [Dialect],
    /// Files that it reports.
    pub(crate) bad_example: ExampleFiles,
    /// Files that it does not report.
    pub(crate) good_example: ExampleFiles,
    /// Looks at a project.
    pub(crate) check_project: fn(&AuditProject, &mut FindingSink),
}

/// Findings as they come, made in one rule's name.
#[derive(Debug)]
pub(crate) struct FindingSink {
    rule: &'static Rule,
    pub(super) findings: Vec<Finding>,
}

impl FindingSink {
    pub(super) fn new(rule: &'static Rule) -> Self {
        Self { rule, findings: Vec::new() }
    }

    /// Reports something at a place, with the rule's own severity, confidence and persona.
    pub(crate) fn report(&mut self, source: &SharedSource, span: Span, message: impl Into<String>) -> &mut Finding {
        let rule = self.rule;
        self.findings.push(Finding {
            rule: rule.ident,
            severity: rule.severity,
            confidence: rule.confidence,
            persona: rule.persona,
            message: message.into(),
            advice: rule.advice.to_owned(),
            location: FindingLocation::new(source, span, ""),
            related: Vec::new(),
            fix: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

impl Finding {
    /// Adds a related place.
    pub(crate) fn add_related(&mut self, source: &SharedSource, span: Span, label: impl Into<String>) -> &mut Self {
        self.related.push(FindingLocation::new(source, span, label));
        self
    }

    /// Changes the severity.
    pub(crate) fn set_severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// Changes the confidence.
    pub(crate) fn set_confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    /// Changes the persona.
    pub(crate) fn set_persona(&mut self, persona: Persona) -> &mut Self {
        self.persona = persona;
        self
    }

    /// Replaces the rule's advice.
    pub(crate) fn set_advice(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = advice.into();
        self
    }

    /// Offers a fix, where there is one.
    pub(crate) fn set_fix(&mut self, fix: Option<Fix>) -> &mut Self {
        self.fix = fix;
        self
    }
}

//! What a rule is: its words, its examples, and the function that looks.

use super::dialect::Dialect;
use super::finding::{Confidence, Finding, Persona, Place, RuleName, Severity};
use super::fix::Fix;
use super::span::{SharedSource, Span};
use super::survey::Project;

/// The dialects of most rules.
pub const EVERYWHERE: &[Dialect] = &[Dialect::Forgejo, Dialect::Gitea, Dialect::Github];

/// An example's files: path and text.
pub type Example = &'static [(&'static str, &'static str)];

/// A rule. Its words are the documentation, and its examples are tests.
#[derive(Debug)]
pub struct Rule {
    /// Number, name and the one sentence.
    pub name: RuleName,
    /// Why it matters.
    pub why: &'static str,
    /// What was seen or measured.
    pub evidence: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// How bad, unless a finding says otherwise.
    pub severity: Severity,
    /// How sure, unless a finding says otherwise.
    pub confidence: Confidence,
    /// For whom, unless a finding says otherwise.
    pub persona: Persona,
    /// Where it holds.
    pub dialects: &'static [Dialect],
    /// Files that it reports.
    pub bad: Example,
    /// Files that it does not report.
    pub good: Example,
    /// Looks at a project.
    pub look: fn(&Project, &mut Found),
}

/// Findings as they come, made in one rule's name.
#[derive(Debug)]
pub struct Found {
    rule: &'static Rule,
    pub(super) findings: Vec<Finding>,
}

impl Found {
    pub(super) fn new(rule: &'static Rule) -> Self {
        Self { rule, findings: Vec::new() }
    }

    /// Reports something at a place, with the rule's own severity, confidence and persona.
    pub fn report(&mut self, source: &SharedSource, span: Span, message: impl Into<String>) -> &mut Finding {
        let rule = self.rule;
        self.findings.push(Finding {
            rule: rule.name,
            severity: rule.severity,
            confidence: rule.confidence,
            persona: rule.persona,
            message: message.into(),
            advice: rule.advice.to_owned(),
            place: Place::new(source, span, ""),
            related: Vec::new(),
            fix: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

impl Finding {
    /// Says something at the place itself.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.place.label = label.into();
        self
    }

    /// Adds a related place.
    pub fn also(&mut self, source: &SharedSource, span: Span, label: impl Into<String>) -> &mut Self {
        self.related.push(Place::new(source, span, label));
        self
    }

    /// Changes the severity.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// Changes the confidence.
    pub fn confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    /// Changes the persona.
    pub fn persona(&mut self, persona: Persona) -> &mut Self {
        self.persona = persona;
        self
    }

    /// Replaces the rule's advice.
    pub fn advice(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = advice.into();
        self
    }

    /// Offers a fix, where there is one.
    pub fn fix(&mut self, fix: Option<Fix>) -> &mut Self {
        self.fix = fix;
        self
    }
}

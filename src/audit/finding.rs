//! Audit finding: location, message, severity, advice and fix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fix::Fix;
use super::source::{Position, SharedSource, Span};
use crate::text::to_single_line;

/// Impact of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No cost, only information.
    Info,
    /// Costs little, or rarely.
    Low,
    /// Costs time in every run, or sometimes hides a failure.
    Medium,
    /// The workflow does not do what it appears to do.
    High,
}

/// Error of parsing a severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be info, low, medium or high")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text).ok_or(UnknownSeverity)
    }
}

/// Probability that a finding is correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Depends on facts that the files do not contain.
    Low,
    /// Usually correct.
    Medium,
    /// Follows from the files alone.
    High,
}

/// Audience of a finding, called `pedantic` (true or false) in settings and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persona {
    /// Everyone.
    Regular,
    /// Users who pass `--pedantic`.
    Pedantic,
}

impl Severity {
    /// All severities, lowest first.
    pub(crate) const ALL: [Self; 4] = [Self::Info, Self::Low, Self::Medium, Self::High];

    /// Returns the name used in settings and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Confidence {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Persona {
    /// Returns the audience of findings that are or are not pedantic.
    pub(crate) fn from_pedantic(is_pedantic: bool) -> Self {
        if is_pedantic { Self::Pedantic } else { Self::Regular }
    }

    /// Describes when findings are reported.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Regular => "always",
            Self::Pedantic => "only with `--pedantic`",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A labelled range of a file.
#[derive(Clone, Debug)]
pub struct FindingLocation {
    /// File that contains the range.
    pub source: SharedSource,
    /// Byte range.
    pub span: Span,
    /// Text shown at the range; empty at a finding's own location.
    pub label: String,
}

impl FindingLocation {
    /// Creates a location with a label.
    pub fn new(source: &SharedSource, span: Span, label: impl Into<String>) -> Self {
        Self { source: source.clone(), span, label: label.into() }
    }

    /// Returns the path as one line without control characters: a file may have any name.
    pub(crate) fn display_path(&self) -> String {
        to_single_line(&self.source.path)
    }

    /// Returns the position of the first byte.
    pub fn start_position(&self) -> Position {
        self.source.position_at(self.span.start)
    }

    /// Returns the position after the last byte.
    pub(crate) fn end_position(&self) -> Position {
        self.source.position_at(self.span.end)
    }
}

/// Identification of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIdent {
    /// ID, such as `NX101`.
    pub id: &'static str,
    /// Name, such as `no-dependency-cache`.
    pub name: &'static str,
    /// One sentence that states the problem.
    pub summary: &'static str,
}

/// A problem reported by a rule.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Rule that reports it.
    pub rule: RuleIdent,
    /// Impact.
    pub severity: Severity,
    /// Probability that it is correct.
    pub confidence: Confidence,
    /// Audience.
    pub persona: Persona,
    /// The problem at this location, as a lower-case fragment.
    pub message: String,
    /// How to resolve it.
    pub advice: String,
    /// Location at which it is reported.
    pub location: FindingLocation,
    /// Other locations that explain it.
    pub related: Vec<FindingLocation>,
    /// Edits that resolve it, where noxide can make them.
    pub fix: Option<Fix>,
}

impl Finding {
    /// Returns an identifier that stays the same when lines move: rule, file and reported text.
    pub(crate) fn fingerprint(&self) -> String {
        let text = self.location.source.slice(self.location.span);
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}:{}:{}", self.rule.id, self.location.source.path, text)
    }

    /// Sort key: file, position, then rule.
    pub(crate) fn sort_key(&self) -> (String, usize, &'static str, usize) {
        (self.location.source.path.clone(), self.location.span.start, self.rule.id, self.location.span.end)
    }

    /// Adds a related location with a label.
    pub(crate) fn add_related(&mut self, source: &SharedSource, span: Span, label: impl Into<String>) -> &mut Self {
        self.related.push(FindingLocation::new(source, span, label));
        self
    }

    /// Overrides the rule's severity.
    pub(crate) fn set_severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// Overrides the rule's confidence.
    pub(crate) fn set_confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    /// Overrides the rule's persona.
    pub(crate) fn set_persona(&mut self, persona: Persona) -> &mut Self {
        self.persona = persona;
        self
    }

    /// Overrides the rule's advice.
    pub(crate) fn set_advice(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = advice.into();
        self
    }

    /// Attaches a fix, if any.
    pub(crate) fn set_fix(&mut self, fix: Option<Fix>) -> &mut Self {
        self.fix = fix;
        self
    }
}

/// A fix that was applied, or rejected with a reason.
#[derive(Debug)]
pub(crate) struct FixResult<'a> {
    pub(crate) path: &'a str,
    /// ID of the rule.
    pub(crate) rule_id: &'a str,
    /// What the fix does.
    pub(crate) title: &'a str,
    /// Why it was rejected.
    pub(crate) rejection: Option<String>,
}

/// Findings of a rule that are left after fixing, for one reason.
#[derive(Debug)]
pub(crate) struct UnfixedRule<'a> {
    /// The findings; never empty.
    pub(crate) findings: Vec<&'a Finding>,
    /// Why no fix was applied.
    pub(crate) reason: &'static str,
}

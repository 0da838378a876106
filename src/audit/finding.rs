//! What a rule found: where, how sure, and what would mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fix::Fix;
use super::source::{Position, SharedSource, Span};

/// How much it costs or breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Costs a little, or rarely.
    Low,
    /// Costs time in every run, or hides a failure now and then.
    Medium,
    /// The workflow does not do what it says.
    High,
}

/// How sure the rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It depends on what cannot be seen from here.
    Low,
    /// Usually right.
    Medium,
    /// Follows from the files alone.
    High,
}

/// Who wants to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persona {
    /// Everyone.
    Regular,
    /// Those who want all that can be said.
    Pedantic,
}

impl Severity {
    /// All of them, the mildest first.
    pub(crate) const ALL: [Self; 4] = [Self::Info, Self::Low, Self::Medium, Self::High];

    /// Its name.
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
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Persona {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Pedantic => "pedantic",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A place that a finding speaks of.
#[derive(Clone, Debug)]
pub struct FindingLocation {
    /// The file.
    pub source: SharedSource,
    /// Its bytes.
    pub span: Span,
    /// What to say at it; may be empty at the first place.
    pub label: String,
}

impl FindingLocation {
    /// A place with words.
    pub fn new(source: &SharedSource, span: Span, label: impl Into<String>) -> Self {
        Self { source: source.clone(), span, label: label.into() }
    }

    /// Where it starts.
    pub fn start_position(&self) -> Position {
        self.source.position_at(self.span.start)
    }

    /// Where it ends.
    pub(crate) fn end_position(&self) -> Position {
        self.source.position_at(self.span.end)
    }
}

/// A rule's name at a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIdent {
    /// `NX101`.
    pub id: &'static str,
    /// `no-dependency-cache`.
    pub name: &'static str,
    /// One sentence: what it looks for.
    pub summary: &'static str,
}

/// Something found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: RuleIdent,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// For whom.
    pub persona: Persona,
    /// What is wrong here, in one sentence.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// Where: the first is the place it is reported at.
    pub location: FindingLocation,
    /// What else it speaks of.
    pub related: Vec<FindingLocation>,
    /// What would mend it.
    pub fix: Option<Fix>,
}

impl Finding {
    /// A name that stays when lines move: rule, file and the text found.
    pub(crate) fn fingerprint(&self) -> String {
        let text = self.location.source.slice(self.location.span);
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}:{}:{}", self.rule.id, self.location.source.path, text)
    }

    /// The order findings are shown in: by file and place, then rule.
    pub(crate) fn sort_key(&self) -> (String, usize, &'static str, usize) {
        (self.location.source.path.clone(), self.location.span.start, self.rule.id, self.location.span.end)
    }

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

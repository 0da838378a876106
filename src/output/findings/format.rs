//! Formats of findings.

use clap::ValueEnum;

use super::{
    FindingCounts, render_forgejo, render_github, render_json, render_markdown, render_pretty, render_sarif,
    render_statistics_json, render_statistics_markdown, render_statistics_text,
};
use crate::audit::finding::Finding;
use crate::output::theme::OutputTheme;

/// Format of findings.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FindingFormat {
    /// Text with source excerpts
    #[default]
    Text,
    /// One JSON document with a `version` key
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// Annotations of GitHub
    Github,
    /// Plain lines in groups, for Forgejo and Gitea
    Forgejo,
    /// A table, for a step summary
    Markdown,
}

impl FindingFormat {
    /// Renders findings; text is wrapped at `width`.
    pub(crate) fn render(
        self,
        findings: &[Finding],
        counts: FindingCounts,
        theme: OutputTheme,
        width: Option<usize>,
    ) -> String {
        match self {
            Self::Text => render_pretty(findings, counts, theme, width),
            Self::Json => render_json(findings, counts),
            Self::Sarif => render_sarif(findings),
            Self::Github => render_github(findings, counts),
            Self::Forgejo => render_forgejo(findings, counts),
            Self::Markdown => render_markdown(findings, counts),
        }
    }

    /// Renders the number of findings of each rule; `None` if the format has no statistics.
    pub(crate) fn render_statistics(self, findings: &[Finding], counts: FindingCounts) -> Option<String> {
        match self {
            Self::Text | Self::Forgejo => Some(render_statistics_text(findings, counts)),
            Self::Json => Some(render_statistics_json(findings, counts)),
            Self::Markdown => Some(render_statistics_markdown(findings, counts)),
            Self::Sarif | Self::Github => None,
        }
    }
}

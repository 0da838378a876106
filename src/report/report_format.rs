//! Formats of reports and comparisons, and their rendering.

use clap::ValueEnum;
use serde::Serialize;

use super::comparison::RunComparison;
use super::page::{PageError, render_page};
use super::perfetto::build_perfetto_trace;
use super::run_report::RunReport;
use super::text::{FailedLogTail, render_markdown, render_text};
use crate::text::{escape_json_document, to_safe_lines};

/// Format of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    /// One self-contained page.
    #[default]
    Html,
    /// For a merge request.
    #[value(alias = "md")]
    Markdown,
    /// For a terminal.
    Text,
    /// One JSON document with a `version` key.
    Json,
    /// Chrome's trace event format.
    Perfetto,
}

impl ReportFormat {
    /// Renders a report; `log_tails` reads the ends of the logs of failed sessions.
    ///
    /// # Errors
    /// If the template of the page is invalid.
    pub(crate) fn render_report(
        self,
        report: &RunReport,
        log_tails: &dyn Fn() -> Vec<FailedLogTail>,
    ) -> Result<String, PageError> {
        Ok(match self {
            // Names may contain control characters; a page has no use for any.
            Self::Html => {
                render_page(report, &log_tails())?.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "")
            }
            Self::Markdown => render_markdown(report, &log_tails()),
            Self::Text => to_safe_lines(&render_text(report)),
            Self::Json => escape_json_document(&to_json_text(report)),
            Self::Perfetto => escape_json_document(&format!("{}\n", build_perfetto_trace(report))),
        })
    }

    /// Renders a comparison; `None` in a format that has none.
    pub(crate) fn render_comparison(self, comparison: &RunComparison) -> Option<String> {
        match self {
            Self::Json => Some(escape_json_document(&to_json_text(comparison))),
            Self::Markdown => Some(comparison.to_markdown()),
            Self::Html | Self::Text => Some(to_safe_lines(&comparison.to_text())),
            Self::Perfetto => None,
        }
    }
}

fn to_json_text(document: &impl Serialize) -> String {
    format!("{:#}\n", serde_json::to_value(document).unwrap_or_default())
}

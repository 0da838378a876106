//! The flags of `noxide report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of `noxide report`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportArgs {
    /// The run, as its folder in .noxide/runs is named (the beginning will do), `last`, or a record file
    #[arg(value_name = "RUN", default_value = "last", help_heading = "Selection")]
    pub(crate) run: String,
    /// How many earlier runs to tell of
    #[arg(long, value_name = "N", default_value_t = 99, help_heading = "Selection")]
    pub(crate) history: usize,
    /// Compare two runs, commits, branches or record files: before and after
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with = "run", help_heading = "Comparison")]
    pub(crate) compare: Option<Vec<String>>,
    /// Exit with 1 when something is shown to be slower
    #[arg(long, requires = "compare", help_heading = "Comparison")]
    pub(crate) check: bool,
    /// As html, markdown, text, json or trace (for Chrome and Perfetto)
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "html", help_heading = "Output")]
    pub(crate) format: ReportFormat,
    /// Write to FILE, `-` is the standard output [default: .noxide/report.html, or - for other formats]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

/// Forms of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    /// One page, complete in itself.
    #[default]
    Html,
    /// For a merge request.
    #[value(alias = "md")]
    Markdown,
    /// For a terminal.
    Text,
    /// One document, its version at its top.
    Json,
    /// The trace event format.
    Trace,
}

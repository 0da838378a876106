//! The flags of `noxide bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output_format::OutputFormat;
use crate::report::bench::BenchPlan;

/// Flags of `noxide bench`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct BenchArgs {
    /// Rounds that count
    #[arg(long, value_name = "N", default_value_t = BenchPlan::DEFAULT_ROUNDS, help_heading = "Rounds")]
    pub(crate) rounds: usize,
    /// Rounds before these that do not
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Rounds")]
    pub(crate) warmup: usize,
    /// What each round measures: cold, warm or both
    #[arg(long, value_name = "WHICH", default_value = "both", hide_possible_values = true, help_heading = "Rounds")]
    pub(crate) caches: BenchCacheChoice,
    /// Go on where a command fails; its time counts all the same
    #[arg(short, long, help_heading = "Rounds")]
    pub(crate) ignore_failure: bool,
    /// A shell command instead of `noxide run`; may be given several times
    #[arg(long, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) after: Vec<String>,
    /// What to compare with [default: nox, and nox -j where it has that]
    #[arg(last = true, value_name = "COMMAND", help_heading = "Commands")]
    pub(crate) before: Vec<String>,
    /// Make the copies below DIR [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR", help_heading = "Commands")]
    pub(crate) scratch: Option<PathBuf>,
    /// The result as text, markdown or json
    #[arg(long, value_name = "AS", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: BenchFormat,
    /// Write the table into FILE, between its marks
    #[arg(long, value_name = "FILE", default_value = "docs/development/ci-cd.md", help_heading = "Output")]
    pub(crate) write: PathBuf,
    /// Write the table nowhere
    #[arg(long, conflicts_with = "write", help_heading = "Output")]
    pub(crate) no_write: bool,
}

/// What each round measures.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BenchCacheChoice {
    /// Cold, then warm.
    #[default]
    Both,
    /// Cold alone.
    Cold,
    /// Warm alone.
    Warm,
}

/// Forms of a bench.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BenchFormat {
    /// For people.
    #[default]
    Text,
    /// For a document.
    #[value(alias = "md")]
    Markdown,
    /// One document, its version at its top.
    Json,
}

impl BenchFormat {
    /// Whether mistakes are told as a document, too.
    pub(super) fn error_format(self) -> OutputFormat {
        if self == Self::Json { OutputFormat::Json } else { OutputFormat::Text }
    }
}

//! Whether a result is for people or for programs.

use clap::ValueEnum;

/// For people or for programs.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One document, its version at its top.
    Json,
}

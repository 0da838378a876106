//! Subcommands: settings in, exit code out.

use std::process::ExitCode;

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}

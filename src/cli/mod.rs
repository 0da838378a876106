//! Subcommands: settings in, exit code out.

mod args;
mod argv;
mod nox_flags;

pub use args::{
    Cli, Command, Format, Global, GraphArgs, GraphFormat, HostArgs, ListArgs, ReplayArgs, Rerun, RunArgs, Running,
    Shown,
};
pub use nox_flags::{Behaviour, Environments, Selection};

use std::process::ExitCode;

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}

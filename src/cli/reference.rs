//! `noxide completions` and `noxide man`: completion scripts and manual pages, from the definition of the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::args::Cli;
use super::error::{CliError, ErrorContext as _};
use super::exit_code::ExitCode;
use crate::output::OutputContext;

/// Flags of `noxide completions`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CompletionsArgs {
    /// Shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true, help_heading = "Output")]
    pub(crate) shell: Shell,
}

/// Flags of `noxide man`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ManArgs {
    /// Write one page for each subcommand to DIR
    #[arg(value_name = "DIR", help_heading = "Output")]
    pub(crate) dir: PathBuf,
}

/// Prints the completion script of a shell.
pub(super) fn print_completions(args: &CompletionsArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "noxide", &mut script);
    output.print(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages and prints how many.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn write_manual(args: &ManArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let context = "cannot write the manual pages";
    fs_err::create_dir_all(&args.dir).context(context)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &args.dir).context(context)?;
    output.status(&format!("manual pages: {}", args.dir.display()));
    Ok(ExitCode::SUCCESS)
}

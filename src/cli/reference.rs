//! `noxide completions` and `noxide man`: completion scripts and manual pages, from the definition of the command line.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

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

/// Prints the completion script of a shell for a command line.
pub(super) fn print_completions(args: &CompletionsArgs, mut noxide: Command, output: &OutputContext) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut noxide, "noxide", &mut script);
    output.print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Writes the manual pages of a command line.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn write_manual(args: &ManArgs, noxide: Command, output: &OutputContext) -> Result<ExitCode, CliError> {
    let context = "cannot write the manual pages";
    fs_err::create_dir_all(&args.dir).context(context)?;
    clap_mangen::generate_to(noxide.disable_help_subcommand(true), &args.dir).context(context)?;
    output.status(&format!("manual pages: {}", args.dir.display()));
    Ok(ExitCode::SUCCESS)
}

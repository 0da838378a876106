//! Dispatch of `noxide cache` to its subcommands.

use super::args::{CacheArgs, CacheCommand};
use super::{key, maintenance, sessions, wheels};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::output::OutputContext;

/// Runs a subcommand of `noxide cache`.
///
/// # Errors
/// When the store, uv or the lock file cannot be used.
pub(in crate::cli) fn run(args: &CacheArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    match &args.command {
        CacheCommand::Key(args) => key::print_key(args, output),
        CacheCommand::Restore(args) if args.load.selection.has_selection() => sessions::restore(args, output),
        CacheCommand::Restore(args) => wheels::restore(args, output),
        CacheCommand::Save(args) if args.load.selection.has_selection() => sessions::save(args, output),
        CacheCommand::Save(args) => wheels::save(args, output),
        CacheCommand::Status(args) => maintenance::print_status(args, output),
        CacheCommand::Verify(args) => maintenance::verify(args, output),
        CacheCommand::Prune(args) => maintenance::prune(args, output),
        CacheCommand::Clean(args) => maintenance::clean(args, output),
        CacheCommand::Dir => maintenance::print_directory(output),
    }
}

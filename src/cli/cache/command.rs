//! Which file does which subcommand of `noxide cache`.

use super::args::{CacheArgs, CacheCommand};
use crate::cli::error::CliError;
use crate::cli::shared_args::OutputFormat;
use crate::output::OutputContext;

/// Carries out `noxide cache …`.
///
/// # Errors
/// When the store, uv or the lock cannot be had.
pub(in crate::cli) fn run_cache_command(args: &CacheArgs, screen: &OutputContext) -> Result<u8, CliError> {
    match &args.command {
        CacheCommand::Key(args) => super::key::print_key(args, screen),
        CacheCommand::Restore(args) if args.load.selection.has_selection() => {
            super::sessions::restore_sessions(args, screen)
        }
        CacheCommand::Restore(args) => super::restore::restore_packages(args, screen),
        CacheCommand::Save(args) if args.load.selection.has_selection() => super::sessions::save_sessions(args, screen),
        CacheCommand::Save(args) => super::save::save_uv_cache(args, screen),
        CacheCommand::Status(args) => super::status::print_status(args),
        CacheCommand::Verify(args) => super::verify::verify_store(args, screen),
        CacheCommand::Prune(args) => super::prune::prune_store(args, screen),
    }
}

/// Whether a failure is told as a document.
pub(in crate::cli) fn wants_json(args: &CacheArgs) -> bool {
    let format = match &args.command {
        CacheCommand::Key(args) => args.format,
        CacheCommand::Restore(args) => args.format,
        CacheCommand::Save(args) => args.format,
        CacheCommand::Status(args) => args.format,
        CacheCommand::Verify(args) => args.format,
        CacheCommand::Prune(args) => args.format,
    };
    format == OutputFormat::Json
}

//! Which file does which subcommand of `noxide cache`.

use super::flags::{CacheArgs, CacheCommand};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::screen::Screen;

/// Carries out `noxide cache …`.
///
/// # Errors
/// When the store, uv or the lock cannot be had.
pub(in crate::cli) fn cache(args: &CacheArgs, screen: &Screen) -> Result<u8, Failure> {
    match &args.command {
        CacheCommand::Key(args) => super::key::key(args, screen),
        CacheCommand::Restore(args) if args.load.selection.chooses() => super::sessions::restore(args, screen),
        CacheCommand::Restore(args) => super::restore::restore(args, screen),
        CacheCommand::Save(args) if args.load.selection.chooses() => super::sessions::save(args, screen),
        CacheCommand::Save(args) => super::save::save(args, screen),
        CacheCommand::Status(args) => super::status::status(args),
        CacheCommand::Verify(args) => super::verify::verify(args, screen),
        CacheCommand::Prune(args) => super::prune::prune(args, screen),
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
    format == Format::Json
}

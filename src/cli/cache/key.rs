//! `noxide cache key`: the cache key of sessions, its inputs, and how they differ from stored ones.

use super::args::CacheKeyArgs;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::loaded_project::{LoadOptions, LoadedProject};
use crate::output::OutputContext;
use crate::provision::SessionKeys;

/// Prints the key.
///
/// # Errors
/// When the project cannot be loaded.
pub(super) fn print_key(args: &CacheKeyArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let mut options = LoadOptions::from_args(&args.load);
    options.flags.locked = args.lock_file.locked_override();
    let project = LoadedProject::load(options, output)?;
    let (manifest, uses_locked_versions) = (&project.manifest, project.options.provision.uses_locked_versions);
    let keys = SessionKeys::new(manifest, uses_locked_versions, project.user_cache_dir.as_deref(), &manifest.queue);
    project.host.close();
    keys.warnings.iter().chain(&keys.interpreter_errors).for_each(|warning| output.warn(warning));
    if keys.sessions.is_empty() {
        output.print_to_stderr("no session with an environment is selected; select some with -s");
        return Ok(ExitCode::NOTHING_SELECTED);
    }
    let text = || if args.explain { keys.explain() } else { format!("{}\n", keys.key_text()) };
    args.format.print(output, text, || keys.to_json());
    Ok(ExitCode::SUCCESS)
}

//! `noxide cache restore` and `save` without sessions: packages of uv.lock, and all of uv's cache.

use std::path::Path;

use super::args::{CacheRestoreArgs, CacheSaveArgs};
use super::store_context::{open_project_store, print_damage, print_report, print_restore_plan};
use crate::cache::{LockFileParts, PackageSelection};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::shared_args::OutputFormat;
use crate::config::user_cache_dir;
use crate::output::OutputContext;
use crate::project::dependencies::UvLock;
use crate::project::{Interpreter, default_interpreter};
use crate::provision::UvCacheAccess;

/// Restores packages to uv's cache, and configured directories. Fails with `--require` if a package is missing.
///
/// # Errors
/// With flags that need sessions. When the store, uv or the lock file cannot be used.
pub(super) fn restore(args: &CacheRestoreArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    if args.lock_file.locked_override().is_some() || args.max_age.is_some() {
        let message = "--locked and --max-age restore what sessions install: select sessions, for example with -s NAME";
        return Err(CliError::Usage(message.to_owned()));
    }
    let selection = select_packages(args)?;
    let store = open_project_store()?;
    let uv_cache = UvCacheAccess::open(args.uv.uv_cache.as_deref(), &store, user_cache_dir())?;
    uv_cache.unknown_layout_notice().iter().for_each(|notice| output.note(notice));
    if args.dry_run {
        let plan = uv_cache.plan_restore(&store, &selection);
        print_restore_plan(output, args.format, &plan);
        return Ok(ExitCode::SUCCESS);
    }
    let report = uv_cache.restore(&store, &selection, &*output.transfer_progress());
    print_report(output, args.format, &report, || report.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(args.require && !report.is_complete()))
}

/// Saves new wheels of uv's cache, and configured directories. Fails if uv's cache is damaged.
///
/// # Errors
/// When the store or uv cannot be used, or there is something new and the store is read-only.
pub(super) fn save(args: &CacheSaveArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = open_project_store()?;
    let uv_cache = UvCacheAccess::open(args.uv.uv_cache.as_deref(), &store, user_cache_dir())?;
    uv_cache.unknown_layout_notice().iter().for_each(|notice| output.note(notice));
    let report = uv_cache.save(&store, &*output.transfer_progress())?;
    print_report(output, args.format, &report, || report.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(!report.damaged.is_empty()))
}

/// Selects everything, or the parts of uv.lock that flags name, with their dependencies.
fn select_packages(args: &CacheRestoreArgs) -> Result<PackageSelection, CliError> {
    if args.all {
        return Ok(PackageSelection::All);
    }
    let lock_file = UvLock::read(Path::new("uv.lock"))?;
    let python = args.interpreter.clone().unwrap_or_else(|| default_interpreter(Path::new("")));
    let markers = Interpreter::probe(&python)?.markers;
    let parts = LockFileParts { packages: &args.package, groups: &args.group, extras: &args.extra };
    Ok(PackageSelection::from_lock_file_parts(&lock_file, parts, &markers)?)
}

//! `noxide cache restore` and `save` without sessions: packages of uv.lock to uv's cache, and uv's cache to the store.

use std::path::{Path, PathBuf};

use super::args::{CacheRestoreArgs, CacheSaveArgs};
use super::store_context::{
    configured_folders, open_store, print_damage, print_report, print_restore_plan, transfer_progress,
};
use crate::cache::PackageSelection;
use crate::cache::store::{RestorePlan, RestoreReport, SaveReport};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::shared_args::OutputFormat;
use crate::output::OutputContext;
use crate::project::Interpreter;
use crate::project::lock::{ClosureRoot, UvLock, normalize_name};
use crate::provision::UvCacheAccess;

/// Restores packages to uv's cache, and configured directories. Fails with `--require` where something is missing.
///
/// # Errors
/// When the store, uv or the lock cannot be used.
pub(super) fn restore(args: &CacheRestoreArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let selection = select_packages(args)?;
    let store = open_store()?;
    let uv_cache = UvCacheAccess::open(args.uv.uv_cache.as_deref(), &store)?;
    if let UvCacheAccess::WholeFolder { reason, .. } = &uv_cache {
        note_whole_folder(output, reason);
    }
    if args.dry_run {
        let plan = match &uv_cache {
            UvCacheAccess::PerWheel(cache) => store.plan_restore(&selection, cache),
            UvCacheAccess::WholeFolder { .. } => RestorePlan::default(),
        };
        print_restore_plan(output, args.format, &plan);
        return Ok(ExitCode::SUCCESS);
    }
    let progress = transfer_progress(output);
    let mut folders = configured_folders(&store);
    let mut report = match uv_cache {
        UvCacheAccess::PerWheel(cache) => store.restore_wheels(&selection, &cache, &*progress),
        UvCacheAccess::WholeFolder { folder, .. } => {
            folders.push(folder);
            RestoreReport::default()
        }
    };
    for folder in &folders {
        report.add_folder(store.restore_folder(folder, &*progress));
    }
    print_report(output, args.format, &report, || report.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(args.require && !report.is_complete()))
}

/// Saves new wheels of uv's cache, and configured directories. Fails where uv's cache is damaged.
///
/// # Errors
/// When the store or uv cannot be used, or there is something new and the store is read-only.
pub(super) fn save(args: &CacheSaveArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = open_store()?;
    let progress = transfer_progress(output);
    let mut folders = configured_folders(&store);
    let mut report = match UvCacheAccess::open(args.uv.uv_cache.as_deref(), &store)? {
        UvCacheAccess::PerWheel(cache) => store.save_wheels(&PackageSelection::All, &cache, &*progress)?,
        UvCacheAccess::WholeFolder { folder, reason } => {
            note_whole_folder(output, &reason);
            folders.push(folder);
            SaveReport::default()
        }
    };
    for folder in &folders {
        report.add_folder(store.save_folder(folder, &*progress));
    }
    print_report(output, args.format, &report, || report.to_text());
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
    }
    Ok(ExitCode::from_check(!report.damaged.is_empty()))
}

fn note_whole_folder(output: &OutputContext, reason: &str) {
    output.note(&format!("the cache layout of this uv is unknown ({reason}): its cache is stored as a whole"));
}

/// Selects everything, or the dependency closure of what the flags name in the lock.
fn select_packages(args: &CacheRestoreArgs) -> Result<PackageSelection, CliError> {
    if args.all {
        return Ok(PackageSelection::All);
    }
    let lock = UvLock::read(Path::new("uv.lock"))?;
    let python = Interpreter::probe(&find_interpreter(args))?;
    let groups = args.group.iter().map(|group| ClosureRoot::Group(normalize_name(group)));
    let package = |name: &String| ClosureRoot::Package { name: normalize_name(name), extras: Vec::new() };
    let mut roots: Vec<ClosureRoot> = groups.chain(args.package.iter().map(package)).collect();
    let extras: Vec<String> = args.extra.iter().map(|extra| normalize_name(extra)).collect();
    if !extras.is_empty() {
        roots.push(ClosureRoot::Project { extras });
    }
    if roots.is_empty() {
        roots.push(ClosureRoot::All);
    }
    let closure = lock.resolve_closure(&roots, &python.markers);
    if let Some(unknown) = closure.unresolved.first() {
        return Err(CliError::NotInLock(unknown.to_string()));
    }
    Ok(PackageSelection::from_lock_closure(&closure, &python.markers.python_version))
}

/// Returns the interpreter of the project's environment, else the one on PATH.
fn find_interpreter(args: &CacheRestoreArgs) -> PathBuf {
    let own = PathBuf::from(".venv/bin/python");
    args.interpreter.clone().unwrap_or_else(|| if own.exists() { own } else { "python3".into() })
}

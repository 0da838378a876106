//! `noxide cache restore`: what the lock names is put into uv's cache.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::args::CacheRestoreArgs;
use super::store_context::{
    UvCacheAccess, configured_folders, open_store, open_uv_cache, print_json, print_whole_cache_note, transfer_progress,
};
use crate::cache::PackageSelection;
use crate::cache::store::{CacheMiss, EntryDamage, RestorePlan, RestoreReport};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::output_context::{OutputContext, print_stderr};
use crate::cli::output_format::OutputFormat;
use crate::project::Interpreter;
use crate::project::lock::{ClosureRoot, UvLock, normalize_name};
use crate::text::{format_duration, format_size, pluralize};

/// Restores, says what was had and what not, and gives the exit code.
///
/// # Errors
/// When the store, uv or the lock cannot be had.
pub(super) fn restore_packages(args: &CacheRestoreArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let wanted = select_packages(args)?;
    let store = open_store()?;
    let side = open_uv_cache(&args.uv, &store)?;
    if args.dry_run {
        let plan = match &side {
            UvCacheAccess::PerWheel(cache) => store.plan_restore(&wanted, cache),
            UvCacheAccess::WholeFolder(_, why) => {
                print_whole_cache_note(why);
                RestorePlan::default()
            }
        };
        print_restore_plan(&plan, args.format);
        return Ok(0);
    }
    let progress = transfer_progress(screen);
    let mut kept = configured_folders(&store);
    let mut report = match side {
        UvCacheAccess::PerWheel(cache) => store.restore_wheels(&wanted, &cache, &*progress),
        UvCacheAccess::WholeFolder(folder, why) => {
            print_whole_cache_note(&why);
            kept.push(folder);
            RestoreReport::default()
        }
    };
    for folder in &kept {
        report.add_folder(store.restore_folder(folder, &*progress));
    }
    match args.format {
        OutputFormat::Text => print_stdout(&format_restore_report(&report)),
        OutputFormat::Json => print_json(&report),
    }
    if args.format == OutputFormat::Text {
        print_damage(&report.damaged);
    }
    Ok(u8::from(args.require && !report.is_complete()))
}

/// Shows what would be put down.
pub(super) fn print_restore_plan(plan: &RestorePlan, format: OutputFormat) {
    let amount = plan.total_amount();
    let mut text = format!(
        "would restore {}: {} files, {}; {} here\n",
        pluralize(amount.entries, "wheel"),
        amount.files,
        format_size(amount.bytes),
        plan.present.len(),
    );
    write_misses(&plan.misses, &mut text);
    match format {
        OutputFormat::Text => print_stdout(&text),
        OutputFormat::Json => print_json(&serde_json::json!({
            "entries": amount.entries, "files": amount.files, "bytes": amount.bytes,
            "here": plan.present, "misses": plan.misses, "damaged": plan.damaged,
        })),
    }
}

/// What is to be restored: everything, or the closure of what was selected in the lock.
fn select_packages(args: &CacheRestoreArgs) -> Result<PackageSelection, CliError> {
    if args.all {
        return Ok(PackageSelection::All);
    }
    let lock = UvLock::read(Path::new("uv.lock"))?;
    let python = Interpreter::probe(&find_interpreter(args))?;
    let extras: Vec<String> = args.extra.iter().map(|extra| normalize_name(extra)).collect();
    let mut roots: Vec<ClosureRoot> =
        args.group.iter().map(|group| ClosureRoot::Group(normalize_name(group))).collect();
    roots.extend(
        args.package.iter().map(|package| ClosureRoot::Package { name: normalize_name(package), extras: Vec::new() }),
    );
    if !extras.is_empty() {
        roots.push(ClosureRoot::Project { extras });
    }
    if roots.is_empty() {
        roots.push(ClosureRoot::All);
    }
    let closure = lock.resolve_closure(&roots, &python.markers);
    if let Some(unknown) = closure.unresolved.first() {
        return Err(CliError::InvalidInput(format!("uv.lock holds no {unknown}")));
    }
    Ok(PackageSelection::from_lock_closure(&closure, &python.markers.python_version))
}

/// The interpreter of the project's environment, else the one on the path.
fn find_interpreter(args: &CacheRestoreArgs) -> PathBuf {
    let own = PathBuf::from(".venv/bin/python");
    args.interpreter.clone().unwrap_or_else(|| if own.exists() { own } else { "python3".into() })
}

pub(super) fn format_restore_report(report: &RestoreReport) -> String {
    let time = format_duration((report.seconds * 1_000.0) as u64);
    let link = report.link_mode.map(|link| format!(" ({link})")).unwrap_or_default();
    let mut text = match report.restored.len() {
        0 => format!("nothing to restore ({time})\n"),
        count => format!(
            "restored {}: {} files, {} in {time}{link}\n",
            pluralize(count, if report.link_mode.is_some() { "wheel" } else { "folder" }),
            report.files,
            format_size(report.bytes),
        ),
    };
    if !report.already_present.is_empty() {
        let _ = writeln!(text, "{} here already", pluralize(report.already_present.len(), "package"));
    }
    write_misses(&report.misses, &mut text);
    text
}

/// Misses with their reasons: each reason once, with the packages it holds for.
fn write_misses(misses: &[CacheMiss], text: &mut String) {
    let mut reasons: Vec<&str> = misses.iter().map(|miss| miss.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let of: Vec<&str> = misses.iter().filter(|miss| miss.reason == reason).map(|miss| miss.name.as_str()).collect();
        let _ = writeln!(text, "{} not had, {reason}: {}", pluralize(of.len(), "package"), of.join(", "));
    }
}

/// Names each damaged file on the error stream.
pub(super) fn print_damage(damaged: &[EntryDamage]) {
    for damage in damaged {
        let entry = damage.entry.to_string();
        let name = if damage.name.is_empty() { &entry } else { &damage.name };
        let path = if damage.path.is_empty() { "the entry" } else { &damage.path };
        print_stderr(&format!("damaged: {name}: {path}: {}", damage.corruption));
    }
}

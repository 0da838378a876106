//! `noxide cache status`, `verify`, `prune`, `clean` and `dir`: content of the store, damage, removal of entries.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::args::{CacheCleanArgs, CachePruneArgs, CacheStatusArgs, CacheVerifyArgs};
use super::store_context::{load_store_options, open_store, print_damage, print_report};
use crate::cache::store::RepairContext;
use crate::cache::{Store, StoreError, StoreOptions};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::shared_args::OutputFormat;
use crate::config::user_cache_dir;
use crate::output::OutputContext;
use crate::provision::find_project_uv;

/// Prints the content of the store.
///
/// # Errors
/// When the store cannot be opened.
pub(super) fn print_status(args: &CacheStatusArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let status = open_store()?.status();
    print_report(output, args.format, &status, || status.to_text(Timestamp::now()));
    Ok(ExitCode::SUCCESS)
}

/// Verifies every entry, and repairs damaged ones if requested. Fails if an entry is damaged, even if it is repaired.
///
/// # Errors
/// When the store cannot be opened.
pub(super) fn verify(args: &CacheVerifyArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let store = open_store()?;
    let report = store.verify_entries(&*output.transfer_progress());
    let repaired = if args.repair {
        let uv = find_project_uv(user_cache_dir());
        store.repair_entries(&report.damaged, &RepairContext { uv: uv.as_ref(), project: Path::new(".") })
    } else {
        Vec::new()
    };
    let mut document = json!(report);
    if args.repair {
        document["repaired"] = json!(repaired);
    }
    if args.format == OutputFormat::Text {
        print_damage(output, &report.damaged);
        report.unknown_paths.iter().for_each(|path| output.print_to_stderr(&format!("not an entry: {path}")));
    }
    print_report(output, args.format, &document, || report.to_text(&repaired, args.repair));
    Ok(ExitCode::from_check(!report.is_clean()))
}

/// Removes old and unused entries, or prints what would be removed.
///
/// # Errors
/// When the store cannot be opened or written to.
pub(super) fn prune(args: &CachePruneArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let mut options = load_store_options()?;
    options.max_size = args.max_size.unwrap_or(options.max_size);
    options.max_unused = args.max_unused.unwrap_or(options.max_unused);
    remove_entries(&Store::open(&options)?, args.dry_run, args.format, output)
}

/// Removes all entries that are not in use, or prints what would be removed.
///
/// # Errors
/// When the store cannot be opened or written to.
pub(super) fn clean(args: &CacheCleanArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let options = StoreOptions { max_unused: Duration::ZERO, max_size: 0, ..load_store_options()? };
    remove_entries(&Store::open(&options)?, args.dry_run, args.format, output)
}

fn remove_entries(
    store: &Store,
    is_dry_run: bool,
    format: OutputFormat,
    output: &OutputContext,
) -> Result<ExitCode, CliError> {
    let plan = store.plan_prune();
    if is_dry_run {
        print_report(output, format, &plan, || plan.to_text());
    } else {
        let report = store.prune(&plan, &*output.transfer_progress())?;
        print_report(output, format, &report, || report.to_text());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the directory of the store, whether it exists or not.
///
/// # Errors
/// When the settings are invalid, or the directory is unknown.
pub(super) fn print_directory(output: &OutputContext) -> Result<ExitCode, CliError> {
    let directory = load_store_options()?.dir.ok_or(StoreError::NoLocation)?;
    output.print(&format!("{}\n", directory.display()));
    Ok(ExitCode::SUCCESS)
}

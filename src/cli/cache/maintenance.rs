//! `noxide cache status`, `verify` and `prune`: content of the store, damage, and removal of old entries.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::args::{CachePruneArgs, CacheStatusArgs, CacheVerifyArgs};
use super::store_context::{load_store_options, open_store, print_damage, print_report};
use crate::cache::Store;
use crate::cache::store::RepairContext;
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
        report.unknown_paths.iter().for_each(|path| output.print_error(&format!("not an entry: {path}")));
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
    let store = Store::open(&options)?;
    let plan = store.plan_prune();
    if args.dry_run {
        print_report(output, args.format, &plan, || plan.to_text());
    } else {
        let report = store.prune(&plan, &*output.transfer_progress())?;
        print_report(output, args.format, &report, || report.to_text());
    }
    Ok(ExitCode::SUCCESS)
}

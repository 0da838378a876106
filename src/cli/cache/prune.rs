//! `noxide cache prune`: what is old, unused or too much goes.

use std::fmt::Write as _;

use super::args::CachePruneArgs;
use super::store_context::{load_store_options, print_json, transfer_progress};
use crate::cache::Store;
use crate::cache::store::{PrunePlan, PruneReport, PrunedEntry};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::output_context::OutputContext;
use crate::cli::output_format::OutputFormat;
use crate::text::{format_size, pluralize};

/// Prunes, or shows the plan.
///
/// # Errors
/// When the store cannot be had or written to.
pub(super) fn prune_store(args: &CachePruneArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let mut options = load_store_options()?;
    options.max_size = args.max_size.unwrap_or(options.max_size);
    options.max_unused = args.max_unused.unwrap_or(options.max_unused);
    let store = Store::open(&options)?;
    let plan = store.plan_prune();
    if args.dry_run {
        match args.format {
            OutputFormat::Text => print_stdout(&format_prune_plan(&plan)),
            OutputFormat::Json => print_json(&plan),
        }
        return Ok(0);
    }
    let report = store.prune(&plan, &*transfer_progress(screen))?;
    match args.format {
        OutputFormat::Text => print_stdout(&format_prune_report(&report)),
        OutputFormat::Json => print_json(&report),
    }
    Ok(0)
}

fn write_entry_rows(entries: &[PrunedEntry], text: &mut String) {
    for entry in entries {
        let id = entry.entry.to_string();
        let name = if entry.name.is_empty() { &id } else { &entry.name };
        let _ = writeln!(text, "  {:>9}  {:<6}  {name}", format_size(entry.bytes), entry.reason.as_str());
    }
}

fn format_prune_plan(plan: &PrunePlan) -> String {
    let bytes: u64 = plan.remove.iter().map(|entry| entry.bytes).sum();
    let mut text = format!("would remove {}: {}\n", pluralize(plan.remove.len(), "entry"), format_size(bytes));
    write_entry_rows(&plan.remove, &mut text);
    if !plan.quarantined.is_empty() {
        let _ = writeln!(text, "and {} put aside long ago", pluralize(plan.quarantined.len(), "entry"));
    }
    let _ = writeln!(text, "{} would stay: {}", pluralize(plan.remaining, "entry"), format_size(plan.remaining_bytes));
    text
}

fn format_prune_report(report: &PruneReport) -> String {
    let mut text = format!("removed {}: {}\n", pluralize(report.removed.len(), "entry"), format_size(report.bytes));
    write_entry_rows(&report.removed, &mut text);
    if !report.in_use.is_empty() {
        let _ = writeln!(text, "{} in use, left", pluralize(report.in_use.len(), "entry"));
    }
    let _ = writeln!(text, "{} stay: {}", pluralize(report.remaining, "entry"), format_size(report.remaining_bytes));
    text
}

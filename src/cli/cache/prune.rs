//! `noxide cache prune`: what is old, unused or too much goes.

use std::fmt::Write as _;

use super::flags::CachePruneArgs;
use super::opened::{options, print_document, progress};
use crate::cache::Store;
use crate::cache::store::{PrunePlan, PruneReport, PrunedEntry};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::cli::screen::Screen;
use crate::output::{plural, size};

/// Prunes, or shows the plan.
///
/// # Errors
/// When the store cannot be had or written to.
pub(super) fn prune(args: &CachePruneArgs, screen: &Screen) -> Result<u8, Failure> {
    let mut options = options()?;
    options.max_size = args.max_size.unwrap_or(options.max_size);
    options.max_unused = args.max_unused.unwrap_or(options.max_unused);
    let store = Store::open(&options)?;
    let plan = store.plan_prune();
    if args.dry_run {
        match args.format {
            Format::Text => print(&planned(&plan)),
            Format::Json => print_document(&plan),
        }
        return Ok(0);
    }
    let report = store.prune(&plan, &*progress(screen))?;
    match args.format {
        Format::Text => print(&told(&report)),
        Format::Json => print_document(&report),
    }
    Ok(0)
}

fn rows(entries: &[PrunedEntry], text: &mut String) {
    for entry in entries {
        let id = entry.entry.to_string();
        let name = if entry.name.is_empty() { &id } else { &entry.name };
        let _ = writeln!(text, "  {:>9}  {:<6}  {name}", size(entry.bytes), entry.why.as_str());
    }
}

fn planned(plan: &PrunePlan) -> String {
    let bytes: u64 = plan.remove.iter().map(|entry| entry.bytes).sum();
    let mut text = format!("would remove {}: {}\n", plural(plan.remove.len(), "entry"), size(bytes));
    rows(&plan.remove, &mut text);
    if !plan.aside.is_empty() {
        let _ = writeln!(text, "and {} put aside long ago", plural(plan.aside.len(), "entry"));
    }
    let _ = writeln!(text, "{} would stay: {}", plural(plan.kept, "entry"), size(plan.kept_bytes));
    text
}

fn told(report: &PruneReport) -> String {
    let mut text = format!("removed {}: {}\n", plural(report.removed.len(), "entry"), size(report.bytes));
    rows(&report.removed, &mut text);
    if !report.in_use.is_empty() {
        let _ = writeln!(text, "{} in use, left", plural(report.in_use.len(), "entry"));
    }
    let _ = writeln!(text, "{} stay: {}", plural(report.kept, "entry"), size(report.kept_bytes));
    text
}

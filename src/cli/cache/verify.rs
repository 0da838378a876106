//! `noxide cache verify`: every byte of the store read, all that is wrong named, and put right if asked.

use std::path::Path;

use serde_json::json;

use super::args::CacheVerifyArgs;
use super::restore::print_damage;
use super::store_context::{open_store, print_json, transfer_progress};
use crate::cache::Uv;
use crate::cache::store::{RepairContext, RepairOutcome, VerifyReport};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::output_context::{OutputContext, print_stderr};
use crate::cli::output_format::OutputFormat;
use crate::text::{format_duration, format_size, pluralize};

/// Verifies and gives the exit code: 1 where something is damaged, also when it was put right.
///
/// # Errors
/// When the store cannot be had.
pub(super) fn verify_store(args: &CacheVerifyArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let store = open_store()?;
    let report = store.verify_entries(&*transfer_progress(screen));
    let repaired = if args.repair {
        let uv = Uv::find_in_path(std::env::var_os("PATH")).ok();
        store.repair_entries(&report.damaged, &RepairContext { uv: uv.as_ref(), project: Path::new(".") })
    } else {
        Vec::new()
    };
    match args.format {
        OutputFormat::Text => print_verify_report(&report, &repaired, args.repair),
        OutputFormat::Json => {
            let mut document = json!(report);
            if args.repair {
                document["repaired"] = json!(repaired);
            }
            print_json(&document);
        }
    }
    Ok(u8::from(!report.is_clean()))
}

fn print_verify_report(report: &VerifyReport, repaired: &[RepairOutcome], repair: bool) {
    let time = format_duration((report.seconds * 1_000.0) as u64);
    let rate = format_size((report.bytes as f64 / report.seconds.max(0.001)) as u64);
    let entries = pluralize(report.entries, "entry");
    let mut text =
        format!("verified {entries}: {} files, {} in {time} ({rate}/s)\n", report.files, format_size(report.bytes));
    print_damage(&report.damaged);
    for stray in &report.unknown_paths {
        print_stderr(&format!("no entry: {stray}"));
    }
    for one in repaired {
        let name = if one.name.is_empty() { &one.entry } else { &one.name };
        text.push_str(&format!("put aside: {name}; {}\n", one.detail));
    }
    if report.is_clean() {
        text.push_str("all is as it was saved\n");
    } else if !repair && !report.damaged.is_empty() {
        text.push_str("`noxide cache verify --repair` puts damaged entries aside and fetches them anew\n");
    }
    print_stdout(&text);
}

//! `noxide cache status`: what the store holds.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::args::CacheStatusArgs;
use super::store_context::{open_store, print_json};
use crate::cache::store::{EntryKind, StoreStatus};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::output_format::OutputFormat;
use crate::text::{format_age, format_size, pluralize};

/// Prints the figures.
///
/// # Errors
/// When the store cannot be had.
pub(super) fn print_status(args: &CacheStatusArgs) -> Result<u8, CliError> {
    let status = open_store()?.status();
    match args.format {
        OutputFormat::Text => print_stdout(&format_status(&status, Timestamp::now())),
        OutputFormat::Json => print_json(&status),
    }
    Ok(0)
}

fn format_status(status: &StoreStatus, now: Timestamp) -> String {
    let read_only = if status.writable { "" } else { " (read-only)" };
    let mut text = format!("{}{read_only}\n", status.path);
    for kind in &status.kinds {
        let used = kind
            .last_used
            .map(|used| format!(", last used {}", format_age(seconds_since(used, now))))
            .unwrap_or_default();
        let what = match kind.kind {
            EntryKind::BuiltWheel => "built wheel",
            EntryKind::Bytecode => "compiled wheel",
            EntryKind::UvCache => "whole cache",
            EntryKind::Venv => "environment",
            other => other.as_str(),
        };
        let count = pluralize(kind.entries, what);
        let _ = writeln!(text, "  {count:<16} {:>9} {:>9} files{used}", format_size(kind.bytes), kind.files);
    }
    let share = status.bytes.saturating_mul(100).checked_div(status.max_size).unwrap_or(100);
    let days = status.max_unused_seconds / 86_400;
    let _ = writeln!(
        text,
        "{} of {} ({share} %), unused entries go after {}",
        format_size(status.bytes),
        format_size(status.max_size),
        pluralize(days, "day"),
    );
    if status.unreadable > 0 {
        let what = pluralize(status.unreadable, "entry");
        let _ = writeln!(text, "{what} cannot be read: `noxide cache verify` names them");
    }
    if !status.quarantined.is_empty() {
        let _ = writeln!(text, "{} put aside as damaged", pluralize(status.quarantined.len(), "entry"));
    }
    text
}

/// Seconds from `then` to `now`; 0 for a time in the future.
fn seconds_since(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - then.as_second()).unwrap_or(0)
}

//! `noxide cache save`: what uv's cache holds and the store does not is taken in.

use std::fmt::Write as _;

use super::args::CacheSaveArgs;
use super::restore::print_damage;
use super::store_context::{
    UvCacheAccess, configured_folders, open_store, open_uv_cache, print_json, print_whole_cache_note, transfer_progress,
};
use crate::cache::PackageSelection;
use crate::cache::store::SaveReport;
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::output_context::OutputContext;
use crate::cli::output_format::OutputFormat;
use crate::text::{format_duration, format_size, pluralize};

/// Saves, says what is new, and gives the exit code: 1 where something of the uv cache is damaged.
///
/// # Errors
/// When the store or uv cannot be had, or there is something new and the store takes nothing.
pub(super) fn save_uv_cache(args: &CacheSaveArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let store = open_store()?;
    let progress = transfer_progress(screen);
    let mut kept = configured_folders(&store);
    let mut report = match open_uv_cache(&args.uv, &store)? {
        UvCacheAccess::PerWheel(cache) => store.save_wheels(&PackageSelection::All, &cache, &*progress)?,
        UvCacheAccess::WholeFolder(folder, why) => {
            print_whole_cache_note(&why);
            kept.push(folder);
            SaveReport::default()
        }
    };
    for folder in &kept {
        report.add_folder(store.save_folder(folder, &*progress));
    }
    match args.format {
        OutputFormat::Text => {
            print_stdout(&format_save_report(&report));
            print_damage(&report.damaged);
        }
        OutputFormat::Json => print_json(&report),
    }
    Ok(u8::from(!report.damaged.is_empty()))
}

pub(super) fn format_save_report(report: &SaveReport) -> String {
    let time = format_duration((report.seconds * 1_000.0) as u64);
    let link = report.link_mode.map(|link| format!(" ({link})")).unwrap_or_default();
    let mut text = match report.saved.len() {
        0 => format!("nothing new: {} known ({time})\n", pluralize(report.already_stored, "wheel")),
        new => format!(
            "saved {}: {} files, {} in {time}{link}; {} known\n",
            pluralize(new, if report.link_mode.is_some() { "wheel" } else { "folder" }),
            report.files,
            format_size(report.bytes),
            report.already_stored,
        ),
    };
    for not in &report.failures {
        let _ = writeln!(text, "not saved: {}: {}", not.name, not.reason);
    }
    if report.malformed_pointers > 0 {
        let _ = writeln!(
            text,
            "{} of uv's cache not understood, left alone",
            pluralize(report.malformed_pointers, "pointer")
        );
    }
    if let Some(pruned) = &report.pruned {
        let _ = writeln!(
            text,
            "pruned {}: {}, to stay within bounds",
            pluralize(pruned.removed.len(), "entry"),
            format_size(pruned.bytes)
        );
    }
    text
}

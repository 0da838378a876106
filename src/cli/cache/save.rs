//! `noxide cache save`: what uv's cache holds and the store does not is taken in.

use std::fmt::Write as _;

use super::flags::CacheSaveArgs;
use super::opened::{UvSide, folders, print_document, progress, store, tell_whole, uv_cache};
use super::restore::tell_damage;
use crate::cache::Wanted;
use crate::cache::store::SaveReport;
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::cli::screen::Screen;
use crate::output::{duration, plural, size};

/// Saves, says what is new, and gives the exit code: 1 where something of the uv cache is damaged.
///
/// # Errors
/// When the store or uv cannot be had, or there is something new and the store takes nothing.
pub(super) fn save(args: &CacheSaveArgs, screen: &Screen) -> Result<u8, Failure> {
    let store = store()?;
    let progress = progress(screen);
    let mut kept = folders(&store);
    let mut report = match uv_cache(&args.uv, &store)? {
        UvSide::Known(cache) => store.save(&Wanted::All, &cache, &*progress)?,
        UvSide::Whole(folder, why) => {
            tell_whole(&why);
            kept.push(folder);
            SaveReport::default()
        }
    };
    for folder in &kept {
        report.add_folder(store.save_folder(folder, &*progress));
    }
    match args.format {
        Format::Text => {
            print(&told(&report));
            tell_damage(&report.damaged);
        }
        Format::Json => print_document(&report),
    }
    Ok(u8::from(!report.damaged.is_empty()))
}

pub(super) fn told(report: &SaveReport) -> String {
    let time = duration((report.seconds * 1_000.0) as u64);
    let link = report.link.map(|link| format!(" ({link})")).unwrap_or_default();
    let mut text = match report.saved.len() {
        0 => format!("nothing new: {} known ({time})\n", plural(report.known, "wheel")),
        new => format!(
            "saved {}: {} files, {} in {time}{link}; {} known\n",
            plural(new, if report.link.is_some() { "wheel" } else { "folder" }),
            report.files,
            size(report.bytes),
            report.known,
        ),
    };
    for not in &report.not_saved {
        let _ = writeln!(text, "not saved: {}: {}", not.name, not.reason);
    }
    if report.strange > 0 {
        let _ = writeln!(text, "{} of uv's cache not understood, left alone", plural(report.strange, "pointer"));
    }
    if let Some(pruned) = &report.pruned {
        let _ = writeln!(
            text,
            "pruned {}: {}, to stay within bounds",
            plural(pruned.removed.len(), "entry"),
            size(pruned.bytes)
        );
    }
    text
}

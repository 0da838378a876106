//! `noxide cache verify`: every byte of the store read, all that is wrong named, and put right if asked.

use std::path::Path;

use serde_json::json;

use super::flags::CacheVerifyArgs;
use super::opened::{print_document, progress, store};
use super::restore::tell_damage;
use crate::cache::Uv;
use crate::cache::store::{Repair, Repaired, VerifyReport};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::cli::screen::{Screen, say};
use crate::output::{duration, plural, size};

/// Verifies and gives the exit code: 1 where something is damaged, also when it was put right.
///
/// # Errors
/// When the store cannot be had.
pub(super) fn verify(args: &CacheVerifyArgs, screen: &Screen) -> Result<u8, Failure> {
    let store = store()?;
    let report = store.verify(&*progress(screen));
    let repaired = if args.repair {
        let uv = Uv::find(std::env::var_os("PATH")).ok();
        store.repair(&report.damaged, &Repair { uv: uv.as_ref(), project: Path::new(".") })
    } else {
        Vec::new()
    };
    match args.format {
        Format::Text => tell(&report, &repaired, args.repair),
        Format::Json => {
            let mut document = json!(report);
            if args.repair {
                document["repaired"] = json!(repaired);
            }
            print_document(&document);
        }
    }
    Ok(u8::from(!report.is_sound()))
}

fn tell(report: &VerifyReport, repaired: &[Repaired], repair: bool) {
    let time = duration((report.seconds * 1_000.0) as u64);
    let rate = size((report.bytes as f64 / report.seconds.max(0.001)) as u64);
    let entries = plural(usize::try_from(report.entries).unwrap_or(0), "entry");
    let mut text = format!("verified {entries}: {} files, {} in {time} ({rate}/s)\n", report.files, size(report.bytes));
    tell_damage(&report.damaged);
    for stray in &report.strays {
        say(&format!("no entry: {stray}"));
    }
    for one in repaired {
        let name = if one.name.is_empty() { &one.entry } else { &one.name };
        text.push_str(&format!("put aside: {name}; {}\n", one.how));
    }
    if report.is_sound() {
        text.push_str("all is as it was saved\n");
    } else if !repair && !report.damaged.is_empty() {
        text.push_str("`noxide cache verify --repair` puts damaged entries aside and fetches them anew\n");
    }
    print(&text);
}

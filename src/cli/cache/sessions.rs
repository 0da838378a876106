//! `noxide cache restore -s` and `save -s`: what single sessions need is put into uv's cache, or taken from it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::flags::{CacheRestoreArgs, CacheSaveArgs, UvArgs};
use super::opened::{print_document, progress};
use super::restore::{show, tell_damage};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::cli::opened::{Opened, Wanted};
use crate::cli::provision::Provision;
use crate::cli::screen::{Screen, say};
use crate::output::{duration, plural, size};
use crate::project::{Manifest, SessionId};
use crate::record::CacheUse;
use crate::run::Provide as _;

/// Restores what the chosen sessions need, one after the other, and gives the exit code.
///
/// # Errors
/// When the noxfile does not load, or the store or uv cannot be had.
pub(super) fn restore(args: &CacheRestoreArgs, screen: &Screen) -> Result<u8, Failure> {
    let mut wanted = Wanted::of(&args.load);
    wanted.flags.locked = args.dependencies.locked();
    let (manifest, mut provision) = open(wanted, &args.uv, screen)?;
    let ids: Vec<SessionId> = manifest.queue.clone();
    if args.dry_run {
        show(&provision.plan(&ids), args.format);
        return Ok(0);
    }
    let progress = progress(screen);
    let mut told: Vec<(String, CacheUse)> = Vec::new();
    for id in ids {
        let provided = provision.before(id, &*progress);
        provided.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
        let name = manifest.sessions[id.0].name.as_str().to_owned();
        told.extend(provided.cache.map(|cache| (name, cache)));
    }
    let report = &provision.restored;
    match args.format {
        Format::Text => {
            print(&text(&told));
            tell_damage(&report.damaged);
        }
        Format::Json => print_document(&json!({
            "sessions": told.iter().map(document).collect::<Vec<_>>(),
            "restored": report.restored, "here": report.here, "misses": report.misses, "damaged": report.damaged,
            "files": report.files, "bytes": report.bytes, "link": report.link,
            "check_seconds": report.check_seconds, "seconds": report.seconds,
        })),
    }
    Ok(u8::from(args.require && told.iter().any(|(_, cache)| cache.misses > 0)))
}

/// Takes in what the chosen sessions' environments hold, and gives the exit code: 1 where some of it is damaged.
///
/// # Errors
/// When the noxfile does not load, or the store or uv cannot be had.
pub(super) fn save(args: &CacheSaveArgs, screen: &Screen) -> Result<u8, Failure> {
    let (manifest, mut provision) = open(Wanted::of(&args.load), &args.uv, screen)?;
    provision.save(&manifest.queue, &*progress(screen));
    provision.troubles.iter().for_each(|trouble| say(&format!("warning: {trouble}")));
    match args.format {
        Format::Text => {
            print(&super::save::told(&provision.saved));
            tell_damage(&provision.saved.damaged);
        }
        Format::Json => print_document(&provision.saved),
    }
    Ok(u8::from(!provision.saved.damaged.is_empty()))
}

fn open(wanted: Wanted<'_>, uv: &UvArgs, screen: &Screen) -> Result<(Manifest, Provision), Failure> {
    let opened = Opened::new(wanted, screen)?;
    opened.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
    let provision = Provision::open(&opened, uv.uv_cache.as_deref(), None).map_err(Failure::Cache);
    let manifest = opened.manifest.clone();
    opened.close();
    Ok((manifest, provision?))
}

/// A line a session.
fn text(told: &[(String, CacheUse)]) -> String {
    let width = told.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, cache) in told {
        let all = usize::try_from(cache.hits + cache.misses).unwrap_or(usize::MAX);
        let restored = match cache.bytes {
            0 => String::new(),
            bytes => format!(", {} restored in {}", size(bytes), duration(cache.ms)),
        };
        let reason = if cache.reason.is_empty() { String::new() } else { format!("; {}", cache.reason) };
        let _ = writeln!(text, "{name:width$}  {} of {} here{restored}{reason}", cache.hits, plural(all, "package"));
    }
    if told.is_empty() {
        text.push_str("nothing to restore: no session that is chosen installs by uv\n");
    }
    text
}

fn document((name, cache): &(String, CacheUse)) -> Value {
    json!({
        "session": name, "hits": cache.hits, "misses": cache.misses,
        "bytes": cache.bytes, "ms": cache.ms, "reason": cache.reason,
    })
}

//! `noxide cache restore -s` and `save -s`: what single sessions need is put into uv's cache, or taken from it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{CacheRestoreArgs, CacheSaveArgs, UvArgs};
use super::restore::{print_damage, print_restore_plan};
use super::store_context::{print_json, transfer_progress};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::loaded_project::{LoadOptions, LoadedProject};
use crate::cli::output_context::{OutputContext, print_stderr};
use crate::cli::output_format::OutputFormat;
use crate::cli::provision::CacheProvisioner;
use crate::project::{NoxfileManifest, SessionId};
use crate::record::CacheStats;
use crate::run::Provisioner as _;
use crate::text::{format_duration, format_size, pluralize};

/// Restores what the chosen sessions need, one after the other, and gives the exit code.
///
/// # Errors
/// When the noxfile does not load, or the store or uv cannot be had.
pub(super) fn restore_sessions(args: &CacheRestoreArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let mut wanted = LoadOptions::from_args(&args.load);
    wanted.flags.locked = args.dependencies.locked_override();
    let (manifest, mut provision) = open_provisioner(wanted, &args.uv, screen)?;
    let ids: Vec<SessionId> = manifest.queue.clone();
    if args.dry_run {
        print_restore_plan(&provision.plan_restore(&ids), args.format);
        return Ok(0);
    }
    let progress = transfer_progress(screen);
    let mut told: Vec<(String, CacheStats)> = Vec::new();
    for id in ids {
        let provided = provision.provision_session(id, &*progress);
        provided.notices.iter().for_each(|notice| print_stderr(&format!("note: {notice}")));
        let name = manifest.sessions[id.0].name.as_str().to_owned();
        told.extend(provided.cache.map(|cache| (name, cache)));
    }
    let report = &provision.restore_report;
    match args.format {
        OutputFormat::Text => {
            print_stdout(&format_session_rows(&told));
            print_damage(&report.damaged);
        }
        OutputFormat::Json => print_json(&json!({
            "sessions": told.iter().map(session_json).collect::<Vec<_>>(),
            "restored": report.restored, "here": report.already_present, "misses": report.misses, "damaged": report.damaged,
            "files": report.files, "bytes": report.bytes, "link": report.link_mode,
            "check_seconds": report.check_seconds, "seconds": report.seconds,
        })),
    }
    Ok(u8::from(args.require && told.iter().any(|(_, cache)| cache.misses > 0)))
}

/// Takes in what the chosen sessions' environments hold, and gives the exit code: 1 where some of it is damaged.
///
/// # Errors
/// When the noxfile does not load, or the store or uv cannot be had.
pub(super) fn save_sessions(args: &CacheSaveArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let (manifest, mut provision) = open_provisioner(LoadOptions::from_args(&args.load), &args.uv, screen)?;
    provision.save_sessions(&manifest.queue, &*transfer_progress(screen));
    provision.warnings.iter().for_each(|trouble| print_stderr(&format!("warning: {trouble}")));
    match args.format {
        OutputFormat::Text => {
            print_stdout(&super::save::format_save_report(&provision.save_report));
            print_damage(&provision.save_report.damaged);
        }
        OutputFormat::Json => print_json(&provision.save_report),
    }
    Ok(u8::from(!provision.save_report.damaged.is_empty()))
}

fn open_provisioner(
    wanted: LoadOptions<'_>,
    uv: &UvArgs,
    screen: &OutputContext,
) -> Result<(NoxfileManifest, CacheProvisioner), CliError> {
    let opened = LoadedProject::load(wanted, screen)?;
    opened.notices.iter().for_each(|notice| print_stderr(&format!("note: {notice}")));
    let provision = CacheProvisioner::open(&opened, uv.uv_cache.as_deref(), None).map_err(CliError::Cache);
    let manifest = opened.manifest.clone();
    opened.close();
    Ok((manifest, provision?))
}

/// A line a session.
fn format_session_rows(told: &[(String, CacheStats)]) -> String {
    let width = told.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, cache) in told {
        let all = usize::try_from(cache.hits + cache.misses).unwrap_or(usize::MAX);
        let restored = match cache.bytes {
            0 => String::new(),
            bytes => format!(", {} restored in {}", format_size(bytes), format_duration(cache.ms)),
        };
        let reason = if cache.reason.is_empty() { String::new() } else { format!("; {}", cache.reason) };
        let _ = writeln!(text, "{name:width$}  {} of {} here{restored}{reason}", cache.hits, pluralize(all, "package"));
    }
    if told.is_empty() {
        text.push_str("nothing to restore: no session that is chosen installs by uv\n");
    }
    text
}

fn session_json((name, cache): &(String, CacheStats)) -> Value {
    json!({
        "session": name, "hits": cache.hits, "misses": cache.misses,
        "bytes": cache.bytes, "ms": cache.ms, "reason": cache.reason,
    })
}

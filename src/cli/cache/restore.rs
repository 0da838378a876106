//! `noxide cache restore`: what the lock names is put into uv's cache.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::flags::CacheRestoreArgs;
use super::opened::{UvSide, folders, print_document, progress, store, tell_whole, uv_cache};
use crate::cache::Wanted;
use crate::cache::store::{Damage, Miss, RestorePlan, RestoreReport};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::listing::print;
use crate::cli::screen::{Screen, say};
use crate::output::{duration, plural, size};
use crate::project::Interpreter;
use crate::project::lock::{Lock, Root, normal};

/// Restores, says what was had and what not, and gives the exit code.
///
/// # Errors
/// When the store, uv or the lock cannot be had.
pub(super) fn restore(args: &CacheRestoreArgs, screen: &Screen) -> Result<u8, Failure> {
    let wanted = wanted(args)?;
    let store = store()?;
    let side = uv_cache(&args.uv, &store)?;
    if args.dry_run {
        let plan = match &side {
            UvSide::Known(cache) => store.plan_restore(&wanted, cache),
            UvSide::Whole(_, why) => {
                tell_whole(why);
                RestorePlan::default()
            }
        };
        show(&plan, args.format);
        return Ok(0);
    }
    let progress = progress(screen);
    let mut kept = folders(&store);
    let mut report = match side {
        UvSide::Known(cache) => store.restore(&wanted, &cache, &*progress),
        UvSide::Whole(folder, why) => {
            tell_whole(&why);
            kept.push(folder);
            RestoreReport::default()
        }
    };
    for folder in &kept {
        report.add_folder(store.restore_folder(folder, &*progress));
    }
    match args.format {
        Format::Text => print(&told(&report)),
        Format::Json => print_document(&report),
    }
    if args.format == Format::Text {
        tell_damage(&report.damaged);
    }
    Ok(u8::from(args.require && !report.is_complete()))
}

/// Shows what would be put down.
pub(super) fn show(plan: &RestorePlan, format: Format) {
    let amount = plan.amount();
    let mut text = format!(
        "would restore {}: {} files, {}; {} here\n",
        plural(usize::try_from(amount.entries).unwrap_or(0), "wheel"),
        amount.files,
        size(amount.bytes),
        plan.here.len(),
    );
    tell_misses(&plan.misses, &mut text);
    match format {
        Format::Text => print(&text),
        Format::Json => print_document(&serde_json::json!({
            "entries": amount.entries, "files": amount.files, "bytes": amount.bytes,
            "here": plan.here, "misses": plan.misses, "damaged": plan.damaged,
        })),
    }
}

/// What is to be restored: everything, or the closure of what was selected in the lock.
fn wanted(args: &CacheRestoreArgs) -> Result<Wanted, Failure> {
    if args.all {
        return Ok(Wanted::All);
    }
    let lock = Lock::read(Path::new("uv.lock"))?;
    let python = Interpreter::ask(&interpreter(args))?;
    let extras: Vec<String> = args.extra.iter().map(|extra| normal(extra)).collect();
    let mut roots: Vec<Root> = args.group.iter().map(|group| Root::Group(normal(group))).collect();
    roots.extend(args.package.iter().map(|package| Root::Package { name: normal(package), extras: Vec::new() }));
    if !extras.is_empty() {
        roots.push(Root::Project { extras });
    }
    if roots.is_empty() {
        roots.push(Root::All);
    }
    let closure = lock.closure(&roots, &python.markers);
    if let Some(unknown) = closure.unknown.first() {
        return Err(Failure::NoRun(format!("uv.lock holds no {unknown}")));
    }
    Ok(Wanted::of_closure(&closure, &python.markers.python_version))
}

/// The interpreter of the project's environment, else the one on the path.
fn interpreter(args: &CacheRestoreArgs) -> PathBuf {
    let own = PathBuf::from(".venv/bin/python");
    args.interpreter.clone().unwrap_or_else(|| if own.exists() { own } else { "python3".into() })
}

pub(super) fn told(report: &RestoreReport) -> String {
    let time = duration((report.seconds * 1_000.0) as u64);
    let link = report.link.map(|link| format!(" ({link})")).unwrap_or_default();
    let mut text = match report.restored.len() {
        0 => format!("nothing to restore ({time})\n"),
        count => format!(
            "restored {}: {} files, {} in {time}{link}\n",
            plural(count, if report.link.is_some() { "wheel" } else { "folder" }),
            report.files,
            size(report.bytes),
        ),
    };
    if !report.here.is_empty() {
        let _ = writeln!(text, "{} here already", plural(report.here.len(), "package"));
    }
    tell_misses(&report.misses, &mut text);
    text
}

/// Misses with their reasons: each reason once, with the packages it holds for.
fn tell_misses(misses: &[Miss], text: &mut String) {
    let mut reasons: Vec<&str> = misses.iter().map(|miss| miss.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let of: Vec<&str> = misses.iter().filter(|miss| miss.reason == reason).map(|miss| miss.name.as_str()).collect();
        let _ = writeln!(text, "{} not had, {reason}: {}", plural(of.len(), "package"), of.join(", "));
    }
}

/// Names each damaged file on the error stream.
pub(super) fn tell_damage(damaged: &[Damage]) {
    for damage in damaged {
        let entry = damage.entry.to_string();
        let name = if damage.name.is_empty() { &entry } else { &damage.name };
        let path = if damage.path.is_empty() { "the entry" } else { &damage.path };
        say(&format!("damaged: {name}: {path}: {}", damage.wrong));
    }
}

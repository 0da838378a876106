//! `noxide cache key`: the key of what sessions install, its facts, and what differs from the state before.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::CacheKeyArgs;
use crate::cache::keys::{KeyInput, KeyInputChange, KeyInputKind, StoredKey};
use crate::cli::error::CliError;
use crate::cli::list::print_stdout;
use crate::cli::loaded_project::{LoadOptions, LoadedProject};
use crate::cli::output_context::{OutputContext, print_stderr};
use crate::cli::output_format::OutputFormat;
use crate::cli::session_keys::{SessionKey, SessionKeys};
use crate::project::SessionId;

/// How many packages `--explain` lists before it only counts them.
const MAX_LISTED_PACKAGES: usize = 6;

/// Prints the key and gives the exit code.
///
/// # Errors
/// When settings are wrong, there is no nox, or the noxfile does not load.
pub(in crate::cli) fn print_key(args: &CacheKeyArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let mut wanted = LoadOptions::from_args(&args.load);
    wanted.flags.cache = args.dependencies.cache;
    wanted.flags.locked = args.dependencies.locked_override();
    let opened = LoadedProject::load(wanted, screen)?;
    let queue: Vec<SessionId> = opened.manifest.queue.clone();
    let keyed = SessionKeys::new(&opened.manifest, opened.options.cache.apply_lock, &queue);
    opened.host.close();
    for trouble in keyed.warnings.iter().chain(&keyed.missing_interpreters) {
        print_stderr(&format!("warning: {trouble}"));
    }
    if keyed.sessions.is_empty() {
        print_stderr("nothing is selected that has an environment: name sessions by -s");
        return Ok(4);
    }
    let all: Vec<&SessionKey> = keyed.sessions.iter().collect();
    let key = keyed.combined_key(&all).to_string();
    match args.format {
        OutputFormat::Json => print_stdout(&format!("{:#}\n", keys_json(&keyed, &key))),
        OutputFormat::Text if args.explain => print_stdout(&explain_keys(&keyed, &key)),
        OutputFormat::Text => print_stdout(&format!("{key}\n")),
    }
    Ok(0)
}

/// What is known of a session's state: the same as before, or what it differs from.
enum KeyComparison {
    Hit(Box<StoredKey>),
    Differs(Box<StoredKey>, Vec<KeyInputChange>),
    New,
}

fn compare_key(keyed: &SessionKeys, session: &SessionKey) -> KeyComparison {
    let Some(keys) = &keyed.key_index else { return KeyComparison::New };
    if let Some(kept) = keys.find_exact(&session.fingerprint) {
        return KeyComparison::Hit(Box::new(kept));
    }
    keys.find_nearest(&session.fingerprint)
        .map_or(KeyComparison::New, |(kept, what)| KeyComparison::Differs(Box::new(kept), what))
}

fn explain_keys(keyed: &SessionKeys, key: &str) -> String {
    let mut text = format!("{key}\n");
    for session in &keyed.sessions {
        let name = &session.fingerprint.session;
        let verdict = compare_key(keyed, session);
        let said = match &verdict {
            KeyComparison::Hit(kept) => format!("hit: as installed at {}", format_time(kept)),
            KeyComparison::Differs(kept, _) => format!("miss: not as installed at {}", format_time(kept)),
            KeyComparison::New => "miss: never installed here".to_owned(),
        };
        let _ = write!(text, "\n{name}  {said}\n  key {}\n", keyed.combined_key(&[session]));
        if let KeyComparison::Differs(_, differences) = &verdict {
            for difference in differences {
                let _ = writeln!(text, "  {}", format_difference(difference));
            }
        }
        write_key_inputs(&session.fingerprint.inputs, &mut text);
    }
    text
}

/// The second of a time is enough for people.
fn format_time(kept: &StoredKey) -> String {
    kept.last_used.split('.').next().unwrap_or_default().replace('T', " ")
}

fn format_difference(difference: &KeyInputChange) -> String {
    let what = format!("{} {}", difference.kind.as_str(), difference.name);
    match (&difference.old, &difference.new) {
        (Some(old), Some(new)) => format!("- {what}: {old}\n  + {what}: {new}"),
        (None, Some(new)) => format!("+ {what}: {new}"),
        (Some(old), None) => format!("- {what}: {old}"),
        (None, None) => what,
    }
}

/// Facts by kind; of many packages the number and the first names.
fn write_key_inputs(facts: &[KeyInput], text: &mut String) {
    let packages: Vec<&KeyInput> = facts.iter().filter(|fact| fact.kind == KeyInputKind::LockedPackage).collect();
    for fact in facts.iter().filter(|fact| fact.kind != KeyInputKind::LockedPackage) {
        let _ = writeln!(text, "    {:<17} {} = {}", fact.kind.as_str(), fact.name, fact.value);
    }
    let listed = if packages.len() <= MAX_LISTED_PACKAGES + 1 { packages.len() } else { MAX_LISTED_PACKAGES };
    for fact in packages.iter().take(listed) {
        let _ = writeln!(text, "    {:<17} {} = {}", fact.kind.as_str(), fact.name, fact.value);
    }
    if packages.len() > listed {
        let _ = writeln!(
            text,
            "    {:<17} and {} more (--format json names all)",
            "locked-package",
            packages.len() - listed
        );
    }
}

fn keys_json(keyed: &SessionKeys, key: &str) -> Value {
    let session = |session: &SessionKey| {
        let (hit, against, differences) = match compare_key(keyed, session) {
            KeyComparison::Hit(kept) => (true, Some(kept.last_used), Vec::new()),
            KeyComparison::Differs(kept, differences) => (false, Some(kept.last_used), differences),
            KeyComparison::New => (false, None, Vec::new()),
        };
        json!({
            "session": session.fingerprint.session,
            "key": keyed.combined_key(&[session]).to_string(),
            "hit": hit,
            "against": against,
            "differences": differences,
            "inputs": session.fingerprint.inputs,
        })
    };
    let prefix = keyed.combined_key(&keyed.sessions.iter().collect::<Vec<_>>()).prefix().to_owned();
    json!({
        "version": 1,
        "key": key,
        "prefix": prefix,
        "sessions": keyed.sessions.iter().map(session).collect::<Vec<_>>(),
        "troubles": keyed.warnings,
    })
}

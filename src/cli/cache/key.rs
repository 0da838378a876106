//! `noxide cache key`: the key of what sessions install, its facts, and what differs from the state before.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::flags::CacheKeyArgs;
use crate::cache::keys::{Difference, Fact, FactKind, Kept};
use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::keyed::{Keyed, KeyedSession};
use crate::cli::listing::print;
use crate::cli::opened::{Opened, Wanted};
use crate::cli::screen::{Screen, say};
use crate::project::SessionId;

/// How many packages `--explain` lists before it only counts them.
const NAMED: usize = 6;

/// Prints the key and gives the exit code.
///
/// # Errors
/// When settings are wrong, there is no nox, or the noxfile does not load.
pub(in crate::cli) fn key(args: &CacheKeyArgs, screen: &Screen) -> Result<u8, Failure> {
    let mut wanted = Wanted::of(&args.load);
    wanted.flags.cache = args.dependencies.cache;
    wanted.flags.locked = args.dependencies.locked();
    let opened = Opened::new(wanted, screen)?;
    let queue: Vec<SessionId> = opened.manifest.queue.clone();
    let keyed = Keyed::new(&opened.manifest, opened.options.cache.locked, &queue);
    opened.host.close();
    for trouble in keyed.troubles.iter().chain(&keyed.missing) {
        say(&format!("warning: {trouble}"));
    }
    if keyed.sessions.is_empty() {
        say("nothing is selected that has an environment: name sessions by -s");
        return Ok(4);
    }
    let all: Vec<&KeyedSession> = keyed.sessions.iter().collect();
    let key = keyed.key(&all).to_string();
    match args.format {
        Format::Json => print(&format!("{:#}\n", document(&keyed, &key))),
        Format::Text if args.explain => print(&explained(&keyed, &key)),
        Format::Text => print(&format!("{key}\n")),
    }
    Ok(0)
}

/// What is known of a session's state: the same as before, or what it differs from.
enum Verdict {
    Hit(Box<Kept>),
    Differs(Box<Kept>, Vec<Difference>),
    New,
}

fn verdict(keyed: &Keyed, session: &KeyedSession) -> Verdict {
    let Some(keys) = &keyed.keys else { return Verdict::New };
    if let Some(kept) = keys.hit(&session.recipe) {
        return Verdict::Hit(Box::new(kept));
    }
    keys.nearest(&session.recipe).map_or(Verdict::New, |(kept, what)| Verdict::Differs(Box::new(kept), what))
}

fn explained(keyed: &Keyed, key: &str) -> String {
    let mut text = format!("{key}\n");
    for session in &keyed.sessions {
        let name = &session.recipe.session;
        let verdict = verdict(keyed, session);
        let said = match &verdict {
            Verdict::Hit(kept) => format!("hit: as installed at {}", at(kept)),
            Verdict::Differs(kept, _) => format!("miss: not as installed at {}", at(kept)),
            Verdict::New => "miss: never installed here".to_owned(),
        };
        let _ = write!(text, "\n{name}  {said}\n  key {}\n", keyed.key(&[session]));
        if let Verdict::Differs(_, differences) = &verdict {
            for difference in differences {
                let _ = writeln!(text, "  {}", changed(difference));
            }
        }
        tell_facts(&session.recipe.facts, &mut text);
    }
    text
}

/// The second of a time is enough for people.
fn at(kept: &Kept) -> String {
    kept.time.split('.').next().unwrap_or_default().replace('T', " ")
}

fn changed(difference: &Difference) -> String {
    let what = format!("{} {}", difference.kind.as_str(), difference.name);
    match (&difference.old, &difference.new) {
        (Some(old), Some(new)) => format!("- {what}: {old}\n  + {what}: {new}"),
        (None, Some(new)) => format!("+ {what}: {new}"),
        (Some(old), None) => format!("- {what}: {old}"),
        (None, None) => what,
    }
}

/// Facts by kind; of many packages the number and the first names.
fn tell_facts(facts: &[Fact], text: &mut String) {
    let packages: Vec<&Fact> = facts.iter().filter(|fact| fact.kind == FactKind::Package).collect();
    for fact in facts.iter().filter(|fact| fact.kind != FactKind::Package) {
        let _ = writeln!(text, "    {:<9} {} = {}", fact.kind.as_str(), fact.name, fact.value);
    }
    let listed = if packages.len() <= NAMED + 1 { packages.len() } else { NAMED };
    for fact in packages.iter().take(listed) {
        let _ = writeln!(text, "    {:<9} {} = {}", fact.kind.as_str(), fact.name, fact.value);
    }
    if packages.len() > listed {
        let _ = writeln!(text, "    {:<9} and {} more (--format json names all)", "package", packages.len() - listed);
    }
}

fn document(keyed: &Keyed, key: &str) -> Value {
    let session = |session: &KeyedSession| {
        let (hit, against, differences) = match verdict(keyed, session) {
            Verdict::Hit(kept) => (true, Some(kept.time), Vec::new()),
            Verdict::Differs(kept, differences) => (false, Some(kept.time), differences),
            Verdict::New => (false, None, Vec::new()),
        };
        json!({
            "session": session.recipe.session,
            "key": keyed.key(&[session]).to_string(),
            "hit": hit,
            "against": against,
            "differences": differences,
            "facts": session.recipe.facts,
        })
    };
    let prefix = keyed.key(&keyed.sessions.iter().collect::<Vec<_>>()).prefix().to_owned();
    json!({
        "version": 1,
        "key": key,
        "prefix": prefix,
        "sessions": keyed.sessions.iter().map(session).collect::<Vec<_>>(),
        "troubles": keyed.troubles,
    })
}

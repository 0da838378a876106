//! `noxide trace`: sessions one by one under the kernel's eye, and which of them race.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use super::args::{Format, RunArgs};
use super::chosen::{Chosen, Source};
use super::failure::Failure;
use super::listing::print;
use super::nox_flags::Behaviour;
use super::opened::{Opened, Wanted};
use super::races::{Races, Settled};
use super::run::{NOTHING_SELECTED, bury_the_dead, folder_of, go};
use super::screen::{Screen, say};
use super::trace_args::TraceArgs;
use super::traced::{keep, surroundings, text_of, touched};
use crate::config::{Edit, edit, load};
use crate::fs::write_atomic;
use crate::project::SessionId;
use crate::record::History;
use crate::run::{RunPlan, Tracing, room};
use crate::trace::probe;

/// Traces sessions and says which race.
///
/// # Errors
/// When nothing can be traced here, or the run cannot even begin.
pub(super) fn trace(args: &TraceArgs, screen: &Screen) -> Result<u8, Failure> {
    probe()?;
    let run = RunArgs {
        selection: args.selection.clone(),
        environments: args.environments.clone(),
        behaviour: Behaviour { verbose: screen.is_verbose(), ..Behaviour::default() },
        host: args.host.clone(),
        posargs: args.posargs.clone(),
        ..RunArgs::default()
    };
    let wanted = Wanted {
        flags: run.flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_args: run.nox_flags(),
        posargs: args.posargs.clone(),
        ahead: true,
    };
    let aside = screen.aside();
    let mut opened = Opened::new(wanted, &aside)?;
    if opened.manifest.queue.is_empty() {
        say("nothing is selected: name sessions by -s, or give some `default=True`");
        return Ok(NOTHING_SELECTED);
    }
    let (folder, kept_elsewhere) = folder_of(&opened.manifest.root)?;
    opened.notices.extend(kept_elsewhere);
    opened.notices.extend(bury_the_dead(&folder));
    let history = History::new(&folder.newest(History::RUNS));
    // What was learnt before must not hide what is looked for now.
    opened.options.learnt.clear();
    opened.options.fail_fast = None;
    opened.options.jobs = Some(NonZeroUsize::MIN);
    let mut plan = RunPlan::new(&opened.manifest, &opened.options, &history, room())?;
    let settled = Settled::of(&plan);
    let order = plan.one_by_one();
    let sessions: BTreeSet<SessionId> = plan.sessions.iter().map(|session| session.id).collect();
    let ids: Vec<SessionId> = order.iter().map(|&at| plan.sessions[at].id).collect();
    let tracing = Tracing::new(sessions, surroundings(&opened.manifest), &folder.path().join("trace"));
    let chosen = Chosen { plan, history, source: Source::default(), tracing };
    let done = go(&run, &aside, &mut opened, chosen, &folder)?;
    folder.prune(opened.options.history.get());
    let manifest = opened.manifest.clone();
    opened.close();
    if done.exit > 1 {
        return Ok(done.exit); // a signal: what was not run proves nothing
    }
    let posargs = text_of(&args.posargs);
    keep(&manifest, &done, folder.path(), &posargs);
    let races = Races::new(touched(&manifest, &done, &ids), &settled, &order, &manifest.root);
    races.learn(&manifest, folder.path(), &posargs);
    print(&match args.format {
        Format::Text => races.text(screen.out, screen.is_verbose()),
        Format::Json => format!("{:#}\n", races.document()),
    });
    if args.apply {
        say(&apply(&manifest.root, &races.edits())?);
    }
    let found = args.check && (races.has_open() || races.is_incomplete());
    Ok(done.exit.max(u8::from(found)))
}

/// Writes advice into the project's settings and says what was done.
fn apply(root: &Path, edits: &[Edit]) -> Result<String, Failure> {
    if edits.is_empty() {
        return Ok("nothing to be written: no sessions race that nothing keeps apart".to_owned());
    }
    let own = root.join("noxide.toml");
    let shared = root.join("pyproject.toml");
    let (path, below): (&Path, &[&str]) =
        if own.exists() || !shared.exists() { (&own, &[]) } else { (&shared, &["tool", "noxide"]) };
    let system = |source| Failure::System { what: format!("cannot edit {}", path.display()), source };
    let text = if path.exists() { fs_err::read_to_string(path).map_err(system)? } else { String::new() };
    let edited = edit(&text, below, edits).map_err(|error| system(std::io::Error::other(error)))?;
    if edited == text {
        return Ok(format!("{}: all of it stands there already", path.display()));
    }
    write_atomic(path, edited.as_bytes()).map_err(system)?;
    if let Err(errors) = load(root) {
        write_atomic(path, text.as_bytes()).map_err(system)?;
        return Err(Failure::Settings(errors));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}: {} settings written", edits.len()))
}

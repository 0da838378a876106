//! `noxide trace`: sessions one by one under the kernel's eye, and which of them race.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use super::args::{OutputFormat, RunArgs};
use super::error::CliError;
use super::list::print_stdout;
use super::loaded_project::{LoadOptions, LoadedProject};
use super::nox_args::NoxRunArgs;
use super::output_context::{OutputContext, print_stderr};
use super::run::{EXIT_NOTHING_SELECTED, execute_and_report, open_run_store};
use super::trace_args::TraceArgs;
use super::trace_report::{KnownOrdering, TraceReport};
use super::trace_setup::{args_to_text, save_accesses, session_accesses, trace_context};
use crate::config::{SettingsEdit, edit_settings, load_settings};
use crate::fs::write_atomic;
use crate::project::SessionId;
use crate::record::SessionHistory;
use crate::run::{PreparedRun, RunOptions, RunOrigin, RunPlan, RunTracing, detect_capacity};
use crate::trace::probe_tracing;

/// Traces sessions and says which race.
///
/// # Errors
/// When nothing can be traced here, or the run cannot even begin.
pub(super) fn trace_sessions(args: &TraceArgs, screen: &OutputContext) -> Result<u8, CliError> {
    probe_tracing()?;
    let run = RunArgs {
        selection: args.selection.clone(),
        environments: args.environments.clone(),
        nox_run: NoxRunArgs { verbose: screen.is_verbose(), ..NoxRunArgs::default() },
        host: args.host.clone(),
        posargs: args.posargs.clone(),
        ..RunArgs::default()
    };
    let wanted = LoadOptions {
        flags: run.settings_flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_args: run.nox_flags(),
        posargs: args.posargs.clone(),
        will_run: true,
        shard: None,
        // What was learned before must not hide what is searched for now.
        uses_learned_conflicts: false,
    };
    let aside = screen.redirected_to_stderr();
    let mut opened = LoadedProject::load(wanted, &aside)?;
    if opened.manifest.queue.is_empty() {
        print_stderr("nothing is selected: name sessions by -s, or give some `default=True`");
        return Ok(EXIT_NOTHING_SELECTED);
    }
    let (folder, notices) = open_run_store(&opened.manifest.root)?;
    let history = SessionHistory::from_records(&folder.newest_records(SessionHistory::MAX_RUNS));
    let options = RunOptions { fail_fast: None, jobs: Some(NonZeroUsize::MIN), ..opened.options.clone() };
    let mut plan = RunPlan::new(&opened.manifest, &options, &history, detect_capacity())?;
    let settled = KnownOrdering::from_plan(&plan);
    let order = plan.make_sequential();
    let sessions: BTreeSet<SessionId> = plan.sessions.iter().map(|session| session.id).collect();
    let ids: Vec<SessionId> = order.iter().map(|&at| plan.sessions[at].id).collect();
    let tracing = RunTracing::new(sessions, trace_context(&opened.manifest), &folder.path().join("trace"));
    let notices = opened.notices.iter().cloned().chain(notices).collect();
    let origin = RunOrigin::default();
    let prepared = PreparedRun { options, history, plan, provisioner: None, tracing, origin, notices };
    let done = execute_and_report(&run.output, &aside, &mut opened, prepared, &folder)?;
    folder.prune_runs(opened.options.history_limit.get());
    let manifest = opened.manifest.clone();
    opened.close();
    if done.exit_code > 1 {
        return Ok(done.exit_code); // a signal: what was not run proves nothing
    }
    let posargs = args_to_text(&args.posargs);
    save_accesses(&manifest, &done, folder.path(), &posargs);
    let races = TraceReport::new(session_accesses(&manifest, &done, &ids), &settled, &order, &manifest.root);
    races.update_trace_cache(&manifest, folder.path(), &posargs);
    print_stdout(&match args.format {
        OutputFormat::Text => races.to_text(screen.stdout_styles, screen.is_verbose()),
        OutputFormat::Json => format!("{:#}\n", races.to_json()),
    });
    if args.apply {
        print_stderr(&apply_settings_edits(&manifest.root, &races.settings_edits())?);
    }
    let found = args.check && (races.has_unresolved() || races.is_incomplete());
    Ok(done.exit_code.max(u8::from(found)))
}

/// Writes advice into the project's settings and says what was done.
fn apply_settings_edits(root: &Path, edits: &[SettingsEdit]) -> Result<String, CliError> {
    if edits.is_empty() {
        return Ok("nothing to be written: no sessions race that nothing keeps apart".to_owned());
    }
    let own = root.join("noxide.toml");
    let shared = root.join("pyproject.toml");
    let (path, below): (&Path, &[&str]) =
        if own.exists() || !shared.exists() { (&own, &[]) } else { (&shared, &["tool", "noxide"]) };
    let system = |source| CliError::Io { context: format!("cannot edit {}", path.display()), source };
    let text = if path.exists() { fs_err::read_to_string(path).map_err(system)? } else { String::new() };
    let edited = edit_settings(&text, below, edits).map_err(|error| system(std::io::Error::other(error)))?;
    if edited == text {
        return Ok(format!("{}: all of it stands there already", path.display()));
    }
    write_atomic(path, edited.as_bytes()).map_err(system)?;
    if let Err(errors) = load_settings(root) {
        write_atomic(path, text.as_bytes()).map_err(system)?;
        return Err(CliError::Settings(errors));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}: {} settings written", edits.len()))
}

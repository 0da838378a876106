//! `noxide run`: loads the project, prepares a run, executes it and reports it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::{ExitCode, NOTHING_SELECTED};
use super::list::print_dry_run;
use super::loaded_project::{LoadOptions, LoadedProject, find_or_install_nox};
use super::run_args::{OutputArgs, RunArgs};
use super::shared_args::{OutputFormat, open_recorded_runs};
use crate::config::settings_root;
use crate::output::{OutputContext, PhaseLength, Subscribers, WriteCounter, reporters, terminal_size};
use crate::project::{GitCheckout, NoxfileManifest, SelectionArgs};
use crate::provision::CacheProvisioner;
use crate::record::{RunLookupError, RunRecord, RunStore};
use crate::report::write_junit_report;
use crate::run::process::Keyboard;
use crate::run::{
    ExecutionInputs, PrepareInputs, PreparedRun, RunOrigin, RunPlan, RunResult, UnsuccessfulSessions, detect_capacity,
    execute_run, forward_signals, is_signal_exit, listen_for_keys, open_run_store, write_nox_report,
};

/// Result of the command.
pub(super) struct RunCommandResult {
    pub(super) exit_code: ExitCode,
    /// Directory of the run; `None` if nothing was run.
    pub(super) run_dir: Option<PathBuf>,
    /// Provisioner of the run, which has its cache statistics.
    pub(super) provisioner: Option<CacheProvisioner>,
}

impl RunCommandResult {
    fn without_run(exit_code: ExitCode) -> Self {
        Self { exit_code, run_dir: None, provisioner: None }
    }
}

/// Runs sessions; `remote` names the remote cache that dependencies are downloaded from and uploaded to.
///
/// # Errors
/// When the run cannot start.
pub(super) fn run_sessions(
    args: &RunArgs,
    output: &OutputContext,
    remote: Option<&str>,
) -> Result<RunCommandResult, CliError> {
    if let Some(session) = &args.usage {
        return print_usage(session, args, output).map(RunCommandResult::without_run);
    }
    let narrowed = if args.rerun.is_some() { Some(narrow_to_unsuccessful(args)?) } else { None };
    let args = match &narrowed {
        Some(RerunSelection::Nothing(message)) => {
            output.print_to_stderr(message);
            return Ok(RunCommandResult::without_run(ExitCode::SUCCESS));
        }
        Some(RerunSelection::Sessions(narrowed)) => narrowed,
        None => args,
    };
    let options = load_options(args);
    let commit_thread = GitCheckout::detect_in_background(settings_root(options.noxfile));
    let mut project = LoadedProject::load(options, output)?;
    // `shard.sessions` are those of all shards: a shard that gets none of them passes.
    let selects_nothing =
        project.shard.as_ref().map_or(project.manifest.queue.is_empty(), |shard| shard.sessions.is_empty());
    if selects_nothing {
        output.print_to_stderr(NOTHING_SELECTED);
        return Ok(RunCommandResult::without_run(ExitCode::NOTHING_SELECTED));
    }
    if args.execution.dry_run {
        let history = RunStore::load_project_history(&project.manifest);
        let plan = RunPlan::new(&project.manifest, &project.options, &history, detect_capacity())?;
        print_dry_run(&project, &plan, output, args.output.format);
        return Ok(RunCommandResult::without_run(ExitCode::SUCCESS));
    }
    project.host.warm_up();
    let (store, notices) =
        open_run_store(&project.manifest, project.user_cache_dir.as_deref()).context("cannot record this run")?;
    let phase = if remote.is_some() { "restoring the times of earlier runs" } else { "preparing the run" };
    let phase = output.show_phase(phase, PhaseLength::Unknown);
    let prepared = prepare_run(args, &project, &store, (commit_thread, remote, notices), output.is_verbose())?;
    drop(phase);
    let result = execute_and_report(&args.output, output, &mut project, prepared, &store)?;
    store.prune_runs(project.options.keep_runs.get());
    project.close();
    let RunResult { exit_code, run_dir, provisioner, .. } = result;
    Ok(RunCommandResult { exit_code: exit_code.into(), run_dir: Some(run_dir), provisioner })
}

fn load_options(args: &RunArgs) -> LoadOptions<'_> {
    LoadOptions {
        flags: args.settings_flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_flags: args.nox_flags(),
        posargs: args.posargs.clone(),
        will_run: !args.execution.dry_run,
        shard: args.shard,
        uses_learned_conflicts: true,
    }
}

/// Lets nox print the docstring of a session.
fn print_usage(session: &OsStr, args: &RunArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let root = settings_root(args.selection.noxfile.as_deref().map(Path::new));
    let variable = std::env::var_os("NOXIDE_NOX").filter(|nox| !nox.is_empty());
    let nox = args.host.nox.clone().or_else(|| variable.map(PathBuf::from));
    let mut command = find_or_install_nox(nox, &root, output)?.nox_command();
    let flags = SelectionArgs { noxfile: args.selection.noxfile.clone(), ..SelectionArgs::default() };
    let status = command.args(flags.nox_flags()).arg("--usage").arg(session).status().context("cannot run nox")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What `--rerun` selects.
enum RerunSelection {
    /// Arguments that select the sessions that did not pass.
    Sessions(Box<RunArgs>),
    /// There are none, as this message says.
    Nothing(String),
}

/// Narrows the sessions that `args` select to those that did not pass in the last run.
fn narrow_to_unsuccessful(args: &RunArgs) -> Result<RerunSelection, CliError> {
    let root = settings_root(args.selection.noxfile.as_deref().map(Path::new));
    let selected = args.selection.selected_names();
    let found = UnsuccessfulSessions::from_last_run(&open_recorded_runs(&root)?, selected.as_deref());
    let UnsuccessfulSessions { run_id, names } = found.ok_or(RunLookupError::NoRuns { dir: root })?;
    if names.is_empty() {
        let which = if selected.is_some() { "every selected session" } else { "every session" };
        return Ok(RerunSelection::Nothing(format!(
            "nothing to rerun: in run {run_id}, {which} passed or was skipped"
        )));
    }
    let mut narrowed = args.clone();
    (narrowed.selection.sessions, narrowed.selection.names) = (Some(names), Vec::new());
    Ok(RerunSelection::Sessions(Box::new(narrowed)))
}

fn prepare_run(
    args: &RunArgs,
    project: &LoadedProject,
    store: &RunStore,
    (commit_thread, remote, notices): (JoinHandle<Option<GitCheckout>>, Option<&str>, Vec<String>),
    verbose: bool,
) -> Result<PreparedRun, CliError> {
    let (commit, tree) =
        commit_thread.join().ok().flatten().map_or((None, None), |checkout| (Some(checkout.commit), checkout.tree));
    let inputs = PrepareInputs {
        options: &project.options,
        provision: project.provision_inputs(remote, None, &args.posargs),
        posargs: &args_to_text(&args.posargs),
        verbose,
        origin: RunOrigin { commit, tree, shard: project.shard.clone() },
        notices: project.notices.iter().cloned().chain(notices).collect(),
    };
    Ok(PreparedRun::prepare(inputs, store)?)
}

/// Executes a prepared run, shows its progress, and writes its reports.
///
/// # Errors
/// When the run cannot start.
pub(super) fn execute_and_report(
    args: &OutputArgs,
    output: &OutputContext,
    project: &mut LoadedProject,
    prepared: PreparedRun,
    store: &RunStore,
) -> Result<RunResult, CliError> {
    let is_json = args.format == OutputFormat::Json;
    let (sender, messages) = mpsc::channel();
    let events = args.events.as_deref().map(create_events_file).transpose()?;
    let output_options = output.output_options(project.options.output_style.map(Into::into), is_json, true);
    let keyboard = output_options.is_interactive.then(Keyboard::from_stdin).flatten();
    // Before the run is created, so that from now on a signal ends the run with a record.
    project.signals.forward_signals(forward_signals(sender.clone()), keyboard.clone());
    let keys = keyboard.and_then(|keyboard| listen_for_keys(keyboard, sender.clone()));
    let (run_id, recorder) = store.create_run().context("cannot record this run")?;
    let progress = WriteCounter::default();
    let reporters =
        reporters::open_reporters(&output_options, output.open_streams(events).with_write_counter(&progress));
    let mut subscribers = Subscribers::new(recorder, reporters, &progress).context("cannot show this run")?;
    let target = ExecutionInputs {
        host: &mut project.host,
        manifest: &project.manifest,
        run_id: &run_id,
        run_dir: &store.run_dir(&run_id),
        terminal: (output.stdout_is_terminal && !is_json).then(|| terminal_size().unwrap_or((80, 24))),
    };
    let executed = execute_run(prepared, target, &mut subscribers, (sender, messages))?;
    subscribers.close_record();
    let record = subscribers.recorder.build_record();
    let (mut result, warnings) = executed.save(store, record.as_ref());
    subscribers.warnings.extend(warnings);
    if let Some(record) = &record {
        let (warnings, are_written) = write_reports(args, &project.manifest, &result, record);
        subscribers.warnings.extend(warnings);
        if !are_written && result.exit_code == ExitCode::SUCCESS.code() {
            result.exit_code = ExitCode::UNAVAILABLE.code();
        }
    }
    project.signals.finish_run(result.exit_code);
    for warning in subscribers.finish_reporters(is_signal_exit(result.exit_code)) {
        output.warn(&warning);
    }
    drop(keys);
    Ok(result)
}

/// Returns arguments as text.
pub(super) fn args_to_text(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn create_events_file(path: &Path) -> Result<Box<dyn std::io::Write + Send>, CliError> {
    Ok(Box::new(fs_err::File::create(path).context("cannot write --events")?))
}

/// Writes nox's report and the JUnit report if they are requested. Returns warnings, and whether both were written.
fn write_reports(
    args: &OutputArgs,
    manifest: &NoxfileManifest,
    result: &RunResult,
    record: &RunRecord,
) -> (Vec<String>, bool) {
    let (mut warnings, mut are_written) = (Vec::new(), true);
    if let Some(path) = args.report.as_ref().or(manifest.report.as_ref()) {
        let written = write_nox_report(path, manifest, record, &result.nox_results);
        are_written &= written.is_ok();
        warnings.extend(written.err().map(|error| format!("cannot write nox's report: {error}")));
    }
    if let Some(path) = &args.junit {
        match write_junit_report(path, record, &result.run_dir, &|text| result.redactor.redact_text(text)) {
            Ok(skipped) => warnings.extend(skipped),
            Err(error) => {
                are_written = false;
                warnings.push(format!("cannot write the JUnit report: {error}"));
            }
        }
    }
    (warnings, are_written)
}

//! `noxide trace`: runs sessions one at a time under tracing and finds their conflicts.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;

use super::error::{CliError, ErrorContext as _};
use super::exit_code::{ExitCode, NOTHING_SELECTED};
use super::loaded_project::{LoadOptions, LoadedProject};
use super::run::{args_to_text, execute_and_report};
use super::run_args::RunArgs;
use super::shared_args::{HostArgs, OutputFormat};
use crate::config::{SettingsEdit, apply_settings_edits, render_settings};
use crate::output::{AccessConflictView, ConflictReportView, OutputContext, SessionConflictView, render_conflicts};
use crate::project::{EnvironmentArgs, ManifestIndex, NoxRunArgs, SelectionArgs};
use crate::run::{PreparedRun, open_run_store};
use crate::trace::{ConflictReport, ObservedTraces, SeparationAdvice, probe_tracing, save_accesses, traced_sessions};

/// Flags of `noxide trace`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceArgs {
    /// Flags that select sessions.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Flags that control environments.
    #[command(flatten)]
    pub(crate) environments: EnvironmentArgs,
    /// Add settings that prevent the conflicts to pyproject.toml or noxide.toml
    #[arg(long, help_heading = "Settings", conflicts_with = "check")]
    pub(crate) apply: bool,
    /// Exit with 1 if sessions with a conflict may overlap, or a trace is incomplete
    #[arg(long, help_heading = "Settings")]
    pub(crate) check: bool,
    /// Print the conflicts as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub(crate) format: OutputFormat,
    /// Flags that choose nox.
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// Pass these arguments to sessions as session.posargs
    #[arg(last = true, value_name = "POSARGS", help_heading = "Arguments")]
    pub(crate) posargs: Vec<OsString>,
}

/// Traces sessions and prints their conflicts.
///
/// # Errors
/// When tracing is not possible, or the run cannot begin.
pub(super) fn run(args: &TraceArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    probe_tracing()?;
    let run_args = RunArgs {
        selection: args.selection.clone(),
        environments: args.environments.clone(),
        nox_run: NoxRunArgs { verbose: output.is_verbose(), ..NoxRunArgs::default() },
        host: args.host.clone(),
        posargs: args.posargs.clone(),
        ..RunArgs::default()
    };
    let load_options = LoadOptions {
        flags: run_args.settings_flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_flags: run_args.nox_flags(),
        posargs: args.posargs.clone(),
        will_run: true,
        shard: None,
        // Learned conflicts would separate sessions and thereby hide the conflicts that this trace is for.
        uses_learned_conflicts: false,
    };
    let run_output = output.redirected_to_stderr();
    let mut project = LoadedProject::load(load_options, &run_output)?;
    if project.manifest.queue.is_empty() {
        output.print_to_stderr(NOTHING_SELECTED);
        return Ok(ExitCode::NOTHING_SELECTED);
    }
    let (store, notices) =
        open_run_store(&project.manifest, project.user_cache_dir.as_deref()).context("cannot record this run")?;
    let notices = project.notices.iter().cloned().chain(notices).collect();
    let (prepared, order, planned) = PreparedRun::prepare_trace(&project.manifest, &project.options, &store, notices)?;
    let ids: Vec<ManifestIndex> = order.iter().map(|&index| prepared.plan[index].id).collect();
    let result = execute_and_report(&run_args.output, &run_output, &mut project, prepared, &store)?;
    store.prune_runs(project.options.keep_runs.get());
    let manifest = project.manifest.clone();
    project.close();
    if result.exit_code > ExitCode::FAILURE.code() {
        // A signal ended the run, so that the accesses are incomplete.
        return Ok(result.exit_code.into());
    }
    let posargs = args_to_text(&args.posargs);
    let warnings = save_accesses(&manifest, &result.accesses, &result.run_dir, store.path(), &posargs);
    warnings.iter().for_each(|warning| output.warn(warning));
    let sessions = traced_sessions(&manifest, &result.accesses, &ids);
    let plan_indexes: Vec<usize> = order.iter().map(|session| session.0).collect();
    let report = ConflictReport::new(sessions, &planned, &plan_indexes, &manifest.root);
    let observed = ObservedTraces { partial: result.partially_traced(&manifest, &ids), ..ObservedTraces::default() };
    if let Err(error) = report.update_trace_cache(&manifest, store.path(), &posargs, &observed) {
        output.warn(&format!("cannot store the learned conflicts: {error}"));
    }
    let edits = settings_edits(&report);
    let settings = render_settings(&edits);
    let view = conflict_report_view(&report, settings.clone());
    let text = || render_conflicts(&view, output.stdout_theme, output.is_verbose());
    args.format.print(output, text, || report.to_json(&settings));
    if args.apply {
        output.print_to_stderr(&apply_settings_edits(&manifest.root, &edits)?);
    }
    let has_findings = report.has_unresolved() || report.is_incomplete();
    Ok(ExitCode::from(result.exit_code).max(ExitCode::from_check(args.check && has_findings)))
}

/// Returns the settings that implement the advice.
fn settings_edits(report: &ConflictReport) -> Vec<SettingsEdit> {
    let name = |index: &usize| report.session_name(*index);
    let mut edits = Vec::new();
    for advice in &report.advice {
        match advice {
            SeparationAdvice::After { session, waits_for, .. } => {
                edits.push(SettingsEdit::After { session: name(session), waits_for: name(waits_for) });
            }
            SeparationAdvice::Lock { name: lock, sessions, .. } => edits
                .extend(sessions.iter().map(|index| SettingsEdit::Lock { session: name(index), lock: lock.clone() })),
        }
    }
    edits.extend(report.timing_sensitive.iter().map(|index| SettingsEdit::Exclusive { session: name(index) }));
    edits
}

/// Returns the report as it is printed.
fn conflict_report_view(report: &ConflictReport, settings: String) -> ConflictReportView {
    let conflicts = report.conflicts.iter().map(|conflict| SessionConflictView {
        first: report.session_name(conflict.pair.first),
        second: report.session_name(conflict.pair.second),
        separated_by: conflict.separated_by.clone(),
        conflicts: conflict
            .pair
            .conflicts
            .iter()
            .map(|conflict| AccessConflictView {
                kind: conflict.kind.as_str(),
                path: conflict.path.clone(),
                first: conflict.first.clone(),
                second: conflict.second.clone(),
            })
            .collect(),
    });
    let mut view =
        ConflictReportView { session_count: report.sessions.len(), settings, ..ConflictReportView::default() };
    view.conflicts = conflicts.collect();
    let incomplete = report.sessions.iter().filter(|(_, accesses)| !accesses.is_complete());
    view.incomplete = incomplete
        .map(|(session, accesses)| (session.name.to_string(), accesses.incomplete_reasons.to_vec()))
        .collect();
    for advice in &report.advice {
        if let SeparationAdvice::After { session, waits_for, path, reads_output: true } = advice {
            let required = view.requires.entry(report.session_name(*session)).or_default();
            required.push((report.session_name(*waits_for), path.clone()));
        }
    }
    view
}

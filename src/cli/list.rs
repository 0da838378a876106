//! `noxide list` and `noxide graph`: sessions, their needs with reasons, and their usual time.

use clap::Args;

use super::error::CliError;
use super::exit_code::{ExitCode, NOTHING_SELECTED};
use super::loaded_project::{LoadOptions, LoadedProject};
use super::shared_args::{LoadArgs, OutputFormat};
use crate::output::{
    GraphFormat, ListedSession, OutputContext, SimulatedSession, render_list_json, render_list_text, render_plan_json,
    render_plan_text,
};
use crate::record::RunStore;
use crate::run::{PlannedSession, RunPlan, detect_capacity};

/// Flags of `noxide list`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ListArgs {
    /// Flags that select sessions and choose nox.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Print the list as text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: OutputFormat,
}

/// Flags of `noxide graph`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphArgs {
    /// Flags that select sessions and choose nox.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Print the graph as text, json, dot or mermaid
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text", help_heading = "Output")]
    pub format: GraphFormat,
}

/// Lists every session of the noxfile, with marks on the selected ones.
///
/// # Errors
/// When the project cannot be loaded.
pub(super) fn run(args: &ListArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let project = load_for_listing(&args.load, output)?;
    let sessions = listed_sessions(&project)?;
    let text = || render_list_text(&sessions, output.stdout_theme, output.stdout_width());
    args.format.print(output, text, || render_list_json(&sessions));
    Ok(ExitCode::SUCCESS)
}

/// Prints the graph of the selected sessions.
///
/// # Errors
/// When the project cannot be loaded, or sessions wait for each other in a cycle.
pub(super) fn run_graph(args: &GraphArgs, output: &OutputContext) -> Result<ExitCode, CliError> {
    let project = load_for_listing(&args.load, output)?;
    let mut sessions = listed_sessions(&project)?;
    sessions.retain(|session| session.selected);
    if sessions.is_empty() {
        output.print_to_stderr(NOTHING_SELECTED);
        return Ok(ExitCode::NOTHING_SELECTED);
    }
    let text = args.format.render(&sessions, output.stdout_theme);
    match args.format {
        GraphFormat::Text => output.print(&text),
        _ => output.print_document(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the project without running sessions, and prints its notices.
///
/// # Errors
/// When it cannot be loaded.
pub(super) fn load_for_listing(load: &LoadArgs, output: &OutputContext) -> Result<LoadedProject, CliError> {
    let project = LoadedProject::load(LoadOptions::from_args(load), output)?;
    project.notices.iter().for_each(|notice| output.note(notice));
    Ok(project)
}

/// Returns all sessions in the noxfile's order, as they would be planned.
fn listed_sessions(project: &LoadedProject) -> Result<Vec<ListedSession>, CliError> {
    let history = RunStore::load_project_history(&project.manifest);
    let mut plan = RunPlan::new(&project.manifest, &project.options, &history, detect_capacity())?;
    plan.add_unselected(&project.manifest, &project.options, &history);
    let listed = |planned: PlannedSession| {
        let session = &project.manifest.sessions[planned.id.0];
        ListedSession {
            selected: project.manifest.queue.contains(&planned.id),
            spec: planned.spec,
            tags: session.tags.clone(),
            python: session.python.clone(),
        }
    };
    Ok(plan.sessions.into_iter().map(listed).collect())
}

/// Prints a plan that is not executed: when each session would start if all take their usual time.
pub(super) fn print_dry_run(project: &LoadedProject, plan: &RunPlan, output: &OutputContext, format: OutputFormat) {
    let forecast = plan.forecast();
    let simulated: Vec<SimulatedSession<'_>> = forecast
        .iter()
        .map(|entry| SimulatedSession { spec: &plan[entry.session].spec, start_ms: entry.start, end_ms: entry.end })
        .collect();
    project.notices.iter().for_each(|notice| output.note(notice));
    let text = || render_plan_text(&simulated, plan.slots, output.stdout_theme);
    format.print(output, text, || render_plan_json(&simulated, plan.slots));
}

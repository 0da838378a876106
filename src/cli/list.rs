//! `noxide list` and `noxide graph`: sessions, what they wait for, why, and how long they usually take.

use std::io::Write;

use super::args::{GraphArgs, GraphFormat, ListArgs, OutputFormat};
use super::error::CliError;
use super::host_args::LoadArgs;
use super::loaded_project::{LoadOptions, LoadedProject};
use super::output_context::{OutputContext, print_stderr, terminal_size};
use crate::output::{
    ListedSession, render_graph_dot, render_graph_json, render_graph_mermaid, render_graph_text, render_list_json,
    render_list_text,
};
use crate::project::SessionId;
use crate::record::RunStore;
use crate::run::{RunPlan, detect_capacity};

/// Prints what a command said and gives its exit code.
pub(super) fn print_output(said: &super::CommandOutput) -> u8 {
    print_stdout(&said.stdout);
    if !said.stderr.is_empty() {
        print_stderr(said.stderr.trim_end());
    }
    said.exit_code
}

/// Lists every session of the noxfile, those selected marked.
///
/// # Errors
/// When the project cannot be opened.
pub(super) fn list_sessions(args: &ListArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let opened = load_for_listing(&args.load, screen)?;
    let sessions = listed_sessions(&opened)?;
    let width = terminal_size().map(|(columns, _)| usize::from(columns)).filter(|_| screen.stdout_is_terminal);
    print_stdout(&match args.format {
        OutputFormat::Text => render_list_text(&sessions, screen.stdout_styles, width),
        OutputFormat::Json => format!("{:#}\n", render_list_json(&sessions)),
    });
    Ok(0)
}

/// Draws the graph of the selected sessions.
///
/// # Errors
/// When the project cannot be opened, or needs form a circle.
pub(super) fn print_graph(args: &GraphArgs, screen: &OutputContext) -> Result<u8, CliError> {
    let opened = load_for_listing(&args.load, screen)?;
    let mut sessions = listed_sessions(&opened)?;
    sessions.retain(|session| session.selected);
    print_stdout(&match args.format {
        GraphFormat::Text => render_graph_text(&sessions, screen.stdout_styles),
        GraphFormat::Json => format!("{:#}\n", render_graph_json(&sessions)),
        GraphFormat::Dot => render_graph_dot(&sessions),
        GraphFormat::Mermaid => render_graph_mermaid(&sessions),
    });
    Ok(0)
}

/// Opens the project for a look at its sessions, and says what people should know.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn load_for_listing(load: &LoadArgs, screen: &OutputContext) -> Result<LoadedProject, CliError> {
    let opened = LoadedProject::load(LoadOptions::from_args(load), screen)?;
    for notice in &opened.notices {
        print_stderr(&format!("note: {notice}"));
    }
    Ok(opened)
}

/// All sessions in the noxfile's order, as they would be planned.
fn listed_sessions(opened: &LoadedProject) -> Result<Vec<ListedSession>, CliError> {
    // Only reads: a tree without `.noxide` stays without.
    let history =
        RunStore::open_existing(&opened.manifest.root).map(|folder| folder.load_history()).unwrap_or_default();
    let mut plan = RunPlan::new(&opened.manifest, &opened.options, &history, detect_capacity())?;
    for (number, session) in opened.manifest.sessions.iter().enumerate() {
        let id = SessionId(number);
        if !opened.manifest.queue.contains(&id) {
            plan.add_session(session, id, &opened.options, &history);
        }
    }
    plan.sessions.sort_by_key(|planned| planned.id);
    let as_listed = |planned: crate::run::PlannedSession| {
        let session = &opened.manifest.sessions[planned.id.0];
        ListedSession {
            selected: opened.manifest.queue.contains(&planned.id),
            facts: planned.facts,
            tags: session.tags.clone(),
            python: session.python.clone(),
        }
    };
    Ok(plan.sessions.into_iter().map(as_listed).collect())
}

/// Shows a plan that will not be carried out: who starts when if all takes its usual time.
pub(super) fn print_dry_run(opened: &LoadedProject, plan: &RunPlan, screen: &OutputContext, format: OutputFormat) {
    let forecast = plan.forecast();
    let planned: Vec<crate::output::SimulatedSession<'_>> = forecast
        .iter()
        .map(|entry| crate::output::SimulatedSession {
            facts: &plan[entry.session].facts,
            start_ms: entry.start,
            end_ms: entry.end,
        })
        .collect();
    for notice in &opened.notices {
        print_stderr(&format!("note: {notice}"));
    }
    print_stdout(&match format {
        OutputFormat::Text => crate::output::render_plan_text(&planned, plan.slots, screen.stdout_styles),
        OutputFormat::Json => format!("{:#}\n", crate::output::render_plan_json(&planned, plan.slots)),
    });
}

/// Prints to the standard output; one that is closed is no reason to fail.
pub(super) fn print_stdout(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

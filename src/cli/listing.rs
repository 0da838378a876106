//! `noxide list` and `noxide graph`: sessions, what they wait for, why, and how long they usually take.

use std::io::Write;

use super::args::{Format, GraphArgs, GraphFormat, ListArgs};
use super::failure::Failure;
use super::host_flags::LoadArgs;
use super::opened::{Opened, Wanted};
use super::screen::{Screen, say, terminal_size};
use crate::output::{ListedSession, graph_dot, graph_json, graph_mermaid, graph_text, list_json, list_text};
use crate::project::SessionId;
use crate::record::Folder;
use crate::run::{RunPlan, room};

/// Prints what a command said and gives its exit code.
pub(super) fn said(said: &super::Said) -> u8 {
    print(&said.out);
    if !said.err.is_empty() {
        say(said.err.trim_end());
    }
    said.exit
}

/// Lists every session of the noxfile, those selected marked.
///
/// # Errors
/// When the project cannot be opened.
pub(super) fn list(args: &ListArgs, screen: &Screen) -> Result<u8, Failure> {
    let opened = open(&args.load, screen)?;
    let sessions = listed(&opened)?;
    let width = terminal_size().map(|(columns, _)| usize::from(columns)).filter(|_| screen.terminal);
    print(&match args.format {
        Format::Text => list_text(&sessions, screen.out, width),
        Format::Json => format!("{:#}\n", list_json(&sessions)),
    });
    Ok(0)
}

/// Draws the graph of the selected sessions.
///
/// # Errors
/// When the project cannot be opened, or needs form a circle.
pub(super) fn graph(args: &GraphArgs, screen: &Screen) -> Result<u8, Failure> {
    let opened = open(&args.load, screen)?;
    let mut sessions = listed(&opened)?;
    sessions.retain(|session| session.selected);
    print(&match args.format {
        GraphFormat::Text => graph_text(&sessions, screen.out),
        GraphFormat::Json => format!("{:#}\n", graph_json(&sessions)),
        GraphFormat::Dot => graph_dot(&sessions),
        GraphFormat::Mermaid => graph_mermaid(&sessions),
    });
    Ok(0)
}

/// Opens the project for a look at its sessions, and says what people should know.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open(load: &LoadArgs, screen: &Screen) -> Result<Opened, Failure> {
    let opened = Opened::new(Wanted::of(load), screen)?;
    for notice in &opened.notices {
        say(&format!("note: {notice}"));
    }
    Ok(opened)
}

/// All sessions in the noxfile's order, as they would be planned.
fn listed(opened: &Opened) -> Result<Vec<ListedSession>, Failure> {
    // Only reads: a tree without `.noxide` stays without.
    let history = Folder::existing(&opened.manifest.root).map(|folder| folder.history()).unwrap_or_default();
    let mut plan = RunPlan::new(&opened.manifest, &opened.options, &history, room())?;
    for (number, session) in opened.manifest.sessions.iter().enumerate() {
        let id = SessionId(number);
        if !opened.manifest.queue.contains(&id) {
            plan.add(session, id, &opened.options, &history);
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
pub(super) fn dry_run(opened: &Opened, plan: &RunPlan, screen: &Screen, format: Format) {
    let forecast = plan.forecast();
    let planned: Vec<crate::output::PlannedSession<'_>> = forecast
        .iter()
        .map(|entry| crate::output::PlannedSession {
            facts: &plan.sessions[entry.session].facts,
            start: entry.start,
            end: entry.end,
        })
        .collect();
    for notice in &opened.notices {
        say(&format!("note: {notice}"));
    }
    print(&match format {
        Format::Text => crate::output::plan_text(&planned, plan.slots, screen.out),
        Format::Json => format!("{:#}\n", crate::output::plan_json(&planned, plan.slots)),
    });
}

/// Prints to the standard output; one that is closed is no reason to fail.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

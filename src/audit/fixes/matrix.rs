//! Sessions of one job spread over a matrix, where a machine is free for each.

use super::super::fix::{Change, Edit, Fix, Segment};
use super::super::shell::Selection;
use super::super::span::Span;
use super::super::survey::View;
use super::super::workflow::Step;
use super::super::yaml::{Kind, Style};
use super::join::{Joined, is_word, set_paths};
use super::place::{self, fix, indent, lines_after, quoted, scalar};
use super::shell::{rewrite, whole_line, whole_loop};

/// What stands for the session in a job of the matrix.
const SESSION: &str = "${{ matrix.session }}";

/// What a job runs, and the bytes of its script that say so.
struct Sessions {
    names: Vec<String>,
    command: String,
    span: Span,
    joined: Joined,
}

/// Makes one job a session out of a job that runs several; none where more than the sessions would multiply, or where
/// the runners do not take all jobs of the workflow at once.
pub fn spread(view: &View) -> Option<Fix> {
    let step = view.step(view.survey.calls.first()?.step)?;
    let sessions = sessions(view, step)?;
    if !enough(view, sessions.names.len()) || !alone(view, step) {
        return None;
    }
    let text = &step.script.as_ref()?.text;
    let start = whole_line(text, sessions.span).start;
    let command = &sessions.command;
    let new = format!("{}{command}{}", text.get(..start)?, text.get(sessions.span.end..)?);
    let (edit, change) = rewrite(view, step, &new)?;
    let (mut edits, mut changes) = (vec![edit], vec![change]);
    let (edit, change) = strategy(view, &sessions.names)?;
    edits.push(edit);
    changes.push(change);
    for upload in view.job.steps.iter().skip(step.index + 1) {
        for (edit, change) in own_upload(view, upload, &sessions.joined)? {
            edits.push(edit);
            changes.push(change);
        }
    }
    let title = format!("a job for each of the {} sessions: the runners take them at once", sessions.names.len());
    Some(fix(view, &title, false, edits, changes))
}

/// The sessions of a step's calls or of its loop; none where one is called in a way of its own.
fn sessions(view: &View, step: &Step) -> Option<Sessions> {
    view.survey.calls.iter().all(|call| call.step == step.index && !call.nox.noxide).then_some(())?;
    if let Some(joined) = Joined::read(view, step) {
        let (names, given) = match (joined.given.as_slice(), joined.sessions.as_slice()) {
            ([], names) => (names.to_vec(), &[][..]),
            ([(names, given)], []) => (names.clone(), given.as_slice()),
            _ => return None,
        };
        let mut command = format!("nox -s {SESSION}");
        if !given.is_empty() {
            command.push_str(&format!(" -- {}", given.join(" ")));
        }
        if let Some(log) = joined.log(SESSION) {
            command.push_str(&format!(" 2>&1 | tee {log}"));
        }
        return Some(Sessions { names, command, span: joined.span, joined });
    }
    let [call] = view.survey.calls.as_slice() else { return None };
    let command = step.commands.get(call.command)?;
    let names: Vec<String> = call.sessions.iter().map(|(name, _)| name.clone()).collect();
    let plain = command.program() == "nox"
        && command.words.len() == 3
        && command.assigns.is_empty()
        && command.outputs.is_empty()
        && matches!(call.nox.selection, Selection::Names(_))
        && names.iter().all(|name| is_word(name));
    let span = plain.then(|| whole_loop(step, command))??;
    Some(Sessions { names, command: format!("nox -s {SESSION}"), span, joined: Joined::default() })
}

/// Whether every job of the workflow and each session would find a runner at the same time.
fn enough(view: &View, sessions: usize) -> bool {
    let others = view.project.jobs_of(view.workflow).filter(|other| other.job.id != view.job.id);
    let jobs = others.map(|other| other.job.matrix.as_ref().map_or(1, |matrix| matrix.jobs.unwrap_or(usize::MAX)));
    let all = jobs.fold(sessions, usize::saturating_add);
    sessions > 1 && view.project.options.runner_capacity.is_some_and(|capacity| capacity >= all)
}

/// Whether the job does nothing but prepare, run its sessions and upload, and nobody fetches what it uploads.
fn alone(view: &View, step: &Step) -> bool {
    let node = &view.job.node;
    let said = |key: &str| node.get(key).is_some();
    let quiet = |other: &Step| {
        let sets = |program: &str| matches!(program, "set" | "mkdir" | "echo");
        let own = |at: usize| view.survey.calls.iter().any(|call| call.command == at);
        let tees = |at: usize| other.commands.get(at).is_some_and(|command| command.program() == "tee");
        (0..other.commands.len())
            .all(|at| own(at) || tees(at) || other.commands.get(at).is_some_and(|c| sets(c.program())))
    };
    let fetches = |view: View| {
        let fetching =
            |step: &Step| step.action.as_ref().is_some_and(|action| action.name.contains("download-artifact"));
        view.job.steps.iter().any(fetching)
    };
    !said("strategy")
        && !said("outputs")
        && !node.flow
        && !node.shared
        && !view.hands_out()
        && step.condition.is_none()
        && quiet(step)
        && view.job.steps.iter().skip(step.index + 1).all(Step::is_upload)
        && !view.project.jobs_of(view.workflow).any(fetches)
}

/// The matrix, after where the job runs.
fn strategy(view: &View, names: &[String]) -> Option<(Edit, Change)> {
    let (key, value) = view.job.node.entry("runs-on")?;
    let source = view.source();
    let depth = indent(source, key.span.start);
    let list = names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ");
    let lines = [
        format!("{depth}strategy:"),
        format!("{depth}  fail-fast: false"),
        format!("{depth}  matrix:"),
        format!("{depth}    session: [{list}]"),
    ];
    let value_text = format!("{{fail-fast: false, matrix: {{session: [{list}]}}}}");
    let change = Change::Set(place::job(view), "strategy".to_owned(), value_text);
    Some((lines_after(source, value.span.end.max(key.span.end), &lines), change))
}

/// What makes an upload one of several: a name of its own, and the session's own log.
fn own_upload(view: &View, step: &Step, joined: &Joined) -> Option<Vec<(Edit, Change)>> {
    let with = step.node.get("with").filter(|with| !with.shared && !step.node.flow)?;
    let (_, name) = with.entry("name")?;
    let text = name.text().filter(|text| !text.contains('\n') && !name.shared)?;
    let quotes = matches!(name.kind, Kind::Scalar(_, Style::Quoted));
    (quotes || !with.flow).then_some(())?;
    let inset = usize::from(quotes);
    let written = view.source().slice(Span::new(name.span.start + inset, name.span.end - inset));
    (written == text).then_some(())?;
    let at = name.span.end - inset;
    let route: Vec<Segment> = place::step(view, step, Some("with"));
    let edit = Edit { span: Span::new(at, at), text: format!("-{SESSION}") };
    let mut made = vec![(edit, Change::Set(route, "name".to_owned(), quoted(&format!("{text}-{SESSION}"))))];
    let Some(path) = step.input("path") else { return Some(made) };
    let mut lines: Vec<String> = Vec::new();
    for line in path.value.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let own = joined.logs.iter().find(|(file, _)| file == line).and_then(|_| joined.log(SESSION));
        let line = own.unwrap_or_else(|| line.to_owned());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines != path.value.lines().map(str::trim).collect::<Vec<_>>() {
        made.push(set_paths(view, step, &lines)?);
    }
    Some(made)
}

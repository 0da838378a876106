//! Fix that splits the sessions of a job into a matrix, if there is a free runner for each.

use super::super::fix::{Fix, SemanticChange, TextEdit, YamlPathSegment};
use super::super::project::JobView;
use super::super::shell::NoxCallSelection;
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::super::yaml::{YamlKind, YamlStyle};
use super::join_nox_calls::{JoinedCalls, is_plain_word, replace_upload_paths};
use super::run_script::{enclosing_loop_span, expand_to_script_lines, rewrite_script};
use super::text_edit::{
    self, indent_at, insert_lines_after, mark_display_only, quote_if_needed, quote_scalar, unsafe_fix,
};

/// Expression for the session of a matrix job.
const MATRIX_SESSION: &str = "${{ matrix.session }}";

/// The sessions of a job, and the part of its script that runs them.
struct MatrixSessions {
    names: Vec<String>,
    command: String,
    span: Span,
    joined_calls: JoinedCalls,
}

/// Splits a job into one job per session, as a patch to review. Returns `None` if the job does more than run its sessions, or if the runners
/// cannot run all jobs of the workflow at once.
pub(crate) fn split_into_matrix(view: &JobView) -> Option<Fix> {
    let step = view.step(view.analysis.nox_calls.first()?.step_index)?;
    let sessions = collect_matrix_sessions(view, step)?;
    if !has_enough_runners(view, sessions.names.len()) || !is_splittable_job(view, step) {
        return None;
    }
    let text = &step.script.as_ref()?.text;
    let start = expand_to_script_lines(text, sessions.span).start;
    let command = &sessions.command;
    let new = format!("{}{command}{}", text.get(..start)?, text.get(sessions.span.end..)?);
    let (edit, change) = rewrite_script(view, step, &new)?;
    let (mut edits, mut changes) = (vec![edit], vec![change]);
    let (edit, change) = add_matrix_strategy(view, &sessions.names)?;
    edits.push(edit);
    changes.push(change);
    for upload in view.job.steps.iter().skip(step.index + 1) {
        for (edit, change) in upload_per_session(view, upload, &sessions.joined_calls)? {
            edits.push(edit);
            changes.push(change);
        }
    }
    let title = format!("run each of the {} sessions in its own matrix job", sessions.names.len());
    // The check of the job gets other names, and it may be required.
    Some(mark_display_only(unsafe_fix(view, &title, edits, changes)))
}

/// Returns the sessions of a step's calls or loop; `None` if a call has options of its own.
fn collect_matrix_sessions(view: &JobView, step: &WorkflowStep) -> Option<MatrixSessions> {
    view.analysis.nox_calls.iter().all(|call| call.step_index == step.index && !call.parsed.is_noxide).then_some(())?;
    if let Some(joined) = JoinedCalls::from_step(view, step) {
        let (names, posargs) = match (joined.sessions_with_posargs.as_slice(), joined.sessions.as_slice()) {
            ([], names) => (names.to_vec(), &[][..]),
            ([(names, posargs)], []) => (names.clone(), posargs.as_slice()),
            _ => return None,
        };
        let mut command = format!("nox -s {MATRIX_SESSION}");
        if !posargs.is_empty() {
            command.push_str(&format!(" -- {}", posargs.join(" ")));
        }
        if let Some(log) = joined.session_log_path(MATRIX_SESSION) {
            command.push_str(&format!(" 2>&1 | tee {log}"));
        }
        return Some(MatrixSessions { names, command, span: joined.script_span, joined_calls: joined });
    }
    let [call] = view.analysis.nox_calls.as_slice() else { return None };
    let command = step.commands.get(call.command_index)?;
    let names: Vec<String> = call.sessions.iter().map(|(name, _)| name.clone()).collect();
    let plain = command.program_name() == "nox"
        && command.words.len() == 3
        && command.assignments.is_empty()
        && command.output_files.is_empty()
        && matches!(call.parsed.selection, NoxCallSelection::Names(_))
        && names.iter().all(|name| is_plain_word(name));
    let span = plain.then(|| enclosing_loop_span(step, command))??;
    Some(MatrixSessions {
        names,
        command: format!("nox -s {MATRIX_SESSION}"),
        span,
        joined_calls: JoinedCalls::default(),
    })
}

/// Whether the runners can run every other job of the workflow and each session at once.
fn has_enough_runners(view: &JobView, sessions: usize) -> bool {
    let others = view.project.workflow_job_views(view.workflow).filter(|other| other.job.id != view.job.id);
    let jobs = others.map(|other| other.job.matrix.as_ref().map_or(1, |matrix| matrix.job_count.unwrap_or(usize::MAX)));
    let all = jobs.fold(sessions, usize::saturating_add);
    sessions > 1 && view.project.options.runner_capacity.is_some_and(|capacity| capacity >= all)
}

/// Whether the job only sets up, runs its sessions and uploads, and no job downloads the artifacts.
fn is_splittable_job(view: &JobView, step: &WorkflowStep) -> bool {
    let node = &view.job.node;
    let has_key = |key: &str| node.get(key).is_some();
    let only_runs_sessions = |other: &WorkflowStep| {
        let is_setup = |program: &str| matches!(program, "set" | "mkdir" | "echo");
        let is_call = |at: usize| view.analysis.nox_calls.iter().any(|call| call.command_index == at);
        let is_tee = |at: usize| other.commands.get(at).is_some_and(|command| command.program_name() == "tee");
        (0..other.commands.len())
            .all(|at| is_call(at) || is_tee(at) || other.commands.get(at).is_some_and(|c| is_setup(c.program_name())))
    };
    let downloads_artifacts = |view: JobView| {
        let is_download =
            |step: &WorkflowStep| step.action.as_ref().is_some_and(|action| action.name.contains("download-artifact"));
        view.job.steps.iter().any(is_download)
    };
    !has_key("strategy")
        && !has_key("outputs")
        && !node.is_flow
        && !node.aliased
        && !view.is_release()
        && step.condition.is_none()
        && only_runs_sessions(step)
        && view.job.steps.iter().skip(step.index + 1).all(WorkflowStep::is_artifact_upload)
        && !view.project.workflow_job_views(view.workflow).any(downloads_artifacts)
}

/// Adds the matrix after `runs-on`.
fn add_matrix_strategy(view: &JobView, names: &[String]) -> Option<(TextEdit, SemanticChange)> {
    let (key, value) = view.job.node.get_entry("runs-on")?;
    let source = view.source();
    let indent = indent_at(source, key.span.start);
    let list = names.iter().map(|name| quote_if_needed(name)).collect::<Vec<_>>().join(", ");
    let lines = [
        format!("{indent}strategy:"),
        format!("{indent}  fail-fast: false"),
        format!("{indent}  matrix:"),
        format!("{indent}    session: [{list}]"),
    ];
    let value_text = format!("{{fail-fast: false, matrix: {{session: [{list}]}}}}");
    let change = SemanticChange::Set(text_edit::job_path(view), "strategy".to_owned(), value_text);
    Some((insert_lines_after(source, value.span.end.max(key.span.end), &lines), change))
}

/// Adds the session to the name of an upload, and replaces its logs by that of the session.
fn upload_per_session(
    view: &JobView,
    step: &WorkflowStep,
    joined: &JoinedCalls,
) -> Option<Vec<(TextEdit, SemanticChange)>> {
    let with = step.node.get("with").filter(|with| !with.aliased && !step.node.is_flow)?;
    let (_, name) = with.get_entry("name")?;
    let text = name.as_str().filter(|text| !text.contains('\n') && !name.aliased)?;
    let is_quoted = matches!(name.kind, YamlKind::Scalar(_, YamlStyle::Quoted));
    (is_quoted || !with.is_flow).then_some(())?;
    let inset = usize::from(is_quoted);
    let source_text = view.source().slice(Span::new(name.span.start + inset, name.span.end - inset));
    (source_text == text).then_some(())?;
    let at = name.span.end - inset;
    let path_to_inputs: Vec<YamlPathSegment> = text_edit::step_path(view, step, Some("with"));
    let edit = TextEdit { span: Span::new(at, at), text: format!("-{MATRIX_SESSION}") };
    let mut edits = vec![(
        edit,
        SemanticChange::Set(path_to_inputs, "name".to_owned(), quote_scalar(&format!("{text}-{MATRIX_SESSION}"))),
    )];
    let Some(path) = step.input_value("path") else { return Some(edits) };
    let mut lines: Vec<String> = Vec::new();
    for line in path.value.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let session_log = joined
            .replaced_logs
            .iter()
            .find(|(file, _)| file == line)
            .and_then(|_| joined.session_log_path(MATRIX_SESSION));
        let line = session_log.unwrap_or_else(|| line.to_owned());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines != path.value.lines().map(str::trim).collect::<Vec<_>>() {
        edits.push(replace_upload_paths(view, step, &lines)?);
    }
    Some(edits)
}

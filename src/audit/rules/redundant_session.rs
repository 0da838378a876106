//! NX211: A session repeats commands that another session already runs.

use super::prelude::*;
use crate::audit::noxfile::contains_session;
use crate::audit::project::JobNoxCall;
use crate::audit::shell::ShellCommand;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX211",
        name: "redundant-session",
        summary: "A session repeats commands that another session already runs.",
    },
    rationale: "The same commands are executed twice in every run of the workflow.",
    evidence: "Observed: `dead_code` is the last command of `security_scan`, and both run in the same job.",
    advice: "Remove the smaller session from this job. Reported only if every command, install and variable of both sessions is written out and equal.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  security:
    runs-on: docker
    steps:
      - run: |
          nox -s security
          nox -s dead_code
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def security(session):
    session.install("bandit", "vulture")
    session.run("bandit", "src")
    session.run("vulture")

@nox.session
def dead_code(session):
    session.install("bandit", "vulture")
    session.run("vulture")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  security:
    runs-on: docker
    steps:
      - run: nox -s security
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def security(session):
    session.install("bandit", "vulture")
    session.run("bandit", "src")
    session.run("vulture")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for (call, name, span) in certain_sessions(&view) {
            let Some(larger) = find_containing_session(&view, call, name) else { continue };
            let message = format!("`{name}` runs only commands that `{larger}` runs in the same job");
            let finding = findings.report(view.source(), span, message);
            if let (Some(noxfile), Some(session)) = (&project.noxfile, view.noxfile_session(name)) {
                let label = format!("`{larger}` runs all of these commands");
                finding.add_related(&noxfile.source, noxfile.session_span(session), label);
            }
            finding.fix = call
                .alternative
                .is_none()
                .then(|| fixes::run_script::remove_session(&view, call, name, span))
                .flatten();
        }
    }
}

/// Returns the sessions that every run of the job runs in the same way: named literally, without conditions, arguments
/// or options.
fn certain_sessions<'a>(view: &JobView<'a>) -> Vec<(&'a JobNoxCall, &'a str, Span)> {
    let calls = view.analysis.nox_calls.iter().filter(|call| is_certain_call(view, call));
    calls.flat_map(|call| call.sessions.iter().map(move |(name, span)| (call, name.as_str(), *span))).collect()
}

/// Options of nox that do not change what a session runs.
const QUIET_OPTIONS: [&str; 6] = [
    "-v",
    "--verbose",
    "--error-on-missing-interpreters",
    "--error-on-external-run",
    "--non-interactive",
    "--forcecolor",
];

/// Returns the command that makes a call, and its step.
fn find_command<'a>(view: &JobView<'a>, call: &'a JobNoxCall) -> Option<(&'a WorkflowStep, &'a ShellCommand)> {
    let step = view.step(call.step_index)?;
    let provided = call.alternative.as_ref().map(|alternative| &alternative.command);
    Some((step, provided.or_else(|| step.commands.get(call.command_index))?))
}

/// Whether a call runs its sessions in every job of the matrix, without conditions, arguments or options. Its command may
/// set variables.
fn is_certain_call(view: &JobView, call: &JobNoxCall) -> bool {
    let Some((step, command)) = find_command(view, call) else { return false };
    let is_option = |word: &str| {
        let is_name = matches!(word, "-s" | "-e" | "--session" | "--sessions");
        word.starts_with('-') && !is_name && !QUIET_OPTIONS.contains(&word)
    };
    let mut options = command.words.iter().skip_while(|word| word.span.start <= call.parsed.program_span.start);
    step.runs_on_success()
        && !command.is_conditional
        && call.parsed.posargs.is_empty()
        && matches!(command.preceding_operator, ControlOperator::Sequence | ControlOperator::And)
        && !options.any(|word| is_option(&word.text))
        && call.sessions.iter().all(|(name, _)| !name.contains('$'))
        && (!call.is_selected_by_expression || call.alternative.is_some())
}

/// Returns another session that certainly runs in the same jobs as a call, with the same variables, and contains one of
/// its sessions.
pub(super) fn find_containing_session<'a>(view: &JobView<'a>, call: &JobNoxCall, name: &str) -> Option<&'a str> {
    let session = view.noxfile_session(name).filter(|session| session.name == name)?;
    // The matrix gives each of its jobs one of the calls.
    let text =
        |call: &JobNoxCall| call.alternative.as_ref().map(|alternative| (call.step_index, alternative.text_index));
    let is_in_same_job = |other: &JobNoxCall| text(other).is_none() || text(other) == text(call);
    let sets_variables =
        |call: &JobNoxCall| find_command(view, call).is_none_or(|(_, command)| !command.assignments.is_empty());
    let has_same_variables =
        |other: &JobNoxCall| std::ptr::eq(other, call) || !(sets_variables(other) || sets_variables(call));
    let others = certain_sessions(view)
        .into_iter()
        .filter(|(other, ..)| is_in_same_job(other) && has_same_variables(other))
        .map(|(_, other, _)| other);
    let mut others = others.filter(|other| view.noxfile_session(other).is_some_and(|known| known.name == *other));
    others.find(|other| view.noxfile_session(other).is_some_and(|larger| contains_session(larger, session)))
}

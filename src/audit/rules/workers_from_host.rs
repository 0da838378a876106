//! NX212: A test session starts one worker per CPU of the machine, and the job does not limit it.

use super::prelude::*;
use crate::audit::noxfile::NoxfileSession;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX212",
        name: "workers-from-host",
        summary: "A test session starts one worker per CPU of the machine, and the job does not limit it.",
    },
    rationale: "A container sees the CPUs of its host: 32 workers share the time of two cores, or hundreds of processes start when sessions run in parallel.",
    evidence: "Observed: 32 forked workers hung on overlayfs; the variable that limits them was set in a job that does not run the tests. The rule reads functions that count CPUs unless a variable is set, and the number of workers that a session passes to pytest: `-n auto`, `cpu_count()`, or a constant made of it; it does not read `addopts` of pytest. Findings are pedantic where all jobs run on GitHub-hosted runners, where each job has the whole machine.",
    advice: "Set the variable in the job (of `-n auto`, PYTEST_XDIST_AUTO_NUM_WORKERS), or use `noxide run`, which gives each session its share of the CPUs.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests
"#,
        ),
        (
            "noxfile.py",
            r#"import os
import nox

def workers():
    return int(os.environ.get("WORKERS") or os.cpu_count())

@nox.session
def tests(session):
    session.run("pytest", "-n", str(workers()))
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  tests:
    runs-on: docker
    env: {WORKERS: "2"}
    steps:
      - run: nox -s tests
"#,
        ),
        (
            "noxfile.py",
            r#"import os
import nox

def workers():
    return int(os.environ.get("WORKERS") or os.cpu_count())

@nox.session
def tests(session):
    session.run("pytest", "-n", str(workers()))
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some(noxfile) = &project.noxfile else { return };
    let mut reported: Vec<Span> = Vec::new();
    for function in noxfile.cpu_count_functions() {
        let Some(variable) = &function.override_variable else { continue };
        let users: Vec<&str> = noxfile.sessions_calling(function).iter().map(|session| session.name.as_str()).collect();
        report_workers(project, &users, std::slice::from_ref(variable), noxfile.cpu_count_span(function), findings);
    }
    for session in noxfile.sessions() {
        for count in &session.worker_counts {
            let span = noxfile.worker_count_span(count);
            if reported.contains(&span) {
                continue;
            }
            reported.push(span);
            let has_count = |session: &&NoxfileSession| {
                session.worker_counts.iter().any(|other| noxfile.worker_count_span(other) == span)
            };
            let users: Vec<&str> =
                noxfile.sessions().iter().filter(has_count).map(|session| session.name.as_str()).collect();
            let is_regular = report_workers(project, &users, &count.variables, span, findings);
            if let (Some(finding), Some(false)) = (findings.last_mut(), is_regular) {
                // Each job has a machine of its own, and all its CPUs.
                finding.set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Reports a number of workers of these sessions, unless every job that runs them limits it. Returns whether a
/// self-hosted job is among the others; `None` if nothing is reported.
fn report_workers(
    project: &AuditProject,
    users: &[&str],
    variables: &[String],
    span: Span,
    findings: &mut FindingSink,
) -> Option<bool> {
    let noxfile = project.noxfile.as_ref()?;
    let mut calls = Vec::new();
    for view in project.job_views() {
        for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
            let uses = call.sessions.iter().any(|(name, _)| {
                view.noxfile_session(name).is_some_and(|session| users.contains(&session.name.as_str()))
            });
            let step = view.step(call.step_index);
            let command = step.and_then(|step| step.commands.get(call.command_index));
            let is_set = |variable: &String| {
                let is_assigned =
                    command.is_some_and(|command| command.assignments.iter().any(|(name, _)| name == variable));
                is_assigned || view.workflow.resolve_variable(view.job, step, variable).is_some()
            };
            let is_flag = |word: &String| word.starts_with("-n") || word.starts_with("--numprocesses");
            if uses && !variables.iter().any(is_set) && !call.parsed.posargs.iter().any(is_flag) {
                calls.push((view, call));
            }
        }
    }
    if calls.is_empty() {
        return None;
    }
    let users = users.join(", ");
    let message = match variables.first() {
        Some(variable) => format!("one worker per CPU in {users}: {variable} is not set"),
        None => format!("one worker per CPU in {users}, which no variable limits"),
    };
    let finding = findings.report(&noxfile.source, span, message);
    if let Some(variable) = variables.first() {
        let steps: Vec<(JobView, &WorkflowStep)> =
            calls.iter().filter_map(|(view, call)| Some((*view, view.step(call.step_index)?))).collect();
        let value = format!("\"{}\"", find_variable_value(project, variable).unwrap_or("2"));
        let title = "set the number of workers";
        let fix = fixes::step_edit::set_step_variable(&steps, variable, &value, title);
        // A number that nobody chose may slow the tests down.
        let is_chosen = find_variable_value(project, variable).is_some();
        finding.fix = if is_chosen { fix } else { fix.map(fixes::mark_display_only) };
    }
    for (view, call) in &calls {
        let label = variables.first().map_or("run here".to_owned(), |variable| format!("{variable} is not set here"));
        finding.add_related(view.source(), call.span, label);
    }
    Some(calls.iter().any(|(view, _)| view.is_self_hosted()))
}

/// Returns the value that another step or job of the project sets for the variable.
fn find_variable_value<'a>(project: &'a AuditProject, variable: &str) -> Option<&'a str> {
    let all = project
        .job_views()
        .flat_map(|view| view.job.env.iter().chain(view.job.steps.iter().flat_map(|step| &step.env)));
    all.filter(|(name, _)| name.value == variable)
        .map(|(_, value)| value.value.as_str())
        .find(|value| !value.contains('$'))
}

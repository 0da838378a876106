//! NX212: A test session starts one worker per CPU of the machine, and the job does not limit it.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX212",
        name: "workers-from-host",
        summary: "A test session starts one worker per CPU of the machine, and the job does not limit it.",
    },
    rationale: "A container sees the CPUs of its host: 32 workers share the time of two cores, or hundreds of processes start when sessions run in parallel.",
    evidence: "Observed: 32 forked workers hung on overlayfs; the variable that limits them was set in a job that does not run the tests.",
    advice: "Set the variable in the job, or use `noxide run`, which gives each session its share of the CPUs.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
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
    for function in noxfile.cpu_count_functions() {
        let Some(variable) = &function.override_variable else { continue };
        let users: Vec<&str> = noxfile.sessions_calling(function).iter().map(|session| session.name.as_str()).collect();
        let mut calls = Vec::new();
        for view in project.job_views() {
            for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
                let uses = call.sessions.iter().any(|(name, _)| {
                    view.noxfile_session(name).is_some_and(|session| users.contains(&session.name.as_str()))
                });
                let step = view.step(call.step_index);
                let assigned = step
                    .and_then(|step| step.commands.get(call.command_index))
                    .is_some_and(|command| command.assignments.iter().any(|(name, _)| name == variable));
                if uses && !assigned && view.workflow.resolve_variable(view.job, step, variable).is_none() {
                    calls.push((view, call));
                }
            }
        }
        if calls.is_empty() {
            continue;
        }
        let message = format!("one worker per CPU in {}: {variable} is not set", users.join(", "));
        let finding = findings.report(&noxfile.source, noxfile.cpu_count_span(function), message);
        let steps: Vec<(JobView, &WorkflowStep)> =
            calls.iter().filter_map(|(view, call)| Some((*view, view.step(call.step_index)?))).collect();
        let value = format!("\"{}\"", find_variable_value(project, variable).unwrap_or("2"));
        let title = "set the number of workers";
        let fix = fixes::step_edit::set_step_variable(&steps, variable, &value, title);
        // A number that nobody chose may slow the tests down.
        let is_chosen = find_variable_value(project, variable).is_some();
        finding.fix = if is_chosen { fix } else { fix.map(fixes::mark_display_only) };
        for (view, call) in calls {
            finding.add_related(view.source(), call.span, format!("{variable} is not set here"));
        }
    }
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

//! NX212: A test session takes as many workers as the machine has CPUs, and the job does not say how many.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX212",
        name: "workers-from-host",
        summary: "A test session takes as many workers as the machine has CPUs, and the job does not say how many.",
    },
    rationale: "A container sees the host's CPUs: 32 workers on two cores' worth of time, or hundreds of processes once sessions run side by side.",
    evidence: "W23: forks on 32 cores hang on overlayfs, asked for in two issues with contrary numbers (32, and a cap of 4). The variable that would say it is set only in a job that does not use it.",
    advice: "Set the variable in the job, or run by noxide, which hands each session its share.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let Some(noxfile) = &project.noxfile else { return };
    for workers in noxfile.cpu_count_functions() {
        let Some(variable) = &workers.variable else { continue };
        let users: Vec<&str> = noxfile.sessions_calling(workers).iter().map(|session| session.name.as_str()).collect();
        let mut places = Vec::new();
        for view in project.job_views() {
            for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
                let uses = call.sessions.iter().any(|(name, _)| {
                    view.noxfile_session(name).is_some_and(|facts| users.contains(&facts.name.as_str()))
                });
                let step = view.step(call.step_index);
                let assigned = step
                    .and_then(|step| step.commands.get(call.command_index))
                    .is_some_and(|command| command.assignments.iter().any(|(name, _)| name == variable));
                if uses && !assigned && view.workflow.resolve_variable(view.job, step, variable).is_none() {
                    places.push((view, call));
                }
            }
        }
        if places.is_empty() {
            continue;
        }
        let message = format!(
            "{} take their workers from the machine's CPUs, and {} jobs do not set {variable}",
            users.join(", "),
            places.len()
        );
        let finding = found.report(&noxfile.source, noxfile.cpu_count_span(workers), message);
        let steps: Vec<(JobView, &WorkflowStep)> =
            places.iter().filter_map(|(view, call)| Some((*view, view.step(call.step_index)?))).collect();
        let value = format!("\"{}\"", find_variable_value(project, variable).unwrap_or("2"));
        let title = "say how many workers there are";
        finding.fix = fixes::step_edit::set_step_variable(&steps, variable, &value, title);
        for (view, call) in places {
            finding.add_related(view.source(), call.span, format!("{variable} is not set here"));
        }
    }
}

/// The value that another step or job of the project gives the variable.
fn find_variable_value<'a>(project: &'a AuditProject, variable: &str) -> Option<&'a str> {
    let all = project
        .job_views()
        .flat_map(|view| view.job.env.iter().chain(view.job.steps.iter().flat_map(|step| &step.env)));
    all.filter(|(name, _)| name.value == variable)
        .map(|(_, value)| value.value.as_str())
        .find(|value| !value.contains('$'))
}

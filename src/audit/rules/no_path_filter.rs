//! NX209: Changes to documentation alone run every session.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX209",
        name: "no-path-filter",
        summary: "Changes to documentation alone run every session.",
    },
    rationale: "The whole pipeline runs for files that no session reads.",
    evidence: "Requested in seven issues; 82 of 106 sampled push workflows have no filter. A required check that is filtered out never reports, so the fix is not always safe.",
    advice: "Add a `paths` filter that excludes files no session reads. Where a job gates pull requests, filter only pushes: a required check must report.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
jobs:
  a:
    runs-on: docker
    steps:
      - run: nox
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
    paths-ignore: ["**.md"]
jobs:
  a:
    runs-on: docker
    steps:
      - run: nox
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let is_filtered = |event: &str| ["paths", "paths-ignore"].iter().any(|key| on.has_filter(event, key));
        let push_is_unfiltered = on.runs_on_branch_push() && !is_filtered("push");
        // A required check must report: where a job gates pull requests, only pushes are filtered.
        let is_gated = workflow.jobs.iter().any(|job| !job.needs.is_empty() && job.runs_after_failure());
        let pull_request_is_unfiltered = on.has_event("pull_request") && !is_filtered("pull_request") && !is_gated;
        let runs_nox = project.workflow_job_views(workflow).any(|view| !view.analysis.nox_calls.is_empty());
        if (push_is_unfiltered || pull_request_is_unfiltered) && runs_nox {
            let events: Vec<&str> = [("push", push_is_unfiltered), ("pull_request", pull_request_is_unfiltered)]
                .iter()
                .filter(|(_, is_unfiltered)| *is_unfiltered)
                .map(|(event, _)| *event)
                .collect();
            let finding =
                findings.report(&workflow.source, on.key_span, "a change to documentation alone runs every session");
            finding.fix = fixes::workflow_keys::add_path_filter(project, workflow, &events);
        }
    }
}

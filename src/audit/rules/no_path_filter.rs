//! NX209: A change of documentation alone runs everything.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX209",
        name: "no-path-filter",
        summary: "A change of documentation alone runs everything.",
    },
    rationale: "The whole pipeline runs for a text that no session reads.",
    evidence: "W17, asked for in seven issues; 82 of 106 sampled push workflows have no filter. A filtered required check never reports, so this is no fix to make blindly.",
    advice: "Let texts that no session reads start nothing, by `paths` with the exceptions that a session does read. Where a job gates pull requests only pushes are filtered: a check that is required must report.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let filtered = |event: &str| ["paths", "paths-ignore"].iter().any(|key| on.has_filter(event, key));
        let push = on.runs_on_branch_push() && !filtered("push");
        // A check that others wait for must report: where a job gates, only pushes are filtered.
        let gated = workflow.jobs.iter().any(|job| {
            !job.needs.is_empty() && runs_after_failure(job.condition.as_ref().map(|text| text.value.as_str()))
        });
        let pull = on.has_event("pull_request") && !filtered("pull_request") && !gated;
        let runs = project.workflow_job_views(workflow).any(|view| !view.analysis.nox_calls.is_empty());
        if (push || pull) && runs {
            let events: Vec<&str> = [("push", push), ("pull_request", pull)]
                .iter()
                .filter(|(_, open)| *open)
                .map(|(event, _)| *event)
                .collect();
            let finding =
                found.report(&workflow.source, on.key_span, "a change of documentation alone runs every session");
            finding.fix = fixes::path_filter::add_path_filter(project, workflow, &events);
        }
    }
}

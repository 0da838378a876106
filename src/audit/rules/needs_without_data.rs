//! NX202: A job waits for jobs of which it uses nothing.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX202",
        name: "needs-without-data",
        summary: "A job waits for jobs of which it uses nothing.",
    },
    rationale: "The wait is added to the critical path of every run.",
    evidence: "W13: coverage waits for lint, typecheck, security and quality. 23 such edges in 516 sampled jobs; typical is `needs: lint`. Gating can be meant: that is a policy, not data.",
    advice: "Drop what is not used, unless the wait is there to save runners when a cheap check fails; then say so with an ignore comment.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
  tests:
    runs-on: docker
    needs: lint
    steps:
      - run: nox -s tests
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let job = view.job;
        let text = view.source().slice(job.node.span);
        let gate = job.condition.is_some() || job.uses.is_some() || view.is_release();
        let downloads = job
            .steps
            .iter()
            .any(|step| step.action.as_ref().is_some_and(|action| action.name.ends_with("/download-artifact")));
        let tags =
            job.steps.iter().any(|step| step.action.as_ref().is_some_and(|action| action.name.contains("deploy")));
        if job.needs.is_empty()
            || gate
            || downloads
            || tags
            || text.contains("needs.")
            || text.contains("toJSON(needs)")
            || view.analysis.nox_calls.is_empty()
        {
            continue;
        }
        let names: Vec<&str> = job.needs.iter().map(|need| need.value.as_str()).collect();
        let place = job.node.get("needs").map_or(job.id.span, |node| node.span);
        let message = format!(
            "job `{}` waits for {}, and uses nothing of {}",
            job.id.value,
            names.join(", "),
            if names.len() == 1 { "it" } else { "them" }
        );
        let fix = fixes::step_edit::remove_job_key(&view, "needs", "start without waiting");
        found.report(view.source(), place, message).set_fix(fix);
    }
}

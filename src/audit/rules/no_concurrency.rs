//! NX302: Superseded runs are not cancelled.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX302", name: "no-concurrency", summary: "Superseded runs are not cancelled." },
    rationale: "A push during a run leaves both runs active, and the older one occupies a runner for a result that nobody needs.",
    evidence: "12 of 28 cancelled runs of a real pipeline had wasted a median of 13.9 min. 56 % of sampled workflows. Forgejo cancels superseded push and pull request runs automatically since its releases of October 2025: with `--forge-version 14`, this rule reports nothing there.",
    advice: "Add `concurrency` with a group made of workflow and ref, and `cancel-in-progress: true`. Runs that must finish, such as those for tags, schedules and deployments, get `cancel-in-progress: false`: a newer run then waits for the older one.",
    severity: Severity::Low,
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
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: true
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in
        project.workflows.iter().filter(|workflow| workflow.is_directly_triggered() && !workflow.jobs.is_empty())
    {
        let is_declared = workflow.root.get("concurrency").is_some()
            || workflow.jobs.iter().all(|job| job.node.get("concurrency").is_some());
        let is_automatic = match workflow.dialect {
            Dialect::Forgejo => project.options.is_forge_at_least(13, 0),
            Dialect::Gitea => project.options.forge_version.is_some() && !project.options.is_forge_at_least(1, 26),
            Dialect::Github => false,
        };
        if !is_declared && !is_automatic {
            let fix = fixes::workflow_keys::add_concurrency(workflow);
            let message = if fixes::workflow_keys::can_cancel_older_runs(workflow) {
                "a newer run does not cancel the older one"
            } else {
                "a run can start while an older one is still active"
            };
            let finding = findings.report(&workflow.source, workflow.triggers.key_span, message);
            finding.set_fix(fix);
            if workflow.dialect == Dialect::Forgejo
                && (workflow.triggers.has_event("push") || workflow.triggers.runs_on_pull_request())
            {
                finding.set_confidence(Confidence::Low);
            }
        }
    }
}

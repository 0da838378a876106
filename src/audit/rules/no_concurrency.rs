//! NX302: Superseded runs are not cancelled.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX302", name: "no-concurrency", summary: "Superseded runs are not cancelled." },
    rationale: "A push during a run leaves both runs active, and the older one occupies a runner for a result that nobody needs.",
    evidence: "12 of 28 cancelled runs of a real pipeline had wasted a median of 13.9 min. 56 % of sampled workflows. Forgejo cancels superseded push and pull request runs automatically since its releases of October 2025: with `--forge-version 14`, this rule reports nothing there. Reported for workflows that run on pull requests or on pushes to any branch; pedantic where they run no session. Not reported where a label starts a run that looks at the label: another label would cancel it.",
    advice: "Add `concurrency` with `cancel-in-progress` and a group for each pull request or branch. Releases, deployments and scheduled runs need groups of their own, and a reusable workflow must not have the group of the one that calls it: it would wait for itself.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
concurrency:
  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}
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
        let on = &workflow.triggers;
        let runs_on_every_push =
            on.has_event("push") && !["branches", "tags", "tags-ignore"].iter().any(|key| on.has_filter("push", key));
        let runs_for_labels = on.has_activity("pull_request", "labeled") && looks_at_label(&workflow.source.text);
        if !is_declared && !is_automatic && !runs_for_labels && (on.has_event("pull_request") || runs_on_every_push) {
            let message = "a newer run of a branch or pull request does not cancel the older one";
            let finding = findings.report(&workflow.source, on.key_span, message);
            finding.set_fix(fixes::workflow_keys::add_concurrency(workflow));
            if workflow.dialect == Dialect::Forgejo {
                finding.set_confidence(Confidence::Low);
            }
            if project.workflow_job_views(workflow).all(|view| view.analysis.nox_calls.is_empty()) {
                finding.set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Whether the text of a workflow reads which label a pull request was given.
fn looks_at_label(text: &str) -> bool {
    ["event.label", "event.action", "pull_request.labels"].iter().any(|part| text.contains(part))
}

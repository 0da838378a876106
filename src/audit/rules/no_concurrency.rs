//! NX302: superseded runs are not cancelled.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX302", name: "no-concurrency", what: "Superseded runs are not cancelled." },
    why: "A push that comes before the last one's run has ended leaves both running, and the older one holds a runner for a result that nobody wants.",
    evidence: "W16: 12 of 28 cancelled runs had wasted 13.9 min in the median. 56 % of sampled workflows. Forgejo cancels superseded push and pull request runs by itself since its releases of October 2025: give `--forge-version 14` and this is silent there.",
    advice: "Say it: `concurrency` with a group of workflow and ref and `cancel-in-progress`.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for workflow in project.workflows.iter().filter(|workflow| workflow.started() && !workflow.jobs.is_empty()) {
        let said = workflow.root.get("concurrency").is_some()
            || workflow.jobs.iter().all(|job| job.node.get("concurrency").is_some());
        let by_itself = match workflow.dialect {
            Dialect::Forgejo => project.options.at_least(13, 0),
            Dialect::Gitea => project.options.forge_version.is_some() && !project.options.at_least(1, 26),
            Dialect::Github => false,
        };
        if !said && !by_itself {
            let fix = fixes::root::concurrency(workflow);
            let message = if fixes::root::replaces(workflow) {
                "a newer run does not cancel the older one"
            } else {
                "a run may start while an older one is still under way"
            };
            let finding = found.report(&workflow.source, workflow.on.key, message);
            finding.fix(fix);
            if workflow.dialect == Dialect::Forgejo && (workflow.on.has("push") || workflow.on.on_pulls()) {
                finding.confidence(Confidence::Low);
            }
        }
    }
}

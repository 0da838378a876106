//! NX301: A job has no timeout.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX301", name: "no-timeout", summary: "A job has no timeout." },
    rationale: "A hanging session blocks the runner until the forge's own limit: 3 hours on Forgejo, 6 on GitHub.",
    evidence: "92 % of sampled nox jobs have none; tests that fork are known to hang. Pedantic on GitHub-hosted runners, which block nobody else.",
    advice: "Set `timeout-minutes` to a few times the usual duration.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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
jobs:
  lint:
    runs-on: docker
    timeout-minutes: 20
    steps:
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let job = view.job;
        if view.workflow.kind == WorkflowFileKind::CompositeAction
            || job.timeout_minutes.is_some()
            || job.steps.is_empty()
        {
            continue;
        }
        // GitHub accepts at most 59 minutes for this job.
        let (minutes, title) = match job.id.value.as_str() {
            "copilot-setup-steps" => ("55", "set a timeout of 55 minutes"),
            _ => ("60", "set a timeout of 60 minutes"),
        };
        let fix = fixes::step_edit::insert_job_key(&view, "runs-on", "timeout-minutes", minutes, title)
            .map(fixes::mark_unsafe);
        let finding = findings.report(view.source(), job.id.span, format!("job `{}` has no timeout", job.id.value));
        finding.set_fix(fix);
        if !view.is_self_hosted() {
            finding.set_persona(Persona::Pedantic);
        }
    }
}

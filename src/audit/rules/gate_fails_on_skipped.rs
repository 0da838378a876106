//! NX213: The gate job treats a skipped job as failed.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX213",
        name: "gate-fails-on-skipped",
        summary: "The gate job treats a skipped job as failed.",
    },
    rationale: "A job that is skipped on purpose then blocks the merge, and a gate that fails for the wrong reason is soon ignored. Reported if a needed job has a condition: without one it is skipped only after a failure.",
    evidence: "Observed: the gate was removed, restored, and failed for weeks.",
    advice: "Accept `success` and `skipped`, and report jobs that failed or were cancelled.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    if: github.event_name == 'push'
    runs-on: docker
    steps:
      - run: nox
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: |
          [ "${{ needs.a.result }}" = "success" ] || exit 1
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    if: github.event_name == 'push'
    runs-on: docker
    steps:
      - run: nox
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: |
          case "${{ needs.a.result }}" in success|skipped) ;; *) exit 1 ;; esac
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| is_gate_job(view) && needs_skippable_job(view)) {
        for step in &view.job.steps {
            let Some(script) = &step.script else { continue };
            let requires_success =
                script.text.contains("success") && !script.text.contains("skipped") && script.text.contains(".result");
            let checks_failure = script.text.contains("failure");
            if !requires_success || checks_failure {
                continue;
            }
            let span = view.job.node.get_entry("if").map_or(view.job.id.span, |(key, _)| key.span);
            let finding = findings.report(view.source(), span, "this gate treats a skipped job as failed");
            finding.add_related(view.source(), script.span, "only `success` passes");
            finding.fix = fixes::gate_job::rewrite_gate_script(&view, step);
        }
    }
}

/// Whether a needed job, or one that it needs in turn, has a condition, so that it can be skipped on purpose.
fn needs_skippable_job(view: &JobView) -> bool {
    let mut pending: Vec<&str> = view.job.needs.iter().map(|need| need.value.as_str()).collect();
    let mut seen: Vec<&str> = Vec::new();
    while let Some(name) = pending.pop() {
        let Some(job) = view.workflow.find_job(name).filter(|_| !seen.contains(&name)) else { continue };
        if job.condition.is_some() && !job.runs_after_failure() {
            return true;
        }
        seen.push(name);
        pending.extend(job.needs.iter().map(|need| need.value.as_str()));
    }
    false
}

/// Whether a job only checks the results of other jobs.
pub(super) fn is_gate_job(view: &JobView) -> bool {
    let always = view.job.runs_after_failure();
    let checks_results = |step: &WorkflowStep| {
        step.script.as_ref().is_some_and(|script| script.text.contains("needs.") && script.text.contains(".result"))
            || step
                .env
                .iter()
                .chain(&step.with)
                .any(|(_, value)| value.value.contains("toJSON(needs)") || value.value.contains(".result"))
    };
    always
        && !view.job.needs.is_empty()
        && view.job.steps.iter().any(checks_results)
        && view.analysis.nox_calls.is_empty()
}

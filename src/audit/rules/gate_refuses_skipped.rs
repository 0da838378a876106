//! NX213: the gate takes a skipped job for a failed one.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX213",
        name: "gate-refuses-skipped",
        summary: "The gate takes a skipped job for a failed one.",
    },
    rationale: "A job that was left out on purpose then blocks the merge; a gate that is red for the wrong reason is soon ignored.",
    evidence: "W18: removed, reverted and red for weeks in the users' pipeline (#8797, #9128).",
    advice: "Pass on `success` and `skipped`, name what failed or was cancelled.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(|view| is_gate_job(view)) {
        for step in &view.job.steps {
            let Some(script) = &step.script else { continue };
            let strict =
                script.text.contains("success") && !script.text.contains("skipped") && script.text.contains(".result");
            let negative = script.text.contains("failure");
            if !strict || negative {
                continue;
            }
            let place = view.job.node.get_entry("if").map_or(view.job.id.span, |(key, _)| key.span);
            let finding =
                found.report(view.source(), place, "this gate runs always and takes a skipped job for a failed one");
            finding.add_related(view.source(), script.span, "only `success` passes");
            finding.fix = fixes::gate_job::rewrite_gate_script(&view, step);
        }
    }
}

/// Whether a job only looks at how others ended.
pub(super) fn is_gate_job(view: &JobView) -> bool {
    let always = runs_after_failure(view.job.condition.as_ref().map(|text| text.value.as_str()));
    let looks = |step: &WorkflowStep| {
        step.script.as_ref().is_some_and(|script| script.text.contains("needs.") && script.text.contains(".result"))
            || step
                .env
                .iter()
                .chain(&step.with)
                .any(|(_, value)| value.value.contains("toJSON(needs)") || value.value.contains(".result"))
    };
    always && !view.job.needs.is_empty() && view.job.steps.iter().any(looks) && view.analysis.nox_calls.is_empty()
}

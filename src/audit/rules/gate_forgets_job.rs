//! NX214: the gate does not wait for every job.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX214", name: "gate-forgets-job", summary: "The gate does not wait for every job." },
    rationale: "A job that it leaves out can fail and the merge goes through.",
    evidence: "W19: `docs` is missing from the users' gate; #2857 asks for all jobs in `needs`.",
    advice: "Add it to `needs` and let the gate look at all of them.",
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
      - run: nox -s a
  b:
    runs-on: docker
    steps:
      - run: nox -s b
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: test "${{ needs.a.result }}" != failure
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  a:
    runs-on: docker
    steps:
      - run: nox -s a
  gate:
    runs-on: docker
    needs: [a]
    if: always()
    steps:
      - run: test "${{ needs.a.result }}" != failure
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(super::gate_refuses_skipped::is_gate_job) {
        let mut covered: Vec<&str> = vec![view.job.id.value.as_str()];
        let mut open: Vec<&str> = view.job.needs.iter().map(|need| need.value.as_str()).collect();
        while let Some(name) = open.pop() {
            if !covered.contains(&name) {
                covered.push(name);
                open.extend(
                    view.workflow
                        .find_job(name)
                        .iter()
                        .flat_map(|job| job.needs.iter().map(|need| need.value.as_str())),
                );
            }
        }
        let later =
            |job: &crate::audit::workflow::WorkflowJob| job.needs.iter().any(|need| need.value == view.job.id.value);
        let gates = |job: &crate::audit::workflow::WorkflowJob| {
            runs_after_failure(job.condition.as_ref().map(|text| text.value.as_str()))
        };
        let forgotten: Vec<&str> = view
            .workflow
            .jobs
            .iter()
            .filter(|job| !later(job) && !gates(job))
            .map(|job| job.id.value.as_str())
            .filter(|id| !covered.contains(id))
            .collect();
        if forgotten.is_empty() {
            continue;
        }
        let place = view.job.node.get("needs").map_or(view.job.id.span, |node| node.span);
        let finding = found.report(view.source(), place, format!("the gate does not look at {}", forgotten.join(", ")));
        for id in &forgotten {
            if let Some(job) = view.workflow.find_job(id) {
                finding.add_related(view.source(), job.id.span, "this job may fail unseen");
            }
        }
        finding.fix = fixes::gate_job::add_gate_needs(&view, &forgotten);
    }
}

//! NX202: A job needs other jobs but uses nothing from them.

use std::collections::HashSet;

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX202",
        name: "needs-without-data",
        summary: "A job needs other jobs but uses nothing from them.",
    },
    rationale: "The wait extends the critical path of every run.",
    evidence: "Observed: coverage needs lint, typecheck, security and quality. 23 such edges in 516 sampled jobs, typically `needs: lint`. Such a wait can be deliberate: pedantic where the job, or one after it, has a matrix (there, waiting saves most), and where most other jobs of the workflow wait for the same job.",
    advice: "Remove the `needs`, unless the wait saves runner time when a cheap check fails; in that case, add an ignore comment.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let job = view.job;
        let text = view.source().slice(job.node.span);
        let is_exempt = job.condition.is_some() || job.uses.is_some() || view.is_release();
        let downloads = job
            .steps
            .iter()
            .any(|step| step.action.as_ref().is_some_and(|action| action.name.ends_with("/download-artifact")));
        let deploys =
            job.steps.iter().any(|step| step.action.as_ref().is_some_and(|action| action.name.contains("deploy")));
        if job.needs.is_empty()
            || is_exempt
            || downloads
            || deploys
            || text.contains("needs.")
            || text.contains("toJSON(needs)")
            || view.analysis.nox_calls.is_empty()
        {
            continue;
        }
        let names: Vec<&str> = job.needs.iter().map(|need| need.value.as_str()).collect();
        let span = job.node.get("needs").map_or(job.id.span, |node| node.span);
        let message = format!(
            "job `{}` waits for {} but uses nothing from {}",
            job.id.value,
            names.join(", "),
            if names.len() == 1 { "it" } else { "them" }
        );
        // A job after this one must still wait for the jobs before it.
        let mut followers = view.dependents().into_iter();
        let keeps_order = followers.all(|job| {
            let direct: HashSet<&str> = job.needs.iter().map(|need| need.value.as_str()).collect();
            names.iter().all(|name| direct.contains(name))
        });
        let fix = keeps_order
            .then(|| fixes::step_edit::remove_job_key(&view, "needs", "remove the unused `needs`"))
            .flatten();
        let finding = findings.report(view.source(), span, message);
        finding.set_fix(fix);
        // A failure of the cheap job saves the time of every job of the matrix.
        let gates_matrix = job.matrix.is_some() || view.dependents().iter().any(|job| job.matrix.is_some());
        if gates_matrix || names.iter().all(|name| is_common_gate(&view, name)) {
            finding.set_persona(Persona::Pedantic);
        }
    }
}

/// Whether most other jobs wait for a job, and not only this one.
fn is_common_gate(view: &JobView, name: &str) -> bool {
    let graph = &view.workflow.needs_graph;
    let position = graph.position(name);
    let waiting = graph.dependents(name).filter(|job| Some(*job) != position).count();
    let others = view.workflow.jobs.len().saturating_sub(usize::from(position.is_some()));
    waiting > 2 && waiting * 3 >= others * 2
}

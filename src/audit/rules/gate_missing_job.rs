//! NX214: The gate job does not need every job.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX214", name: "gate-missing-job", summary: "The gate job does not need every job." },
    rationale: "A job that the gate does not check can fail without blocking the merge.",
    evidence: "Observed: `docs` is missing from the gate; one issue requests all jobs in `needs`. Pedantic if every missing job is defined below the gate job in the file, runs on a self-hosted GitHub runner, or has in its ID or name, or in a comment above it, a word such as `coverage`, `nightly`, `beta`, `prerelease`, `experimental` or `free-threaded`: such a job is usually left out on purpose.",
    advice: "Add the job to `needs` and check the result of every needed job; if it is left out on purpose, name it in a comment at `needs`.",
    severity: Severity::Low,
    confidence: Confidence::Low,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(super::gate_fails_on_skipped::is_gate_job) {
        let gate = view.job.id.value.as_str();
        let is_covered = |id: &str| id == gate || view.workflow.needs_graph.needs(gate, id);
        let others = view.project.workflow_job_views(view.workflow).filter(|other| can_block(&view, other));
        let unchecked: Vec<&str> =
            others.map(|other| other.job.id.value.as_str()).filter(|id| !is_covered(id)).collect();
        // A gate that leaves out most jobs is one for some of them, not for the workflow.
        if unchecked.len() > view.job.needs.len() {
            continue;
        }
        if unchecked.is_empty() {
            continue;
        }
        let span = view.job.node.get("needs").map_or(view.job.id.span, |node| node.span);
        let finding = findings.report(view.source(), span, format!("the gate does not check {}", unchecked.join(", ")));
        let is_left_out = |other: &JobView| {
            let is_later = other.job.id.span.start > view.job.id.span.start;
            let is_optional_runner = other.workflow.forge == Forge::Github && other.is_certainly_self_hosted();
            is_later || is_optional_runner || is_named_optional(other)
        };
        let mut missing = view
            .project
            .workflow_job_views(view.workflow)
            .filter(|other| unchecked.contains(&other.job.id.value.as_str()));
        if missing.all(|other| is_left_out(&other)) {
            finding.set_persona(Persona::Pedantic);
        }
        for id in &unchecked {
            if let Some(job) = view.workflow.find_job(id) {
                finding.add_related(view.source(), job.id.span, "this job can fail unnoticed");
            }
        }
        finding.fix = fixes::gate_job::add_gate_needs(&view, &unchecked);
    }
}

/// Whether a job should block the merge if it fails: it runs in every run, publishes and reports nothing, and no comment
/// of the gate names it.
fn can_block(gate: &JobView, other: &JobView) -> bool {
    let job = other.job;
    let needs_gate = job.needs.iter().any(|need| need.value == gate.job.id.value);
    let source = gate.source();
    let lines = source.line_index(gate.job.id.span.start)..=source.line_index(gate.job.node.span.end);
    let is_explained = lines
        .filter_map(|line| source.line_text(line).split_once('#'))
        .any(|(_, comment)| comment.contains(job.id.value.as_str()));
    job.id.value != gate.job.id.value
        && !needs_gate
        && job.condition.is_none()
        && job.continue_on_error.is_none()
        && job.node.get("environment").is_none()
        && !other.is_release()
        && !is_explained
        && !["report", "preview", "benchmark"].iter().any(|word| job.id.value.contains(word))
}

/// Words of jobs whose failure is usually meant not to block a merge.
const OPTIONAL_WORDS: [&str; 14] = [
    "coverage",
    "nightly",
    "beta",
    "alpha",
    "prerelease",
    "pre-release",
    "experimental",
    "optional",
    "unstable",
    "upstream",
    "free-thread",
    "freethread",
    "free_thread",
    "canary",
];

/// Whether the ID or name of a job, or a comment directly above it, says that it is optional.
fn is_named_optional(view: &JobView) -> bool {
    let source = view.source();
    let first = source.line_index(view.job.id.span.start);
    let above = (0..first).rev().map(|line| source.line_text(line).trim()).take_while(|line| line.starts_with('#'));
    let name = view.job.node.get("name").and_then(|node| node.as_str()).unwrap_or_default();
    let mut texts = above.chain([name, view.job.id.value.as_str()]).map(str::to_lowercase);
    texts.any(|text| OPTIONAL_WORDS.iter().any(|word| text.contains(word)))
}

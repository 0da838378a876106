//! NX118: A job that publishes something installs packages from a cache.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX118",
        name: "cache-in-release",
        summary: "A job that publishes something installs packages from a cache.",
    },
    rationale: "Anyone who can write to the cache can inject code into the release. noxide never adds a cache to such a job.",
    evidence: "zizmor reports such a job as `cache-poisoning`. When noxide added caches to 446 workflow files without excluding publishing jobs, zizmor reported one new `cache-poisoning` finding. Not reported for a job that only uploads an artifact that no other job uses, or opens a pull request.",
    advice: "Install from the index, with hashes from the lock file.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    tags: ["v*"]
jobs:
  wheel:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv publish
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
jobs:
  wheel:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.is_release() && !publishes_nothing(view)) {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_python_content()) {
            findings.report(
                view.source(),
                cache.span,
                format!("job `{}` publishes its result and installs packages from a cache", view.job.id.value),
            );
        }
    }
}

/// Whether the job of a release only uploads an artifact, which no other job uses, or opens a pull request.
fn publishes_nothing(view: &JobView) -> bool {
    let uploads_artifact = view.job.steps.iter().any(WorkflowStep::is_artifact_upload);
    let opens_pull_request = view.job.steps.iter().any(|step| {
        step.uses_action("peter-evans/create-pull-request")
            || step.commands.iter().any(|command| command.command_line().contains("gh pr create"))
    });
    let publishes = view.workflow.jobs.iter().any(|job| job.is_release_job() || job.uses.is_some());
    (uploads_artifact || opens_pull_request) && !publishes && view.dependents().is_empty()
}

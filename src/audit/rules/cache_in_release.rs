//! NX118: A job that publishes something installs packages from a cache.

use super::prelude::*;
use crate::audit::workflow::WorkflowJob;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX118",
        name: "cache-in-release",
        summary: "A job that publishes something installs packages from a cache.",
    },
    rationale: "Anyone who can write to the cache can inject code into the release. noxide never adds a cache to such a job.",
    evidence: "zizmor reports such a job as `cache-poisoning`. When noxide added caches to 446 workflow files without excluding publishing jobs, zizmor reported one new `cache-poisoning` finding. Not reported for a job that only uploads an artifact that no other job uses, or opens a pull request; pedantic for a job that only deploys documentation.",
    advice: "Install from the index, with hashes from the lock file. For setup-uv, set `enable-cache: false`: from version 5 on it restores a cache by default on GitHub's runners.",
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
            let message =
                format!("job `{}` publishes its result and installs packages from a cache", view.job.id.value);
            let finding = findings.report(view.source(), cache.span, message);
            if deploys_documentation_only(&view) {
                finding.set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Whether the job only uploads an artifact that no other job uses, or opens a pull request.
fn publishes_nothing(view: &JobView) -> bool {
    let uploads_artifact = view.job.steps.iter().any(WorkflowStep::is_artifact_upload);
    let publishes = view.workflow.jobs.iter().any(|job| publishes_packages(job) || job.uses.is_some());
    (uploads_artifact || opens_pull_request(view.job)) && !publishes && view.dependents().is_empty()
}

fn opens_pull_request(job: &WorkflowJob) -> bool {
    job.steps.iter().any(|step| {
        step.uses_action("peter-evans/create-pull-request")
            || step.commands.iter().any(|command| command.command_line().contains("gh pr create"))
    })
}

/// Whether a job publishes: its environment alone does not show that of one that opens a pull request.
fn publishes_packages(job: &WorkflowJob) -> bool {
    if opens_pull_request(job) { job.publishes_by_steps() } else { job.is_release_job() }
}

/// Whether the job is named after documentation and publishes no package.
fn deploys_documentation_only(view: &JobView) -> bool {
    let id = view.job.id.value.to_lowercase();
    let parts: Vec<&str> = id.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_documentation = ["doc", "docs", "documentation", "site", "pages"].iter().any(|word| parts.contains(word));
    let deploys_pages = view.job.steps.iter().any(|step| step.uses_action("actions/deploy-pages"));
    let publishes_more = view.job.steps.iter().flat_map(|step| &step.commands).any(|command| {
        let line = command.command_line();
        ["publish", "twine upload", "gh release"].iter().any(|word| line.contains(word)) && !line.contains("mike")
    });
    (is_documentation || deploys_pages)
        && !publishes_more
        && !view.job.steps.iter().any(|step| step.uses_action("pypa/gh-action-pypi-publish"))
}

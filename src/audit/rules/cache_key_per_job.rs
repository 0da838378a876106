//! NX121: A job has its own cache key for packages that other jobs cache under a shared key.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX121",
        name: "cache-key-per-job",
        summary: "A job has its own cache key for packages that other jobs cache under a shared key.",
    },
    rationale: "The same packages are saved and stored twice, and the job does not use the entries of the other jobs.",
    evidence: "One job uses `uv-quality-…`, eight others `uv-…`.",
    advice: "Share one key between all jobs that install the same packages, and only those.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
  quality:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-quality-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
  quality:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let mut keys: Vec<(JobView, &JobCache, &SpannedText)> = Vec::new();
        for view in project.workflow_job_views(workflow) {
            let caches =
                view.analysis.caches.iter().filter(|cache| cache.has_python_content() && !cache.caches_environments());
            keys.extend(caches.filter_map(|cache| Some((view, cache, cache.key.as_ref()?))));
        }
        for (view, _, key) in &keys {
            let job_part = format!("-{}-", view.job.id.value);
            if !key.value.contains(&job_part) {
                continue;
            }
            let shared = key.value.replace(&job_part, "-");
            if let Some((_, _, other)) =
                keys.iter().find(|(other, _, text)| text.value == shared && other.job.id != view.job.id)
            {
                let finding = findings.report(
                    view.source(),
                    key.span,
                    format!(
                        "job `{}` has its own cache key for packages that other jobs cache under a shared key",
                        view.job.id.value
                    ),
                );
                finding.add_related(view.source(), other.span, "the shared key");
            }
        }
    }
}

//! NX116: Jobs that install different packages share one cache key.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX116",
        name: "cache-key-shared-across-jobs",
        summary: "Jobs that install different packages share one cache key.",
    },
    rationale: "Cache entries are immutable: the first job to finish decides the content, and the hits of the other jobs contain only part of their packages, forever.",
    evidence: "On the example project (parcelbook), the entry that `lint` saves first holds 22 of 207 archives, 11 % of those that the other jobs need.",
    advice: "Use a different key for each set of packages; jobs that install the same packages share one. Compared are the jobs of all workflows of the project, since caches belong to the repository.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s docs
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

@nox.session
def lint(session):
    session.install("ruff")

@nox.session
def docs(session):
    session.install("mkdocs")
"#,
        ),
    ],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-lint-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
  docs:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-docs-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s docs
"#,
    )],
    check_project,
};

type SharedKeyGroup<'a> = Vec<(JobView<'a>, &'a JobCache, Vec<String>)>;

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let mut groups: std::collections::BTreeMap<(String, &str, Vec<&str>), SharedKeyGroup> =
        std::collections::BTreeMap::new();
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.has_only_downloads()) {
            let Some(key) = &cache.key else { continue };
            let jobs = count_differing_jobs(&view);
            if jobs > 1 && !key.value.contains("matrix.") {
                report_shared_key(&view, cache, key, jobs, findings);
            } else if let Some(set) = view.installed_packages().filter(|_| !view.analysis.nox_calls.is_empty()) {
                let paths = cache.paths.iter().map(|path| path.value.as_str()).collect();
                groups
                    .entry((key_scope(&view, &key.value), key.value.as_str(), paths))
                    .or_default()
                    .push((view, cache, set));
            }
        }
    }
    for group in groups.values() {
        let differ = group.windows(2).any(|pair| pair[0].2 != pair[1].2);
        if !differ || group.first().is_none_or(|(view, ..)| view.job.matrix.is_some()) {
            continue;
        }
        for (view, cache, _) in group {
            if let Some(key) = &cache.key {
                report_shared_key(view, cache, key, group.len(), findings);
            }
        }
    }
}

/// Returns the directory of the workflows in which a key has one value, or the file if its expressions differ by workflow.
fn key_scope(view: &JobView, key: &str) -> String {
    let path = view.source().path.as_str();
    let differs = ["env.", "inputs.", "steps.", "needs.", "github.workflow", "github.event", "github.ref"];
    let is_same = view.workflow.kind == WorkflowFileKind::Workflow && !differs.iter().any(|part| key.contains(part));
    let scope = if is_same { path.rsplit_once('/').map_or("", |(directory, _)| directory) } else { path };
    // The name of the job makes keys of equal text different.
    if key.contains("github.job") { format!("{path}#{}", view.job.id.value) } else { scope.to_owned() }
}

fn report_shared_key(view: &JobView, cache: &JobCache, key: &SpannedText, jobs: usize, findings: &mut FindingSink) {
    let message =
        format!("{jobs} jobs that install different packages share this key; the first to finish decides its content");
    findings.report(view.source(), key.span, message).set_fix(fixes::cache_step::repair_cache_step(view, cache));
}

/// Returns the number of jobs of a session matrix whose sessions install different packages; 0 for any other job.
fn count_differing_jobs(view: &JobView) -> usize {
    let sets: Option<Vec<Vec<String>>> = view
        .session_names()
        .iter()
        .map(|name| view.noxfile_session(name).map(crate::audit::noxfile::NoxfileSession::installed_packages))
        .collect();
    let differ = sets.is_some_and(|sets| sets.windows(2).any(|pair| pair[0] != pair[1]));
    if view.matrix_session_expression().is_some() && differ { view.session_names().len() } else { 0 }
}

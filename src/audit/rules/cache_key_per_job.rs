//! NX121: A job has its own cache key for packages that other jobs cache under a shared key.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX121",
        name: "cache-key-per-job",
        summary: "A job has its own cache key for packages that other jobs cache under a shared key.",
    },
    rationale: "The same packages are saved and stored twice, and the job does not use the entries of the other jobs.",
    evidence: "One job uses `uv-quality-…`, eight others `uv-…`. Compared are the keys of all workflows for the same paths; reported is a key that is another one with the name of the job or of the workflow added.",
    advice: "Share one key between all jobs that install the same packages, and only those.",
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
    let mut keys: Vec<(JobView, &JobCache, &SpannedText)> = Vec::new();
    for view in project.job_views() {
        let caches =
            view.analysis.caches.iter().filter(|cache| cache.has_python_content() && !cache.caches_environments());
        keys.extend(caches.filter_map(|cache| Some((view, cache, cache.key.as_ref()?))));
    }
    for (view, cache, key) in &keys {
        let names = own_names(view);
        let is_shared = |other: &&(JobView, &JobCache, &SpannedText)| {
            let (other_view, other_cache, text) = other;
            let is_other_job = !std::ptr::eq(other_view.job, view.job);
            let has_same_paths = cached_paths(other_cache) == cached_paths(cache);
            is_other_job && has_same_paths && names.iter().any(|name| is_key_with_part(&key.value, &text.value, name))
        };
        let Some((other, _, shared)) = keys.iter().find(is_shared) else { continue };
        let id = &view.job.id.value;
        let message = format!("job `{id}` has its own cache key for packages that other jobs cache under a shared key");
        let finding = findings.report(view.source(), key.span, message);
        finding.add_related(other.source(), shared.span, "the shared key");
    }
}

/// Returns the texts by which a key names its job or its workflow.
fn own_names(view: &JobView) -> Vec<String> {
    let file = view.source().path.rsplit('/').next().unwrap_or_default();
    let file = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = view.workflow.name.as_ref().map(|name| name.value.clone());
    let expressions = ["${{ github.job }}", "${{ github.workflow }}"].map(str::to_owned);
    let mut names = vec![view.job.id.value.clone(), file.to_owned()];
    names.extend(name);
    names.extend(expressions);
    names
}

/// Whether a key is another one with this part added: at its start, in its middle or at its end.
fn is_key_with_part(key: &str, shared: &str, part: &str) -> bool {
    let without = |from: &str, to: &str| {
        key.match_indices(from).any(|(at, _)| {
            let (before, after) = (key.get(..at).unwrap_or_default(), key.get(at + from.len()..).unwrap_or_default());
            format!("{before}{to}{after}") == shared
        })
    };
    let is_first = key.strip_prefix(&format!("{part}-")).is_some_and(|rest| rest == shared);
    let is_last = key.strip_suffix(&format!("-{part}")).is_some_and(|rest| rest == shared);
    is_first || is_last || without(&format!("-{part}-"), "-")
}

fn cached_paths(cache: &JobCache) -> Vec<&str> {
    cache.paths.iter().map(|path| path.value.trim_end_matches('/')).collect()
}

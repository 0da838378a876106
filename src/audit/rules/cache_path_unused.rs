//! NX114: A cache saves a directory that the job does not use.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX114",
        name: "cache-path-unused",
        summary: "A cache saves a directory that the job does not use.",
    },
    rationale: "The restored files are never read and the downloaded files never saved: the cache costs time and saves none.",
    evidence: "Observed: the noxfile sets UV_CACHE_DIR to /tmp/uv-cache, but the jobs cache ~/.cache/uv. Absolute workspace paths never hit on runners without containers, because the path is part of the cache version.",
    advice: "Cache the directory that UV_CACHE_DIR names, or set UV_CACHE_DIR to the cached directory.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    env: {UV_CACHE_DIR: /tmp/uv-cache}
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    env: {UV_CACHE_DIR: /tmp/uv-cache}
    steps:
      - uses: actions/cache@v4
        with: {path: /tmp/uv-cache, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view
            .analysis
            .caches
            .iter()
            .filter(|cache| cache.kind == JobCacheKind::ActionsCache && cache.has_python_content())
        {
            check_uv_cache_dir(&view, cache, findings);
            check_absolute_path(&view, cache, findings);
        }
    }
}

/// Reports a cached path that is not the cache directory that uv uses.
fn check_uv_cache_dir(view: &JobView, cache: &JobCache, findings: &mut FindingSink) {
    let configured = view.workflow.resolve_variable(view.job, None, "UV_CACHE_DIR");
    let noxfile = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty());
    let assignment = noxfile.and_then(|noxfile| Some((noxfile, noxfile.find_env_assignment("UV_CACHE_DIR")?)));
    let Some(used) =
        configured.map(|text| text.value.clone()).or(assignment.map(|(_, variable)| variable.value.clone()))
    else {
        return;
    };
    let is_used = |path: &SpannedText| {
        path.value.trim_end_matches('/') == used.trim_end_matches('/') || path.value.contains("env.UV_CACHE_DIR")
    };
    let wrong = cache.paths.iter().find(|path| job_cache::is_uv_cache_path(&path.value));
    let Some(wrong) = wrong.filter(|_| !cache.paths.iter().any(is_used) && !used.starts_with("${{")) else { return };
    let message = format!("the job caches {}, but uv's cache directory is {used}", wrong.value);
    let fix = fixes::cache_step::correct_cache_path(view, cache);
    let finding = findings.report(view.source(), wrong.span, message);
    finding.fix = fix;
    if let Some(text) = configured {
        finding.add_related(view.source(), text.span, "the cache directory is set here");
    } else if let Some((noxfile, variable)) = assignment {
        finding.add_related(&noxfile.source, noxfile.env_assignment_span(variable), "every session sets it here");
    }
}

/// Reports an absolute path, which is valid on one runner only.
fn check_absolute_path(view: &JobView, cache: &JobCache, findings: &mut FindingSink) {
    let is_absolute = |path: &&SpannedText| {
        ["/home/runner", "/root", "${{ github.workspace }}"].iter().any(|start| path.value.starts_with(start))
    };
    if let Some(path) = cache.paths.iter().find(is_absolute).filter(|_| view.is_self_hosted()) {
        let message = format!("{} differs between runners, and the path is part of the cache version", path.value);
        let finding = findings.report(view.source(), path.span, message);
        finding
            .set_severity(Severity::Medium)
            .set_confidence(Confidence::Medium)
            .set_advice("Use `~/…` or a path relative to the workspace.");
    }
}

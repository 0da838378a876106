//! NX114: A cache keeps a folder that the job does not use.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX114",
        name: "cache-path-unused",
        summary: "A cache keeps a folder that the job does not use.",
    },
    rationale: "What is restored is never read and what is downloaded never saved: the cache costs its own time and helps nothing.",
    evidence: "W5: the noxfile sets UV_CACHE_DIR to /tmp/uv-cache, the jobs save ~/.cache/uv. Absolute workspace paths never hit in host mode: the path enters the cache's version.",
    advice: "Keep the folder that UV_CACHE_DIR names, or set UV_CACHE_DIR to the folder that is kept.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view
            .analysis
            .caches
            .iter()
            .filter(|cache| cache.kind == JobCacheKind::ActionsCache && cache.has_python_content())
        {
            check_uv_cache_dir(&view, cache, found);
            check_absolute_path(&view, cache, found);
        }
    }
}

/// The folder that uv uses is another one.
fn check_uv_cache_dir(view: &JobView, cache: &JobCache, found: &mut FindingSink) {
    let said = view.workflow.resolve_variable(view.job, None, "UV_CACHE_DIR");
    let noxfile = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty());
    let set = noxfile.and_then(|noxfile| Some((noxfile, noxfile.find_env_assignment("UV_CACHE_DIR")?)));
    let Some(used) = said.map(|text| text.value.clone()).or(set.map(|(_, variable)| variable.value.clone())) else {
        return;
    };
    let same = |path: &SpannedText| {
        path.value.trim_end_matches('/') == used.trim_end_matches('/') || path.value.contains("env.UV_CACHE_DIR")
    };
    let wrong = cache.paths.iter().find(|path| crate::audit::job_cache::is_uv_cache_path(&path.value));
    let Some(wrong) = wrong.filter(|_| !cache.paths.iter().any(same) && !used.starts_with("${{")) else { return };
    let message = format!("the job keeps {}, but uv's cache is {used}", wrong.value);
    let fix = fixes::cache_step::fix_cache_path(view, wrong, &used);
    let finding = found.report(view.source(), wrong.span, message);
    finding.fix = fix;
    if let Some(text) = said {
        finding.add_related(view.source(), text.span, "uv's cache is set here");
    } else if let Some((noxfile, variable)) = set {
        finding.add_related(&noxfile.source, noxfile.env_assignment_span(variable), "every session sets it here");
    }
}

/// A path that is right on one machine only.
fn check_absolute_path(view: &JobView, cache: &JobCache, found: &mut FindingSink) {
    let bound = |path: &&SpannedText| {
        ["/home/runner", "/root", "${{ github.workspace }}"].iter().any(|start| path.value.starts_with(start))
    };
    if let Some(path) = cache.paths.iter().find(bound).filter(|_| view.is_self_hosted()) {
        let message =
            format!("{} is another folder on another runner, and the path is part of the entry's name", path.value);
        let finding = found.report(view.source(), path.span, message);
        finding
            .set_severity(Severity::Medium)
            .set_confidence(Confidence::Medium)
            .set_advice("Use `~/…` or a path relative to the workspace.");
    }
}

//! NX114: A cache keeps a folder that the job does not use.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX114",
        name: "cache-path-unused",
        what: "A cache keeps a folder that the job does not use.",
    },
    why: "What is restored is never read and what is downloaded never saved: the cache costs its own time and helps nothing.",
    evidence: "W5: the noxfile sets UV_CACHE_DIR to /tmp/uv-cache, the jobs save ~/.cache/uv. Absolute workspace paths never hit in host mode: the path enters the cache's version.",
    advice: "Keep the folder that UV_CACHE_DIR names, or set UV_CACHE_DIR to the folder that is kept.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.kind == CacheKind::Action && cache.keeps_python()) {
            folder(&view, cache, found);
            absolute(&view, cache, found);
        }
    }
}

/// The folder that uv uses is another one.
fn folder(view: &View, cache: &Cache, found: &mut Found) {
    let said = view.workflow.variable(view.job, None, "UV_CACHE_DIR");
    let noxfile = view.project.noxfile.as_ref().filter(|_| !view.survey.calls.is_empty());
    let set = noxfile.and_then(|noxfile| Some((noxfile, noxfile.variable("UV_CACHE_DIR")?)));
    let Some(used) = said.map(|text| text.value.clone()).or(set.map(|(_, variable)| variable.value.clone())) else {
        return;
    };
    let same = |path: &Text| {
        path.value.trim_end_matches('/') == used.trim_end_matches('/') || path.value.contains("env.UV_CACHE_DIR")
    };
    let wrong = cache.paths.iter().find(|path| crate::audit::cache::is_uv(&path.value));
    let Some(wrong) = wrong.filter(|_| !cache.paths.iter().any(same) && !used.starts_with("${{")) else { return };
    let message = format!("the job keeps {}, but uv's cache is {used}", wrong.value);
    let fix = fixes::cache::path(view, wrong, &used);
    let finding = found.report(view.source(), wrong.span, message);
    finding.fix = fix;
    if let Some(text) = said {
        finding.also(view.source(), text.span, "uv's cache is set here");
    } else if let Some((noxfile, variable)) = set {
        finding.also(&noxfile.source, noxfile.place_of_variable(variable), "every session sets it here");
    }
}

/// A path that is right on one machine only.
fn absolute(view: &View, cache: &Cache, found: &mut Found) {
    let bound = |path: &&Text| {
        ["/home/runner", "/root", "${{ github.workspace }}"].iter().any(|start| path.value.starts_with(start))
    };
    if let Some(path) = cache.paths.iter().find(bound).filter(|_| view.self_hosted()) {
        let message =
            format!("{} is another folder on another runner, and the path is part of the entry's name", path.value);
        let finding = found.report(view.source(), path.span, message);
        finding
            .severity(Severity::Medium)
            .confidence(Confidence::Medium)
            .advice("Use `~/…` or a path relative to the workspace.");
    }
}

//! NX122: the noxfile asks for environments to be used again, and no job keeps them.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX122",
        name: "environments-not-kept",
        summary: "The noxfile asks for environments to be used again, and no job keeps them.",
    },
    rationale: "`reuse_venv` then does nothing in CI: each run resolves and links everything anew.",
    evidence: "W9, asked for in 13 issues. On parcelbook `.nox` adds 0.6 % to the bytes of uv's cache and saves 3 % on a fast index; what it saves is resolution and network. Environments hold absolute paths: a `.nox` restored into another workspace failed when we executed it, so the workspace's path must be in the key.",
    advice: "Keep `.nox` in an entry of its own, under a key with the Python version and `github.workspace`, and without `restore-keys`. Where the path changes from run to run it never hits: leave it out and say so with an ignore comment.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
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
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

nox.options.reuse_venv = "yes"

@nox.session
def lint(session):
    session.install("ruff")
"#,
        ),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: .nox, key: "uv-${{ runner.os }}-python3.13-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
"#,
        ),
        (
            "noxfile.py",
            r#"import nox

nox.options.reuse_venv = "yes"

@nox.session
def lint(session):
    session.install("ruff")
"#,
        ),
    ],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let Some((noxfile, reuse)) =
        project.noxfile.as_ref().and_then(|noxfile| Some((noxfile, noxfile.venv_reuse_span()?)))
    else {
        return;
    };
    let running: Vec<JobView> = project.job_views().filter(|view| !view.analysis.nox_calls.is_empty()).collect();
    let kept = |view: &JobView| view.analysis.caches.iter().any(JobCache::has_environment_path);
    if running.is_empty() || running.iter().any(kept) {
        return;
    }
    let finding = found.report(
        &noxfile.source,
        reuse,
        format!("environments are to be used again, but none of {} jobs keeps .nox", running.len()),
    );
    finding.fix = fixes::cache_step::add_environment_cache_steps(&running);
    for view in &running {
        if let Some(call) = view.analysis.nox_calls.first() {
            finding.add_related(view.source(), call.span, format!("job `{}` starts without them", view.job.id.value));
        }
    }
}

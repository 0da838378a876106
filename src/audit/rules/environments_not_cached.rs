//! NX122: The noxfile reuses environments, but no job caches them.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX122",
        name: "environments-not-cached",
        summary: "The noxfile reuses environments, but no job caches them.",
    },
    rationale: "`reuse_venv` then has no effect in CI: each run resolves and links everything again.",
    evidence: "Requested in 13 issues. On the example project (parcelbook), `.nox` adds 0.6 % to the size of uv's cache and saves 3 % of the time with a fast index: it saves resolution and network requests. Environments contain absolute paths: a `.nox` restored into another workspace failed when executed, so the workspace path must be part of the key.",
    advice: "Cache `.nox` in its own entry, with a key that contains the Python version and `github.workspace`, and without `restore-keys`. Only where every install is pinned: a restored environment keeps its old packages until the key changes. If the path changes from run to run, the key never hits: then do not cache `.nox`, and add an ignore comment.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
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
        with:
          path: .nox
          key: nox-${{ runner.os }}-${{ runner.arch }}-py3.13-${{ hashFiles('uv.lock', 'noxfile.py') }}-${{ github.workspace }}
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let Some((noxfile, reuse)) =
        project.noxfile.as_ref().and_then(|noxfile| Some((noxfile, noxfile.venv_reuse_span()?)))
    else {
        return;
    };
    let running: Vec<JobView> = project.job_views().filter(|view| !view.analysis.nox_calls.is_empty()).collect();
    let caches_environments = |view: &JobView| view.analysis.caches.iter().any(JobCache::caches_environments);
    if running.is_empty() || running.iter().any(caches_environments) {
        return;
    }
    let finding = findings.report(&noxfile.source, reuse, "environments are set to be reused, but no job caches .nox");
    finding.fix = fixes::cache_step::add_environment_cache_steps(&running);
    for view in &running {
        if let Some(call) = view.analysis.nox_calls.first() {
            finding.add_related(
                view.source(),
                call.span,
                format!("job `{}` starts without environments", view.job.id.value),
            );
        }
    }
}

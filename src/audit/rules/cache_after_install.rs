//! NX113: A cache of packages is restored after the first installation.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX113",
        name: "cache-after-install",
        summary: "A cache of packages is restored after the first installation.",
    },
    rationale: "What is installed before it never comes from it: the bootstrap downloads in every run.",
    evidence: "W1: all nine cached jobs of the users' `ci.yml`.",
    advice: "Put the cache step before the first installation, and keep pip's cache too if pip installs.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - run: pip install uv nox
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock', 'noxfile.py') }}"}
      - run: pip install uv nox
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in &view.analysis.caches {
            if cache.kind != JobCacheKind::ActionsCache || !cache.has_python_content() {
                continue;
            }
            if !cache.has_uv_path() && !cache.has_pip_path() {
                // Environments alone: what counts is the first session, not the bootstrap.
                if let Some(call) = view.analysis.nox_calls.iter().find(|call| call.step_index < cache.step_index) {
                    let finding = found.report(view.source(), cache.span, "restored after the first session has run");
                    finding.add_related(view.source(), call.span, "this runs before the environments are there");
                    finding.fix = fixes::step_edit::move_step(
                        &view,
                        cache.step_index,
                        call.step_index,
                        "restore environments before the first session",
                    );
                }
                continue;
            }
            let first = view.analysis.installs.iter().find(|installed| installed.step_index < cache.step_index);
            if let Some(first) = first {
                let pip = first.install.installer == PackageInstaller::Pip && !cache.has_pip_path();
                let message = if pip {
                    "restored after the first installation, and pip's own cache is not kept"
                } else {
                    "restored after the first installation"
                };
                let finding = found.report(view.source(), cache.span, message);
                finding.add_related(view.source(), first.span, "this installs before the cache is there");
                finding.fix = fixes::step_edit::move_step(
                    &view,
                    cache.step_index,
                    first.step_index,
                    "restore the cache before the first installation",
                );
            }
        }
    }
}

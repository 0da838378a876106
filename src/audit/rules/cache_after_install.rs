//! NX113: A package cache is restored after the first install.

use super::prelude::*;
use crate::audit::shell::requirement_name;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX113",
        name: "cache-after-install",
        summary: "A package cache is restored after the first install.",
    },
    rationale: "Packages installed before the restore never come from the cache: the setup downloads them in every run.",
    evidence: "All nine jobs with a cache in `ci.yml` of the example project (parcelbook).",
    advice: "Move the cache step before the first install, and cache pip's downloads too if pip installs.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in &view.analysis.caches {
            if cache.kind != JobCacheKind::ActionsCache || !cache.has_python_content() {
                continue;
            }
            if !cache.caches_uv_downloads() && !cache.caches_pip_downloads() {
                // Environments only: they must be restored before the first session, not before the setup.
                if let Some(call) = view.analysis.nox_calls.iter().find(|call| call.step_index < cache.step_index) {
                    let finding = findings.report(view.source(), cache.span, "restored after the first session");
                    finding.add_related(view.source(), call.span, "runs before the environments are restored");
                    finding.fix = fixes::step_edit::move_cache_step(
                        &view,
                        cache.step_index,
                        call.step_index,
                        "restore environments before the first session",
                    );
                }
                continue;
            }
            // A step that prints the path needs its tool first, and the cache cannot be restored before that step.
            let is_printed = cache.paths.iter().any(|path| cache.is_printed_path(&path.value));
            let is_tool = |name: &str| matches!(name, "pip" | "uv" | "setuptools" | "wheel");
            let first = view.analysis.installs.iter().find(|job_install| {
                let packages = &job_install.install.packages;
                let has_only_tools =
                    !packages.is_empty() && packages.iter().all(|word| is_tool(requirement_name(&word.text)));
                job_install.step_index < cache.step_index
                    && job_install.install.installer != PackageInstaller::Other
                    && !(is_printed && has_only_tools)
            });
            if let Some(first) = first {
                let pip_is_uncached = first.install.installer != PackageInstaller::Uv && !cache.caches_pip_downloads();
                let message = if pip_is_uncached {
                    "restored after the first install, and pip's downloads are not cached"
                } else {
                    "restored after the first install"
                };
                let finding = findings.report(view.source(), cache.span, message);
                finding.add_related(view.source(), first.span, "installs before the cache is restored");
                if pip_is_uncached {
                    finding.set_severity(Severity::Low);
                }
                let title = "restore the cache before the first install";
                let moved = || fixes::step_edit::move_cache_step(&view, cache.step_index, first.step_index, title);
                finding.fix = (!is_printed).then(moved).flatten();
            }
        }
    }
}

//! NX117: A cache is saved only when the job succeeds.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX117",
        name: "cache-not-saved-on-failure",
        summary: "A cache is saved only when the job succeeds.",
    },
    rationale: "`actions/cache` saves in a post step with `success()`: while a branch is failing, every run starts without a cache.",
    evidence: "Every version behaves this way by design; measured in act.",
    advice: "Split the step into `actions/cache/restore` and `actions/cache/save` with `if: always()`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
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
      - uses: actions/cache/restore@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: nox -s lint
      - uses: actions/cache/save@v4
        if: always()
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| !view.analysis.nox_calls.is_empty()) {
        for cache in view
            .analysis
            .caches
            .iter()
            .filter(|cache| cache.kind == JobCacheKind::ActionsCache && cache.has_python_content())
        {
            let step = view.step(cache.step_index);
            let restores_and_saves =
                step.and_then(|step| step.action.as_ref()).is_some_and(|action| action.subpath.is_empty());
            if restores_and_saves && step.is_some_and(|step| step.input_value("save-always").is_none()) {
                findings.report(view.source(), cache.span, "nothing is saved when a session fails");
            }
        }
    }
}

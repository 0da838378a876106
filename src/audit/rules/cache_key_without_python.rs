//! NX109: The key of an environment cache does not contain the Python version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX109",
        name: "cache-key-without-python",
        summary: "The key of an environment cache does not contain the Python version.",
    },
    rationale: "An environment built by another Python is broken or rebuilt, so such a hit costs more than a miss. In a job with one Python version the severity is low: the key is wrong only after that version changes.",
    evidence: "Seen in 1 of 275 sampled nox jobs.",
    advice: "Add the Python version to the key.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    strategy:
      matrix: {python: ["3.12", "3.13"]}
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: "${{ matrix.python }}"}
      - uses: actions/cache@v4
        with: {path: .nox, key: "nox-${{ runner.os }}-${{ hashFiles('noxfile.py') }}"}
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
        with: {path: .nox, key: "nox-${{ runner.os }}-python3.13-${{ hashFiles('noxfile.py') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.caches_environments()) {
            if let Some(key) =
                cache.key.as_ref().filter(|key| !job_cache::has_python_part(&job_cache::strip_hash_files(&key.value)))
            {
                let fix = fixes::cache_step::repair_cache_step(&view, cache);
                let finding = findings.report(
                    view.source(),
                    key.span,
                    "environments are cached under a key without the Python version",
                );
                finding.set_fix(fix);
                if !has_several_pythons(&view) {
                    // Wrong only from the next change of the version on.
                    finding.set_severity(Severity::Low);
                }
            }
        }
    }
}

/// Whether the jobs of the matrix use different Python versions.
fn has_several_pythons(view: &JobView) -> bool {
    let setups = view
        .job
        .steps
        .iter()
        .filter(|step| step.uses_action("actions/setup-python") || step.uses_action("astral-sh/setup-uv"));
    setups.filter_map(|step| step.input_value("python-version")).any(|text| text.value.contains("matrix."))
}

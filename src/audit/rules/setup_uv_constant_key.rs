//! NX105: An old `setup-uv` hashes no file that exists in this project.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX105",
        name: "setup-uv-constant-key",
        summary: "An old `setup-uv` hashes no file that exists in this project.",
    },
    rationale: "Version 4 hashes only uv.lock, version 5 also requirements files. Without these files the key never changes, and the first saved cache is restored forever.",
    evidence: "A log of act shows the key `…-no-dependency-glob` for such a project.",
    advice: "Set `cache-dependency-glob` to the files that decide what is installed, or use version 6 or newer. The version of a commit is read from the comment beside it (`# v4.1.0`).",
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
      - uses: astral-sh/setup-uv@v5
        with: {enable-cache: true}
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
      - uses: astral-sh/setup-uv@v5
        with: {enable-cache: true, cache-dependency-glob: "pyproject.toml\nnoxfile.py"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let files = &project.files;
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.kind == JobCacheKind::SetupUv) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let major = step.action.as_ref().and_then(ActionRef::major_version).unwrap_or(u32::MAX);
            let lock = files.lock_file.as_deref() == Some("uv.lock");
            let constant = (major <= 4 && !lock) || (major == 5 && !lock && files.requirements_files.is_empty());
            if constant && step.input_value("cache-dependency-glob").is_none() {
                let value = "\"**/pyproject.toml\"";
                let title = "hash pyproject.toml in the cache key";
                let fix = files
                    .has_pyproject
                    .then(|| fixes::step_edit::set_action_input(&view, step, "cache-dependency-glob", value, title))
                    .flatten();
                findings
                    .report(view.source(), cache.span, "the cache key hashes no file of this project and never changes")
                    .set_fix(fix);
            }
        }
    }
}

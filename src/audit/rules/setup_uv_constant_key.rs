//! NX105: an old `setup-uv` hashes no file that this project has.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX105",
        name: "setup-uv-constant-key",
        summary: "An old `setup-uv` hashes no file that this project has.",
    },
    rationale: "Version 4 hashes only uv.lock, version 5 also requirements files: without them the key never changes, and what was saved first stays for ever.",
    evidence: "An act log shows the key `…-no-dependency-glob` for such a project.",
    advice: "Name the files: `cache-dependency-glob`, or use version 6 or newer.",
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    let files = &project.files;
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.kind == JobCacheKind::SetupUv) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let major = step.action.as_ref().and_then(ActionRef::major_version).unwrap_or(u32::MAX);
            let lock = files.lock_file.as_deref() == Some("uv.lock");
            let constant = (major <= 4 && !lock) || (major == 5 && !lock && files.requirements_files.is_empty());
            if constant && step.input_value("cache-dependency-glob").is_none() {
                let value = "\"**/pyproject.toml\"";
                let fix = fixes::step_edit::set_action_input(
                    &view,
                    step,
                    "cache-dependency-glob",
                    value,
                    "hash pyproject.toml",
                );
                found
                    .report(view.source(), cache.span, "its key hashes no file of this project, so it never changes")
                    .set_fix(fix);
            }
        }
    }
}

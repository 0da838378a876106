//! NX103: `setup-uv` drops downloaded wheels from its cache before it saves it.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX103",
        name: "setup-uv-pruned",
        summary: "`setup-uv` drops downloaded wheels from its cache before it saves it.",
    },
    rationale: "Up to version 8 `prune-cache` is on: wheels that the index has are thrown away and downloaded again in every run. With a slow index that is most of the time.",
    evidence: "On parcelbook `uv cache prune --ci` leaves 7.9 of 193.7 MB: a hit then downloads everything again.",
    advice: "Set `prune-cache: false`, or use version 9 or newer, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: astral-sh/setup-uv@v7
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
      - uses: astral-sh/setup-uv@v9
        with: {enable-cache: true}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.kind == JobCacheKind::SetupUv) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let old = step.action.as_ref().and_then(ActionRef::major_version).is_some_and(|major| major <= 8);
            let kept = step.input_value("prune-cache").is_some_and(|text| text.value == "false");
            if old && !kept {
                let fix = fixes::step_edit::set_action_input(
                    &view,
                    step,
                    "prune-cache",
                    "false",
                    "keep downloaded wheels in the cache",
                );
                let fix = fix.map(fixes::mark_unsafe);
                found
                    .report(view.source(), cache.span, "the cache is pruned of all wheels before it is saved")
                    .set_fix(fix);
            }
        }
    }
}

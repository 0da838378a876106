//! NX103: `setup-uv` removes downloaded wheels from its cache before saving it.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX103",
        name: "setup-uv-prunes-wheels",
        summary: "`setup-uv` removes downloaded wheels from its cache before saving it.",
    },
    rationale: "Up to version 8, `prune-cache` is on by default: wheels that the index offers are removed from the cache and downloaded again in every run. With a slow index this is most of the install time.",
    evidence: "On the example project (parcelbook), `uv cache prune --ci` leaves 7.9 of 193.7 MB: a later hit downloads everything else again.",
    advice: "Set `prune-cache: false` or use version 9 or newer, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for cache in view.analysis.caches.iter().filter(|cache| cache.kind == JobCacheKind::SetupUv) {
            let Some(step) = view.step(cache.step_index) else { continue };
            let old = step.action.as_ref().and_then(ActionRef::major_version).is_some_and(|major| major <= 8);
            let keeps_wheels = step.input_value("prune-cache").is_some_and(|text| text.value == "false");
            if old && !keeps_wheels {
                let fix = fixes::step_edit::set_action_input(
                    &view,
                    step,
                    "prune-cache",
                    "false",
                    "keep downloaded wheels in the cache",
                );
                let fix = fix.map(fixes::mark_unsafe);
                findings
                    .report(
                        view.source(),
                        cache.span,
                        "downloaded wheels are removed from the cache before it is saved",
                    )
                    .set_fix(fix);
            }
        }
    }
}

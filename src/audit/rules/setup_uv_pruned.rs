//! NX103: `setup-uv` drops downloaded wheels from its cache before it saves it.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX103",
        name: "setup-uv-pruned",
        what: "`setup-uv` drops downloaded wheels from its cache before it saves it.",
    },
    why: "Up to version 8 `prune-cache` is on: wheels that the index has are thrown away and downloaded again in every run. With a slow index that is most of the time.",
    evidence: "On parcelbook `uv cache prune --ci` leaves 7.9 of 193.7 MB: a hit then downloads everything again.",
    advice: "Set `prune-cache: false`, or use version 9 or newer, unless the index is faster than the cache.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in view.survey.caches.iter().filter(|cache| cache.kind == CacheKind::SetupUv) {
            let Some(step) = view.step(cache.step) else { continue };
            let old = step.action.as_ref().and_then(ActionRef::major).is_some_and(|major| major <= 8);
            let kept = step.input("prune-cache").is_some_and(|text| text.value == "false");
            if old && !kept {
                let fix =
                    fixes::step::set_input(&view, step, "prune-cache", "false", "keep downloaded wheels in the cache");
                let fix = fix.map(fixes::risky);
                found
                    .report(view.source(), cache.place, "the cache is pruned of all wheels before it is saved")
                    .fix(fix);
            }
        }
    }
}

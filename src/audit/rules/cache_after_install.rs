//! NX113: A cache of packages is restored after the first installation.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX113",
        name: "cache-after-install",
        what: "A cache of packages is restored after the first installation.",
    },
    why: "What is installed before it never comes from it: the bootstrap downloads in every run.",
    evidence: "W1: all nine cached jobs of the users' `ci.yml`.",
    advice: "Put the cache step before the first installation, and keep pip's cache too if pip installs.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
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
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for cache in &view.survey.caches {
            if cache.kind != CacheKind::Action || !cache.keeps_python() {
                continue;
            }
            if !cache.keeps_uv() && !cache.keeps_pip() {
                // Environments alone: what counts is the first session, not the bootstrap.
                if let Some(call) = view.survey.calls.iter().find(|call| call.step < cache.step) {
                    let finding = found.report(view.source(), cache.place, "restored after the first session has run");
                    finding.also(view.source(), call.place, "this runs before the environments are there");
                    finding.fix = fixes::step::move_step(
                        &view,
                        cache.step,
                        call.step,
                        "restore environments before the first session",
                    );
                }
                continue;
            }
            let first = view.survey.installs.iter().find(|installed| installed.step < cache.step);
            if let Some(first) = first {
                let pip = first.install.by == Installer::Pip && !cache.keeps_pip();
                let message = if pip {
                    "restored after the first installation, and pip's own cache is not kept"
                } else {
                    "restored after the first installation"
                };
                let finding = found.report(view.source(), cache.place, message);
                finding.also(view.source(), first.place, "this installs before the cache is there");
                finding.fix = fixes::step::move_step(
                    &view,
                    cache.step,
                    first.step,
                    "restore the cache before the first installation",
                );
            }
        }
    }
}

//! NX123: the cache is pruned of all wheels before it is saved.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName {
        id: "NX123",
        name: "cache-pruned-empty",
        what: "The cache is pruned of all wheels before it is saved.",
    },
    why: "`uv cache prune --ci` keeps only what was built here: a later hit downloads everything else again.",
    evidence: "On parcelbook it leaves 7.9 of 193.7 MB.",
    advice: "Leave the pruning out, unless the index is faster than the cache.",
    severity: Severity::Low,
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
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune --ci
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
      - run: uv cache prune
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs().filter(|view| view.survey.caches.iter().any(Cache::keeps_uv)) {
        for step in &view.job.steps {
            for command in
                step.commands.iter().filter(|command| command.starts(&["uv", "cache", "prune"]) && command.has("--ci"))
            {
                found.report(view.source(), step.place(command.span), "this throws away what the cache is for");
            }
        }
    }
}

//! NX405: `uv sync` or `uv run` may change the lock in CI.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX405", name: "uv-not-frozen", what: "`uv sync` or `uv run` may change the lock in CI." },
    why: "Without `--locked` or `--frozen` it resolves again when the lock is out of date, and tests something that nobody committed.",
    evidence: "65 of 516 sampled jobs. Only where there is a uv.lock.",
    advice: "Add `--locked`, or set UV_LOCKED=1.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    dialects: EVERYWHERE,
    bad: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: uv sync --group dev
"#,
        ),
        (
            "uv.lock",
            r#"version = 1
"#,
        ),
    ],
    good: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: uv sync --locked --group dev
"#,
        ),
        (
            "uv.lock",
            r#"version = 1
"#,
        ),
    ],
    look,
};

fn look(project: &Project, found: &mut Found) {
    if project.files.lock.as_deref() != Some("uv.lock") {
        return;
    }
    for view in project.jobs() {
        for installed in
            view.survey.installs.iter().filter(|installed| matches!(installed.install.verb.as_str(), "sync" | "run"))
        {
            let Some(step) = view.step(installed.step).filter(|_| installed.install.by == Installer::Uv) else {
                continue;
            };
            let variable = ["UV_LOCKED", "UV_FROZEN"]
                .iter()
                .any(|name| view.workflow.variable(view.job, Some(step), name).is_some());
            let Some(command) = step.commands.iter().find(|command| command.span == installed.install.span) else {
                continue;
            };
            let free = ["--locked", "--frozen", "--no-project", "--isolated", "--no-sync", "--script"]
                .iter()
                .any(|flag| command.has(flag));
            if !variable && !free {
                let fix = command.words.get(1).and_then(|word| {
                    fixes::shell::insert_word(&view, step, word.span.end, " --locked", "keep to the lock")
                });
                found
                    .report(view.source(), installed.place, "this may resolve again instead of keeping to the lock")
                    .fix(fix);
            }
        }
    }
}

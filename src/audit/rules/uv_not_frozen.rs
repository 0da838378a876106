//! NX405: `uv sync` or `uv run` can change the lock file in CI.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX405",
        name: "uv-not-frozen",
        summary: "`uv sync` or `uv run` can change the lock file in CI.",
    },
    rationale: "Without `--locked` or `--frozen`, uv resolves again when the lock file is out of date, and tests versions that nobody committed.",
    evidence: "65 of 516 sampled jobs. Reported only where a uv.lock exists.",
    advice: "Add `--locked`, or set UV_LOCKED=1.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Pedantic,
    forges: ALL_FORGES,
    bad_example: &[
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
    good_example: &[
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
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    if project.files.lock_file.as_deref() != Some("uv.lock") {
        return;
    }
    for view in project.job_views() {
        for job_install in view
            .analysis
            .installs
            .iter()
            .filter(|job_install| matches!(job_install.install.subcommand.as_str(), "sync" | "run"))
        {
            let Some(step) =
                view.step(job_install.step_index).filter(|_| job_install.install.installer == PackageInstaller::Uv)
            else {
                continue;
            };
            let is_configured = ["UV_LOCKED", "UV_FROZEN"]
                .iter()
                .any(|name| view.workflow.resolve_variable(view.job, Some(step), name).is_some());
            let Some(command) = step.commands.iter().find(|command| command.span == job_install.install.span) else {
                continue;
            };
            let is_exempt = ["--locked", "--frozen", "--no-project", "--isolated", "--no-sync", "--script"]
                .iter()
                .any(|flag| command.has_word(flag));
            // Outside the root, uv reads another lock file.
            let is_in_root = !["--directory", "--project"].iter().any(|flag| command.has_word(flag))
                && step.node.get("working-directory").is_none()
                && !step.commands.iter().any(|other| other.program_name() == "cd");
            if !is_configured && !is_exempt && is_in_root {
                let fix = command.words.get(1).and_then(|word| {
                    fixes::run_script::insert_script_word(&view, step, word.span.end, " --locked", "add `--locked`")
                });
                findings
                    .report(view.source(), job_install.span, "this can resolve again instead of using the lock file")
                    .set_fix(fix);
            }
        }
    }
}

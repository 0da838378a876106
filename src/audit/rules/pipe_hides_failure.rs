//! NX308: A pipe hides the failure of a session.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX308", name: "pipe-hides-failure", summary: "A pipe hides the failure of a session." },
    rationale: "The pipe's exit code is that of `tee`, which is 0: the step succeeds although the session failed.",
    evidence: "The example sets `pipefail` for this reason. No forge sets it without `shell: bash`.",
    advice: "Add `set -o pipefail` at the start of the script.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests 2>&1 | tee build/tests.log
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: |
          set -o pipefail
          nox -s tests 2>&1 | tee build/tests.log
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for call in &view.analysis.nox_calls {
            let Some(step) = view.step(call.step_index) else { continue };
            let shell = step.node.get("shell").and_then(|node| node.as_str());
            let default = [&view.job.node, &view.workflow.root]
                .iter()
                .find_map(|node| node.get("defaults")?.get("run")?.get("shell")?.as_str());
            let sets_pipefail = shell.or(default).is_some_and(|shell| shell == "bash" || shell.contains("pipefail"));
            let piped = step
                .commands
                .get(call.command_index + 1)
                .filter(|next| next.preceding_operator == ControlOperator::Pipe);
            let is_other_shell = !sets_pipefail && (shell.or(default).is_some() || view.may_run_on_windows());
            if let Some(next) =
                piped.filter(|_| !is_other_shell && !sets_pipefail && !is_pipefail_set(step, call.command_index))
            {
                let finding =
                    findings.report(view.source(), call.span, "a failure of this session does not fail the step");
                finding.add_related(
                    view.source(),
                    step.file_span(next.span),
                    "the pipe returns the exit code of this command",
                );
                finding.fix = fixes::run_script::add_pipefail(&view, step);
            }
        }
    }
}

/// Whether a command before this one sets `pipefail`.
fn is_pipefail_set(step: &WorkflowStep, before: usize) -> bool {
    let sets =
        |command: &crate::audit::shell::ShellCommand| command.program_name() == "set" && command.has_word("pipefail");
    step.commands.iter().take(before).any(sets)
}

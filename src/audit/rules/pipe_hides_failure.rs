//! NX308: A session's failure is lost in a pipe.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX308", name: "pipe-hides-failure", what: "A session's failure is lost in a pipe." },
    why: "The pipe ends with `tee`'s exit code, which is 0: the step is green although the session failed.",
    evidence: "T18; the users' pipeline sets `pipefail` for this reason. Without `shell: bash` no forge sets it.",
    advice: "Put `set -o pipefail` first.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: docker
    steps:
      - run: nox -s tests 2>&1 | tee build/tests.log
"#,
    )],
    good: &[(
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
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        for call in &view.survey.calls {
            let Some(step) = view.step(call.step) else { continue };
            let shell = ["shell"].iter().find_map(|key| step.node.get(key)).and_then(|node| node.text());
            let default = [&view.job.node, &view.workflow.root]
                .iter()
                .find_map(|node| node.get("defaults")?.get("run")?.get("shell")?.text());
            let bash = shell.or(default).is_some_and(|shell| shell == "bash" || shell.contains("pipefail"));
            let piped = step.commands.get(call.command + 1).filter(|next| next.joiner == Joiner::Pipe);
            if let Some(next) = piped.filter(|_| !bash && !set(step, call.command)) {
                let finding =
                    found.report(view.source(), call.place, "a failure of this session does not fail the step");
                finding.also(view.source(), step.place(next.span), "the pipe's exit code is this one's");
                finding.fix = fixes::shell::pipefail(&view, step);
            }
        }
    }
}

/// Whether a command before this one sets `pipefail`.
fn set(step: &Step, before: usize) -> bool {
    let sets = |command: &crate::audit::shell::Command| command.program() == "set" && command.has("pipefail");
    step.commands.iter().take(before).any(sets)
}

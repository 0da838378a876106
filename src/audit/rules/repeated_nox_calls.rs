//! NX216: A script calls nox several times in a row.

use std::collections::HashSet;

use super::prelude::*;
use crate::audit::noxfile::session_effect;
use crate::audit::project::JobNoxCall;
use crate::audit::shell::NoxCallSelection;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX216", name: "repeated-nox-calls", summary: "A script calls nox several times in a row." },
    rationale: "Each call starts Python and loads the noxfile again, and each prints its own summary. With several names, nox runs the same sessions in the same order with one start and one summary.",
    evidence: "Reported for calls in one script, one directly after the other, with the same options, sessions selected by name, no arguments after `--`, and commands that are known to change nothing that the noxfile may read. Calls in steps of their own have their own logs and times, and are not reported.",
    advice: "Use one call: `nox -s a b`. If the first failure must end the script, add `--stop-on-first-error`.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  checks:
    runs-on: docker
    steps:
      - run: |
          nox -s lint
          nox -s typecheck
"#,
        ),
        ("noxfile.py", LINT_AND_TYPECHECK_NOXFILE),
    ],
    good_example: &[
        (
            ".forgejo/workflows/ci.yml",
            r#"on: push
jobs:
  checks:
    runs-on: docker
    steps:
      - run: nox -s lint typecheck
"#,
        ),
        ("noxfile.py", LINT_AND_TYPECHECK_NOXFILE),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let mut calls = view.analysis.nox_calls.iter().peekable();
        while let Some(first) = calls.next() {
            let mut last = first;
            let mut names: Vec<&str> = call_names(first);
            let mut others: Vec<Span> = Vec::new();
            while let Some(next) = calls.next_if(|next| is_repeated(&view, last, next)) {
                names.extend(call_names(next));
                others.push(next.span);
                last = next;
            }
            let is_distinct = names.iter().collect::<HashSet<_>>().len() == names.len();
            if others.is_empty() || !is_distinct {
                continue;
            }
            let message =
                format!("{} calls of nox in a row could be one: `nox -s {}`", others.len() + 1, names.join(" "));
            let finding = findings.report(view.source(), first.span, message);
            for span in others {
                finding.add_related(view.source(), span, "loads the noxfile again");
            }
        }
    }
}

/// Returns the names that a call selects.
fn call_names(call: &JobNoxCall) -> Vec<&str> {
    match &call.parsed.selection {
        NoxCallSelection::Names(words) => words.iter().map(|word| word.text.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Whether the second call directly follows the first and differs from it in nothing but the names of its sessions.
fn is_repeated(view: &JobView, first: &JobNoxCall, second: &JobNoxCall) -> bool {
    let command = |call: &JobNoxCall| view.step(call.step_index).and_then(|step| step.commands.get(call.command_index));
    let (Some(a), Some(b)) = (command(first), command(second)) else { return false };
    let is_plain = |call: &JobNoxCall| {
        let names = call_names(call);
        !call.parsed.is_noxide
            && call.parsed.posargs.is_empty()
            && !names.is_empty()
            && names.iter().all(|name| !name.contains(['$', '*', '(']))
    };
    let options = |call: &JobNoxCall, command: &crate::audit::shell::ShellCommand| {
        let names = call_names(call);
        let words = command.words.iter().map(|word| word.text.clone());
        words.filter(|word| !names.contains(&word.as_str())).collect::<Vec<_>>()
    };
    let is_simple = |command: &crate::audit::shell::ShellCommand| {
        command.enclosing_loop.is_none()
            && !command.is_conditional
            && command.output_files.is_empty()
            // One call would have one timeout for the sessions of both.
            && !command.has_word("timeout")
            && matches!(command.preceding_operator, ControlOperator::Sequence | ControlOperator::And)
    };
    let pipes = |call: &JobNoxCall| {
        view.step(call.step_index).and_then(|step| step.commands.get(call.command_index + 1)).is_some_and(|next| {
            matches!(next.preceding_operator, ControlOperator::Pipe | ControlOperator::Or | ControlOperator::Background)
        })
    };
    first.step_index == second.step_index
        && first.command_index + 1 == second.command_index
        && is_plain(first)
        && is_plain(second)
        && is_simple(a)
        && is_simple(b)
        && !pipes(first)
        && !pipes(second)
        && a.assignments == b.assignments
        && options(first, a) == options(second, b)
        && keeps_noxfile(view, first)
}

/// Whether the sessions of a call are known to change nothing that loading the noxfile again would read.
fn keeps_noxfile(view: &JobView, call: &JobNoxCall) -> bool {
    let is_known = |name: &&str| {
        view.noxfile_session(name).is_some_and(|session| session_effect(session, &call.parsed.posargs).is_some())
    };
    call_names(call).iter().all(is_known)
}

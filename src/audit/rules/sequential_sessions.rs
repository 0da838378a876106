//! NX201: Independent sessions run one after another in a job.

use std::collections::BTreeMap;

use super::prelude::*;
use crate::audit::noxfile::{SessionEffect, runs_long, session_effect};
use crate::audit::project::JobNoxCall;
use crate::audit::shell::NoxCallSelection;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX201",
        name: "sequential-sessions",
        summary: "Independent sessions run one after another in a job.",
    },
    rationale: "The job takes as long as the sum of its sessions instead of the longest one, and a failure hides the sessions after it.",
    evidence: "18 % of sampled nox jobs, in 37 % of repositories; a manual review found about two thirds of them independent.",
    advice: "Run them in parallel with one command: `noxide run -s …`. If `--runner-capacity` is large enough for all other jobs and one job per session at once, the patch is a matrix instead. Reported for sessions whose commands are known not to interfere: linters and type checkers, and one session each that runs tests, builds documentation or builds distributions. Low severity where fewer than two of them run for long: a linter takes seconds beside a type checker. Commands that the matrix provides (`run: ${{ matrix.task.run }}`) are read if its values are literal.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
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
      - run: nox -s lint typecheck
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
      - run: noxide run -s lint typecheck
"#,
        ),
        ("noxfile.py", LINT_AND_TYPECHECK_NOXFILE),
    ],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.required_order_reason().is_none()) {
        for calls in call_groups(&view) {
            report_group(&view, &calls, findings);
        }
    }
}

/// Returns the calls that certainly run one after another: those written in the steps, and for each text that the matrix
/// provides, those in it.
fn call_groups<'a>(view: &JobView<'a>) -> Vec<Vec<&'a JobNoxCall>> {
    let mut groups: BTreeMap<Option<(usize, usize)>, Vec<&JobNoxCall>> = BTreeMap::new();
    for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
        let text = call.alternative.as_ref().map(|alternative| (call.step_index, alternative.text_index));
        groups.entry(text).or_default().push(call);
    }
    groups.into_values().collect()
}

fn report_group(view: &JobView, calls: &[&JobNoxCall], findings: &mut FindingSink) {
    let all = calls.iter().flat_map(|call| &call.sessions).count();
    let independent = find_independent_sessions(view, calls);
    let [(first_name, first), others @ ..] = independent.as_slice() else { return };
    if others.is_empty() || is_dependency_chain(view, &independent) {
        return;
    }
    let names = std::iter::once(first_name).chain(others.iter().map(|(name, _)| name));
    let names = names.copied().collect::<Vec<_>>().join(", ");
    let message = format!("{} sessions run one after another: {names}", independent.len());
    let finding = findings.report(view.source(), *first, message);
    for (name, span) in others.iter().filter(|(_, span)| span != first) {
        finding.add_related(view.source(), *span, format!("`{name}` waits for the sessions before it"));
    }
    let long = independent.iter().filter(|(name, _)| view.noxfile_session(name).is_some_and(runs_long)).count();
    if long < 2 {
        finding.set_severity(Severity::Low);
    }
    // Of a session that is not known to be independent, the place in the order may matter.
    let is_written = view.analysis.nox_calls.iter().all(|call| call.alternative.is_none());
    if independent.len() == all && is_written && !has_separate_conditions(view) {
        finding.fix = fixes::session_matrix::split_into_matrix(view)
            .or_else(|| fixes::join_nox_calls::join_step_calls(view))
            .or_else(|| {
                fixes::run_script::use_noxide_run(view).map(|fix| fixes::join_nox_calls::require_noxide(view, fix))
            });
    }
}

/// Whether several steps run the sessions, one of them with a condition: no patch keeps which of them run after a failure.
fn has_separate_conditions(view: &JobView) -> bool {
    let mut indexes: Vec<usize> = view.analysis.nox_calls.iter().map(|call| call.step_index).collect();
    indexes.dedup();
    let has_condition = |index: &usize| view.step(*index).is_some_and(|step| step.condition.is_some());
    indexes.len() > 1 && indexes.iter().any(has_condition)
}

/// Returns the sessions whose commands are known not to interfere, each once. Of sessions that run tests, write
/// documentation or write distributions, only one of each kind is certain not to interfere with the others.
fn find_independent_sessions<'a>(view: &JobView<'a>, calls: &[&'a JobNoxCall]) -> Vec<(&'a str, Span)> {
    let mut found: Vec<(&str, Span)> = Vec::new();
    let mut effects: Vec<SessionEffect> = Vec::new();
    for call in calls {
        if !is_plain_call(view, call) {
            continue;
        }
        for (name, span) in &call.sessions {
            let session = view.noxfile_session(name);
            let Some(effect) = session.and_then(|session| session_effect(session, &call.parsed.posargs)) else {
                continue;
            };
            let is_repeated = effect != SessionEffect::ReadOnly && effects.contains(&effect);
            let contained = super::redundant_session::find_containing_session(view, call, name).is_some();
            if !is_repeated && !contained && !found.iter().any(|(known, _)| known == name) {
                found.push((name, *span));
                effects.push(effect);
            }
        }
    }
    found
}

/// Whether the names of a call's sessions are literal, and no option changes how they run.
fn is_plain_call(view: &JobView, call: &JobNoxCall) -> bool {
    let written = || view.step(call.step_index).and_then(|step| step.commands.get(call.command_index));
    let command = call.alternative.as_ref().map(|alternative| &alternative.command).or_else(written);
    let has_option = |names: &[&str]| command.is_some_and(|command| names.iter().any(|name| command.has_word(name)));
    let is_literal = match &call.alternative {
        Some(_) => call.sessions.iter().all(|(name, _)| !name.contains('$')),
        None => !call.is_selected_by_expression,
    };
    is_literal
        && !call.parsed.reuses_environments
        && !matches!(call.parsed.selection, NoxCallSelection::Keywords(_))
        && call.parsed.noxfile.is_none()
        && !has_option(&["-j", "--parallel", "--install-only", "-P", "-p", "--python", "--extra-pythons"])
}

/// Whether each session requires another one of them: a chain gains nothing from running in parallel.
fn is_dependency_chain(view: &JobView, seen: &[(&str, Span)]) -> bool {
    seen.iter().skip(1).all(|(name, _)| {
        view.noxfile_session(name)
            .is_some_and(|session| session.requires.iter().any(|need| seen.iter().any(|(other, _)| other == need)))
    })
}

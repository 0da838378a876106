//! NX201: independent sessions run one after another inside a job.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX201",
        name: "sequential-sessions",
        summary: "Independent sessions run one after another inside a job.",
    },
    rationale: "The job takes the sum of its sessions instead of the longest, and a failure hides what comes after it.",
    evidence: "18 % of sampled nox jobs, 37 % of repositories; by eye two thirds of them are really independent. Issue #3574 of the users asks for this.",
    advice: "Run them in one command, side by side: `noxide run -s …`. With `--runner-capacity N` the fix is a matrix instead, where N runners take every job of the workflow and each session at once.",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    steps:
      - run: nox -s lint typecheck
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  checks:
    runs-on: docker
    steps:
      - run: noxide run -s lint typecheck
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        let unsafe_here = crate::audit::session_order::required_order_reason(&view).is_some();
        let mut seen: Vec<(&str, Span)> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
            for (name, place) in &call.sessions {
                if !is_matrix_session(&view, call, name) && known.insert(name.as_str()) {
                    seen.push((name, *place));
                }
            }
        }
        let names: Vec<String> = seen.iter().map(|(name, _)| (*name).to_owned()).collect();
        seen.retain(|(name, _)| super::contained_session::find_containing_session(&view, name, &names).is_none());
        if seen.len() < 2 || unsafe_here || is_dependency_chain(&view, &seen) {
            continue;
        }
        let (_, first) = seen[0];
        let message = format!(
            "{} sessions run one after another: {}",
            seen.len(),
            seen.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
        let finding = found.report(view.source(), first, message);
        for (name, place) in seen.iter().skip(1).filter(|(_, place)| *place != first) {
            finding.add_related(view.source(), *place, format!("`{name}` waits for what is before it"));
        }
        finding.fix = fixes::session_matrix::split_into_matrix(&view)
            .or_else(|| fixes::join_nox_calls::join_step_calls(&view))
            .or_else(|| {
                fixes::run_script::use_noxide_run(&view)
                    .map(|fix| fixes::join_nox_calls::with_noxide_installed(&view, fix))
            });
    }
}

/// Whether the name comes from the job's matrix: each job of it runs one.
fn is_matrix_session(view: &JobView, call: &crate::audit::project::JobNoxCall, name: &str) -> bool {
    let values = view.job.matrix.iter().flat_map(|matrix| matrix.axes.iter().flat_map(|(_, values)| values));
    let from_matrix = values.clone().any(|value| name.contains(value.as_str()));
    from_matrix
        && call.sessions.len() > 1
        && call.sessions.iter().all(|(other, _)| values.clone().any(|value| other.contains(value.as_str())))
}

/// Whether each session needs one of the others: a chain gains nothing.
fn is_dependency_chain(view: &JobView, seen: &[(&str, Span)]) -> bool {
    seen.iter().skip(1).all(|(name, _)| {
        view.noxfile_session(name)
            .is_some_and(|facts| facts.requires.iter().any(|need| seen.iter().any(|(other, _)| other == need)))
    })
}

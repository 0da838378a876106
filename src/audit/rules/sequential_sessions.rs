//! NX201: Independent sessions run one after another in a job.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX201",
        name: "sequential-sessions",
        summary: "Independent sessions run one after another in a job.",
    },
    rationale: "The job takes as long as the sum of its sessions instead of the longest one, and a failure hides the sessions after it.",
    evidence: "18 % of sampled nox jobs, in 37 % of repositories; a manual review found about two thirds of them independent.",
    advice: "Run them in parallel with one command: `noxide run -s …`. If `--runner-capacity` is large enough for all other jobs and one job per session at once, the fix is a matrix instead.",
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        let order_matters = view.required_order_reason().is_some();
        let mut seen: Vec<(&str, Span)> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for call in view.analysis.nox_calls.iter().filter(|call| !call.parsed.is_noxide) {
            for (name, span) in &call.sessions {
                if !is_matrix_session(&view, call, name) && known.insert(name.as_str()) {
                    seen.push((name, *span));
                }
            }
        }
        let names: Vec<String> = seen.iter().map(|(name, _)| (*name).to_owned()).collect();
        seen.retain(|(name, _)| super::redundant_session::find_containing_session(&view, name, &names).is_none());
        if seen.len() < 2 || order_matters || is_dependency_chain(&view, &seen) {
            continue;
        }
        let (_, first) = seen[0];
        let message = format!(
            "{} sessions run one after another: {}",
            seen.len(),
            seen.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
        let finding = findings.report(view.source(), first, message);
        for (name, span) in seen.iter().skip(1).filter(|(_, span)| *span != first) {
            finding.add_related(view.source(), *span, format!("`{name}` waits for the sessions before it"));
        }
        finding.fix = fixes::session_matrix::split_into_matrix(&view)
            .or_else(|| fixes::join_nox_calls::join_step_calls(&view))
            .or_else(|| {
                fixes::run_script::use_noxide_run(&view)
                    .map(|fix| fixes::join_nox_calls::with_noxide_installed(&view, fix))
            });
    }
}

/// Whether the name comes from the job's matrix, so that each job of the matrix runs one session.
fn is_matrix_session(view: &JobView, call: &crate::audit::project::JobNoxCall, name: &str) -> bool {
    let values = view.job.matrix.iter().flat_map(|matrix| matrix.axes.iter().flat_map(|(_, values)| values));
    let from_matrix = values.clone().any(|value| name.contains(value.as_str()));
    from_matrix
        && call.sessions.len() > 1
        && call.sessions.iter().all(|(other, _)| values.clone().any(|value| other.contains(value.as_str())))
}

/// Whether each session requires another one of them: a chain gains nothing from running in parallel.
fn is_dependency_chain(view: &JobView, seen: &[(&str, Span)]) -> bool {
    seen.iter().skip(1).all(|(name, _)| {
        view.noxfile_session(name)
            .is_some_and(|session| session.requires.iter().any(|need| seen.iter().any(|(other, _)| other == need)))
    })
}

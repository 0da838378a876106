//! NX401: nox is installed without a version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX401", name: "unpinned-nox", summary: "nox is installed without a version." },
    rationale: "A new nox can change what every session does, on a day that nobody chose; a cache keyed by files does not notice.",
    evidence: "45 % of sampled repositories; W11: nox unpinned beside a pinned uv.",
    advice: "Pin it: `nox==…`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: ALL_DIALECTS,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.8.0 nox
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.8.0 nox==2026.10.20
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    super::unpinned_uv::report_unpinned_installs(project, found, "nox");
    for view in project.job_views() {
        for call in &view.analysis.nox_calls {
            if let Some(by) = call.parsed.launcher.as_ref().filter(|by| !by.pinned) {
                let Some(step) = view.step(call.step_index) else { continue };
                found
                    .report(
                        view.source(),
                        step.file_span(call.parsed.program_span),
                        format!("{} takes the newest nox of the day", by.tool),
                    )
                    .set_persona(Persona::Pedantic);
            }
        }
    }
}

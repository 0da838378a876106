//! NX401: nox is installed without a pinned version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX401", name: "unpinned-nox", summary: "nox is installed without a pinned version." },
    rationale: "A new release of nox can change every session at any time, and a cache key made of file hashes does not change with it.",
    evidence: "45 % of sampled repositories; unpinned nox next to a pinned uv. Pedantic unless the same command pins another tool, or another job pins nox.",
    advice: "Pin it: `nox==…`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    super::unpinned_uv::report_unpinned_installs(project, findings, "nox");
    for view in project.job_views() {
        for call in &view.analysis.nox_calls {
            if let Some(launcher) = call.parsed.launcher.as_ref().filter(|launcher| !launcher.pinned) {
                let Some(step) = view.step(call.step_index) else { continue };
                findings
                    .report(
                        view.source(),
                        step.file_span(call.parsed.program_span),
                        format!("{} installs the latest nox", launcher.tool),
                    )
                    .set_persona(Persona::Pedantic);
            }
        }
    }
}

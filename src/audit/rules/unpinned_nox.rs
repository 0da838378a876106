//! NX401: nox is installed without a version.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX401", name: "unpinned-nox", what: "nox is installed without a version." },
    why: "A new nox can change what every session does, on a day that nobody chose; a cache keyed by files does not notice.",
    evidence: "45 % of sampled repositories; W11: nox unpinned beside a pinned uv.",
    advice: "Pin it: `nox==…`.",
    severity: Severity::Low,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: EVERYWHERE,
    bad: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.8.0 nox
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - run: pip install uv==0.8.0 nox==2026.10.20
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    super::unpinned_uv::unpinned(project, found, "nox");
    for view in project.jobs() {
        for call in &view.survey.calls {
            if let Some(by) = call.nox.started_by.as_ref().filter(|by| !by.pinned) {
                let Some(step) = view.step(call.step) else { continue };
                found
                    .report(
                        view.source(),
                        step.place(call.nox.program),
                        format!("{} takes the newest nox of the day", by.tool),
                    )
                    .persona(Persona::Pedantic);
            }
        }
    }
}

//! NX301: A job has no time limit.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    name: RuleName { id: "NX301", name: "no-timeout", what: "A job has no time limit." },
    why: "A hanging session holds the runner until the forge's own limit: 3 hours on Forgejo, 6 on GitHub.",
    evidence: "92 % of sampled nox jobs; W15: hangs of forked tests in the users' pipeline (#9390, #10191).",
    advice: "Set `timeout-minutes` to a few times the usual duration.",
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
      - run: nox -s lint
"#,
    )],
    good: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    timeout-minutes: 20
    steps:
      - run: nox -s lint
"#,
    )],
    look,
};

fn look(project: &Project, found: &mut Found) {
    for view in project.jobs() {
        let job = view.job;
        if view.workflow.kind == FileKind::Action || job.timeout.is_some() || job.steps.is_empty() {
            continue;
        }
        let fix = fixes::step::insert_after(&view, "runs-on", "timeout-minutes", "60", "limit the job's time");
        let finding = found.report(
            view.source(),
            job.id.span,
            format!("job `{}` may run until the forge stops it", job.id.value),
        );
        finding.fix(fix);
        if !view.self_hosted() {
            finding.persona(Persona::Pedantic);
        }
    }
}

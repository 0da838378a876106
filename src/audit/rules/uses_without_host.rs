//! NX409: An action is referenced without its host.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX409", name: "uses-without-host", summary: "An action is referenced without its host." },
    rationale: "A bare name is resolved on the instance's default host, `data.forgejo.org` unless configured otherwise, which mirrors few actions: `astral-sh/setup-uv` usually does not resolve.",
    evidence: "Forgejo's documentation recommends absolute URLs.",
    advice: "Use the full URL.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    forges: &[Forge::Forgejo],
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: astral-sh/setup-uv@v7
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: https://github.com/astral-sh/setup-uv@v7
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for step in &view.job.steps {
            let (Some(action), Some(uses)) = (&step.action, &step.uses) else { continue };
            let is_mirrored = action.name.starts_with("actions/") || action.name.starts_with("forgejo/");
            if !is_mirrored && action.needs_node() && action.host.is_none() && action.name.contains('/') {
                let url = format!("https://github.com/{}", uses.value);
                let fix = fixes::step_edit::replace_uses(&view, step, &url, "add the host").map(fixes::mark_unsafe);
                findings
                    .report(
                        view.source(),
                        uses.span,
                        format!("`{}` is resolved on the instance's default host", action.name),
                    )
                    .set_fix(fix);
            }
        }
    }
}

//! NX409: an action is named without its host.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX409", name: "bare-uses", summary: "An action is named without its host." },
    rationale: "A bare name is looked up at the instance's default host, `data.forgejo.org` unless set otherwise, which has few actions: `astral-sh/setup-uv` usually does not resolve.",
    evidence: "Forgejo's documentation recommends absolute addresses.",
    advice: "Write the whole address.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Pedantic,
    dialects: &[Dialect::Forgejo],
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

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views() {
        for step in &view.job.steps {
            let (Some(action), Some(uses)) = (&step.action, &step.uses) else { continue };
            let default = action.name.starts_with("actions/") || action.name.starts_with("forgejo/");
            if !default && action.needs_node() && action.host.is_none() && action.name.contains('/') {
                let whole = format!("https://github.com/{}", uses.value);
                let fix = fixes::step_edit::replace_uses(&view, step, &whole, "name the host");
                found
                    .report(
                        view.source(),
                        uses.span,
                        format!("`{}` is looked up at the instance's default host", action.name),
                    )
                    .set_fix(fix);
            }
        }
    }
}

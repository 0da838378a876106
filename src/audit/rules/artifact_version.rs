//! NX305: The forge does not support this version of the artifact action.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX305",
        name: "artifact-version",
        summary: "The forge does not support this version of the artifact action.",
    },
    rationale: "GitHub has turned off version 3 and older. Forgejo supports the protocol of version 3, and that of version 4 only through its own forks.",
    evidence: "3 of the sampled steps; documentation of both forges.",
    advice: "On GitHub, use version 4 or newer. On Forgejo, use `forgejo/upload-artifact@v4` or version 3 of the original action.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    dialects: &[Dialect::Forgejo, Dialect::Github],
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/upload-artifact@v3
        with: {name: log, path: build/tests.log}
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/upload-artifact@v4
        with: {name: log, path: build/tests.log}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        for step in &view.job.steps {
            let Some(action) = step.action.as_ref().filter(|action| {
                action.is_named("actions/upload-artifact") || action.is_named("actions/download-artifact")
            }) else {
                continue;
            };
            let (Some(major), Some(uses)) = (action.major_version(), &step.uses) else { continue };
            let fork = format!(
                "{}/forgejo/{}@v4",
                Dialect::Forgejo.default_action_host().replace("https://data", "https://code"),
                action.name.rsplit('/').next().unwrap_or_default()
            );
            match view.workflow.dialect {
                Dialect::Github if major <= 3 => {
                    let fix = fixes::step_edit::set_action_version(&view, step, "v6");
                    findings.report(view.source(), uses.span, "GitHub no longer supports this version").set_fix(fix);
                }
                Dialect::Forgejo if major >= 4 && action.host.is_none() => {
                    let fix = fixes::step_edit::replace_uses(&view, step, &fork, "use Forgejo's fork");
                    findings
                        .report(view.source(), uses.span, "Forgejo does not support the protocol of this version")
                        .set_fix(fix);
                }
                _ => {}
            }
        }
    }
}

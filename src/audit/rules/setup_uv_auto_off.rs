//! NX102: `setup-uv` keeps no cache here, although it looks as if it did.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX102",
        name: "setup-uv-auto-off",
        summary: "`setup-uv` keeps no cache here, although it looks as if it did.",
    },
    rationale: "Its default `enable-cache: auto` is on only where RUNNER_ENVIRONMENT is `github-hosted`; Forgejo, Gitea and self-hosted runners leave that unset, so nothing is ever saved.",
    evidence: "65 % of 222 sampled setup-uv jobs rely on the default; forgejo-runner's own test asserts that the variable is unset.",
    advice: "Write `enable-cache: true`.",
    severity: Severity::High,
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
      - uses: actions/checkout@v4
      - uses: https://github.com/astral-sh/setup-uv@v7
      - run: uvx nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    steps:
      - uses: actions/checkout@v4
      - uses: https://github.com/astral-sh/setup-uv@v7
        with:
          enable-cache: true
      - run: uvx nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, found: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.is_self_hosted() && !view.is_release()) {
        for step in view.job.steps.iter().filter(|step| step.uses_action("astral-sh/setup-uv")) {
            let said = step.input_value("enable-cache").map(|text| text.value.as_str());
            let other = view.analysis.caches.iter().any(JobCache::has_uv_path);
            let (None | Some("auto"), Some(uses), false) = (said, &step.uses, other) else { continue };
            let fix =
                fixes::step_edit::set_action_input(&view, step, "enable-cache", "true", "switch setup-uv's cache on");
            found.report(view.source(), uses.span, "setup-uv's cache is off on this runner").set_fix(fix);
        }
    }
}

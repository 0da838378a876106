//! NX102: `setup-uv` does not cache on this runner: its automatic cache works only on GitHub-hosted runners.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX102",
        name: "setup-uv-auto-cache-disabled",
        summary: "`setup-uv` does not cache on this runner: its automatic cache works only on GitHub-hosted runners.",
    },
    rationale: "The default `enable-cache: auto` turns the cache on only where RUNNER_ENVIRONMENT is `github-hosted`. On Forgejo and Gitea it is unset, and on self-hosted runners it is `self-hosted`, so nothing is ever saved.",
    evidence: "65 % of 222 sampled setup-uv jobs rely on the default; a test of forgejo-runner asserts that the variable is unset.",
    advice: "Set `enable-cache: true`.",
    severity: Severity::High,
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

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.is_self_hosted() && !view.is_release()) {
        for step in view.job.steps.iter().filter(|step| step.uses_action("astral-sh/setup-uv")) {
            let enable_cache = step.input_value("enable-cache").map(|text| text.value.as_str());
            let has_other_cache = view.analysis.caches.iter().any(JobCache::caches_uv_downloads);
            let (None | Some("auto"), Some(uses), false) = (enable_cache, &step.uses, has_other_cache) else {
                continue;
            };
            let fix =
                fixes::step_edit::set_action_input(&view, step, "enable-cache", "true", "enable the cache of setup-uv");
            let is_certain = view.is_certainly_self_hosted();
            let message = if is_certain {
                "`setup-uv` does not cache anything on this runner"
            } else {
                "`setup-uv` does not cache anything unless GitHub hosts the runners with this label"
            };
            let finding = findings.report(view.source(), uses.span, message);
            finding.set_fix(fix);
            if !is_certain {
                finding.set_severity(Severity::Low).set_confidence(Confidence::Low);
            }
        }
    }
}

//! NX115: `actions/cache` before version 4 hangs at the end of the job, or is retired.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX115",
        name: "cache-action-hang",
        summary: "`actions/cache` before version 4 hangs at the end of the job, or is retired.",
    },
    rationale: "On Node 19 or newer, its keep-alive connections block the process for two to three minutes after the cache is saved. GitHub rejects versions 1 and 2 and exact versions before 3.4.0 and 4.2.0: a job that uses them fails as soon as it starts.",
    evidence: "Measured: exactly 3 min 0 s in act; 2 min 12 s reported on GitHub (actions/cache#1442, actions/toolkit#1578). Rejected versions: actions/cache discussion 1510.",
    advice: "On GitHub, use version 5, which runs on Node 24; on other forges use version 4, unless the runner has Node 24. Severity high for the versions that GitHub rejects: 1, 2, and exact versions before 3.4.0 and 4.2.0. The version of a commit is read from the comment beside it (`# v4.1.0`); without one, nothing is reported. On Forgejo and Gitea, the rule reports only jobs whose image is `node:19` or newer: for other images the Node version is not known.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/cache@v3
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/cache@v5
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views() {
        // Outside GitHub, the Node version is known only for a `node:` image.
        let image = view.job.container.as_ref().map(|text| text.value.as_str()).unwrap_or_default();
        let node = image
            .rsplit('/')
            .next()
            .and_then(|image| image.strip_prefix("node:"))
            .and_then(|tag| tag.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
        if view.workflow.forge != Forge::Github && node.is_none_or(|major| major < 19) {
            continue;
        }
        for step in view.job.steps.iter().filter(|step| step.is_cache_restore()) {
            let (Some(action), Some(uses)) = (&step.action, &step.uses) else { continue };
            let is_retired = view.workflow.forge == Forge::Github && is_retired(action);
            if is_retired || action.major_version().is_some_and(|major| major <= 3) {
                // Version 5 needs a runner with Node 24, as GitHub's own are.
                let version = if view.workflow.forge == Forge::Github { "v5" } else { "v4" };
                let fix = fixes::step_edit::set_action_version(&view, step, version);
                let message = if is_retired {
                    "GitHub has retired this version: the job fails as soon as it starts"
                } else {
                    "this version hangs for minutes after saving the cache"
                };
                let finding = findings.report(view.source(), uses.span, message);
                finding.set_fix(fix);
                if is_retired {
                    finding.set_severity(Severity::High);
                    // GitHub Enterprise Server, whose runners are self-hosted, has retired nothing.
                    if view.is_self_hosted() {
                        finding.set_confidence(Confidence::Medium);
                    }
                }
            }
        }
    }
}

/// Whether GitHub rejects a version: 1 and 2, and exact versions before 3.4.0 and 4.2.0.
fn is_retired(action: &ActionRef) -> bool {
    let is_old = |(major, minor)| (major == 3 && minor < 4) || (major == 4 && minor < 2);
    action.major_version().is_some_and(|major| major <= 2) || action.minor_version().is_some_and(is_old)
}

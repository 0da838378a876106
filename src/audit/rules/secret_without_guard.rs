//! NX412: A job that needs a secret runs for pull requests from forks, where secrets are not available.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX412",
        name: "secret-without-guard",
        summary: "A job that needs a secret runs for pull requests from forks, where secrets are not available.",
    },
    rationale: "It fails for a reason that the author of the pull request cannot fix.",
    evidence: "Reported in two issues. Secrets in the variables of a step, of its job and of the workflow count; those with a default (`secrets.X || 'x'`) do not.",
    advice: "Add `if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository` to it, or skip the session if the secret is missing.",
    severity: Severity::Low,
    confidence: Confidence::Low,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
jobs:
  e2e:
    runs-on: docker
    steps:
      - run: nox -s e2e
        env: {API_KEY: "${{ secrets.API_KEY }}"}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
jobs:
  e2e:
    if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository
    runs-on: docker
    steps:
      - run: nox -s e2e
        env: {API_KEY: "${{ secrets.API_KEY }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for view in project.job_views().filter(|view| view.workflow.triggers.has_event("pull_request")) {
        if view.job.condition.is_some() || view.analysis.nox_calls.is_empty() {
            continue;
        }
        let is_unconditional = |index: usize| view.step(index).is_some_and(|step| step.condition.is_none());
        if view.analysis.nox_calls.iter().any(|call| is_unconditional(call.step_index)) {
            let variables = [&view.job.env, &view.workflow.env].into_iter().flatten();
            for (_, value) in variables.filter(|(_, value)| has_custom_secret(&value.value)) {
                let message =
                    "this secret, set for every session of the job, is not available to pull requests from forks";
                findings.report(view.source(), value.span, message);
            }
        }
        for step in view.job.steps.iter().filter(|step| step.condition.is_none()) {
            let used = step.env.iter().chain(&step.with).find(|(_, value)| has_custom_secret(&value.value));
            let called = view.analysis.nox_calls.iter().any(|call| call.step_index == step.index);
            if let Some((_, value)) = used.filter(|_| called) {
                findings.report(view.source(), value.span, "this secret is not available to pull requests from forks");
            }
        }
    }
}

/// Whether a value uses a secret other than the forge's own token and the tokens of upload services.
fn has_custom_secret(text: &str) -> bool {
    // With a default, the variable is never empty.
    !text.contains("||")
        && text.split("secrets.").skip(1).any(|name| {
            !["GITHUB_TOKEN", "FORGEJO_TOKEN", "GITEA_TOKEN", "CODECOV_TOKEN"]
                .iter()
                .any(|known| name.starts_with(known))
        })
}

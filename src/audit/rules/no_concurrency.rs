//! NX302: Superseded runs are not cancelled.

use super::prelude::*;
use crate::audit::yaml::YamlNode;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent { id: "NX302", name: "no-concurrency", summary: "Superseded runs are not cancelled." },
    rationale: "A push during a run leaves both runs active, and the older one occupies a runner for a result that nobody needs.",
    evidence: "12 of 28 cancelled runs of a real pipeline had wasted a median of 13.9 min. 56 % of sampled workflows do not cancel superseded runs. Forgejo cancels superseded push and pull request runs automatically since its releases of October 2025: with `--forge-version 13` or later, this rule reports nothing there. Reported for workflows that run on pull requests or on pushes to any branch, and have no `concurrency`, one that waits (`cancel-in-progress: false`), or one whose group contains the commit, or the ID or number of the run, other than as an alternative to something else (`||`). Pedantic for workflows that run no session, and for those that have `concurrency` and may publish. Not reported where the group is a constant. Not reported where a label starts a run that looks at the label: another label would cancel it; or where the job that runs sessions pushes commits: cancelling it loses them.",
    advice: "Add `concurrency` with `cancel-in-progress` and a group for each pull request or branch. Releases, deployments and scheduled runs need groups of their own, and a reusable workflow must not have the group of the one that calls it: it would wait for itself.",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: pull_request
concurrency:
  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}
  cancel-in-progress: true
jobs:
  lint:
    runs-on: docker
    steps:
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in
        project.workflows.iter().filter(|workflow| workflow.is_directly_triggered() && !workflow.jobs.is_empty())
    {
        let declared = workflow.root.get_entry("concurrency");
        let is_declared = declared.is_some_and(|(_, value)| cancels_superseded(value))
            || workflow.jobs.iter().all(|job| job.node.get("concurrency").is_some());
        let is_automatic = match workflow.forge {
            Forge::Forgejo => project.options.is_forge_at_least(13, 0),
            Forge::Gitea => project.options.forge_version.is_some() && !project.options.is_forge_at_least(1, 26),
            Forge::Github => false,
        };
        let on = &workflow.triggers;
        let runs_on_every_push =
            on.has_event("push") && !["branches", "tags", "tags-ignore"].iter().any(|key| on.has_filter("push", key));
        let runs_for_labels = on.has_activity("pull_request", "labeled") && looks_at_label(&workflow.source.text);
        let pushes_commits = project
            .workflow_job_views(workflow)
            .any(|view| !view.analysis.nox_calls.is_empty() && commits_and_pushes(&view));
        if !is_declared
            && !is_automatic
            && !runs_for_labels
            && !pushes_commits
            && (on.has_event("pull_request") || runs_on_every_push)
        {
            let message = match declared {
                Some((_, value)) if has_unique_group(value) => {
                    "every run has its own group, so that a newer run does not cancel the older one"
                }
                Some(_) => "a newer run waits for the older one of its group instead of cancelling it",
                None => "a newer run of a branch or pull request does not cancel the older one",
            };
            let span = declared.map_or(on.key_span, |(key, _)| key.span);
            let finding = findings.report(&workflow.source, span, message);
            match declared {
                None => finding.set_fix(fixes::workflow_keys::add_concurrency(workflow)),
                // Waiting may be intended.
                Some(_) => finding.set_confidence(Confidence::Low),
            };
            if workflow.forge == Forge::Forgejo {
                finding.set_confidence(Confidence::Low);
            }
            let mut views = project.workflow_job_views(workflow);
            let is_cautious = declared.is_some() && views.any(|view| view.may_publish());
            if is_cautious || project.workflow_job_views(workflow).all(|view| view.analysis.nox_calls.is_empty()) {
                finding.set_persona(Persona::Pedantic);
            }
        }
    }
}

/// Whether `concurrency` cancels superseded runs, may do so (`cancel-in-progress` is an expression), or is a lock.
fn cancels_superseded(concurrency: &YamlNode) -> bool {
    let setting = concurrency.get("cancel-in-progress").and_then(YamlNode::as_str);
    // A constant group is a lock: no two runs at once are intended.
    let group = concurrency.get("group").unwrap_or(concurrency).as_str().unwrap_or_default();
    let waits = matches!(setting, None | Some("false")) && group.contains("${{");
    !waits && !has_unique_group(concurrency)
}

/// Whether the group contains something that no two runs share, and no alternative to it that they share.
fn has_unique_group(concurrency: &YamlNode) -> bool {
    let group = concurrency.get("group").unwrap_or(concurrency).as_str().unwrap_or_default();
    let is_unique = |text: &str| {
        ["github.sha", "github.run_id", "github.run_number", "pull_request.head.sha"]
            .iter()
            .any(|part| text.contains(part))
    };
    let mut expressions = group.split("${{").skip(1).map(|rest| rest.split("}}").next().unwrap_or(rest));
    expressions.any(|text| !text.contains("&&") && text.split("||").all(is_unique))
}

/// Whether the job commits and pushes something.
fn commits_and_pushes(view: &JobView) -> bool {
    view.job.steps.iter().any(|step| {
        step.uses_action("stefanzweifel/git-auto-commit-action")
            || step.uses_action("EndBug/add-and-commit")
            || step.commands.iter().any(|command| command.program_name() == "git" && command.has_word("push"))
    })
}

/// Whether the text of a workflow reads which label a pull request was given.
fn looks_at_label(text: &str) -> bool {
    ["event.label", "event.action", "pull_request.labels"].iter().any(|part| text.contains(part))
}

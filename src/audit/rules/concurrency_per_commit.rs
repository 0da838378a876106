//! NX309: The concurrency group contains the commit, so that no newer run cancels an older one.

use super::prelude::*;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX309",
        name: "concurrency-per-commit",
        summary: "The concurrency group contains the commit, so that no newer run cancels an older one.",
    },
    rationale: "`cancel-in-progress` cancels the older runs of the same group. With `github.sha` or `github.run_id` in the group, each push has a group of its own, and nothing is ever cancelled.",
    evidence: "None of 597 sampled workflows has such a group; ten have the one that *What to do* recommends. Not reported where the commit is only the fallback for events other than pull requests, as in `github.event.pull_request.number || github.sha`: that keeps every run of the default branch on purpose.",
    advice: "Use `${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}` as the group: pull requests cancel their older runs, pushes do not.",
    severity: Severity::Medium,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".github/workflows/ci.yml",
        r#"on: [push, pull_request]
concurrency:
  group: ${{ github.workflow }}-${{ github.sha }}
  cancel-in-progress: true
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - run: nox -s lint
"#,
    )],
    good_example: &[(
        ".github/workflows/ci.yml",
        r#"on: [push, pull_request]
concurrency:
  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}
  cancel-in-progress: true
jobs:
  lint:
    runs-on: ubuntu-latest
    steps:
      - run: nox -s lint
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in project.workflows.iter().filter(|workflow| workflow.is_directly_triggered()) {
        let on = &workflow.triggers;
        // Of other events, such as `merge_group` or a release, runs of one commit are expected to be equal.
        if !on.runs_on_pull_request() && !on.runs_on_branch_push() {
            continue;
        }
        let jobs = workflow.jobs.iter().map(|job| &job.node);
        for node in std::iter::once(&workflow.root).chain(jobs) {
            let Some(concurrency) = node.get("concurrency") else { continue };
            let cancels = concurrency.get("cancel-in-progress").and_then(|node| node.as_str()) == Some("true");
            let Some(group) = concurrency.get("group").filter(|_| cancels) else { continue };
            // Without a pull request, its context is empty.
            let is_filled = |context: &str| !context.contains("pull_request") || on.runs_on_pull_request();
            let is_set = |context: &&str| context.split("||").any(is_filled);
            if let Some(context) = group.as_str().and_then(commit_context).filter(is_set) {
                let message = format!("every push has a group of its own (`{context}`): nothing is ever cancelled");
                findings.report(&workflow.source, group.span, message);
            }
        }
    }
}

/// Contexts that no two runs of a branch or pull request share.
const COMMIT_CONTEXTS: [&str; 4] =
    ["github.sha", "github.run_id", "github.run_number", "github.event.pull_request.head.sha"];

/// Returns the context that makes a group unique to a commit or run: an expression of a group that is nothing else,
/// or a commit and another one as its fallback.
fn commit_context(group: &str) -> Option<&str> {
    let mut rest = group;
    while let Some((_, after)) = rest.split_once("${{") {
        let (inside, after) = after.split_once("}}")?;
        let name = inside.trim();
        // Every argument of `format` that its text mentions is a part of the result.
        let arguments = name.strip_prefix("format(").and_then(|rest| rest.strip_suffix(')'));
        let mut parts =
            arguments.filter(|text| !text.contains(['(', '|', '&'])).unwrap_or(name).split(',').map(str::trim);
        if let Some(name) = parts.find(|name| name.split("||").all(|part| COMMIT_CONTEXTS.contains(&part.trim()))) {
            return Some(name);
        }
        rest = after;
    }
    None
}

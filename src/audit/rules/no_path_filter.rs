//! NX209: Changes to documentation alone run every session.

use super::prelude::*;
use crate::audit::workflow::Workflow;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX209",
        name: "no-path-filter",
        summary: "Changes to documentation alone run every session.",
    },
    rationale: "The whole pipeline runs for files that no session reads.",
    evidence: "Requested in seven issues; 82 of 106 sampled push workflows have no filter. A required check that is filtered out never reports, so the fix is only a patch to review. Not reported where a session of the workflow reads documentation (builds it, runs its notebooks, checks all files with pre-commit), where the project is nothing but documentation, where only pull requests start the workflow, or where the workflow looks at the changed files itself.",
    advice: "Add a `paths` filter that excludes files no session reads. Where a job gates pull requests, filter only pushes: a required check must report.",
    severity: Severity::Info,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
jobs:
  a:
    runs-on: docker
    steps:
      - run: nox -s tests
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on:
  push:
    branches: [main]
    paths-ignore: ["**.md"]
jobs:
  a:
    runs-on: docker
    steps:
      - run: nox -s tests
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let is_filtered = |event: &str| ["paths", "paths-ignore"].iter().any(|key| on.has_filter(event, key));
        let push_is_unfiltered = on.runs_on_branch_push() && !is_filtered("push");
        // A required check must report: where a job gates pull requests, only pushes are filtered.
        let is_gated = workflow.jobs.iter().any(|job| !job.needs.is_empty() && job.runs_after_failure());
        let pull_request_is_unfiltered = on.has_event("pull_request") && !is_filtered("pull_request") && !is_gated;
        let runs_nox = project.workflow_job_views(workflow).any(|view| !view.analysis.nox_calls.is_empty());
        // Jobs that only pull requests start are there to gate them.
        if !on.has_event("push") || project.files.is_documentation {
            continue;
        }
        if (push_is_unfiltered || pull_request_is_unfiltered)
            && runs_nox
            && !reads_documentation(project, workflow)
            && !filters_inside(workflow)
        {
            let events: Vec<&str> = [("push", push_is_unfiltered), ("pull_request", pull_request_is_unfiltered)]
                .iter()
                .filter(|(_, is_unfiltered)| *is_unfiltered)
                .map(|(event, _)| *event)
                .collect();
            let finding =
                findings.report(&workflow.source, on.key_span, "a change to documentation alone runs every session");
            finding.fix = fixes::workflow_keys::add_path_filter(project, workflow, &events);
        }
    }
}

/// Whether a job builds or checks the documentation, or may: then a change of it must run the workflow.
fn reads_documentation(project: &AuditProject, workflow: &Workflow) -> bool {
    let tools = [
        "mkdocs",
        "sphinx",
        "zensical",
        "pdoc",
        "jupyter-book",
        "doc",
        "notebook",
        "nbmake",
        "nbconvert",
        "readme",
        "changelog",
        "newsfragment",
        "towncrier",
        "linkcheck",
        "lychee",
        "markdown",
        "mdformat",
        "pre-commit",
        "pre_commit",
        "prek",
    ];
    let is_documentation = |text: &str| tools.iter().any(|tool| text.to_lowercase().contains(tool));
    project.workflow_job_views(workflow).any(|view| {
        let names_docs = |name: &String| is_documentation(name) || name.contains('$');
        let runs_tool = |name: &String| {
            view.noxfile_session(name).is_some_and(|session| {
                session.run_calls().any(|run| run.args.iter().any(|word| is_documentation(word)))
            })
        };
        let in_scripts = || {
            view.job
                .steps
                .iter()
                .flat_map(|step| &step.commands)
                .any(|command| is_documentation(&without_installs(command)))
        };
        let selects_unknown = view.analysis.nox_calls.iter().any(|call| call.sessions.is_empty());
        let in_actions = || {
            let mut actions = view.job.steps.iter().filter_map(|step| step.action.as_ref());
            actions.any(|action| is_documentation(&action.name))
        };
        selects_unknown
            || in_actions()
            || view.session_names().iter().any(|name| names_docs(name) || runs_tool(name))
            || is_documentation(&view.job.id.value)
            || in_scripts()
    })
}

/// Returns the words of a command; nothing of an install, whose packages may have such names.
fn without_installs(command: &crate::audit::shell::ShellCommand) -> String {
    match crate::audit::shell::parse_install(command) {
        Some(install) if matches!(install.subcommand.as_str(), "install" | "pip") => String::new(),
        _ => command.command_line(),
    }
}

/// Whether a job looks at the changed files and decides what runs.
fn filters_inside(workflow: &Workflow) -> bool {
    let text = &workflow.source.text;
    ["paths-filter", "changed-files", "changed_files", "git diff", "should_run", "has_changes", "changed-path"]
        .iter()
        .any(|part| text.contains(part))
}

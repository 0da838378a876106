//! NX209: Changes to documentation alone run every session.

use super::prelude::*;
use crate::audit::workflow::{Workflow, WorkflowJob};

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX209",
        name: "no-path-filter",
        summary: "Changes to documentation alone run every session.",
    },
    rationale: "The whole pipeline runs for files that no session reads.",
    evidence: "Requested in seven issues; 82 of 106 sampled push workflows have no filter. A required check that is filtered out never reports, so the fix is only a patch to review. Not reported where sessions of the workflow are unknown, or one reads documentation (builds it, runs its notebooks, checks it or all files), where the README is the only documentation, where the project consists of documentation only, where only pull requests start the workflow, where a job publishes each commit of a branch, or where the workflow looks at the changed files itself. Only pushes count: a check that is required for pull requests must report. The patch does not exclude files that the build of the package reads.",
    advice: "Add a `paths` filter that excludes files no session reads. Where checks are required for pull requests, filter only pushes: a required check must report.",
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
    let mut has_more_than_readme = None;
    for workflow in &project.workflows {
        let on = &workflow.triggers;
        let is_filtered = ["paths", "paths-ignore"].iter().any(|key| on.has_filter("push", key));
        let runs_nox = project.workflow_job_views(workflow).any(|view| !view.analysis.nox_calls.is_empty());
        // Only pushes: a job that a pull request starts may be a required check, which must report.
        if on.runs_on_branch_push()
            && !is_filtered
            && runs_nox
            && !project.files.is_documentation
            && !reads_documentation(project, workflow)
            && !filters_inside(workflow)
            && !workflow.jobs.iter().any(publishes_commits)
            && *has_more_than_readme.get_or_insert_with(|| has_more_than_readme_files(&project.root))
        {
            let finding =
                findings.report(&workflow.source, on.key_span, "a change to documentation alone runs every session");
            finding.fix = fixes::workflow_keys::add_path_filter(project, workflow);
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
        "check-manifest",
        "rstcheck",
        "proselint",
        "codespell",
        "typos",
    ];
    let is_documentation = |text: &str| {
        let text = text.to_lowercase();
        tools.iter().any(|tool| text.contains(tool)) || text == "vale"
    };
    let renders_readme = |words: &[String]| {
        let has = |word: &str| words.iter().any(|known| known == word);
        has("setup.py")
            && has("check")
            && words.iter().any(|word| {
                word.starts_with("-r") || word.starts_with("--restructured") || word.contains("-rms") || word == "-s"
            })
    };
    project.workflow_job_views(workflow).any(|view| {
        let names_docs = |name: &String| is_documentation(name) || name.contains('$');
        // Files and directories to check are no tools.
        let is_tool_call = |words: &[String]| {
            let script = usize::from(words.first().is_some_and(|word| word.starts_with("python")));
            let is_checked_path = |(index, word): &(usize, &String)| {
                word.ends_with('/') || (*index > script && word.ends_with(".py") && word.contains('/'))
            };
            let mut others = words.iter().enumerate().filter(|pair| !is_checked_path(pair));
            others.any(|(_, word)| is_documentation(word))
        };
        let runs_tool = |name: &String| {
            view.noxfile_session(name).is_some_and(|session| {
                let mut runs = session.run_calls();
                runs.any(|run| renders_readme(&run.args) || is_tool_call(&run.args))
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

/// Whether a job publishes what a commit of a branch contains: it is not limited to tags or releases.
fn publishes_commits(job: &WorkflowJob) -> bool {
    let condition = job.condition.as_ref().map_or("", |text| text.value.as_str());
    let is_limited = |text: &str| ["tag", "release", "ref_type"].iter().any(|word| text.contains(word));
    let mut uploads = job.steps.iter().filter(|step| step.uses_action("pypa/gh-action-pypi-publish"));
    !is_limited(condition) && uploads.any(|step| !step.condition.as_ref().is_some_and(|text| is_limited(&text.value)))
}

/// Whether the project has documentation besides its README and files for tools; also true if it has too many files, or
/// none that is known.
fn has_more_than_readme_files(root: &std::path::Path) -> bool {
    let Some(paths) = crate::audit::project_files::list_file_paths(root) else { return true };
    let is_documentation = |path: &&String| {
        let path = path.to_lowercase();
        [".md", ".rst", ".ipynb", ".adoc"].iter().any(|end| path.ends_with(end)) && !path.starts_with(".git")
    };
    let is_other = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
        !["readme", "agents.", "claude.", "gemini.", "license", "copying"].iter().any(|start| name.starts_with(start))
    };
    let documents: Vec<&String> = paths.iter().filter(is_documentation).collect();
    documents.is_empty() || documents.iter().any(|path| is_other(path))
}

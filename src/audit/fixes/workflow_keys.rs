//! Fixes of a workflow's top-level keys: `concurrency` and path filters.

use super::super::fix::{Applicability, Fix, SemanticChange};
use super::super::project::AuditProject;
use super::super::workflow::{Workflow, WorkflowJob};
use super::text_edit::{append_mapping_entry, indent_at, insert_lines_after};
use crate::fs::read_project_text;

/// Group of the runs of one pull request; every other run has a group of its own, and is never cancelled.
const PULL_REQUEST_GROUP: &str = "${{ github.workflow }}-${{ github.event.pull_request.number || github.run_id }}";

/// Adds `concurrency` after `on:`: a newer run of a pull request cancels the older one. Returns `None` if other runs
/// could share the group: those of called workflows, and other events of a pull request; or if a job publishes.
pub(crate) fn add_concurrency(workflow: &Workflow) -> Option<Fix> {
    let source = &workflow.source;
    if workflow.root.is_flow || workflow.triggers.span.end == 0 || workflow.root.aliased {
        return None;
    }
    let publishes = |job: &WorkflowJob| job.is_release_job() || job.id.value.to_lowercase().contains("deploy");
    let on = &workflow.triggers;
    let other_events = ["pull_request_target", "pull_request_review", "pull_request_review_comment", "workflow_call"];
    if !on.runs_on_new_commits_only("pull_request")
        || other_events.iter().any(|event| on.has_event(event))
        || workflow.jobs.iter().any(|job| job.uses.is_some() || publishes(job))
    {
        return None;
    }
    let mut lines = vec![
        "concurrency:".to_owned(),
        format!("  group: {PULL_REQUEST_GROUP}"),
        "  cancel-in-progress: true".to_owned(),
    ];
    let next = source.line_index(workflow.triggers.span.end) + 1;
    if next < source.line_count() && source.line_text(next).trim().is_empty() {
        lines.insert(0, String::new());
    }
    let value = format!("{{group: \"{PULL_REQUEST_GROUP}\", cancel-in-progress: true}}");
    Some(Fix {
        title: "cancel older runs of a pull request".to_owned(),
        applicability: Applicability::Safe,
        source: source.clone(),
        edits: vec![insert_lines_after(source, workflow.triggers.span.end, &lines)],
        changes: vec![SemanticChange::Set(vec![], "concurrency".to_owned(), value)],
    })
}

/// Adds a path filter to pushes that excludes documentation, except files that a session or the build reads. A patch to review: where a job is
/// a required check, a run that is filtered out blocks the merge.
pub(crate) fn add_path_filter(project: &AuditProject, workflow: &Workflow) -> Option<Fix> {
    project.noxfile.as_ref()?;
    let source = &workflow.source;
    let (on_key, on) = workflow.root.get_entry("on")?;
    let mut patterns = vec!["**", "!**.md", "!**.rst", "!LICENSE*"];
    let runs = |tool: &str| {
        project.workflow_job_views(workflow).any(|view| {
            view.session_names().iter().any(|name| {
                view.noxfile_session(name)
                    .is_some_and(|session| session.run_calls().any(|run| run.args.iter().any(|word| word == tool)))
            })
        })
    };
    if ["mkdocs", "sphinx-build", "zensical"].iter().any(|tool| runs(tool)) {
        patterns.push("docs/**");
    }
    // The README is part of the package metadata.
    if project.files.has_pyproject {
        patterns.push("README*");
    }
    let named = documents_read_by_build(project);
    patterns.extend(named.iter().map(String::as_str).filter(|name| !name.starts_with("README")));
    if !named.is_empty() && !project.files.has_pyproject {
        patterns.push("README*");
    }
    let list = format!("[{}]", patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect::<Vec<_>>().join(", "));
    let (key, node) = on.get_entry("push")?;
    let has_tag_filter = ["tags", "tags-ignore"].iter().any(|key| node.get(key).is_some());
    if on.is_flow || on.aliased || node.aliased || has_tag_filter {
        return None;
    }
    let (edit, change) = if node.is_null() {
        let indent = indent_at(source, key.span.start);
        let step = indent.len().saturating_sub(indent_at(source, on_key.span.start).len()).max(2);
        let line = format!("{indent}{}paths: {list}", " ".repeat(step));
        let value = format!("{{paths: {list}}}");
        (
            insert_lines_after(source, key.span.end, &[line]),
            SemanticChange::Set(vec!["on".into()], "push".to_owned(), value),
        )
    } else {
        let path = vec!["on".into(), "push".into()];
        (append_mapping_entry(source, node, "paths", &list)?, SemanticChange::Set(path, "paths".to_owned(), list))
    };
    Some(Fix {
        title: "skip changes to files that no session reads".to_owned(),
        applicability: Applicability::DisplayOnly,
        source: source.clone(),
        edits: vec![edit],
        changes: vec![change],
    })
}

/// Returns the documents that the files of the build name, such as a changelog that becomes a part of the description.
fn documents_read_by_build(project: &AuditProject) -> Vec<String> {
    let files = ["pyproject.toml", "setup.cfg", "setup.py"].map(|name| read_project_text(&project.root.join(name)));
    let text: String = files.into_iter().flatten().collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let words = text.split(|c: char| !is_name(c));
    let is_document = |word: &&str| {
        let stem = word.strip_suffix(".md").or_else(|| word.strip_suffix(".rst"));
        stem.is_some_and(|stem| !stem.is_empty() && !stem.contains("..") && !stem.starts_with('/'))
            && project.root.join(word).is_file()
    };
    let mut names: Vec<String> = words.filter(is_document).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

//! Fixes of a workflow's top-level keys: `concurrency` and path filters.

use super::super::fix::{Applicability, Fix, SemanticChange, TextEdit};
use super::super::project::AuditProject;
use super::super::workflow::{Workflow, WorkflowJob};
use super::text_edit::{append_mapping_entry, indent_at, insert_lines_after};

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

/// Adds a path filter that excludes documentation, except files that a session reads. A patch to review: where a job is
/// a required check, a run that is filtered out blocks the merge.
pub(crate) fn add_path_filter(project: &AuditProject, workflow: &Workflow, events: &[&str]) -> Option<Fix> {
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
    let list = format!("[{}]", patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect::<Vec<_>>().join(", "));
    let mut edits: Vec<TextEdit> = Vec::new();
    let mut changes = Vec::new();
    for event in events {
        let (key, node) = on.get_entry(event)?;
        let has_tag_filter = ["tags", "tags-ignore"].iter().any(|key| node.get(key).is_some());
        if on.is_flow || on.aliased || node.aliased || has_tag_filter {
            return None;
        }
        let path = || vec!["on".into(), (*event).into()];
        if node.is_null() {
            let indent = indent_at(source, key.span.start);
            let step = indent.len().saturating_sub(indent_at(source, on_key.span.start).len()).max(2);
            edits.push(insert_lines_after(
                source,
                key.span.end,
                &[format!("{indent}{}paths: {list}", " ".repeat(step))],
            ));
            changes.push(SemanticChange::Set(vec!["on".into()], (*event).to_owned(), format!("{{paths: {list}}}")));
        } else {
            edits.push(append_mapping_entry(source, node, "paths", &list)?);
            changes.push(SemanticChange::Set(path(), "paths".to_owned(), list.clone()));
        }
    }
    Some(Fix {
        title: "skip changes to files that no session reads".to_owned(),
        applicability: Applicability::DisplayOnly,
        source: source.clone(),
        edits,
        changes,
    })
}

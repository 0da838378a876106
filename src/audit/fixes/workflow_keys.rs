//! Fixes of a workflow's top-level keys: `concurrency` and path filters.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::AuditProject;
use super::super::workflow::Workflow;
use super::text_edit::{append_mapping_entry, indent_at, insert_lines_after};

/// Adds `concurrency` after `on:`: a newer run cancels an older one; releases and scheduled runs wait instead.
pub(crate) fn add_concurrency(workflow: &Workflow) -> Option<Fix> {
    let source = &workflow.source;
    if workflow.root.is_flow || workflow.triggers.span.end == 0 || workflow.root.aliased {
        return None;
    }
    let cancel = can_cancel_older_runs(workflow);
    let mut lines = vec![
        "concurrency:".to_owned(),
        "  group: ${{ github.workflow }}-${{ github.ref }}".to_owned(),
        format!("  cancel-in-progress: {cancel}"),
    ];
    let next = source.line_index(workflow.triggers.span.end) + 1;
    if next < source.line_count() && source.line_text(next).trim().is_empty() {
        lines.insert(0, String::new());
    }
    let value =
        format!("{{group: \"${{{{ github.workflow }}}}-${{{{ github.ref }}}}\", cancel-in-progress: {cancel}}}");
    Some(Fix {
        title: if cancel { "cancel older runs" } else { "let a newer run wait for the older one" }.to_owned(),
        safe: true,
        source: source.clone(),
        edits: vec![insert_lines_after(source, workflow.triggers.span.end, &lines)],
        changes: vec![SemanticChange::Set(vec![], "concurrency".to_owned(), value)],
    })
}

/// Whether older runs may be cancelled: a deployment or release must not be interrupted.
pub(crate) fn can_cancel_older_runs(workflow: &Workflow) -> bool {
    let deploys =
        workflow.jobs.iter().any(|job| job.is_release_job() || job.id.value.to_lowercase().contains("deploy"));
    (workflow.triggers.runs_on_branch_push() || workflow.triggers.runs_on_pull_request()) && !deploys
}

/// Adds a path filter that excludes documentation, except files that a session reads.
pub(crate) fn add_path_filter(project: &AuditProject, workflow: &Workflow, events: &[&str]) -> Option<Fix> {
    project.noxfile.as_ref()?;
    let source = &workflow.source;
    let (on_key, on) = workflow.root.get_entry("on")?;
    let mut patterns = vec!["**", "!**.md", "!**.rst", "!LICENSE*"];
    let runs = |tool: &str| {
        project.workflow_job_views(workflow).any(|view| {
            view.session_names().iter().any(|name| {
                view.noxfile_session(name)
                    .is_some_and(|session| session.run_actions().any(|run| run.args.iter().any(|word| word == tool)))
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
        safe: false,
        source: source.clone(),
        edits,
        changes,
    })
}

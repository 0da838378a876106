//! Fixes of a workflow's own keys.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::AuditProject;
use super::super::workflow::Workflow;
use super::text_edit::{append_mapping_entry, indent_at, insert_lines_after};

/// Says after `on:` that a newer run replaces an older one; a release or a nightly run waits instead.
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
        title: if cancel { "let a newer run replace an older one" } else { "let a run wait for the older one" }
            .to_owned(),
        safe: true,
        source: source.clone(),
        edits: vec![insert_lines_after(source, workflow.triggers.span.end, &lines)],
        changes: vec![SemanticChange::Set(vec![], "concurrency".to_owned(), value)],
    })
}

/// Whether a newer run makes an older one needless; what deploys or publishes must not be cut off half way.
pub(crate) fn can_cancel_older_runs(workflow: &Workflow) -> bool {
    let delivers =
        workflow.jobs.iter().any(|job| job.is_release_job() || job.id.value.to_lowercase().contains("deploy"));
    (workflow.triggers.runs_on_branch_push() || workflow.triggers.runs_on_pull_request()) && !delivers
}

/// Lets changes of text alone start nothing, but for what a session reads.
pub(crate) fn add_path_filter(project: &AuditProject, workflow: &Workflow, events: &[&str]) -> Option<Fix> {
    project.noxfile.as_ref()?;
    let source = &workflow.source;
    let (on_key, on) = workflow.root.get_entry("on")?;
    let mut patterns = vec!["**", "!**.md", "!**.rst", "!LICENSE*"];
    let runs = |tool: &str| {
        project.workflow_job_views(workflow).any(|view| {
            view.session_names().iter().any(|name| {
                view.noxfile_session(name)
                    .is_some_and(|facts| facts.run_actions().any(|run| run.args.iter().any(|word| word == tool)))
            })
        })
    };
    if ["mkdocs", "sphinx-build", "zensical"].iter().any(|tool| runs(tool)) {
        patterns.push("docs/**");
    }
    // The package's description.
    if project.files.has_pyproject {
        patterns.push("README*");
    }
    let list = format!("[{}]", patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect::<Vec<_>>().join(", "));
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for event in events {
        let (key, node) = on.get_entry(event)?;
        let narrowed = ["tags", "tags-ignore"].iter().any(|key| node.get(key).is_some());
        if on.is_flow || on.aliased || node.aliased || narrowed {
            return None;
        }
        let route = || vec!["on".into(), (*event).into()];
        if node.is_null() {
            let depth = indent_at(source, key.span.start);
            let step = depth.len().saturating_sub(indent_at(source, on_key.span.start).len()).max(2);
            edits.push(insert_lines_after(
                source,
                key.span.end,
                &[format!("{depth}{}paths: {list}", " ".repeat(step))],
            ));
            changes.push(SemanticChange::Set(vec!["on".into()], (*event).to_owned(), format!("{{paths: {list}}}")));
        } else {
            edits.push(append_mapping_entry(source, node, "paths", &list)?);
            changes.push(SemanticChange::Set(route(), "paths".to_owned(), list.clone()));
        }
    }
    let edits: Vec<TextEdit> = edits;
    Some(Fix {
        title: "start nothing for texts that no session reads".to_owned(),
        safe: false,
        source: source.clone(),
        edits,
        changes,
    })
}

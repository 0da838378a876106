//! Fixes of a workflow's own keys.

use super::super::fix::{Fix, SemanticChange};
use super::super::workflow::Workflow;
use super::text_edit::insert_lines_after;

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

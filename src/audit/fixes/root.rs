//! Fixes of a workflow's own keys.

use super::super::fix::{Change, Fix};
use super::super::workflow::Workflow;
use super::place::lines_after;

/// Says after `on:` that a newer run replaces an older one; a release or a nightly run waits instead.
pub fn concurrency(workflow: &Workflow) -> Option<Fix> {
    let source = &workflow.source;
    if workflow.root.flow || workflow.on.span.end == 0 || workflow.root.shared {
        return None;
    }
    let cancel = replaces(workflow);
    let mut lines = vec![
        "concurrency:".to_owned(),
        "  group: ${{ github.workflow }}-${{ github.ref }}".to_owned(),
        format!("  cancel-in-progress: {cancel}"),
    ];
    let next = source.line_of(workflow.on.span.end) + 1;
    if next < source.line_count() && source.line(next).trim().is_empty() {
        lines.insert(0, String::new());
    }
    let value =
        format!("{{group: \"${{{{ github.workflow }}}}-${{{{ github.ref }}}}\", cancel-in-progress: {cancel}}}");
    Some(Fix {
        title: if cancel { "let a newer run replace an older one" } else { "let a run wait for the older one" }
            .to_owned(),
        safe: true,
        source: source.clone(),
        edits: vec![lines_after(source, workflow.on.span.end, &lines)],
        changes: vec![Change::Set(vec![], "concurrency".to_owned(), value)],
    })
}

/// Whether a newer run makes an older one needless; what deploys or publishes must not be cut off half way.
pub fn replaces(workflow: &Workflow) -> bool {
    let delivers = workflow.jobs.iter().any(|job| job.publishes() || job.id.value.to_lowercase().contains("deploy"));
    (workflow.on.on_branches() || workflow.on.on_pulls()) && !delivers
}

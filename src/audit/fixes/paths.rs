//! Filters by path: texts that no session reads start nothing.

use super::super::fix::{Change, Edit, Fix};
use super::super::survey::Project;
use super::super::workflow::Workflow;
use super::place::{add_entry, indent, lines_after};

/// Lets changes of text alone start nothing, but for what a session reads.
pub fn filter(project: &Project, workflow: &Workflow, events: &[&str]) -> Option<Fix> {
    project.noxfile.as_ref()?;
    let source = &workflow.source;
    let (on_key, on) = workflow.root.entry("on")?;
    let mut patterns = vec!["**", "!**.md", "!**.rst", "!LICENSE*"];
    let runs = |tool: &str| {
        project.jobs_of(workflow).any(|view| {
            view.sessions().iter().any(|name| {
                view.facts(name).is_some_and(|facts| facts.runs().any(|run| run.args.iter().any(|word| word == tool)))
            })
        })
    };
    if ["mkdocs", "sphinx-build", "zensical"].iter().any(|tool| runs(tool)) {
        patterns.push("docs/**");
    }
    // The package's description.
    if project.files.pyproject {
        patterns.push("README*");
    }
    let list = format!("[{}]", patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect::<Vec<_>>().join(", "));
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for event in events {
        let (key, node) = on.entry(event)?;
        let narrowed = ["tags", "tags-ignore"].iter().any(|key| node.get(key).is_some());
        if on.flow || on.shared || node.shared || narrowed {
            return None;
        }
        let route = || vec!["on".into(), (*event).into()];
        if node.is_null() {
            let depth = indent(source, key.span.start);
            let step = depth.len().saturating_sub(indent(source, on_key.span.start).len()).max(2);
            edits.push(lines_after(source, key.span.end, &[format!("{depth}{}paths: {list}", " ".repeat(step))]));
            changes.push(Change::Set(vec!["on".into()], (*event).to_owned(), format!("{{paths: {list}}}")));
        } else {
            edits.push(add_entry(source, node, "paths", &list)?);
            changes.push(Change::Set(route(), "paths".to_owned(), list.clone()));
        }
    }
    let edits: Vec<Edit> = edits;
    Some(Fix {
        title: "start nothing for texts that no session reads".to_owned(),
        safe: false,
        source: source.clone(),
        edits,
        changes,
    })
}

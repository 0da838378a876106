//! Uploads that differ by name and files alone become one: each is a step, with a start and a handshake of its own.

use super::super::survey::View;
use super::super::yaml::{Kind, Node, Style};
use super::piece::{Piece, flow, set};
use super::place::{quoted, scalar};

/// What the one upload is called as a step, where the others were called differently.
const TITLE: &str = "Upload what the sessions left";

/// The steps with most of their uploads gathered into one, at the place of the last; the same steps where none are alike.
///
/// `other` names the artifact where their names begin differently. Nothing is gathered where artifacts are fetched, for
/// that is done by name.
pub(super) fn gathered(mut steps: Vec<Piece>, view: &View, dash: &str, other: &str) -> Vec<Piece> {
    let fetches = |text: &str| text.contains("download-artifact") || text.contains("run download");
    let forms: Vec<Option<Node>> = steps.iter().map(|step| form(&step.node, &step.lines)).collect();
    let alike = |at: usize| -> Vec<usize> { (0..forms.len()).filter(|&each| forms[each] == forms[at]).collect() };
    let groups = (0..forms.len()).filter(|&at| forms[at].is_some()).map(alike);
    let most: Vec<usize> = groups.max_by_key(Vec::len).unwrap_or_default();
    if most.len() < 2 || view.project.workflows.iter().any(|workflow| fetches(&workflow.source.text)) {
        return steps;
    }
    let uploads: Vec<&Node> = most.iter().map(|&at| &steps[at].node).collect();
    let name = in_common(&uploads).unwrap_or_else(|| other.to_owned());
    let Some(one) = upload(&uploads, &name, dash).filter(|_| !is_taken(view, &name, &uploads)) else { return steps };
    let last = most[most.len() - 1];
    steps[last] = one;
    let mut at = 0;
    steps.retain(|_| {
        at += 1;
        at > last || !most.contains(&(at - 1))
    });
    steps
}

/// An upload without what may differ; none of a step that is none, or that says more than what to upload and for how long.
fn form(step: &Node, lines: &[String]) -> Option<Node> {
    let inputs = step.get("with")?;
    let uses = step.get("uses")?.text()?;
    // Any other condition may be true of one of them and not of the next.
    let always = matches!(step.get("if")?.text()?.trim_matches(['$', '{', '}', ' ']), "always()" | "!cancelled()");
    let known = |node: &Node, keys: &[&str]| {
        node.entries().iter().all(|(key, _)| key.text().is_some_and(|key| keys.contains(&key)))
    };
    let paths = inputs.get("path")?.text()?;
    let below = |line: &str| !line.starts_with(['!', '/', '~', '$']);
    let clear = uses.contains("/upload-artifact@")
        && always
        && known(step, &["name", "if", "uses", "with"])
        && known(inputs, &["name", "path", "retention-days", "compression-level"])
        && paths.lines().map(str::trim).all(below)
        && !inputs.get("name")?.text()?.contains("${{")
        && !lines.iter().any(|line| line.trim_start().starts_with('#'));
    let mut form = step.clone();
    without(&mut form, "name");
    if let Kind::Map(entries) = &mut form.kind {
        entries.iter_mut().filter(|(key, _)| key.text() == Some("with")).for_each(|(_, inputs)| {
            without(inputs, "name");
            without(inputs, "path");
        });
    }
    clear.then_some(form)
}

fn without(node: &mut Node, key: &str) {
    if let Kind::Map(entries) = &mut node.kind {
        entries.retain(|(name, _)| name.text() != Some(key));
    }
}

fn artifact<'a>(upload: &&'a Node) -> Option<&'a str> {
    upload.get("with")?.get("name")?.text()
}

/// The words that all artifacts' names begin with: `ci-logs` of `ci-logs-lint` and `ci-logs-tests`.
fn in_common(uploads: &[&Node]) -> Option<String> {
    let names: Vec<&str> = uploads.iter().filter_map(artifact).collect();
    let (first, parts) = (names.first()?, |sign: char| "-_. ".contains(sign));
    let begins = |end: &usize| names.iter().all(|name| name.get(..*end) == first.get(..*end));
    let ends = first.char_indices().filter(|(_, sign)| parts(*sign)).map(|(end, _)| end);
    let words = ends.filter(|end| *end > 0).filter(begins).max();
    words.map(|end| first[..end].trim_end_matches(parts).to_owned()).filter(|name| !name.is_empty())
}

/// Whether another upload of the workflow has that artifact's name.
fn is_taken(view: &View, name: &str, uploads: &[&Node]) -> bool {
    let all = view.workflow.jobs.iter().flat_map(|job| &job.steps).filter(|step| step.is_upload());
    let named = all.filter(|step| step.input("name").is_some_and(|known| known.value == name)).count();
    named > uploads.iter().filter(|upload| artifact(upload) == Some(name)).count()
}

/// One upload of all files.
fn upload(uploads: &[&Node], name: &str, dash: &str) -> Option<Piece> {
    let mut node = (*uploads.first()?).clone();
    let mut paths: Vec<&str> = Vec::new();
    for line in uploads.iter().filter_map(|upload| upload.get("with")?.get("path")?.text()).flat_map(str::lines) {
        if !line.trim().is_empty() && !paths.contains(&line.trim()) {
            paths.push(line.trim());
        }
    }
    let step_name = |upload: &&Node| upload.get("name").and_then(Node::text).map(str::to_owned);
    if node.get("name").is_some() && uploads.iter().any(|upload| step_name(upload) != step_name(&uploads[0])) {
        set(&mut node, &["name"], TITLE)?;
    }
    set(&mut node, &["with", "name"], name)?;
    set(&mut node, &["with", "path"], &format!("{}\n", paths.join("\n")))?;
    let mut lines = Vec::new();
    for (key, value) in node.entries() {
        let start = if lines.is_empty() { "- " } else { "  " };
        if key.text() != Some("with") {
            lines.push(format!("{dash}{start}{}: {}", key.text()?, written(value)?));
            continue;
        }
        lines.push(format!("{dash}{start}with:"));
        for (key, value) in value.entries() {
            if key.text() == Some("path") {
                lines.push(format!("{dash}    path: |"));
                lines.extend(paths.iter().map(|path| format!("{dash}      {path}")));
            } else {
                lines.push(format!("{dash}    {}: {}", key.text()?, written(value)?));
            }
        }
    }
    Some(Piece { key: flow(&node), lines, node })
}

/// A scalar as it was written, or as it is written best.
fn written(value: &Node) -> Option<String> {
    match &value.kind {
        Kind::Scalar(text, Style::Plain) => Some(text.clone()),
        Kind::Scalar(text, Style::Quoted) => Some(quoted(text)),
        Kind::Scalar(text, _) => Some(scalar(text)),
        _ => None,
    }
}

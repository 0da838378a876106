//! Steps of merged jobs: moved into the merged job, and similar uploads combined into one.

use super::super::fix::{SemanticChange, TextEdit};
use super::super::project::JobView;
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};
use super::join_nox_calls::{JoinedCalls, replace_upload_paths};
use super::text_edit::{expand_to_lines, leading_comments_start, quote_if_needed, quote_scalar};

/// A step of the merged job: its lines, and the same step as a node.
pub(super) struct MovedStep {
    pub(crate) lines: Vec<String>,
    pub(crate) node: YamlNode,
    /// Equal for steps of which only one is kept.
    pub(crate) dedup_key: String,
}

/// Builds a step with the comments above it, with the merged job's log paths, and noxide installed where nox is.
pub(super) fn build_moved_step(view: &JobView, step: &WorkflowStep, joined: &JoinedCalls) -> Option<MovedStep> {
    let source = view.source();
    let start = leading_comments_start(source, step.span.start);
    let lines = expand_to_lines(source, Span::new(start, step.span.end));
    let mut node = step.node.clone();
    let mut edits: Vec<TextEdit> = Vec::new();
    if let Some(path) = step.input_value("path").filter(|_| step.is_artifact_upload()) {
        let paths = joined.replace_log_paths(&path.value);
        if paths != path.value.lines().map(str::trim).collect::<Vec<_>>() {
            let (edit, change) = replace_upload_paths(view, step, &paths)?;
            edits.push(edit);
            let SemanticChange::Set(_, _, value) = change else { return None };
            set_scalar(&mut node, &["with", "path"], &serde_json::from_str::<String>(&value).ok()?)?;
        }
    }
    let mut text = source.slice(lines).to_owned();
    for edit in edits.iter().rev() {
        text.replace_range(edit.span.start - lines.start..edit.span.end - lines.start, &edit.text);
    }
    let key = match (step.is_cache_restore(), step.input_value("path")) {
        (true, Some(path)) => format!("cache {}", path.value.trim()),
        _ => to_flow_yaml(&node),
    };
    Some(MovedStep { lines: text.lines().map(str::to_owned).collect(), node, dedup_key: key })
}

/// Replaces the scalar at a path of keys.
fn set_scalar(node: &mut YamlNode, path: &[&str], text: &str) -> Option<()> {
    let Some((key, rest)) = path.split_first() else {
        node.kind = YamlKind::Scalar(text.to_owned(), YamlStyle::Literal);
        return Some(());
    };
    let YamlKind::Map(entries) = &mut node.kind else { return None };
    let (_, value) = entries.iter_mut().find(|(name, _)| name.as_str() == Some(key))?;
    set_scalar(value, rest, text)
}

/// Renders a node in flow style.
pub(super) fn to_flow_yaml(node: &YamlNode) -> String {
    match &node.kind {
        YamlKind::Scalar(text, YamlStyle::Plain)
            if text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false") =>
        {
            text.clone()
        }
        YamlKind::Scalar(text, YamlStyle::Plain) if text.is_empty() || text == "~" || text == "null" => {
            "null".to_owned()
        }
        YamlKind::Scalar(text, _) => quote_scalar(text),
        YamlKind::Seq(items) => format!("[{}]", items.iter().map(to_flow_yaml).collect::<Vec<_>>().join(", ")),
        YamlKind::Map(entries) => {
            let pairs = entries.iter().map(|(key, value)| format!("{}: {}", to_flow_yaml(key), to_flow_yaml(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Name of the combined upload step, if the original steps have different names.
const MERGED_UPLOAD_NAME: &str = "Upload session artifacts";

/// Combines the largest group of similar uploads into one, at the position of the last; other steps stay as they are.
///
/// `default_name` is the artifact's name if the original names have no common prefix. Nothing is combined in a project
/// that downloads artifacts, since they are downloaded by name.
pub(super) fn merge_similar_uploads(
    mut steps: Vec<MovedStep>,
    view: &JobView,
    dash_indent: &str,
    default_name: &str,
) -> Vec<MovedStep> {
    let downloads_artifacts = |text: &str| text.contains("download-artifact") || text.contains("run download");
    let comparable_forms: Vec<Option<YamlNode>> =
        steps.iter().map(|step| comparable_upload(&step.node, &step.lines)).collect();
    let similar_to = |at: usize| -> Vec<usize> {
        (0..comparable_forms.len()).filter(|&each| comparable_forms[each] == comparable_forms[at]).collect()
    };
    let groups = (0..comparable_forms.len()).filter(|&at| comparable_forms[at].is_some()).map(similar_to);
    let largest_group: Vec<usize> = groups.max_by_key(Vec::len).unwrap_or_default();
    if largest_group.len() < 2
        || view.project.workflows.iter().any(|workflow| downloads_artifacts(&workflow.source.text))
    {
        return steps;
    }
    let uploads: Vec<&YamlNode> = largest_group.iter().map(|&at| &steps[at].node).collect();
    let name = common_name_prefix(&uploads).unwrap_or_else(|| default_name.to_owned());
    let Some(merged) =
        build_merged_upload(&uploads, &name, dash_indent).filter(|_| !is_artifact_name_taken(view, &name, &uploads))
    else {
        return steps;
    };
    let last = largest_group[largest_group.len() - 1];
    steps[last] = merged;
    let mut at = 0;
    steps.retain(|_| {
        at += 1;
        at > last || !largest_group.contains(&(at - 1))
    });
    steps
}

/// Returns an upload step without its names and paths, for comparison; `None` if it is not an upload or has other keys.
fn comparable_upload(step: &YamlNode, lines: &[String]) -> Option<YamlNode> {
    let inputs = step.get("with")?;
    let uses = step.get("uses")?.as_str()?;
    // Any other condition may hold for one upload and not for another.
    let always = matches!(step.get("if")?.as_str()?.trim_matches(['$', '{', '}', ' ']), "always()" | "!cancelled()");
    let known = |node: &YamlNode, keys: &[&str]| {
        node.entries().iter().all(|(key, _)| key.as_str().is_some_and(|key| keys.contains(&key)))
    };
    let paths = inputs.get("path")?.as_str()?;
    let is_relative = |line: &str| !line.starts_with(['!', '/', '~', '$']);
    let is_comparable = uses.contains("/upload-artifact@")
        && always
        && known(step, &["name", "if", "uses", "with"])
        && known(inputs, &["name", "path", "retention-days", "compression-level"])
        && paths.lines().map(str::trim).all(is_relative)
        && !inputs.get("name")?.as_str()?.contains("${{")
        && !lines.iter().any(|line| line.trim_start().starts_with('#'));
    let mut form = step.clone();
    remove_key(&mut form, "name");
    if let YamlKind::Map(entries) = &mut form.kind {
        entries.iter_mut().filter(|(key, _)| key.as_str() == Some("with")).for_each(|(_, inputs)| {
            remove_key(inputs, "name");
            remove_key(inputs, "path");
        });
    }
    is_comparable.then_some(form)
}

fn remove_key(node: &mut YamlNode, key: &str) {
    if let YamlKind::Map(entries) = &mut node.kind {
        entries.retain(|(name, _)| name.as_str() != Some(key));
    }
}

fn artifact_name<'a>(upload: &&'a YamlNode) -> Option<&'a str> {
    upload.get("with")?.get("name")?.as_str()
}

/// Returns the common first words of the artifacts' names: `ci-logs` for `ci-logs-lint` and `ci-logs-tests`.
fn common_name_prefix(uploads: &[&YamlNode]) -> Option<String> {
    let names: Vec<&str> = uploads.iter().filter_map(artifact_name).collect();
    let (first, is_separator) = (names.first()?, |c: char| "-_. ".contains(c));
    let is_common = |end: &usize| names.iter().all(|name| name.get(..*end) == first.get(..*end));
    let word_ends = first.char_indices().filter(|(_, c)| is_separator(*c)).map(|(end, _)| end);
    let longest = word_ends.filter(|end| *end > 0).filter(is_common).max();
    longest.map(|end| first[..end].trim_end_matches(is_separator).to_owned()).filter(|name| !name.is_empty())
}

/// Whether another upload of the workflow has this artifact name.
fn is_artifact_name_taken(view: &JobView, name: &str, uploads: &[&YamlNode]) -> bool {
    let all = view.workflow.jobs.iter().flat_map(|job| &job.steps).filter(|step| step.is_artifact_upload());
    let named = all.filter(|step| step.input_value("name").is_some_and(|known| known.value == name)).count();
    named > uploads.iter().filter(|upload| artifact_name(upload) == Some(name)).count()
}

/// Builds one upload of all files.
fn build_merged_upload(uploads: &[&YamlNode], name: &str, dash_indent: &str) -> Option<MovedStep> {
    let mut node = (*uploads.first()?).clone();
    let mut paths: Vec<&str> = Vec::new();
    for line in uploads.iter().filter_map(|upload| upload.get("with")?.get("path")?.as_str()).flat_map(str::lines) {
        if !line.trim().is_empty() && !paths.contains(&line.trim()) {
            paths.push(line.trim());
        }
    }
    let step_name = |upload: &&YamlNode| upload.get("name").and_then(YamlNode::as_str).map(str::to_owned);
    if node.get("name").is_some() && uploads.iter().any(|upload| step_name(upload) != step_name(&uploads[0])) {
        set_scalar(&mut node, &["name"], MERGED_UPLOAD_NAME)?;
    }
    set_scalar(&mut node, &["with", "name"], name)?;
    set_scalar(&mut node, &["with", "path"], &format!("{}\n", paths.join("\n")))?;
    let mut lines = Vec::new();
    for (key, value) in node.entries() {
        let start = if lines.is_empty() { "- " } else { "  " };
        if key.as_str() != Some("with") {
            lines.push(format!("{dash_indent}{start}{}: {}", key.as_str()?, render_scalar(value)?));
            continue;
        }
        lines.push(format!("{dash_indent}{start}with:"));
        for (key, value) in value.entries() {
            if key.as_str() == Some("path") {
                lines.push(format!("{dash_indent}    path: |"));
                lines.extend(paths.iter().map(|path| format!("{dash_indent}      {path}")));
            } else {
                lines.push(format!("{dash_indent}    {}: {}", key.as_str()?, render_scalar(value)?));
            }
        }
    }
    Some(MovedStep { dedup_key: to_flow_yaml(&node), lines, node })
}

/// Renders a scalar in its original style, if possible.
fn render_scalar(value: &YamlNode) -> Option<String> {
    match &value.kind {
        YamlKind::Scalar(text, YamlStyle::Plain) => Some(text.clone()),
        YamlKind::Scalar(text, YamlStyle::Quoted) => Some(quote_scalar(text)),
        YamlKind::Scalar(text, _) => Some(quote_if_needed(text)),
        _ => None,
    }
}

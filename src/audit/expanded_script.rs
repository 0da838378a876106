//! Expanded script: the text of a `run` with values of the matrix and of inputs in place of their expressions.

use std::path::Path;

use super::shell::{ShellCommand, parse_nox_call, parse_script};
use super::source::Span;
use super::workflow::{MAX_JOB_COMMANDS, SpannedText, Workflow, WorkflowFileKind, WorkflowJob, WorkflowStep};

/// Number of different texts above which a script is not expanded.
const MAX_TEXTS: usize = 64;

/// Bytes of a text above which a script is not expanded.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// A script as one job of the matrix runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpandedScript {
    pub(super) commands: Vec<ShellCommand>,
    /// Span of the value in the matrix that the script contains.
    pub(super) span: Span,
}

/// Returns the texts of a script whose commands are known only from the matrix: an expression is the program of a
/// command, or stands for several words of a call of nox. Empty for any other script, and if values are not literal.
pub(super) fn expand_script(job: &WorkflowJob, step: &WorkflowStep) -> Vec<ExpandedScript> {
    let Some(script) = step.script.as_ref().filter(|script| script.text.contains("${{ matrix.")) else {
        return Vec::new();
    };
    let Some(entries) = job.matrix.as_ref().and_then(|matrix| matrix.entries.as_ref()) else { return Vec::new() };
    let paths =
        needed_paths(step, |path| entries.iter().flatten().any(|(name, value)| name == path && has_words(value)));
    if paths.is_empty() {
        return Vec::new();
    }
    let mut texts: Vec<(String, Span)> = Vec::new();
    for entry in entries {
        let mut text = script.text.clone();
        for (path, value) in entry {
            let expression = format!("${{{{ matrix.{path} }}}}");
            if text.len() + text.matches(&expression).count() * value.value.len() > MAX_TEXT_BYTES {
                return Vec::new();
            }
            text = text.replace(&expression, &value.value);
        }
        let used = entry.iter().find(|(path, _)| paths.contains(path));
        if let Some((_, value)) = used.filter(|_| !texts.iter().any(|(known, _)| *known == text)) {
            texts.push((text, value.span));
        }
    }
    if texts.len() > MAX_TEXTS {
        return Vec::new();
    }
    let scripts = texts.into_iter().map(|(text, span)| ExpandedScript { commands: parse_script(&text), span });
    let scripts: Vec<ExpandedScript> = scripts.collect();
    let commands: usize = scripts.iter().map(|script| script.commands.len()).sum();
    if commands > MAX_JOB_COMMANDS { Vec::new() } else { scripts }
}

/// Whether a value is more than one word.
fn has_words(value: &SpannedText) -> bool {
    value.value.split_whitespace().nth(1).is_some()
}

/// Returns the paths (`task.run` of `matrix.task.run`) that stand for a program, or for several words before the
/// arguments of a call of nox.
fn needed_paths(step: &WorkflowStep, is_several_words: impl Fn(&str) -> bool) -> Vec<String> {
    let mut paths = Vec::new();
    for command in &step.commands {
        let words = command.words.iter().take_while(|word| word.text != "--");
        for (index, word) in words.enumerate() {
            let Some(path) = matrix_path(&word.text) else { continue };
            if index == 0 || (parse_nox_call(command).is_some() && is_several_words(path)) {
                paths.push(path.to_owned());
            }
        }
    }
    paths
}

/// Returns `x.y` of a word that begins with `${{ matrix.x.y }}`.
fn matrix_path(word: &str) -> Option<&str> {
    word.strip_prefix("${{")?.split_once("}}")?.0.trim().strip_prefix("matrix.")
}

/// Returns the values that an input of a reusable workflow or a composite action can have in this project: its default
/// and what the project's own jobs pass. `None` if a value is unknown.
pub(super) fn input_values(all: &[Workflow], workflow: &Workflow, name: &str) -> Option<Vec<String>> {
    let inputs = match workflow.kind {
        WorkflowFileKind::CompositeAction => workflow.root.get("inputs")?,
        WorkflowFileKind::Workflow => workflow.root.get("on")?.get("workflow_call")?.get("inputs")?,
    };
    let default = inputs.get(name)?.get("default").and_then(|node| node.as_str()).map(str::to_owned);
    let passed = |node: &super::yaml::YamlNode| {
        node.get("with").and_then(|with| with.get(name)).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let mut values = Vec::new();
    for job in all.iter().flat_map(|other| &other.jobs) {
        let calls = job.uses.as_ref().is_some_and(|uses| is_local_file(&uses.value, &workflow.source.path));
        let steps = job.steps.iter().filter(|step| uses_action_of(step, workflow));
        let nodes = steps.map(|step| &step.node).chain(calls.then_some(&job.node));
        values.extend(nodes.filter_map(|node| passed(node).or_else(|| default.clone())));
    }
    if values.is_empty() {
        values.extend(default);
    }
    values.retain(|value| !value.is_empty());
    values.sort();
    values.dedup();
    values.iter().all(|value| !value.contains("${{")).then_some(values)
}

/// Whether `uses` names a file of the repository, with or without a version.
pub(super) fn is_local_file(uses: &str, path: &str) -> bool {
    let file = uses.split('@').next().unwrap_or(uses);
    file.strip_prefix("./").or_else(|| file.strip_prefix("$/")).is_some_and(|file| file == path)
}

/// Whether a step uses the composite action of a file.
fn uses_action_of(step: &WorkflowStep, workflow: &Workflow) -> bool {
    let directory = Path::new(&workflow.source.path).parent();
    let used = step.action.as_ref().and_then(|action| action.local_directory());
    workflow.kind == WorkflowFileKind::CompositeAction && used.is_some_and(|used| directory == Some(Path::new(used)))
}

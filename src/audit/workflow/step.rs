//! Step of a job.

use super::super::shell::{self, ShellCommand};
use super::super::source::{SourceFile, Span};
use super::super::yaml::YamlNode;
use super::action_ref::ActionRef;
use super::expression::ExpressionNames;
use super::text::{SpannedText, StepScript, spanned_entries};
use super::triggers::{runs_after_failure, runs_on_success};

/// A step of a job.
#[derive(Clone, Debug)]
pub struct WorkflowStep {
    /// Index among the steps of the job.
    pub index: usize,
    /// Span without the dash.
    pub span: Span,
    /// Value of `name`.
    pub name: Option<SpannedText>,
    /// Value of `id`.
    pub id: Option<String>,
    /// Value of `if`.
    pub condition: Option<SpannedText>,
    /// Value of `run`.
    pub script: Option<StepScript>,
    /// Parsed commands of `run`; none if the script is not one of a shell.
    pub commands: Vec<ShellCommand>,
    /// Language of the script if it is not one of a shell: Python with `shell: python`.
    pub(crate) script_language: Option<&'static str>,
    /// Parsed `uses`.
    pub action: Option<ActionRef>,
    /// Value of `uses`.
    pub uses: Option<SpannedText>,
    /// Entries of `with`.
    pub with: Vec<(SpannedText, SpannedText)>,
    /// Entries of `env`.
    pub env: Vec<(SpannedText, SpannedText)>,
    /// Node of the YAML document.
    pub node: YamlNode,
}

impl WorkflowStep {
    pub(super) fn from_node(
        source: &SourceFile,
        index: usize,
        node: &YamlNode,
        names: &ExpressionNames,
        default_shell: Option<&str>,
    ) -> Self {
        let shell = node.get("shell").and_then(YamlNode::as_str).or(default_shell);
        let script_language = shell.and_then(script_language);
        let text = |key: &str| node.get(key).and_then(SpannedText::from_node);
        let script = node.get_entry("run").and_then(|(key, value)| StepScript::from_node(source, key, value));
        let uses = text("uses");
        Self {
            index,
            span: node.span,
            name: text("name"),
            id: text("id").map(|id| id.value),
            condition: text("if"),
            commands: script
                .as_ref()
                .filter(|_| script_language.is_none())
                .map(|script| parse_commands(&script.text, names))
                .unwrap_or_default(),
            script,
            script_language,
            action: uses.as_ref().map(|uses| {
                let line = source.line_text(source.line_index(uses.span.start));
                let comment = line.split_once(" #").map_or("", |(_, comment)| comment);
                ActionRef::parse(&uses.value).with_comment(comment)
            }),
            uses,
            with: node.get("with").map(spanned_entries).unwrap_or_default(),
            env: node.get("env").map(spanned_entries).unwrap_or_default(),
            node: node.clone(),
        }
    }

    /// Returns the value of an input in `with`.
    pub(crate) fn input_value(&self, name: &str) -> Option<&SpannedText> {
        self.with.iter().find(|(key, _)| key.value.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the key of an input in `with`.
    pub(crate) fn input_key(&self, name: &str) -> Option<&SpannedText> {
        self.with.iter().find(|(key, _)| key.value.eq_ignore_ascii_case(name)).map(|(key, _)| key)
    }

    /// Whether it uses the action, from any host.
    pub(crate) fn uses_action(&self, action: &str) -> bool {
        self.action.as_ref().is_some_and(|used| used.is_named(action))
    }

    /// Whether it uses `actions/cache` or `actions/cache/restore`.
    pub(crate) fn is_cache_restore(&self) -> bool {
        self.action.as_ref().is_some_and(ActionRef::is_cache_restore)
    }

    pub(crate) fn is_artifact_upload(&self) -> bool {
        self.action.as_ref().is_some_and(ActionRef::is_artifact_upload)
    }

    /// Whether it also runs after the failure of an earlier step.
    pub(crate) fn runs_after_failure(&self) -> bool {
        runs_after_failure(self.condition.as_ref().map(|text| text.value.as_str()))
    }

    /// Whether it runs whenever no earlier step failed: no condition, or one that asks only for the status of the job.
    pub(crate) fn runs_on_success(&self) -> bool {
        runs_on_success(self.condition.as_ref().map(|text| text.value.as_str()))
    }

    /// Converts a span of the script to a span of the file.
    pub(crate) fn file_span(&self, range: Span) -> Span {
        self.script.as_ref().map_or(self.span, |script| script.file_span(range))
    }

    /// Returns the name, action or first script line, for messages.
    pub(crate) fn display_name(&self) -> String {
        let script = || self.script.as_ref().map(|script| script.text.lines().next().unwrap_or_default().to_owned());
        let uses = || self.uses.as_ref().map(|uses| uses.value.clone());
        self.name.as_ref().map(|name| name.value.clone()).or_else(uses).or_else(script).unwrap_or_default()
    }
}

/// Returns the language of a step's scripts, by its `shell`; `None` if it is a shell.
fn script_language(shell: &str) -> Option<&'static str> {
    // `${{ steps.setup.outputs.python-path }} -u {0}`: an expression may contain spaces.
    if shell.trim_start().starts_with("${{") && shell.contains("{0}") && shell.contains("python") {
        return Some("Python");
    }
    let program = shell.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let languages =
        [("python", "Python"), ("perl", "Perl"), ("node", "JavaScript"), ("ruby", "Ruby"), ("Rscript", "R")];
    languages.into_iter().find(|(start, _)| name.starts_with(start)).map(|(_, language)| language)
}

/// Parses a script; expressions in its words are in their usual spelling.
fn parse_commands(script: &str, names: &ExpressionNames) -> Vec<ShellCommand> {
    let mut commands = shell::parse_script(script);
    if !script.contains("${{") {
        return commands;
    }
    for command in &mut commands {
        let files = command.output_files.iter_mut();
        let texts = command.words.iter_mut().chain(files).map(|word| &mut word.text);
        for text in texts.chain(command.assignments.iter_mut().map(|(_, value)| value)) {
            *text = names.normalize_text(text);
        }
    }
    commands
}

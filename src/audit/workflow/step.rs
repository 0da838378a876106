//! One step of a job.

use super::super::shell::{self, Command};
use super::super::span::{Source, Span};
use super::super::yaml::Node;
use super::action::ActionRef;
use super::script::Script;
use super::text::{Text, texts};

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its place among the job's steps, from 0.
    pub index: usize,
    /// All its bytes, the dash not included.
    pub span: Span,
    /// Its `name`.
    pub name: Option<Text>,
    /// Its `id`.
    pub id: Option<String>,
    /// Its `if`.
    pub condition: Option<Text>,
    /// Its `run`.
    pub script: Option<Script>,
    /// The commands of its `run`, read once.
    pub commands: Vec<Command>,
    /// Its `uses`, taken apart.
    pub action: Option<ActionRef>,
    /// Its `uses` as written.
    pub uses: Option<Text>,
    /// Its `with`.
    pub with: Vec<(Text, Text)>,
    /// Its `env`.
    pub env: Vec<(Text, Text)>,
    /// The node it was read from.
    pub node: Node,
}

impl Step {
    pub(super) fn read(source: &Source, index: usize, node: &Node) -> Self {
        let text = |key: &str| node.get(key).and_then(Text::read);
        let script = node.entry("run").and_then(|(key, value)| Script::read(source, key, value));
        let uses = text("uses");
        Self {
            index,
            span: node.span,
            name: text("name"),
            id: text("id").map(|id| id.value),
            condition: text("if"),
            commands: script.as_ref().map(|script| shell::read(&script.text)).unwrap_or_default(),
            script,
            action: uses.as_ref().map(|uses| ActionRef::parse(&uses.value)),
            uses,
            with: node.get("with").map(texts).unwrap_or_default(),
            env: node.get("env").map(texts).unwrap_or_default(),
            node: node.clone(),
        }
    }

    /// An input of its action.
    pub fn input(&self, name: &str) -> Option<&Text> {
        self.with.iter().find(|(key, _)| key.value.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The key and value of an input.
    pub fn input_key(&self, name: &str) -> Option<&Text> {
        self.with.iter().find(|(key, _)| key.value.eq_ignore_ascii_case(name)).map(|(key, _)| key)
    }

    /// Whether it uses that action, from whatever host.
    pub fn is(&self, action: &str) -> bool {
        self.action.as_ref().is_some_and(|used| used.is(action))
    }

    /// Whether it restores a cache under a written key.
    pub fn is_cache(&self) -> bool {
        self.action.as_ref().is_some_and(ActionRef::is_cache)
    }

    /// Whether it uploads an artifact.
    pub fn is_upload(&self) -> bool {
        self.action.as_ref().is_some_and(ActionRef::is_upload)
    }

    /// The file's bytes of a range of its script.
    pub fn place(&self, range: Span) -> Span {
        self.script.as_ref().map_or(self.span, |script| script.place(range))
    }

    /// What people call it: its name, its action, or the start of its script.
    pub fn title(&self) -> String {
        let script = || self.script.as_ref().map(|script| script.text.lines().next().unwrap_or_default().to_owned());
        let uses = || self.uses.as_ref().map(|uses| uses.value.clone());
        self.name.as_ref().map(|name| name.value.clone()).or_else(uses).or_else(script).unwrap_or_default()
    }
}

//! One job of a workflow.

use super::super::span::{Source, Span};
use super::super::yaml::Node;
use super::condition::tag_only;
use super::matrix::Matrix;
use super::step::Step;
use super::text::{Text, texts};

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its key.
    pub id: Text,
    /// Labels of the runner it asks for.
    pub runs_on: Vec<Text>,
    /// Image of its container.
    pub container: Option<Text>,
    /// Jobs it waits for.
    pub needs: Vec<Text>,
    /// Its `if`.
    pub condition: Option<Text>,
    /// Its `timeout-minutes`.
    pub timeout: Option<Text>,
    /// Its `continue-on-error`.
    pub continue_on_error: Option<Text>,
    /// Its matrix.
    pub matrix: Option<Matrix>,
    /// Its `env`.
    pub env: Vec<(Text, Text)>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// The workflow it calls instead of steps.
    pub uses: Option<Text>,
    /// The node it was read from.
    pub node: Node,
}

impl Job {
    pub(super) fn read(source: &Source, key: &Node, node: &Node) -> Option<Self> {
        let text = |key: &str| node.get(key).and_then(Text::read);
        let list = |key: &str| {
            let values = node.get(key).map(Node::one_or_many).unwrap_or_default();
            values.into_iter().filter_map(Text::read).collect()
        };
        let container = node.get("container").and_then(|node| Text::read(node.get("image").unwrap_or(node)));
        let steps = node.get("steps").map(Node::items).unwrap_or_default();
        Some(Self {
            id: Text::read(key)?,
            runs_on: list("runs-on"),
            container,
            needs: list("needs"),
            condition: text("if"),
            timeout: text("timeout-minutes"),
            continue_on_error: text("continue-on-error"),
            matrix: node.entry("strategy").and_then(|(key, value)| Matrix::read(key, value)),
            env: node.get("env").map(texts).unwrap_or_default(),
            steps: steps.iter().enumerate().map(|(index, step)| Step::read(source, index, step)).collect(),
            uses: text("uses"),
            node: node.clone(),
        })
    }

    /// The span of one of its keys, or of its name where it has no such key.
    pub fn key(&self, name: &str) -> Span {
        self.node.entry(name).map_or(self.id.span, |(key, _)| key.span)
    }

    /// Whether it runs for releases or publishes something: what it makes is handed out.
    pub fn publishes(&self) -> bool {
        tag_only(self.condition.as_ref().map(|text| text.value.as_str()))
            || self.node.get("environment").is_some_and(|node| {
                node.get("name")
                    .unwrap_or(node)
                    .text()
                    .is_some_and(|name| name.contains("pypi") || name.contains("release"))
            })
            || self.steps.iter().any(|step| {
                step.is("pypa/gh-action-pypi-publish")
                    || step
                        .commands
                        .iter()
                        .any(|command| command.starts(&["twine", "upload"]) || command.starts(&["uv", "publish"]))
            })
    }

    /// Whether it runs on the forge's own machines, as far as its labels say.
    pub fn hosted(&self) -> bool {
        let known = |label: &Text| {
            let hosted = ["ubuntu-", "macos-", "windows-"].iter().any(|start| label.value.starts_with(start));
            hosted || label.value.starts_with("${{")
        };
        !self.runs_on.is_empty() && self.runs_on.iter().all(known)
    }
}

//! What starts a workflow.

use super::super::span::Span;
use super::super::yaml::Node;

/// The events of `on:` and what narrows them.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    /// Bytes of the `on` key and its value.
    pub span: Span,
    /// Bytes of the key alone.
    pub key: Span,
    events: Vec<(String, Span, Option<Node>)>,
}

impl Triggers {
    /// Reads the value of `on:`.
    pub(super) fn read(key: &Node, value: &Node) -> Self {
        let span = Span::new(key.span.start, value.span.end.max(key.span.end));
        let events = if value.entries().is_empty() {
            let plain = |node: &Node| Some((node.text()?.to_owned(), node.span, None));
            value.one_or_many().into_iter().filter_map(plain).collect()
        } else {
            let full = |(key, node): &(Node, Node)| Some((key.text()?.to_owned(), key.span, Some(node.clone())));
            value.entries().iter().filter_map(full).collect()
        };
        Self { span, key: key.span, events }
    }

    /// Whether an event starts it.
    pub fn has(&self, event: &str) -> bool {
        self.place(event).is_some()
    }

    /// Where an event is named.
    pub fn place(&self, event: &str) -> Option<Span> {
        self.events.iter().find(|(name, ..)| name == event).map(|(_, span, _)| *span)
    }

    /// Whether an event is narrowed by that key (`branches`, `paths`, `tags`).
    pub fn narrowed(&self, event: &str, key: &str) -> bool {
        let node = self.events.iter().find(|(name, ..)| name == event).and_then(|(.., node)| node.as_ref());
        node.is_some_and(|node| node.get(key).is_some())
    }

    /// Whether pushes of branches start it.
    pub fn on_branches(&self) -> bool {
        self.has("push") && (self.narrowed("push", "branches") || !self.narrowed("push", "tags"))
    }

    /// Whether pull requests start it.
    pub fn on_pulls(&self) -> bool {
        self.has("pull_request") || self.has("pull_request_target")
    }

    /// Whether it runs for releases and tags alone: what it makes is handed out.
    pub fn only_releases(&self) -> bool {
        let handed =
            |name: &str| name == "release" || (name == "push" && !self.on_branches()) || name == "workflow_dispatch";
        self.events.iter().any(|(name, ..)| name != "workflow_dispatch")
            && self.events.iter().all(|(name, ..)| handed(name))
    }

    /// Whether it is only called by other workflows.
    pub fn only_called(&self) -> bool {
        !self.events.is_empty() && self.events.iter().all(|(name, ..)| name == "workflow_call")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::read;
    use super::*;

    fn on(text: &str) -> Triggers {
        let root = read(text).unwrap();
        let (key, value) = root.entry("on").unwrap();
        Triggers::read(key, value)
    }

    #[test]
    fn three_ways_to_write_events() {
        for text in ["on: push", "on: [push]", "on: {push: }", "on:\n  push:\n    branches: [main]\n"] {
            assert!(on(text).has("push") && on(text).on_branches(), "{text}");
        }
        assert!(on("on: pull_request").on_pulls() && !on("on: pull_request").on_branches());
        assert!(on("on: workflow_call").only_called());
        let t = on("on:\n  push:\n    paths: [x]\n");
        assert!(t.narrowed("push", "paths") && !t.narrowed("pull_request", "paths"));
    }

    #[test]
    fn releases_are_told_apart() {
        assert!(on("on:\n  push:\n    tags: ['v*']\n").only_releases());
        assert!(on("on:\n  release:\n    types: [published]\n  workflow_dispatch:\n").only_releases());
        assert!(!on("on: workflow_dispatch").only_releases());
        assert!(!on("on: [push, release]").only_releases());
    }
}

//! Workflow triggers (`on:`) and conditions (`if:`).

use super::super::source::Span;
use super::super::yaml::YamlNode;
use crate::project::runs_own_code;

/// The events of `on:` and their filters.
#[derive(Clone, Debug, Default)]
pub struct WorkflowTriggers {
    /// Span of the `on` key and its value.
    pub span: Span,
    /// Span of the key.
    pub key_span: Span,
    events: Vec<(String, Span, Option<YamlNode>)>,
}

impl WorkflowTriggers {
    pub(super) fn from_node(key: &YamlNode, value: &YamlNode) -> Self {
        let span = Span::new(key.span.start, value.span.end.max(key.span.end));
        let events = if value.entries().is_empty() {
            let plain = |node: &YamlNode| Some((node.as_str()?.to_owned(), node.span, None));
            value.one_or_many().into_iter().filter_map(plain).collect()
        } else {
            let full =
                |(key, node): &(YamlNode, YamlNode)| Some((key.as_str()?.to_owned(), key.span, Some(node.clone())));
            value.entries().iter().filter_map(full).collect()
        };
        Self { span, key_span: key.span, events }
    }

    /// Whether an event starts the workflow.
    pub(crate) fn has_event(&self, event: &str) -> bool {
        self.event_span(event).is_some()
    }

    /// Returns the span of an event's name.
    pub(crate) fn event_span(&self, event: &str) -> Option<Span> {
        self.events.iter().find(|(name, ..)| name == event).map(|(_, span, _)| *span)
    }

    /// Whether an event has a filter (`branches`, `paths`, `tags`).
    pub(crate) fn has_filter(&self, event: &str, key: &str) -> bool {
        let node = self.events.iter().find(|(name, ..)| name == event).and_then(|(.., node)| node.as_ref());
        node.is_some_and(|node| node.get(key).is_some())
    }

    /// Whether a push to a branch starts the workflow.
    pub(crate) fn runs_on_branch_push(&self) -> bool {
        self.has_event("push") && (self.has_filter("push", "branches") || !self.has_filter("push", "tags"))
    }

    /// Whether pull requests start the workflow.
    pub(crate) fn runs_on_pull_request(&self) -> bool {
        self.has_event("pull_request") || self.has_event("pull_request_target")
    }

    /// Whether an event starts the workflow only for new commits: its `types` name no other activity, such as `closed`.
    pub(crate) fn runs_on_new_commits_only(&self, event: &str) -> bool {
        let known = ["opened", "synchronize", "reopened", "ready_for_review"];
        let mut found = self.events.iter().filter(|(name, ..)| name == event).map(|(.., node)| node.as_ref());
        found.next().is_some_and(|node| {
            let types = node.and_then(|node| node.get("types")).map(YamlNode::one_or_many).unwrap_or_default();
            types.iter().all(|name| name.as_str().is_some_and(|name| known.contains(&name)))
        })
    }

    /// Whether only releases, tags and manual runs start the workflow.
    pub(crate) fn is_release_only(&self) -> bool {
        let is_release_event = |name: &str| {
            name == "release" || (name == "push" && !self.runs_on_branch_push()) || name == "workflow_dispatch"
        };
        self.events.iter().any(|(name, ..)| name != "workflow_dispatch")
            && self.events.iter().all(|(name, ..)| is_release_event(name))
    }

    /// Whether every event is a release, a push of tags, `pull_request_target` or `workflow_run`.
    pub(crate) fn has_privileged_events_only(&self) -> bool {
        let is_privileged = |name: &str| {
            matches!(name, "release" | "pull_request_target" | "workflow_run")
                || (name == "push" && !self.runs_on_branch_push())
        };
        !self.events.is_empty() && self.events.iter().all(|(name, ..)| is_privileged(name))
    }

    /// Whether only a schedule starts the workflow, at most once a week, or a user by hand.
    pub(crate) fn is_weekly_only(&self) -> bool {
        let is_weekly = |cron: &str| {
            let fields: Vec<&str> = cron.split_whitespace().collect();
            let is_single = |field: &str| field.chars().all(char::is_alphanumeric);
            matches!(fields.as_slice(), [_, _, day, _, weekday] if is_single(day) || (*day == "*" && is_single(weekday)))
        };
        let schedules = self.events.iter().filter(|(name, ..)| name == "schedule");
        let crons: Vec<&str> = schedules
            .filter_map(|(.., node)| node.as_ref())
            .flat_map(YamlNode::one_or_many)
            .filter_map(|entry| entry.get("cron")?.as_str())
            .collect();
        matches!(crons.as_slice(), [cron] if is_weekly(cron))
            && self.events.iter().all(|(name, ..)| matches!(name.as_str(), "schedule" | "workflow_dispatch"))
    }

    /// Whether runs of branches fill a cache that other runs can restore: a push to a branch starts the workflow, or a
    /// schedule. `$default-branch` is replaced only in templates: as a name of a branch it matches none.
    pub(crate) fn fills_shared_cache(&self) -> bool {
        let nodes = self.events.iter().filter(|(name, ..)| name == "push").filter_map(|(.., node)| node.as_ref());
        let patterns: Vec<&YamlNode> =
            nodes.filter_map(|node| node.get("branches")).flat_map(YamlNode::one_or_many).collect();
        let matches_nothing =
            !patterns.is_empty() && patterns.iter().all(|node| node.as_str().is_some_and(|text| text.starts_with("$")));
        (self.runs_on_branch_push() && !matches_nothing) || self.has_event("schedule")
    }

    /// Whether only a schedule starts the workflow, or a user by hand.
    pub(crate) fn is_scheduled_only(&self) -> bool {
        self.has_event("schedule")
            && self.events.iter().all(|(name, ..)| matches!(name.as_str(), "schedule" | "workflow_dispatch"))
    }

    /// Whether every event, besides manual runs, gives the workflow the permissions of the repository although anyone can
    /// cause it.
    pub(crate) fn has_untrusted_events_only(&self) -> bool {
        let is_manual = |name: &str| name == "workflow_dispatch";
        self.events.iter().any(|(name, ..)| !is_manual(name))
            && self.events.iter().all(|(name, ..)| is_manual(name) || is_untrusted_event(name))
    }

    /// Whether a run may execute code of a pull request with the permissions of the repository. What such a run saves in a
    /// cache is restored on the default branch. A called workflow has the events of its callers.
    pub(crate) fn may_run_foreign_code(&self) -> bool {
        self.events.iter().any(|(name, ..)| name != "workflow_call" && !runs_own_code(name))
    }

    /// Whether the `types` of an event name this activity.
    pub(crate) fn has_activity(&self, event: &str, activity: &str) -> bool {
        let nodes = self.events.iter().filter(|(name, ..)| name == event).filter_map(|(.., node)| node.as_ref());
        nodes
            .filter_map(|node| node.get("types"))
            .flat_map(YamlNode::one_or_many)
            .any(|name| name.as_str() == Some(activity))
    }

    /// Whether only other workflows call it.
    pub(crate) fn is_reusable_only(&self) -> bool {
        !self.events.is_empty() && self.events.iter().all(|(name, ..)| name == "workflow_call")
    }
}

/// Whether a step or job with this condition also runs after a failure.
pub(super) fn runs_after_failure(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| {
        let text = text.replace(' ', "");
        // U+0001 replaces `!cancelled()`, which is also true after a failure.
        let bare = text.replace("!cancelled()", "\u{1}").replace("!failure()", "").replace("!always()", "");
        bare.contains('\u{1}') || bare.contains("always()") || bare.contains("failure()")
    })
}

/// Whether the condition is true whenever no earlier step failed: there is none, or it asks only for the status of the job,
/// such as `always()`.
pub(super) fn runs_on_success(condition: Option<&str>) -> bool {
    let Some(text) = condition else { return true };
    let text = text.replace(char::is_whitespace, "").to_lowercase();
    let text = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).unwrap_or(&text);
    // The values after a success; `None` for everything that is not the status of the job.
    let value = |name: &str| match name {
        "always()" | "success()" | "!cancelled()" | "!failure()" => Some(true),
        "failure()" | "cancelled()" | "!success()" | "!always()" => Some(false),
        _ => None,
    };
    let alternatives: Option<Vec<bool>> = text
        .split("||")
        .map(|part| part.split("&&").map(value).collect::<Option<Vec<bool>>>().map(|all| all.iter().all(|is| *is)))
        .collect();
    alternatives.is_some_and(|alternatives| alternatives.contains(&true))
}

/// Whether the condition is true only for tags.
pub(crate) fn is_tag_only(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| {
        let text = text.replace('"', "'");
        !text.contains('!') && (text.contains("'refs/tags") || text.contains("ref_type == 'tag'"))
    })
}

fn is_untrusted_event(name: &str) -> bool {
    matches!(name, "pull_request_target" | "workflow_run" | "issues" | "issue_comment" | "discussion")
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::parse_document;
    use super::*;

    fn on(text: &str) -> WorkflowTriggers {
        let root = parse_document(text).unwrap();
        let (key, value) = root.get_entry("on").unwrap();
        WorkflowTriggers::from_node(key, value)
    }

    #[test]
    fn events_are_parsed_in_every_form() {
        for text in ["on: push", "on: [push]", "on: {push: }", "on:\n  push:\n    branches: [main]\n"] {
            assert!(on(text).has_event("push") && on(text).runs_on_branch_push(), "{text}");
        }
        assert!(on("on: pull_request").runs_on_pull_request() && !on("on: pull_request").runs_on_branch_push());
        assert!(on("on: workflow_call").is_reusable_only());
        let t = on("on:\n  push:\n    paths: [x]\n");
        assert!(t.has_filter("push", "paths") && !t.has_filter("pull_request", "paths"));
    }

    #[test]
    fn shared_caches_need_runs_of_branches() {
        for text in ["on: push", "on: {push: {branches: [main]}}", "on: {schedule: [{cron: '0 0 * * *'}]}"] {
            assert!(on(text).fills_shared_cache(), "{text}");
        }
        for text in [
            "on: pull_request",
            "on: {push: {branches: [$default-branch]}, pull_request: }",
            "on: {push: {tags: ['v*']}}",
        ] {
            assert!(!on(text).fills_shared_cache(), "{text}");
        }
        assert!(on("on: [issues, workflow_dispatch, pull_request_target]").has_untrusted_events_only());
        assert!(!on("on: [push, pull_request_target]").has_untrusted_events_only());
        assert!(!on("on: workflow_dispatch").has_untrusted_events_only());
    }

    #[test]
    fn release_workflows_are_recognized() {
        assert!(on("on:\n  push:\n    tags: ['v*']\n").is_release_only());
        assert!(on("on:\n  release:\n    types: [published]\n  workflow_dispatch:\n").is_release_only());
        assert!(!on("on: workflow_dispatch").is_release_only());
        assert!(!on("on: [push, release]").is_release_only());
    }

    #[test]
    fn conditions_are_recognized() {
        for text in ["always()", "${{ !cancelled() }}", "failure()", "! cancelled() && x", "success() || failure()"] {
            assert!(runs_after_failure(Some(text)), "{text}");
        }
        for text in ["success()", "github.ref == 'x'", "!failure()"] {
            assert!(!runs_after_failure(Some(text)), "{text}");
        }
        assert!(!runs_after_failure(None));
        for text in [
            "always()",
            "${{ !cancelled() }}",
            "success() || failure()",
            "${{ always() && ! cancelled() }}",
            "failure() || success()",
            "success()",
        ] {
            assert!(runs_on_success(Some(text)), "{text}");
        }
        for text in ["failure()", "always() && x", "success() || github.ref == 'x'", "cancelled() || failure()", ""] {
            assert!(!runs_on_success(Some(text)), "{text}");
        }
        assert!(runs_on_success(None));
        assert!(
            is_tag_only(Some("startsWith(github.ref, 'refs/tags/v')"))
                && is_tag_only(Some("github.ref_type == \"tag\""))
        );
        assert!(!is_tag_only(Some("!startsWith(github.ref, 'refs/tags')")) && !is_tag_only(None));
    }
}

//! Workflow schema of Forgejo: the keys allowed at each level.

use super::source::Span;
use super::workflow::{Workflow, WorkflowFileKind};
use super::yaml::{YamlKind, YamlNode};
use crate::text::did_you_mean;

/// A violation of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// Span of the offending key or value.
    pub span: Span,
    /// The problem, as a lower-case fragment.
    pub message: String,
}

const WORKFLOW_KEYS: &[&str] = &[
    "concurrency",
    "defaults",
    "enable-email-notifications",
    "enable-openid-connect",
    "env",
    "jobs",
    "name",
    "on",
    "permissions",
    "run-name",
];
const JOB_KEYS: &[&str] = &[
    "concurrency",
    "container",
    "continue-on-error",
    "defaults",
    "enable-openid-connect",
    "env",
    "environment",
    "if",
    "name",
    "needs",
    "outputs",
    "permissions",
    "runs-on",
    "secrets",
    "services",
    "steps",
    "strategy",
    "timeout-minutes",
    "uses",
    "with",
];
const STEP_KEYS: &[&str] = &[
    "continue-on-error",
    "env",
    "id",
    "if",
    "name",
    "run",
    "shell",
    "timeout-minutes",
    "uses",
    "with",
    "working-directory",
];
const STRATEGY_KEYS: &[&str] = &["fail-fast", "matrix", "max-parallel"];
const CONTAINER_KEYS: &[&str] = &["cmd", "credentials", "env", "image", "options", "ports", "volumes"];
const CONCURRENCY_KEYS: &[&str] = &["cancel-in-progress", "group"];
const EVENT_NAMES: &[&str] = &[
    "create",
    "delete",
    "fork",
    "gollum",
    "issue_comment",
    "issues",
    "label",
    "milestone",
    "page_build",
    "pull_request",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "push",
    "registry_package",
    "release",
    "repository_dispatch",
    "schedule",
    "status",
    "watch",
    "workflow_call",
    "workflow_dispatch",
    "workflow_run",
];
const PUSH_KEYS: &[&str] = &["branches", "branches-ignore", "paths", "paths-ignore", "tags", "tags-ignore"];
const PULL_REQUEST_KEYS: &[&str] =
    &["branches", "branches-ignore", "paths", "paths-ignore", "tags", "tags-ignore", "types"];

/// Checks a workflow against Forgejo's schema.
pub(crate) fn validate_workflow(workflow: &Workflow) -> Vec<SchemaError> {
    let mut checker = SchemaChecker { errors: Vec::new() };
    if workflow.kind == WorkflowFileKind::Workflow {
        checker.check_workflow(&workflow.root);
    }
    checker.errors
}

struct SchemaChecker {
    errors: Vec<SchemaError>,
}

impl SchemaChecker {
    fn add_error(&mut self, span: Span, message: String) {
        self.errors.push(SchemaError { span, message });
    }

    fn check_workflow(&mut self, root: &YamlNode) {
        if !self.expect_mapping(root, "a workflow") {
            return;
        }
        self.check_keys(root, WORKFLOW_KEYS, "a workflow");
        for key in ["on", "jobs"] {
            if root.get(key).is_none() {
                self.add_error(Span::new(root.span.start, root.span.start), format!("a workflow needs `{key}`"));
            }
        }
        if let Some(on) = root.get("on") {
            self.check_events(on);
        }
        if let Some(node) = root.get("concurrency") {
            self.check_keys(node, CONCURRENCY_KEYS, "concurrency");
        }
        let Some(jobs) = root.get("jobs").filter(|jobs| !jobs.is_null()) else { return };
        if self.expect_mapping(jobs, "jobs") {
            for (key, job) in jobs.entries() {
                self.check_job(key, job);
            }
        }
    }

    fn check_events(&mut self, on: &YamlNode) {
        let events: Vec<&YamlNode> = match &on.kind {
            YamlKind::Map(entries) => entries.iter().map(|(key, _)| key).collect(),
            _ => on.one_or_many(),
        };
        for event in events {
            if let Some(name) = event.as_str().filter(|name| !EVENT_NAMES.contains(name)) {
                self.add_error(event.span, unknown_key_message(name, EVENT_NAMES, "`on`"));
            }
        }
        for (name, allowed) in
            [("push", PUSH_KEYS), ("pull_request", PULL_REQUEST_KEYS), ("pull_request_target", PULL_REQUEST_KEYS)]
        {
            if let Some(node) = on.get(name) {
                self.check_keys(node, allowed, name);
            }
        }
    }

    fn check_job(&mut self, key: &YamlNode, job: &YamlNode) {
        let id = key.as_str().unwrap_or_default();
        let valid = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !valid {
            self.add_error(key.span, format!("`{id}` is not a valid job id; use letters, digits, `-` and `_`"));
        }
        if !self.expect_mapping(job, "a job") {
            return;
        }
        self.check_keys(job, JOB_KEYS, "a job");
        let is_misspelled =
            job.entries().iter().any(|(key, _)| key.as_str().is_some_and(|key| key.replace('_', "-") == "runs-on"));
        if job.get("runs-on").is_none() && job.get("uses").is_none() && !is_misspelled {
            self.add_error(key.span, format!("job `{id}` needs `runs-on`"));
        }
        for (name, allowed) in
            [("strategy", STRATEGY_KEYS), ("container", CONTAINER_KEYS), ("concurrency", CONCURRENCY_KEYS)]
        {
            if let Some(node) = job.get(name) {
                self.check_keys(node, allowed, name);
            }
        }
        for service in job.get("services").map(YamlNode::entries).unwrap_or_default() {
            self.check_keys(&service.1, CONTAINER_KEYS, "a service");
        }
        if let Some(steps) = job.get("steps") {
            if matches!(steps.kind, YamlKind::Seq(_)) {
                steps.items().iter().for_each(|step| self.check_step(step));
            } else {
                self.add_error(steps.span, format!("`steps` must be a list, not {}", steps.describe_kind()));
            }
        }
    }

    fn check_step(&mut self, step: &YamlNode) {
        if !self.expect_mapping(step, "a step") {
            return;
        }
        self.check_keys(step, STEP_KEYS, "a step");
        let start = Span::new(step.span.start, step.span.start);
        match (step.get("run"), step.get("uses")) {
            (Some(_), Some(uses)) => self.add_error(uses.span, "a step must not have both `run` and `uses`".to_owned()),
            (None, None)
                if step.entries().iter().all(|(key, _)| key.as_str().is_some_and(|key| STEP_KEYS.contains(&key))) =>
            {
                self.add_error(start, "a step needs `run` or `uses`".to_owned());
            }
            _ => {}
        }
    }

    fn expect_mapping(&mut self, node: &YamlNode, subject: &str) -> bool {
        let is_mapping = matches!(node.kind, YamlKind::Map(_));
        if !is_mapping {
            self.add_error(node.span, format!("{subject} must be a mapping, not {}", node.describe_kind()));
        }
        is_mapping
    }

    fn check_keys(&mut self, node: &YamlNode, allowed: &[&str], subject: &str) {
        for (key, _) in node.entries() {
            match key.as_str() {
                Some("<<") => {
                    self.add_error(key.span, "merge keys (`<<`) are not supported; write the keys out".to_owned());
                }
                Some(name) if !allowed.contains(&name) => {
                    self.add_error(key.span, unknown_key_message(name, allowed, subject));
                }
                _ => {}
            }
        }
    }
}

fn unknown_key_message(name: &str, allowed: &[&str], subject: &str) -> String {
    let hint = did_you_mean(name, allowed.iter().copied()).map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("Forgejo rejects the workflow: `{name}` is not allowed in {subject}{hint}")
}

#[cfg(test)]
mod tests {
    use super::super::forge::Forge;
    use super::super::source::SourceFile;
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let workflow =
            Workflow::parse(SourceFile::new("x.yml", text), WorkflowFileKind::Workflow, Forge::Forgejo).unwrap();
        validate_workflow(&workflow).into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn each_violation_is_named() {
        for (text, expected) in [
            ("on: push\njobs: {a: {runs_on: x, steps: []}}", "did you mean `runs-on`"),
            ("on: pusch\njobs: {}", "did you mean `push`"),
            ("on: {push: {branch: [x]}}\njobs: {}", "`branch` is not allowed in push"),
            ("jobs: {}", "needs `on`"),
            ("on: push", "needs `jobs`"),
            ("on: push\njobs: {a: {steps: []}}", "needs `runs-on`"),
            ("on: push\njobs: {a b: {runs-on: x}}", "not a valid job id"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{run: x, uses: y}]}}", "both `run` and `uses`"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{name: x}]}}", "needs `run` or `uses`"),
            ("on: push\njobs: {a: {runs-on: x, steps: {run: x}}}", "`steps` must be a list"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{parallel: [], run: x}]}}", "`parallel` is not allowed"),
            ("on: push\njobs: {a: {runs-on: x, strategy: {matrx: {}}}}", "`matrix`"),
            ("on: push\njobs: {a: {runs-on: x, services: {db: {imag: y}}}}", "`image`"),
            ("on: push\njobs: {a: {<<: {b: c}, runs-on: x}}", "merge keys"),
            ("on: push\njobs: [a]", "jobs must be a mapping"),
            ("on: push\njobs: {a: [b]}", "a job must be a mapping"),
            ("on: push\njobs: {a: {runs-on: x, steps: [b]}}", "a step must be a mapping"),
            ("[a]", "a workflow must be a mapping"),
        ] {
            let messages = errors(text);
            assert!(messages.iter().any(|message| message.contains(expected)), "{text}: {messages:?}");
        }
    }

    #[test]
    fn a_valid_workflow_has_no_violation() {
        let text = "name: x\non: {push: {branches: [a]}, workflow_dispatch: }\nenable-email-notifications: true\nconcurrency: {cancel-in-progress: true}\njobs:\n  a:\n    runs-on: docker\n    container: {image: x, cmd: [y]}\n    strategy: {fail-fast: 'false', matrix: {a: [1]}}\n    steps: [{uses: 'https://host/o/r@v1', with: {a: b}}, {run: x, timeout-minutes: 3}]\n  b: {uses: ./x.yml, with: {a: 1}}\n";
        assert_eq!(errors(text), Vec::<String>::new());
    }
}

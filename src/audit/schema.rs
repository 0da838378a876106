//! Forgejo's schema of workflows as tables: which keys may stand where.

use super::span::Span;
use super::workflow::{FileKind, Workflow};
use super::yaml::{Kind, Node};

/// A breach of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What.
    pub message: String,
}

const ROOT: &[&str] = &[
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
const JOB: &[&str] = &[
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
const STEP: &[&str] = &[
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
const STRATEGY: &[&str] = &["fail-fast", "matrix", "max-parallel"];
const CONTAINER: &[&str] = &["cmd", "credentials", "env", "image", "options", "ports", "volumes"];
const CONCURRENCY: &[&str] = &["cancel-in-progress", "group"];
const EVENTS: &[&str] = &[
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
const PUSH: &[&str] = &["branches", "branches-ignore", "paths", "paths-ignore", "tags", "tags-ignore"];
const PULL: &[&str] = &["branches", "branches-ignore", "paths", "paths-ignore", "tags", "tags-ignore", "types"];

/// Checks a workflow of Forgejo.
pub fn check(workflow: &Workflow) -> Vec<Fault> {
    let mut checker = Checker { faults: Vec::new() };
    if workflow.kind == FileKind::Workflow {
        checker.root(&workflow.root);
    }
    checker.faults
}

struct Checker {
    faults: Vec<Fault>,
}

impl Checker {
    fn fault(&mut self, span: Span, message: String) {
        self.faults.push(Fault { span, message });
    }

    fn root(&mut self, root: &Node) {
        if !self.mapping(root, "a workflow") {
            return;
        }
        self.keys(root, ROOT, "a workflow");
        for key in ["on", "jobs"] {
            if root.get(key).is_none() {
                self.fault(Span::new(root.span.start, root.span.start), format!("a workflow needs `{key}`"));
            }
        }
        if let Some(on) = root.get("on") {
            self.events(on);
        }
        if let Some(node) = root.get("concurrency") {
            self.keys(node, CONCURRENCY, "concurrency");
        }
        let Some(jobs) = root.get("jobs").filter(|jobs| !jobs.is_null()) else { return };
        if self.mapping(jobs, "jobs") {
            for (key, job) in jobs.entries() {
                self.job(key, job);
            }
        }
    }

    fn events(&mut self, on: &Node) {
        let named: Vec<&Node> = match &on.kind {
            Kind::Map(entries) => entries.iter().map(|(key, _)| key).collect(),
            _ => on.one_or_many(),
        };
        for event in named {
            if let Some(name) = event.text().filter(|name| !EVENTS.contains(name)) {
                self.fault(event.span, unknown(name, EVENTS, "the events"));
            }
        }
        for (name, allowed) in [("push", PUSH), ("pull_request", PULL), ("pull_request_target", PULL)] {
            if let Some(node) = on.get(name) {
                self.keys(node, allowed, name);
            }
        }
    }

    fn job(&mut self, key: &Node, job: &Node) {
        let id = key.text().unwrap_or_default();
        let valid = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !valid {
            self.fault(key.span, format!("`{id}` is no name for a job: letters, digits, `-` and `_`"));
        }
        if !self.mapping(job, "a job") {
            return;
        }
        self.keys(job, JOB, "a job");
        let wrong =
            job.entries().iter().any(|(key, _)| key.text().is_some_and(|key| key.replace('_', "-") == "runs-on"));
        if job.get("runs-on").is_none() && job.get("uses").is_none() && !wrong {
            self.fault(key.span, format!("job `{id}` needs `runs-on`"));
        }
        for (name, allowed) in [("strategy", STRATEGY), ("container", CONTAINER), ("concurrency", CONCURRENCY)] {
            if let Some(node) = job.get(name) {
                self.keys(node, allowed, name);
            }
        }
        for service in job.get("services").map(Node::entries).unwrap_or_default() {
            self.keys(&service.1, CONTAINER, "a service");
        }
        if let Some(steps) = job.get("steps") {
            if matches!(steps.kind, Kind::Seq(_)) {
                steps.items().iter().for_each(|step| self.step(step));
            } else {
                self.fault(steps.span, format!("`steps` is a list, not {}", steps.word()));
            }
        }
    }

    fn step(&mut self, step: &Node) {
        if !self.mapping(step, "a step") {
            return;
        }
        self.keys(step, STEP, "a step");
        let start = Span::new(step.span.start, step.span.start);
        match (step.get("run"), step.get("uses")) {
            (Some(_), Some(uses)) => self.fault(uses.span, "a step has `run` or `uses`, not both".to_owned()),
            (None, None) if step.entries().iter().all(|(key, _)| key.text().is_some_and(|key| STEP.contains(&key))) => {
                self.fault(start, "a step needs `run` or `uses`".to_owned());
            }
            _ => {}
        }
    }

    fn mapping(&mut self, node: &Node, what: &str) -> bool {
        let is = matches!(node.kind, Kind::Map(_));
        if !is {
            self.fault(node.span, format!("{what} is a mapping, not {}", node.word()));
        }
        is
    }

    fn keys(&mut self, node: &Node, allowed: &[&str], what: &str) {
        for (key, _) in node.entries() {
            match key.text() {
                Some("<<") => {
                    self.fault(key.span, "merge keys (`<<`) are not understood: write the keys out".to_owned());
                }
                Some(name) if !allowed.contains(&name) => self.fault(key.span, unknown(name, allowed, what)),
                _ => {}
            }
        }
    }
}

fn unknown(name: &str, allowed: &[&str], what: &str) -> String {
    let near = allowed
        .iter()
        .filter(|known| strsim::damerau_levenshtein(known, &name.replace('_', "-")) <= 2)
        .min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let hint = near.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    format!("`{name}` is not known in {what}, and Forgejo then runs nothing{hint}")
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Dialect;
    use super::super::span::Source;
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let workflow = Workflow::read(Source::new("x.yml", text), FileKind::Workflow, Dialect::Forgejo).unwrap();
        check(&workflow).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn each_breach_is_named() {
        for (text, expected) in [
            ("on: push\njobs: {a: {runs_on: x, steps: []}}", "did you mean `runs-on`"),
            ("on: pusch\njobs: {}", "did you mean `push`"),
            ("on: {push: {branch: [x]}}\njobs: {}", "`branch` is not known in push"),
            ("jobs: {}", "needs `on`"),
            ("on: push", "needs `jobs`"),
            ("on: push\njobs: {a: {steps: []}}", "needs `runs-on`"),
            ("on: push\njobs: {a b: {runs-on: x}}", "no name for a job"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{run: x, uses: y}]}}", "not both"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{name: x}]}}", "needs `run` or `uses`"),
            ("on: push\njobs: {a: {runs-on: x, steps: {run: x}}}", "`steps` is a list"),
            ("on: push\njobs: {a: {runs-on: x, steps: [{parallel: [], run: x}]}}", "`parallel` is not known"),
            ("on: push\njobs: {a: {runs-on: x, strategy: {matrx: {}}}}", "`matrix`"),
            ("on: push\njobs: {a: {runs-on: x, services: {db: {imag: y}}}}", "`image`"),
            ("on: push\njobs: {a: {<<: {b: c}, runs-on: x}}", "merge keys"),
            ("on: push\njobs: [a]", "jobs is a mapping"),
            ("on: push\njobs: {a: [b]}", "a job is a mapping"),
            ("on: push\njobs: {a: {runs-on: x, steps: [b]}}", "a step is a mapping"),
            ("[a]", "a workflow is a mapping"),
        ] {
            let found = faults(text);
            assert!(found.iter().any(|message| message.contains(expected)), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_forgejo_takes_passes() {
        let text = "name: x\non: {push: {branches: [a]}, workflow_dispatch: }\nenable-email-notifications: true\nconcurrency: {cancel-in-progress: true}\njobs:\n  a:\n    runs-on: docker\n    container: {image: x, cmd: [y]}\n    strategy: {fail-fast: 'false', matrix: {a: [1]}}\n    steps: [{uses: 'https://host/o/r@v1', with: {a: b}}, {run: x, timeout-minutes: 3}]\n  b: {uses: ./x.yml, with: {a: 1}}\n";
        assert_eq!(faults(text), Vec::<String>::new());
    }
}

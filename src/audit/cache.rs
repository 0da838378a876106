//! The caches of a job: which step, which paths, under which key.

use super::dialect::Dialect;
use super::span::Span;
use super::workflow::{FileKind, Job, Step, Text, Workflow};
use super::yaml::{Kind, Node, Style};

/// How a job keeps things between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// `actions/cache` with paths and a key.
    Action,
    /// `astral-sh/setup-uv` with its own cache.
    SetupUv,
    /// `actions/setup-python` with `cache:`.
    SetupPython,
    /// Another action known to cache, or one of the repository's own that does.
    Other,
}

/// One cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The step's index.
    pub step: usize,
    /// By what.
    pub kind: CacheKind,
    /// Bytes that name it: the `uses` value or the command.
    pub place: Span,
    /// Paths kept, one a line of `path`.
    pub paths: Vec<Text>,
    /// The key.
    pub key: Option<Text>,
    /// Prefixes, one a line of `restore-keys`.
    pub restore: Vec<Text>,
}

impl Cache {
    /// Whether a path keeps environments (`.nox`, `.venv`, `.tox`).
    pub fn keeps_environments(&self) -> bool {
        self.paths.iter().any(|path| {
            path.value.trim_end_matches('/').rsplit('/').any(|part| matches!(part, ".nox" | ".venv" | "venv" | ".tox"))
        })
    }

    /// Whether a path keeps uv's downloads.
    pub fn keeps_uv(&self) -> bool {
        self.kind == CacheKind::SetupUv || self.paths.iter().any(|path| is_uv(&path.value))
    }

    /// Whether a path keeps pip's downloads.
    pub fn keeps_pip(&self) -> bool {
        self.kind == CacheKind::SetupPython || self.paths.iter().any(|path| path.value.contains("pip"))
    }

    /// Whether it keeps anything of Python's.
    pub fn keeps_python(&self) -> bool {
        !matches!(self.kind, CacheKind::Action)
            || self.keeps_environments()
            || self.keeps_uv()
            || self.keeps_pip()
            || self.paths.iter().any(|path| path.value.starts_with("${{"))
    }
}

/// Whether a path is a cache of uv.
pub fn is_uv(path: &str) -> bool {
    path.split('/').any(|part| part == "uv" || part.contains("uv-cache") || part.contains("uv_cache"))
}

/// The caches of a job, in the order of its steps.
pub(super) fn caches(all: &[Workflow], workflow: &Workflow, job: &Job) -> Vec<Cache> {
    job.steps.iter().filter_map(|step| cache(all, workflow, job, step)).collect()
}

fn cache(all: &[Workflow], workflow: &Workflow, job: &Job, step: &Step) -> Option<Cache> {
    let make = |kind, place| Cache { step: step.index, kind, place, paths: vec![], key: None, restore: vec![] };
    let (action, uses) = (step.action.as_ref()?, step.uses.as_ref()?);
    if action.is_cache() {
        let lines =
            |name: &str| step.node.get("with").and_then(|with| with.get(name)).map(|node| lines(workflow, node));
        return Some(Cache {
            paths: lines("path").unwrap_or_default(),
            key: step.input("key").cloned(),
            restore: lines("restore-keys").unwrap_or_default(),
            ..make(CacheKind::Action, uses.span)
        });
    }
    if action.is("astral-sh/setup-uv") {
        let said = step.input("enable-cache").map(|text| text.value.as_str());
        let on = said == Some("true")
            || (matches!(said, None | Some("auto"))
                && uv_auto(action.major())
                && workflow.dialect == Dialect::Github
                && job.hosted());
        return on.then(|| make(CacheKind::SetupUv, uses.span));
    }
    if action.is("actions/setup-python") {
        return step.input("cache").map(|_| make(CacheKind::SetupPython, uses.span));
    }
    let known = ["hynek/setup-cached-uv", "pdm-project/setup-pdm", "tox-dev/action-pre-commit-uv"];
    let own = || {
        let path = uses.value.trim_start_matches("./");
        all.iter().filter(|other| other.kind == FileKind::Action).any(|other| {
            other.source.path.rsplit_once('/').is_some_and(|(folder, _)| folder == path)
                && other.jobs.iter().any(|job| !caches(&[], other, job).is_empty())
        })
    };
    (known.contains(&action.name.as_str()) || (action.local && own())).then(|| make(CacheKind::Other, uses.span))
}

/// Whether that version of setup-uv caches by itself on the forge's own machines.
fn uv_auto(major: Option<u32>) -> bool {
    major.is_none_or(|major| major >= 5)
}

/// The lines of a value, each with its place.
fn lines(workflow: &Workflow, node: &Node) -> Vec<Text> {
    let Kind::Scalar(text, style) = &node.kind else { return Vec::new() };
    let source = &workflow.source;
    let one = |text: &str, span| Text { value: text.to_owned(), span, shared: node.shared };
    if *style != Style::Literal {
        return text
            .split('\n')
            .filter(|line| !line.trim().is_empty())
            .map(|line| one(line.trim(), node.span))
            .collect();
    }
    let first = source.line_of(node.span.start);
    let last = source.line_of(node.span.end);
    let place = |number: usize| {
        let line = source.line(number);
        let start = source.line_start(number) + line.len() - line.trim_start().len();
        (line.trim().to_owned(), Span::new(start, start + line.trim().len()))
    };
    (first..=last).map(place).filter(|(line, _)| !line.is_empty()).map(|(line, span)| one(&line, span)).collect()
}

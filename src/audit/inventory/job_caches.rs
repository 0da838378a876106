//! Caches of a job as rows: whether each is on, and which of the job's installers none of them covers.

use super::super::job_cache::{JobCache, JobCacheKind};
use super::super::project::{JobView, find_local_action};
use super::super::workflow::WorkflowStep;
use super::table::{CacheRow, InstallRow};

/// Actions that set up something and cache no Python packages.
const PLAIN_ACTIONS: [&str; 14] = [
    "actions/setup-python",
    "astral-sh/setup-uv",
    "actions/cache",
    "wntrblm/nox",
    "theacodes/nox",
    "actions/setup-node",
    "actions/setup-java",
    "actions/setup-go",
    "actions/setup-dotnet",
    "ruby/setup-ruby",
    "docker/setup-buildx-action",
    "docker/setup-qemu-action",
    "swatinem/rust-cache",
    "actions-rust-lang/setup-rust-toolchain",
];

/// Returns the caches of a job.
pub(super) fn find_cache_rows(view: &JobView) -> Vec<CacheRow> {
    let mut rows: Vec<CacheRow> = Vec::new();
    for step in &view.job.steps {
        let cache = view.analysis.caches.iter().find(|cache| cache.step_index == step.index);
        let Some(uses) = &step.uses else { continue };
        let Some((kind, is_known)) = cache_state(view, step, cache) else { continue };
        let texts =
            |texts: &[super::super::workflow::SpannedText]| texts.iter().map(|text| text.value.clone()).collect();
        rows.push(CacheRow {
            line: view.source().position_at(uses.span.start).line,
            action: match kind {
                JobCacheKind::ActionsCache => "actions/cache",
                JobCacheKind::SetupUv => "setup-uv",
                JobCacheKind::SetupPython => "setup-python",
                JobCacheKind::Other => "another action",
            },
            paths: cache.map(|cache| texts(&cache.paths)).unwrap_or_default(),
            key: cache.and_then(|cache| cache.key.as_ref()).map(|key| key.value.clone()),
            is_known,
            condition: step.condition.as_ref().map(|text| text.value.clone()),
        });
    }
    rows
}

/// Returns the kind of a step's cache and whether it is known to be on; `None` if there is none.
fn cache_state(view: &JobView, step: &WorkflowStep, cache: Option<&JobCache>) -> Option<(JobCacheKind, bool)> {
    let action = step.action.as_ref()?;
    let input = |name: &str| step.input_value(name).map(|text| text.value.as_str());
    let is_computed = |value: Option<&str>| value.is_some_and(|value| value.contains("${{"));
    if action.is_named("astral-sh/setup-uv") {
        let setting = input("enable-cache");
        if is_computed(setting) {
            return Some((JobCacheKind::SetupUv, false));
        }
        // Whether it caches by default depends on its version, which a commit does not tell.
        let line = view.source().line_text(view.source().line_index(step.uses.as_ref()?.span.start));
        let has_version = action.major_version().is_some() || line.contains("# v") || line.contains("#v");
        return cache.map(|_| (JobCacheKind::SetupUv, setting == Some("true") || has_version));
    }
    if action.is_named("actions/setup-python") {
        let value = input("cache").filter(|value| !value.is_empty())?;
        return Some((JobCacheKind::SetupPython, !is_computed(Some(value))));
    }
    if action.is_named("pdm-project/setup-pdm") {
        let value = input("cache").filter(|value| *value != "false")?;
        return Some((JobCacheKind::Other, !is_computed(Some(value))));
    }
    cache.map(|cache| (cache.kind, true))
}

/// Whether an action of the job may restore a cache that the files do not show.
pub(super) fn may_have_hidden_cache(view: &JobView) -> bool {
    view.job.steps.iter().any(|step| {
        let Some(action) = &step.action else { return false };
        match action.local_directory() {
            Some(directory) => find_local_action(view.project, directory).is_none(),
            None => {
                let is_setup = ["cache", "setup", "install", "nox"].iter().any(|word| action.name.contains(word));
                is_setup && !PLAIN_ACTIONS.contains(&action.name.as_str())
            }
        }
    })
}

/// Returns the installers of a job whose packages none of its caches holds; empty if a cache may hold anything.
pub(super) fn uncached_installers(view: &JobView, installs: &[InstallRow]) -> Vec<&'static str> {
    let mut covered: Vec<String> = Vec::new();
    for cache in &view.analysis.caches {
        let Some(step) = view.step(cache.step_index) else { continue };
        match cache.kind {
            JobCacheKind::SetupUv => covered.push("uv".to_owned()),
            JobCacheKind::SetupPython => {
                covered
                    .extend(step.input_value("cache").map(|text| text.value.clone()).filter(|tool| !tool.is_empty()));
            }
            JobCacheKind::Other => return Vec::new(),
            JobCacheKind::ActionsCache => {
                if cache.caches_environments() || !cache.has_only_downloads() {
                    return Vec::new();
                }
                covered.extend(cache.caches_uv_downloads().then(|| "uv".to_owned()));
                covered.extend(cache.caches_pip_downloads().then(|| "pip".to_owned()));
            }
        }
    }
    if covered.is_empty() || covered.iter().any(|tool| tool.contains("${{")) {
        return Vec::new();
    }
    let mut missing: Vec<&'static str> = Vec::new();
    for row in installs.iter().filter(|row| row.installer != "action") {
        let cache = if row.installer == "pipx" { "pip" } else { row.installer };
        if !covered.iter().any(|tool| tool == cache) && !missing.contains(&row.installer) {
            missing.push(row.installer);
        }
    }
    missing
}

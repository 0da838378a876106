//! Caches of a job as rows: whether each is on, and which of the job's installers none of them covers.

use super::super::job_cache::{JobCache, JobCacheKind};
use super::super::project::{JobView, find_local_action};
use super::super::workflow::{SpannedText, WorkflowFileKind, WorkflowStep};
use super::known_actions::{ActionCache, action_effect};
use super::step_condition::{ActionCall, StepCondition};
use super::table::{CacheRow, InstallRow};

/// Actions whose cache holds the environments of hooks.
const HOOK_ACTIONS: [&str; 3] = ["pre-commit/action", "tox-dev/action-pre-commit-uv", "j178/prek-action"];
/// Tools that install the environments of hooks.
const HOOK_TOOLS: [&str; 2] = ["pre-commit", "prek"];

/// Whether a cache holds the environments of hooks and nothing else.
fn has_only_hooks(cache: &JobCache) -> bool {
    let is_hooks = |path: &SpannedText| {
        let path = path.value.trim_end_matches('/');
        HOOK_TOOLS.iter().any(|tool| path.ends_with(&format!(".cache/{tool}")))
    };
    !cache.paths.is_empty() && cache.paths.iter().all(is_hooks)
}

/// Returns the caches of a job, or of a local action that `call` uses.
pub(super) fn find_cache_rows(view: &JobView, call: Option<ActionCall>) -> Vec<CacheRow> {
    let mut rows: Vec<CacheRow> = Vec::new();
    for step in &view.job.steps {
        let condition = StepCondition::of_step(step, call);
        if condition == StepCondition::Never {
            continue;
        }
        if step.action.as_ref().is_some_and(|action| action.is_named("actions/cache") && action.subpath == "save") {
            add_save_step(view, (step, &condition), &mut rows);
            continue;
        }
        let cache = view.analysis.caches.iter().find(|cache| cache.step_index == step.index);
        let Some(uses) = &step.uses else { continue };
        if let Some(inner) = local_action_rows(view, step) {
            let line = view.source().position_at(uses.span.start).line;
            rows.extend(inner.into_iter().map(|row| CacheRow {
                line,
                condition: condition.text().or(row.condition),
                ..row
            }));
            continue;
        }
        let Some((kind, is_known)) = cache_state(view, step, cache) else { continue };
        let texts = |texts: &[SpannedText]| texts.iter().map(|text| text.value.clone()).collect();
        rows.push(CacheRow {
            line: view.source().position_at(uses.span.start).line,
            action: match kind {
                JobCacheKind::ActionsCache
                    if step.action.as_ref().is_some_and(|action| action.subpath == "restore") =>
                {
                    "actions/cache/restore".to_owned()
                }
                JobCacheKind::ActionsCache => "actions/cache".to_owned(),
                JobCacheKind::SetupUv => "setup-uv".to_owned(),
                JobCacheKind::SetupPython => "setup-python".to_owned(),
                JobCacheKind::Other => step.action.as_ref().map(|action| action.name.clone()).unwrap_or_default(),
            },
            paths: cache.map(|cache| texts(&cache.paths)).unwrap_or_default(),
            key: cache.and_then(|cache| cache.key.as_ref()).map(|key| key.value.clone()),
            is_known,
            condition: condition.text(),
        });
    }
    rows
}

/// Returns the caches of a local action that uses no other local one; `None` if the step uses no such action.
fn local_action_rows(view: &JobView, step: &WorkflowStep) -> Option<Vec<CacheRow>> {
    let directory = step.action.as_ref().and_then(|action| action.local_directory())?;
    let action = find_local_action(view.project, directory)?;
    let inner = view.project.workflow_job_views(action).next()?;
    let is_local = |step: &WorkflowStep| step.action.as_ref().is_some_and(|action| action.is_local);
    let is_followed = !inner.job.steps.iter().any(is_local);
    is_followed.then(|| find_cache_rows(&inner, Some(ActionCall { step, action: inner.workflow })))
}

/// Adds a step that only saves, unless a step before it restores the same paths with the same key.
fn add_save_step(view: &JobView, (step, condition): (&WorkflowStep, &StepCondition), rows: &mut Vec<CacheRow>) {
    let (Some(uses), Some(key)) = (&step.uses, step.input_value("key")) else { return };
    let paths = step.input_value("path").map_or("", |text| text.value.as_str());
    let paths: Vec<String> = paths.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if rows.iter().any(|row| row.paths == paths && row.key.as_deref() == Some(key.value.as_str())) {
        return;
    }
    rows.push(CacheRow {
        line: view.source().position_at(uses.span.start).line,
        action: "actions/cache/save".to_owned(),
        paths,
        key: Some(key.value.clone()),
        is_known: true,
        condition: condition.text(),
    });
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
        // In a composite action, the runner of the job that uses it decides too.
        let is_default =
            matches!(setting, None | Some("auto")) && action.major_version().is_none_or(|major| major >= 5);
        if cache.is_none() && is_default && view.workflow.kind == WorkflowFileKind::CompositeAction {
            return Some((JobCacheKind::SetupUv, false));
        }
        return cache.map(|_| (JobCacheKind::SetupUv, setting == Some("true") || has_version));
    }
    if action.is_named("actions/setup-python") {
        let value = input("cache").filter(|value| !value.is_empty())?;
        return Some((JobCacheKind::SetupPython, !is_computed(Some(value))));
    }
    match action_effect(step).map(|effect| effect.cache) {
        Some(ActionCache::On) => return Some((JobCacheKind::Other, true)),
        Some(ActionCache::Unknown) => return Some((JobCacheKind::Other, false)),
        Some(ActionCache::Off) | None => {}
    }
    cache.map(|cache| (cache.kind, true))
}

/// Whether an action of the job may restore a cache that the files do not show.
pub(super) fn may_have_hidden_cache(view: &JobView) -> bool {
    view.job.steps.iter().any(|step| {
        let Some(action) = &step.action else { return false };
        match action.local_directory() {
            Some(directory) => find_local_action(view.project, directory).is_none(),
            None => action_effect(step).is_none(),
        }
    })
}

/// Returns the installers of a job whose packages none of its caches holds; empty if a cache may hold anything.
pub(super) fn uncached_installers(view: &JobView, caches: &[CacheRow], installs: &[InstallRow]) -> Vec<&'static str> {
    let mut covered: Vec<String> = Vec::new();
    if caches.iter().any(|row| HOOK_ACTIONS.contains(&row.action.as_str())) {
        covered.extend(HOOK_TOOLS.map(str::to_owned));
    }
    for cache in &view.analysis.caches {
        let Some(step) = view.step(cache.step_index) else { continue };
        match cache.kind {
            JobCacheKind::SetupUv => covered.push("uv".to_owned()),
            JobCacheKind::SetupPython => {
                covered
                    .extend(step.input_value("cache").map(|text| text.value.clone()).filter(|tool| !tool.is_empty()));
            }
            JobCacheKind::Other
                if step.action.as_ref().is_some_and(|action| HOOK_ACTIONS.contains(&action.name.as_str())) => {}
            JobCacheKind::Other => return Vec::new(),
            JobCacheKind::ActionsCache if has_only_hooks(cache) => covered.extend(HOOK_TOOLS.map(str::to_owned)),
            JobCacheKind::ActionsCache => {
                if cache.caches_environments() || !cache.has_only_downloads() {
                    return Vec::new();
                }
                covered.extend(cache.caches_uv_downloads().then(|| "uv".to_owned()));
                covered.extend(cache.caches_pip_downloads().then(|| "pip".to_owned()));
            }
        }
    }
    let is_other = |row: &CacheRow| {
        let is_action =
            row.action.starts_with("actions/cache") || ["setup-uv", "setup-python"].contains(&row.action.as_str());
        !is_action && !HOOK_ACTIONS.contains(&row.action.as_str())
    };
    if caches.iter().any(is_other) || covered.is_empty() || covered.iter().any(|tool| tool.contains("${{")) {
        return Vec::new();
    }
    let mut missing: Vec<&'static str> = Vec::new();
    for row in installs.iter().filter(|row| !matches!(row.installer, "action" | "nox")) {
        let cache = if row.installer == "pipx" { "pip" } else { row.installer };
        if !covered.iter().any(|tool| tool == cache) && !missing.contains(&row.installer) {
            missing.push(row.installer);
        }
    }
    missing
}

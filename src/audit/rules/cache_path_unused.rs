//! NX114: A cache saves a directory that the job does not use.

use std::path::Path;

use super::prelude::*;
use crate::audit::job_cache::{CACHE_VARIABLES, workspace_path};
use crate::audit::job_installers::Downloader;

pub(super) static RULE: Rule = Rule {
    ident: RuleIdent {
        id: "NX114",
        name: "cache-path-unused",
        summary: "A cache saves a directory that the job does not use.",
    },
    rationale: "The restored files are never read and the downloaded files never saved: the cache costs time and saves none.",
    evidence: "Observed: the noxfile sets UV_CACHE_DIR to /tmp/uv-cache, but the jobs cache ~/.cache/uv. Absolute workspace paths never hit on runners without containers, because the path is part of the cache version. Severity medium if the cached downloads are those of another tool than the one that installs the packages of the job (pip, uv or pdm), which is reported only if every command and action of the job tells what it installs; low and pedantic where the cache of setup-uv already holds those downloads. `cache` of `setup-python` without a file to hash fails the step.",
    advice: "Cache the directory that UV_CACHE_DIR or PIP_CACHE_DIR names, or set the variable to the cached directory.",
    severity: Severity::High,
    confidence: Confidence::High,
    persona: Persona::Regular,
    forges: ALL_FORGES,
    bad_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    env: {UV_CACHE_DIR: /tmp/uv-cache}
    steps:
      - uses: actions/cache@v4
        with: {path: ~/.cache/uv, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    good_example: &[(
        ".forgejo/workflows/ci.yml",
        r#"on: push
jobs:
  lint:
    runs-on: docker
    env: {UV_CACHE_DIR: /tmp/uv-cache}
    steps:
      - uses: actions/cache@v4
        with: {path: /tmp/uv-cache, key: "uv-${{ runner.os }}-${{ hashFiles('uv.lock') }}"}
"#,
    )],
    check_project,
};

fn check_project(project: &AuditProject, findings: &mut FindingSink) {
    let mut tree = FileListing { root: &project.root, files: None };
    for view in project.job_views() {
        for cache in view
            .analysis
            .caches
            .iter()
            .filter(|cache| cache.kind == JobCacheKind::ActionsCache && cache.has_python_content())
        {
            for (variable, installer) in CACHE_VARIABLES {
                check_cache_dir(&view, cache, (variable, installer), findings);
            }
            check_absolute_path(&view, cache, findings);
        }
        for cache in &view.analysis.caches {
            check_downloader(&view, cache, findings);
            if cache.kind == JobCacheKind::SetupPython {
                check_hashed_files(&view, cache, &mut tree, findings);
            }
        }
    }
}

/// Reports a cached path that is not the cache directory that uv or pip uses.
fn check_cache_dir(
    view: &JobView,
    cache: &JobCache,
    (variable, installer): (&str, PackageInstaller),
    findings: &mut FindingSink,
) {
    let tool = installer.as_str();
    let is_of_tool = |path: &str| match installer {
        PackageInstaller::Uv => cache.is_uv_path(path),
        _ => cache.is_pip_path(path),
    };
    // That another tool downloads the packages is reported instead.
    if installer == PackageInstaller::Pip && view.single_downloader().is_some_and(|used| used.as_str() != tool) {
        return;
    }
    let configured = view.cache_dir_variable(variable);
    let noxfile = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty());
    let assignment = noxfile.and_then(|noxfile| Some((noxfile, noxfile.find_env_assignment(variable)?)));
    let Some(used) =
        configured.as_ref().map(|text| text.value.clone()).or(assignment.map(|(_, variable)| variable.value.clone()))
    else {
        return;
    };
    let used = workspace_path(&used).to_owned();
    let is_used = |path: &SpannedText| {
        let path = workspace_path(&path.value);
        // The absolute paths of the home directory and the workspace are not known.
        let below_home = path.strip_prefix("~/");
        let below = below_home.or((!path.starts_with('/')).then_some(path));
        path == used
            || (used.starts_with('/') && below.is_some_and(|rest| used.ends_with(&format!("/{rest}"))))
            || path.contains(&format!("env.{variable}"))
            || path.contains("steps.")
    };
    let wrong = cache.paths.iter().find(|path| is_of_tool(&path.value));
    let Some(wrong) = wrong.filter(|_| !cache.paths.iter().any(is_used) && !used.contains("${{")) else { return };
    let message = format!("the job caches {}, but {tool}'s cache directory is {used}", wrong.value);
    let fix = fixes::cache_step::correct_cache_path(view, cache, (variable, installer));
    let finding = findings.report(view.source(), wrong.span, message);
    finding.fix = fix;
    if let Some(text) = configured {
        finding.add_related(view.source(), text.span, "the cache directory is set here");
    } else if let Some((noxfile, variable)) = assignment {
        finding.add_related(&noxfile.source, noxfile.env_assignment_span(variable), "every session sets it here");
    }
}

/// Reports an absolute path, which is valid on one runner only.
fn check_absolute_path(view: &JobView, cache: &JobCache, findings: &mut FindingSink) {
    let is_absolute = |path: &&SpannedText| {
        ["/home/runner", "/root", "${{ github.workspace }}"].iter().any(|start| path.value.starts_with(start))
    };
    if let Some(path) = cache.paths.iter().find(is_absolute).filter(|_| view.is_self_hosted()) {
        let message = format!("{} differs between runners, and the path is part of the cache version", path.value);
        let finding = findings.report(view.source(), path.span, message);
        finding
            .set_severity(Severity::Medium)
            .set_confidence(Confidence::Medium)
            .set_advice("Use `~/…` or a path relative to the workspace.");
    }
}

/// Reports a cache of one tool's downloads in a job that downloads with another one.
fn check_downloader(view: &JobView, cache: &JobCache, findings: &mut FindingSink) {
    let all = |is_cache: fn(&JobCache, &str) -> bool| {
        let is_literal = |path: &str| !path.contains("${{") || cache.is_printed_path(path);
        !cache.paths.is_empty()
            && cache.paths.iter().all(|path| is_cache(cache, &path.value) && is_literal(&path.value))
    };
    let setup = view.step(cache.step_index).filter(|_| cache.kind == JobCacheKind::SetupPython);
    let setup = setup.and_then(|step| step.input_value("cache")).filter(|text| text.value == "pip");
    let (cached, what, span) = if let Some(text) = setup {
        (Downloader::Pip, "`cache: pip`".to_owned(), text.span)
    } else if let Some(path) = cache.paths.first().filter(|_| cache.kind == JobCacheKind::ActionsCache) {
        let tool = if all(JobCache::is_pip_path) { Downloader::Pip } else { Downloader::Uv };
        if tool == Downloader::Uv && !all(JobCache::is_uv_path) {
            return;
        }
        (tool, path.value.clone(), path.span)
    } else {
        return;
    };
    let Some(used) = view.single_downloader().filter(|used| *used != cached) else { return };
    let (used, cached) = (used.as_str(), cached.as_str());
    let message = format!("{what} stores what {cached} downloads, but {used} downloads the packages of this job");
    let finding = findings.report(view.source(), span, message);
    let is_cached = used == "uv" && view.analysis.caches.iter().any(JobCache::caches_uv_downloads);
    let (severity, advice) = if is_cached {
        (Severity::Low, format!("Remove this cache: another one of the job holds the downloads of {used}."))
    } else {
        (Severity::Medium, format!("Cache the download directory of {used} instead."))
    };
    finding.set_severity(severity).set_confidence(Confidence::Medium).set_advice(advice);
    if is_cached {
        finding.set_persona(Persona::Pedantic);
    }
}

/// Reports a cache of `setup-python` for whose key there is no file: the step fails.
fn check_hashed_files(view: &JobView, cache: &JobCache, tree: &mut FileListing, findings: &mut FindingSink) {
    let Some(step) = view.step(cache.step_index) else { return };
    let Some(tool) = step.input_value("cache") else { return };
    let before = view.job.steps.iter().take(step.index);
    let is_own_checkout = |step: &WorkflowStep| {
        step.uses_action("actions/checkout")
            && ["repository", "path"].iter().all(|name| step.input_value(name).is_none())
    };
    // A script may write the file, and a composite action runs in any repository.
    let is_known = before.clone().any(is_own_checkout)
        && before.clone().all(|step| step.script.is_none())
        && before.filter(|step| step.uses_action("actions/checkout")).count() == 1
        && view.workflow.kind == WorkflowFileKind::Workflow;
    let patterns: Vec<String> = match (step.input_value("cache-dependency-path"), tool.value.as_str()) {
        (Some(text), _) => {
            text.value.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
        }
        (None, "pip") => vec!["**/requirements.txt".to_owned(), "**/pyproject.toml".to_owned()],
        (None, "pipenv") => vec!["**/Pipfile.lock".to_owned()],
        (None, "poetry") => vec!["**/poetry.lock".to_owned()],
        _ => return,
    };
    if !is_known || patterns.is_empty() || tree.has_match(&patterns) {
        return;
    }
    let message = format!("`setup-python` fails: no file of the project matches {}", patterns.join(" or "));
    let finding = findings.report(view.source(), tool.span, message);
    finding.set_advice("Set `cache-dependency-path` to the files that list the packages, or remove `cache`.");
}

/// Files of the project, listed when a rule first asks for them.
struct FileListing<'a> {
    root: &'a Path,
    /// Paths relative to the root; `None` inside if there are too many, or if submodules may hold more.
    files: Option<Option<Vec<String>>>,
}

/// Number of files and directories above which a project is not listed.
const MAX_ENTRIES: usize = 30_000;

impl FileListing<'_> {
    /// Whether a pattern matches a file, as far as the files are known.
    fn has_match(&mut self, patterns: &[String]) -> bool {
        let files = self.files.get_or_insert_with(|| list_files(self.root));
        let hashed = job_cache::HashedFiles::new(patterns);
        files.as_ref().is_none_or(|files| files.iter().any(|file| hashed.contains(file)))
    }
}

fn list_files(root: &Path) -> Option<Vec<String>> {
    if root.join(".gitmodules").exists() {
        return None;
    }
    let is_tree = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !matches!(name.as_ref(), ".git" | ".nox" | ".venv" | "node_modules" | "target")
    };
    let mut files = Vec::new();
    for (count, entry) in walkdir::WalkDir::new(root).into_iter().filter_entry(is_tree).enumerate() {
        let entry = entry.ok().filter(|_| count < MAX_ENTRIES)?;
        if !entry.file_type().is_dir() {
            let path = entry.path().strip_prefix(root).ok()?;
            files.push(path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"));
        }
    }
    Some(files)
}

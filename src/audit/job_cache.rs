//! Caches of a job: step, paths and keys, and the parts of a cache key.

use globset::{GlobBuilder, GlobMatcher};

use super::forge::Forge;
use super::shell::{PackageInstaller, ShellCommand};
use super::source::Span;
use super::workflow::{SpannedText, Workflow, WorkflowFileKind, WorkflowJob, WorkflowStep, is_tag_only};
use super::yaml::{YamlKind, YamlNode, YamlStyle};

/// Kind of a cache step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobCacheKind {
    /// `actions/cache` with paths and a key.
    ActionsCache,
    /// `astral-sh/setup-uv` with its own cache.
    SetupUv,
    /// `actions/setup-python` with `cache:`.
    SetupPython,
    /// Another action known to cache, or a local action that caches.
    Other,
}

/// A cache of a job.
#[derive(Clone, Debug)]
pub struct JobCache {
    /// Index of the step.
    pub step_index: usize,
    /// Kind of the step.
    pub kind: JobCacheKind,
    /// Byte range of the `uses` value.
    pub span: Span,
    /// Cached paths, one per line of `path`.
    pub paths: Vec<SpannedText>,
    /// Value of `key`.
    pub key: Option<SpannedText>,
    /// Prefixes, one per line of `restore-keys`.
    pub restore_keys: Vec<SpannedText>,
    /// Paths that are known to be a tool's cache directory by a step or a variable of the job.
    known_paths: Vec<KnownCachePath>,
}

/// A path whose content the job shows: the output of a step that prints the cache directory of a tool, or the
/// value of `UV_CACHE_DIR` or `PIP_CACHE_DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownCachePath {
    path: String,
    tool: PackageInstaller,
    is_output: bool,
}

impl JobCache {
    /// Whether it caches environments (`.nox`, `.venv`, `.tox`).
    pub(crate) fn caches_environments(&self) -> bool {
        self.paths.iter().any(|path| is_environment_path(&path.value))
    }

    /// Whether it caches uv's downloads.
    pub(crate) fn caches_uv_downloads(&self) -> bool {
        self.kind == JobCacheKind::SetupUv || self.paths.iter().any(|path| self.is_uv_path(&path.value))
    }

    /// Whether it caches pip's downloads.
    pub(crate) fn caches_pip_downloads(&self) -> bool {
        self.kind == JobCacheKind::SetupPython || self.paths.iter().any(|path| self.is_pip_path(&path.value))
    }

    /// Whether it caches Python packages or environments.
    pub(crate) fn has_python_content(&self) -> bool {
        !matches!(self.kind, JobCacheKind::ActionsCache)
            || self.caches_environments()
            || self.caches_uv_downloads()
            || self.caches_pip_downloads()
    }

    /// Whether it may cache Python packages: it is known to, or a path is an expression.
    pub(crate) fn may_have_python_content(&self) -> bool {
        self.has_python_content() || self.paths.iter().any(|path| path.value.contains("${{"))
    }

    /// Whether it caches downloads of packages and nothing else.
    pub(crate) fn has_only_downloads(&self) -> bool {
        let is_download = |path: &SpannedText| self.is_uv_path(&path.value) || self.is_pip_path(&path.value);
        !self.paths.is_empty() && self.paths.iter().all(is_download)
    }

    /// Whether a path of the cache is uv's cache directory.
    pub(crate) fn is_uv_path(&self, path: &str) -> bool {
        is_uv_cache_path(path) || self.is_known_path(path, |known| known.tool == PackageInstaller::Uv)
    }

    /// Whether a path of the cache is pip's cache directory.
    pub(crate) fn is_pip_path(&self, path: &str) -> bool {
        is_pip_cache_path(path) || self.is_known_path(path, |known| known.tool == PackageInstaller::Pip)
    }

    /// Whether a step of the job prints the path: the directory that the tool uses.
    pub(crate) fn is_printed_path(&self, path: &str) -> bool {
        self.is_known_path(path, |known| known.is_output)
    }

    fn is_known_path(&self, path: &str, has_property: impl Fn(&KnownCachePath) -> bool) -> bool {
        self.known_paths.iter().any(|known| known.path == path && has_property(known))
    }
}

/// Whether a path is a cache directory of uv.
pub(crate) fn is_uv_cache_path(path: &str) -> bool {
    is_tool_cache_path(path, "uv")
        || path.contains("env.UV_CACHE_DIR")
        || path.split('/').any(|part| part.contains("uv-cache") || part.contains("uv_cache"))
}

/// Whether a path is a cache directory of pip.
pub(crate) fn is_pip_cache_path(path: &str) -> bool {
    is_tool_cache_path(path, "pip") || path.contains("env.PIP_CACHE_DIR")
}

/// Whether a path is `cache/TOOL` or `TOOL/cache`, as on Linux, macOS and Windows.
fn is_tool_cache_path(path: &str, tool: &str) -> bool {
    let path = path.to_lowercase();
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    let is_cache = |part: &str| matches!(part, "cache" | ".cache" | "caches");
    parts.windows(2).any(|pair| (is_cache(pair[0]) && pair[1] == tool) || (pair[0] == tool && is_cache(pair[1])))
}

/// Whether a path holds environments: `.nox`, `.venv`, or a session below `.nox`, but not nox's own `.nox/.cache`.
pub(crate) fn is_environment_path(path: &str) -> bool {
    let path = path.trim_end_matches(['/', '*']);
    let mut parts = path.rsplit('/');
    let (last, parent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_session = matches!(parent, ".nox" | ".tox") && !last.starts_with('.');
    matches!(last, ".nox" | ".venv" | "venv" | ".tox") || is_session
}

/// Returns the caches of a job, in the order of its steps.
pub(super) fn find_job_caches(all: &[Workflow], workflow: &Workflow, job: &WorkflowJob) -> Vec<JobCache> {
    let caches = job.steps.iter().filter_map(|step| detect_step_cache(all, workflow, step, (workflow, job)));
    let with_known_paths = |cache: JobCache| {
        let known = cache.paths.iter().filter_map(|path| find_known_path(workflow, job, cache.step_index, &path.value));
        JobCache { known_paths: known.collect(), ..cache }
    };
    caches.map(with_known_paths).collect()
}

/// Returns what is known of a path from an earlier step, or from a variable of the job.
fn find_known_path(workflow: &Workflow, job: &WorkflowJob, step_index: usize, path: &str) -> Option<KnownCachePath> {
    let expression = path.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).map(str::trim);
    if let Some((id, output)) = expression.and_then(|text| text.strip_prefix("steps.")?.split_once(".outputs.")) {
        let step = job.steps.iter().take(step_index).find(|step| step.id.as_deref() == Some(id))?;
        let tool = printed_cache_tool(step, output)?;
        return Some(KnownCachePath { path: path.to_owned(), tool, is_output: true });
    }
    let steps = || std::iter::once(None).chain(job.steps.iter().map(Some));
    let is_value = |(name, _): &(&str, PackageInstaller)| {
        let mut values = steps().filter_map(|step| workflow.resolve_variable(job, step, name));
        values.any(|text| workspace_path(&text.value) == workspace_path(path))
    };
    let (_, tool) = CACHE_VARIABLES.into_iter().find(is_value)?;
    Some(KnownCachePath { path: path.to_owned(), tool, is_output: false })
}

/// Returns a path without the workspace, to which a path of a cache is relative.
pub(crate) fn workspace_path(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    ["${{ github.workspace }}/", "./"].iter().find_map(|start| path.strip_prefix(start)).unwrap_or(path)
}

/// Variables that set the cache directories of tools.
pub(crate) const CACHE_VARIABLES: [(&str, PackageInstaller); 2] =
    [("UV_CACHE_DIR", PackageInstaller::Uv), ("PIP_CACHE_DIR", PackageInstaller::Pip)];

/// Returns the tool whose cache directory a script writes to an output; `None` if it may write something else.
fn printed_cache_tool(step: &WorkflowStep, output: &str) -> Option<PackageInstaller> {
    let written = |command: &ShellCommand| {
        let is_output_file =
            command.output_files.iter().any(|file| file.text.trim_end_matches('}').ends_with("_OUTPUT"));
        let value = command.words.iter().skip(1).find_map(|word| {
            let plain = || word.text.strip_prefix(output)?.strip_prefix('=').filter(|_| is_output_file);
            word.text.strip_prefix(&format!("::set-output name={output}::")).or_else(plain)
        });
        value.map(cache_dir_tool)
    };
    let mut tools = step.commands.iter().filter_map(written);
    let first = tools.next()?;
    tools.all(|tool| tool == first).then_some(first)?
}

/// Returns the tool whose cache directory a substitution (`$(pip cache dir)`) prints.
fn cache_dir_tool(substitution: &str) -> Option<PackageInstaller> {
    let command = substitution.trim().strip_prefix("$(")?.strip_suffix(')')?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let is_python = |program: &str| program.starts_with("python") || program == "py";
    match words.as_slice() {
        ["uv", "cache", "dir"] => Some(PackageInstaller::Uv),
        ["pip" | "pip3", "cache", "dir"] => Some(PackageInstaller::Pip),
        [program, "-m", "pip", "cache", "dir"] if is_python(program) => Some(PackageInstaller::Pip),
        _ => None,
    }
}

fn detect_step_cache(
    all: &[Workflow],
    workflow: &Workflow,
    step: &WorkflowStep,
    // The job that runs the step: for a step of a local action, that of the workflow that uses the action.
    caller: (&Workflow, &WorkflowJob),
) -> Option<JobCache> {
    let build = |kind, span| JobCache {
        step_index: step.index,
        kind,
        span,
        paths: vec![],
        key: None,
        restore_keys: vec![],
        known_paths: vec![],
    };
    let (action, uses) = (step.action.as_ref()?, step.uses.as_ref()?);
    if action.is_cache_restore() {
        let lines = |name: &str| {
            step.node.get("with").and_then(|with| with.get(name)).map(|node| spanned_lines(workflow, node))
        };
        return Some(JobCache {
            paths: lines("path").unwrap_or_default(),
            key: step.input_value("key").cloned(),
            restore_keys: lines("restore-keys").unwrap_or_default(),
            ..build(JobCacheKind::ActionsCache, uses.span)
        });
    }
    if action.is_named("astral-sh/setup-uv") {
        let setting = step.input_value("enable-cache").map(|text| text.value.as_str());
        let enabled = setting == Some("true")
            || (matches!(setting, None | Some("auto"))
                && has_automatic_cache(action.major_version(), caller)
                && caller.0.forge == Forge::Github
                && caller.1.is_github_hosted());
        return enabled.then(|| build(JobCacheKind::SetupUv, uses.span));
    }
    if action.is_named("actions/setup-python") {
        return step.input_value("cache").map(|_| build(JobCacheKind::SetupPython, uses.span));
    }
    let known = ["hynek/setup-cached-uv", "pdm-project/setup-pdm", "tox-dev/action-pre-commit-uv"];
    let is_local_cache = |path: &str| {
        // Passes no workflows on, so that actions that use each other do not recurse endlessly.
        all.iter().filter(|other| other.kind == WorkflowFileKind::CompositeAction).any(|other| {
            other.source.path.rsplit_once('/').is_some_and(|(directory, _)| directory == path)
                && other
                    .jobs
                    .iter()
                    .flat_map(|job| &job.steps)
                    .any(|step| detect_step_cache(&[], other, step, caller).is_some())
        })
    };
    (known.contains(&action.name.as_str()) || action.local_directory().is_some_and(is_local_cache))
        .then(|| build(JobCacheKind::Other, uses.span))
}

/// Whether this version of setup-uv caches by default on GitHub-hosted runners: since version 5; since version 10
/// not if the job runs only for tags or the workflow only for privileged events.
fn has_automatic_cache(major: Option<u32>, (workflow, job): (&Workflow, &WorkflowJob)) -> bool {
    let condition = job.condition.as_ref().map(|text| text.value.as_str());
    let is_privileged = is_tag_only(condition) || workflow.triggers.has_privileged_events_only();
    major.is_none_or(|major| major >= 5 && !(major >= 10 && is_privileged))
}

/// Returns the lines of a scalar, each with its span.
fn spanned_lines(workflow: &Workflow, node: &YamlNode) -> Vec<SpannedText> {
    let YamlKind::Scalar(text, style) = &node.kind else { return Vec::new() };
    let source = &workflow.source;
    let one = |text: &str, span| SpannedText { value: text.to_owned(), span, aliased: node.aliased };
    if *style != YamlStyle::Literal {
        return text
            .split('\n')
            .filter(|line| !line.trim().is_empty())
            .map(|line| one(line.trim(), node.span))
            .collect();
    }
    let first = source.line_index(node.span.start);
    let last = source.line_index(node.span.end);
    let trimmed_line = |number: usize| {
        let line = source.line_text(number);
        let start = source.line_start(number) + line.len() - line.trim_start().len();
        (line.trim().to_owned(), Span::new(start, start + line.trim().len()))
    };
    (first..=last).map(trimmed_line).filter(|(line, _)| !line.is_empty()).map(|(line, span)| one(&line, span)).collect()
}

/// Returns the files named in the `hashFiles(…)` calls of a key.
pub(crate) fn extract_hashed_files(key: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut rest = key;
    while let Some((_, after)) = rest.split_once("hashFiles(") {
        let inside = after.split(')').next().unwrap_or_default();
        files.extend(inside.split(',').map(|file| file.trim().trim_matches(['\'', '"']).to_owned()));
        rest = after;
    }
    files
}

/// Whether one of the patterns of `hashFiles` matches a file; also true if a pattern cannot be read.
pub(crate) fn is_file_hashed(patterns: &[String], file: &str) -> bool {
    HashedFiles::new(patterns).contains(file)
}

/// The files that `hashFiles` reads.
pub(crate) struct HashedFiles {
    /// `None` if a pattern cannot be read.
    matchers: Option<Vec<GlobMatcher>>,
}

impl HashedFiles {
    /// Compiles the patterns.
    pub(crate) fn new(patterns: &[String]) -> Self {
        let compile = |pattern: &String| {
            let is_readable = !pattern.contains("${{") && !pattern.starts_with('!');
            let glob = GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build();
            glob.ok().filter(|_| is_readable).map(|glob| glob.compile_matcher())
        };
        Self { matchers: patterns.iter().map(compile).collect() }
    }

    /// Whether a file is hashed; also true if a pattern cannot be read.
    pub(crate) fn contains(&self, file: &str) -> bool {
        self.matchers.as_ref().is_none_or(|matchers| matchers.iter().any(|matcher| matcher.is_match(file)))
    }
}

/// Returns a key without its `hashFiles(…)` calls, in lower case.
pub(crate) fn strip_hash_files(key: &str) -> String {
    let mut text = String::new();
    let mut rest = key;
    while let Some((before, after)) = rest.split_once("hashFiles(") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.to_lowercase()
}

/// Whether a stripped key contains the operating system.
pub(crate) fn has_os_part(stripped: &str) -> bool {
    ["runner.os", "os }}", "runner_os", "linux", "ubuntu", "debian", "macos", "windows", "platform"]
        .iter()
        .any(|part| stripped.contains(part))
}

/// Whether a stripped key contains the architecture.
pub(crate) fn has_arch_part(stripped: &str) -> bool {
    ["arch", "x64", "x86", "arm64", "aarch64"].iter().any(|part| stripped.contains(part))
}

/// Whether a stripped key contains the Python version: in an expression, or as a number; `python` alone is none.
pub(crate) fn has_python_part(stripped: &str) -> bool {
    let (mut literal, mut rest) = (String::new(), stripped);
    while let Some((before, after)) = rest.split_once("${{") {
        let (inside, after) = after.split_once("}}").unwrap_or((after, ""));
        if ["python", "matrix.py", "matrix.version", "matrix.session"].iter().any(|part| inside.contains(part)) {
            return true;
        }
        literal.push_str(before);
        literal.push('$');
        rest = after;
    }
    literal.push_str(rest);
    let has_number = literal
        .match_indices("3.")
        .any(|(at, _)| literal.get(at + 2..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    has_number || ["py3", "python3", "cp3", "py$"].iter().any(|part| literal.contains(part))
}

/// Whether a stripped key contains the uv version.
pub(crate) fn has_uv_version_part(stripped: &str) -> bool {
    ["uv_version", "uv-version", "uv0", "uv1", "uv-0", "uv-1"].iter().any(|part| stripped.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_path_is_recognized() {
        for path in [".nox", "${{ github.workspace }}/.nox/", ".nox/*", ".nox/tests", "a/.venv"] {
            assert!(is_environment_path(path), "{path}");
        }
        for path in [".nox/.cache", ".nox/.tmp/x", "~/.cache/uv", "nox", ".nox_data"] {
            assert!(!is_environment_path(path), "{path}");
        }
        for path in ["~/.cache/uv", "/tmp/uv-cache", "~\\AppData\\Local\\uv\\cache", "${{ env.UV_CACHE_DIR }}"] {
            assert!(is_uv_cache_path(path), "{path}");
        }
        assert!(!is_uv_cache_path("vendor/uv/data") && !is_uv_cache_path("~/.local/share/uv/tools"));
        assert!(is_pip_cache_path("~/Library/Caches/pip") && is_pip_cache_path("~\\AppData\\Local\\pip\\Cache"));
        assert!(!is_pip_cache_path("tests/pip-data") && !is_pip_cache_path("~/.cache/pipenv"));
    }

    #[test]
    fn the_parts_of_a_key_are_recognized() {
        let key = "uv-${{ runner.os }}-${{ hashFiles('uv.lock', \"noxfile.py\") }}-${{ hashFiles('x') }}-Py3.12";
        assert_eq!(extract_hashed_files(key), ["uv.lock", "noxfile.py", "x"]);
        assert_eq!(strip_hash_files(key), "uv-${{ runner.os }}-${{  }}-${{  }}-py3.12");
        assert!(has_os_part(&strip_hash_files(key)) && has_python_part(&strip_hash_files(key)));
        for key in ["x-${{ matrix.python }}", "x-py${{ matrix.v }}", "x-python-3.12", "x-${{ steps.python.outputs.v }}"]
        {
            assert!(has_python_part(key), "{key}");
        }
        for key in ["python-venv", "${{ runner.os }}-python-", "x-pytest-", "v3.", ""] {
            assert!(!has_python_part(key), "{key}");
        }
        assert!(!has_arch_part(&strip_hash_files(key)) && !has_uv_version_part(&strip_hash_files(key)));
        assert!(has_uv_version_part("${{ env.uv_version }}") && has_arch_part("${{ runner.arch }}"));
        assert_eq!(strip_hash_files("hashFiles(open"), "");
        let is_hashed = |pattern: &str, file: &str| is_file_hashed(&[pattern.to_owned()], file);
        assert!(is_hashed("**/requirements*.txt", "requirements-dev.txt") && is_hashed("setup.*", "setup.py"));
        assert!(is_hashed("**/pyproject.toml", "a/b/pyproject.toml") && is_hashed("${{ matrix.f }}", "x"));
        assert!(!is_hashed("*.txt", "a/b.txt") && !is_hashed("setup.py", "setup.cfg"));
    }
}

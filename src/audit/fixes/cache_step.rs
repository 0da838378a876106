//! Fixes of cache steps: their key, their paths, a missing one.

use super::super::dialect::Dialect;
use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::job_cache::{JobCache, JobCacheKind, is_uv_cache_path};
use super::super::project::JobView;
use super::super::shell::PackageInstaller;
use super::super::source::Span;
use super::super::workflow::{SpannedText, WorkflowStep};
use super::super::yaml::{YamlKind, YamlStyle};
use super::step_edit::{insert_step, step_indent};
use super::text_edit::{self, build_fix, indent_at, insert_lines_at, leading_comments_start, quote_scalar};

/// How a comment of noxide's begins: by it the next run finds its own words again.
pub(crate) const COMMENT_PREFIX: &str = "# noxide: ";

fn cache_step_comment() -> [String; 2] {
    [
        format!(
            "{COMMENT_PREFIX}what uv and pip download, under a key of job group, platform, Python, version of uv and"
        ),
        format!(
            "{COMMENT_PREFIX}the files that decide what is installed; without an exact hit the newest of the same platform."
        ),
    ]
}

/// Rewrites a cache step's paths, key and prefixes by the recipe, and says so in a comment.
pub(crate) fn rewrite_cache_step(view: &JobView, cache: &JobCache) -> Option<Fix> {
    let step =
        view.step(cache.step_index).filter(|_| cache.kind == JobCacheKind::ActionsCache && !view.is_release())?;
    let with = step.node.get("with").filter(|with| !with.is_flow && !with.aliased && !step.node.is_flow)?;
    let recipe = recommend_cache_inputs(view);
    let source = view.source();
    let mut paths: Vec<String> =
        cache.paths.iter().map(|path| path.value.clone()).filter(|path| !is_uv_cache_path(path)).collect();
    let kept: Vec<String> = recipe.paths.iter().filter(|path| !paths.contains(path)).cloned().collect();
    paths = kept.into_iter().chain(paths).collect();
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    let route = text_edit::step_path(view, step, Some("with"));
    let entries = [
        ("path", paths.as_slice(), true),
        ("key", std::slice::from_ref(&recipe.key), false),
        ("restore-keys", std::slice::from_ref(&recipe.restore_key), true),
    ];
    for (name, lines, block) in entries {
        let depth = indent_at(source, with.entries().first()?.0.span.start);
        let block = block && (lines.len() > 1 || name == "restore-keys");
        let inner = format!("{}{depth}  ", source.line_ending());
        let written = if block { format!("|{inner}{}", lines.join(&inner)) } else { lines.join("") };
        let value = if block { format!("{}\n", lines.join("\n")) } else { lines.join("") };
        match with.get_entry(name) {
            None => {
                edits.push(super::text_edit::insert_lines_after(
                    source,
                    with.span.end,
                    &[format!("{depth}{name}: {written}")],
                ));
            }
            Some((key, old)) => {
                let YamlKind::Scalar(text, style) = &old.kind else { return None };
                if text.trim_end() == value.trim_end() {
                    continue;
                }
                let header = matches!(style, YamlStyle::Literal | YamlStyle::Folded);
                let start = if header {
                    block_header_start(source.slice(Span::new(key.span.end, old.span.start)), key.span.end)?
                } else {
                    old.span.start
                };
                edits.push(TextEdit { span: Span::new(start, old.span.end), text: written });
            }
        }
        changes.push(SemanticChange::Set(route.clone(), name.to_owned(), quote_scalar(&value)));
    }
    let at = leading_comments_start(source, step.span.start);
    let above = source.slice(Span::new(at, step.span.start));
    if !above.contains(COMMENT_PREFIX) {
        let dash = step_indent(view)?;
        let lines = cache_step_comment().map(|line| format!("{dash}{line}"));
        edits.push(insert_lines_at(source, source.line_start(source.line_index(step.span.start)), &lines));
    }
    Some(build_fix(
        view,
        "give the cache the folders that are used and a key of what decides their content",
        false,
        edits,
        changes,
    ))
}

/// Where a block's `|` stands after its key.
fn block_header_start(between: &str, from: usize) -> Option<usize> {
    let at = between.find(['|', '>'])?;
    let comment = between.find('#').is_some_and(|comment| comment < between.trim_end().len());
    (!comment).then_some(from + at)
}

/// Rewrites a wrong path: the whole step by the recipe.
pub(crate) fn fix_cache_path(view: &JobView, _wrong: &SpannedText, _used: &str) -> Option<Fix> {
    let cache = view.analysis.caches.iter().find(|cache| cache.kind == JobCacheKind::ActionsCache)?;
    rewrite_cache_step(view, cache)
}

/// Adds prefixes: the key up to its first hash.
pub(crate) fn add_restore_keys(view: &JobView, cache: &JobCache) -> Option<Fix> {
    let step = view.step(cache.step_index)?;
    let key = cache.key.as_ref().filter(|key| !key.value.contains('\n'))?;
    let (before, _) = key.value.split_once("${{ hashFiles(")?;
    let with = step.node.get("with").filter(|with| !with.is_flow && !before.is_empty())?;
    let edit = text_edit::append_mapping_entry(view.source(), with, "restore-keys", before)?;
    let change = SemanticChange::Set(
        text_edit::step_path(view, step, Some("with")),
        "restore-keys".to_owned(),
        quote_scalar(before),
    );
    Some(build_fix(
        view,
        "take the newest entry of the same platform without an exact hit",
        true,
        vec![edit],
        vec![change],
    ))
}

/// Puts a cache step before the first installation; in a job that hands something out, a comment that none is meant.
pub(crate) fn add_cache_step(view: &JobView, install: Span) -> Option<Fix> {
    if view.is_release() {
        return add_no_cache_comment(view, install);
    }
    let first = view.analysis.installs.iter().map(|installed| installed.step_index);
    let first = first.chain(view.analysis.nox_calls.iter().map(|call| call.step_index)).min()?;
    let checkout = view.job.steps.iter().find(|step| step.uses_action("actions/checkout"))?;
    let before = view.step(first).filter(|step| step.index > checkout.index)?;
    let recipe = recommend_cache_inputs(view);
    let dash = step_indent(view)?;
    let uses = choose_cache_action(view)?;
    let mut lines: Vec<String> = cache_step_comment().iter().map(|line| format!("{dash}{line}")).collect();
    lines.push(format!("{dash}- name: Restore Python packages"));
    lines.push(format!("{dash}  uses: {uses}"));
    lines.push(format!("{dash}  with:"));
    lines.push(format!("{dash}    path: |"));
    lines.extend(recipe.paths.iter().map(|path| format!("{dash}      {path}")));
    lines.push(format!("{dash}    key: {}", recipe.key));
    lines.push(format!("{dash}    restore-keys: |"));
    lines.push(format!("{dash}      {}", recipe.restore_key));
    let value = format!(
        "{{name: Restore Python packages, uses: {}, with: {{path: {}, key: {}, restore-keys: {}}}}}",
        quote_scalar(&uses),
        quote_scalar(&format!("{}\n", recipe.paths.join("\n"))),
        quote_scalar(&recipe.key),
        quote_scalar(&format!("{}\n", recipe.restore_key)),
    );
    insert_step(view, before, &lines, &value, "restore a cache before the first installation")
}

/// Keeps the sessions' environments in an entry of their own, in each job of the first workflow that hands nothing out.
///
/// They hold absolute paths, so the workspace is part of the key; and they must fit exactly, so there are no prefixes.
pub(crate) fn add_environment_cache_steps(running: &[JobView]) -> Option<Fix> {
    let first =
        running.iter().find(|view| !view.is_release() && view.analysis.caches.iter().any(JobCache::has_uv_path))?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for view in running.iter().filter(|view| view.source() == first.source() && !view.is_release()) {
        let recipe = recommend_cache_inputs(view);
        recipe.restore_key.contains("-py").then_some(())?;
        let steps = view.analysis.installs.iter().map(|installed| installed.step_index);
        let at = steps.chain(view.analysis.nox_calls.iter().map(|call| call.step_index)).min()?;
        let checkout = view.job.steps.iter().find(|step| step.uses_action("actions/checkout"))?;
        let before = view.step(at).filter(|step| step.index > checkout.index)?;
        let dash = step_indent(view)?;
        let uses = choose_cache_action(view)?;
        let key = format!("{}-${{{{ github.workspace }}}}", recipe.key.replacen("uv-", "nox-", 1));
        let lines = [
            format!(
                "{dash}{COMMENT_PREFIX}the sessions' environments, only where the whole key fits: they hold absolute paths."
            ),
            format!("{dash}- name: Restore environments"),
            format!("{dash}  uses: {uses}"),
            format!("{dash}  with:"),
            format!("{dash}    path: .nox"),
            format!("{dash}    key: {key}"),
        ];
        let value = format!(
            "{{name: Restore environments, uses: {}, with: {{path: .nox, key: {}}}}}",
            quote_scalar(&uses),
            quote_scalar(&key)
        );
        let made = insert_step(view, before, &lines, &value, "")?;
        edits.extend(made.edits);
        changes.extend(made.changes);
    }
    Some(build_fix(first, "keep the environments that are meant to be used again", false, edits, changes))
}

/// The cache action that the project uses already, or the newest that all forges serve; none where actions are
/// pinned by commit, which cannot be known from here.
fn choose_cache_action(view: &JobView) -> Option<String> {
    let by_commit = |step: &WorkflowStep| step.action.as_ref().is_some_and(|action| action.version.len() == 40);
    if view.job.steps.iter().any(by_commit) {
        return None;
    }
    let used = view.project.job_views().flat_map(|view| &view.job.steps).find(|step| step.is_cache_restore());
    let absolute = view.job.steps.iter().any(|step| step.action.as_ref().is_some_and(|action| action.host.is_some()));
    Some(used.and_then(|step| step.uses.as_ref()).map_or_else(
        || match view.workflow.dialect {
            Dialect::Forgejo if absolute => "https://data.forgejo.org/actions/cache@v4".to_owned(),
            Dialect::Github => "actions/cache@v5".to_owned(),
            _ => "actions/cache@v4".to_owned(),
        },
        |uses| uses.value.clone(),
    ))
}

/// Says in a comment that a job which hands something out keeps no cache on purpose.
fn add_no_cache_comment(view: &JobView, install: Span) -> Option<Fix> {
    let source = view.source();
    let line = source.line_index(install.start);
    let end = source.line_start(line) + source.line_text(line).len();
    let step = view.job.steps.iter().find(|step| step.span.contains(install))?;
    let (key, value) = step.node.get_entry("run")?;
    let one_line = source.line_index(key.span.start) == line && source.line_index(value.span.end) == line;
    let free = !source.line_text(line).contains('#')
        && !step.node.is_flow
        && matches!(value.kind, YamlKind::Scalar(_, YamlStyle::Plain | YamlStyle::Quoted));
    (one_line && free)
        .then(|| TextEdit {
            span: Span::new(end, end),
            text: "  # noxide: ignore[NX101] a release is built from nothing".to_owned(),
        })
        .map(|edit| build_fix(view, "say that no cache is meant here", false, vec![edit], vec![]))
}

/// A cache as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheStepInputs {
    /// Folders to keep.
    pub(crate) paths: Vec<String>,
    /// The key.
    pub(crate) key: String,
    /// The key without its hash.
    pub(crate) restore_key: String,
}

/// The recipe of a job.
pub(crate) fn recommend_cache_inputs(view: &JobView) -> CacheStepInputs {
    let python = python_version(view);
    let uv = uv_version(view);
    let mut paths = vec![uv_cache_dir(view)];
    if view.analysis.installs.iter().any(|installed| installed.install.installer == PackageInstaller::Pip) {
        paths.push("~/.cache/pip".to_owned());
    }
    // Not `.nox`: environments hold absolute paths, and a workspace that moves would restore broken ones.
    let mut prefix = format!("uv-{}-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-", cache_group_name(view));
    if let Some(python) = python {
        prefix.push_str(&format!("py{python}-"));
    }
    if let Some(uv) = uv {
        prefix.push_str(&format!("uv{uv}-"));
    }
    let files = &view.project.files;
    let mut hashed: Vec<&str> = Vec::new();
    hashed.extend(files.has_pyproject.then_some("pyproject.toml"));
    // A lock that git ignores is not there when the key is made: naming it costs nothing and is right once it is committed.
    hashed.push(files.lock_file.as_deref().unwrap_or("uv.lock"));
    hashed.extend(files.noxfile_name.as_deref());
    hashed.extend(files.requirements_files.iter().map(String::as_str));
    let hashed: Vec<String> = hashed.iter().map(|file| format!("'{file}'")).collect();
    CacheStepInputs { paths, key: format!("{prefix}${{{{ hashFiles({}) }}}}", hashed.join(", ")), restore_key: prefix }
}

/// The folder that uv uses in this job.
fn uv_cache_dir(view: &JobView) -> String {
    let said = view.workflow.resolve_variable(view.job, None, "UV_CACHE_DIR").map(|text| text.value.clone());
    let set =
        || view.project.noxfile.as_ref()?.find_env_assignment("UV_CACHE_DIR").map(|variable| variable.value.clone());
    said.or_else(set).filter(|folder| !folder.contains('<')).unwrap_or_else(|| "~/.cache/uv".to_owned())
}

/// Jobs that install the same share a name: that of the first of them, or the session's in a matrix of sessions.
fn cache_group_name(view: &JobView) -> String {
    if let Some(session) = view.matrix_session_expression() {
        return session;
    }
    let own = view.installed_packages();
    let first =
        view.project.workflow_job_views(view.workflow).find(|other| own.is_some() && other.installed_packages() == own);
    first.map_or_else(|| view.job.id.value.clone(), |other| other.job.id.value.clone())
}

/// The Python of the job, as an expression or a version.
fn python_version(view: &JobView) -> Option<String> {
    let setup = view.job.steps.iter().find(|step| step.uses_action("actions/setup-python"));
    let setup = setup.and_then(|step| step.input_value("python-version")).map(|text| text.value.clone());
    let image = || {
        let image = view.job.container.as_ref()?.value.rsplit('/').next()?;
        let tag = image.strip_prefix("python:")?;
        let version = tag.split('-').next()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    };
    setup.filter(|text| !text.contains('\n')).or_else(image)
}

/// The version of uv in the job, as an expression or a version.
fn uv_version(view: &JobView) -> Option<String> {
    if view.workflow.resolve_variable(view.job, None, "UV_VERSION").is_some() {
        return Some("${{ env.UV_VERSION }}".to_owned());
    }
    let word = view.analysis.installs.iter().find_map(|installed| installed.install.find_package("uv"))?;
    word.text.strip_prefix("uv==").map(str::to_owned)
}

//! Fixes of cache steps: recommended paths and key, and missing steps.

use super::super::dialect::Dialect;
use super::super::fix::{
    CACHE_STEP_COMMENT, ENVIRONMENTS_STEP_COMMENT, Fix, SemanticChange, TextEdit, is_noxide_comment,
};
use super::super::job_cache::{JobCache, JobCacheKind, is_uv_cache_path};
use super::super::project::JobView;
use super::super::shell::PackageInstaller;
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::super::yaml::{YamlKind, YamlStyle};
use super::step_edit::{insert_step, step_indent};
use super::text_edit::{
    self, indent_at, insert_lines_after, insert_lines_at, leading_comments_start, quote_scalar, safe_fix, unsafe_fix,
};
use crate::project::{DEFAULT_ENVDIR, RUN_DATA_DIR};

/// Rewrites the paths, key and prefixes of a cache step to the recommended inputs, and adds a comment.
pub(crate) fn rewrite_cache_step(view: &JobView, cache: &JobCache) -> Option<Fix> {
    let step =
        view.step(cache.step_index).filter(|_| cache.kind == JobCacheKind::ActionsCache && !view.is_release())?;
    let with = step.node.get("with").filter(|with| !with.is_flow && !with.aliased && !step.node.is_flow)?;
    let inputs = recommend_cache_inputs(view);
    let source = view.source();
    let mut paths: Vec<String> =
        cache.paths.iter().map(|path| path.value.clone()).filter(|path| !is_uv_cache_path(path)).collect();
    let missing: Vec<String> = inputs.paths.iter().filter(|path| !paths.contains(path)).cloned().collect();
    paths = missing.into_iter().chain(paths).collect();
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    let path = text_edit::step_path(view, step, Some("with"));
    let entries = [
        ("path", paths.as_slice(), true),
        ("key", std::slice::from_ref(&inputs.key), false),
        ("restore-keys", std::slice::from_ref(&inputs.restore_key), true),
    ];
    for (name, lines, block) in entries {
        let indent = indent_at(source, with.entries().first()?.0.span.start);
        let block = block && (lines.len() > 1 || name == "restore-keys");
        let inner = format!("{}{indent}  ", source.line_ending());
        let written = if block { format!("|{inner}{}", lines.join(&inner)) } else { lines.join("") };
        let value = if block { format!("{}\n", lines.join("\n")) } else { lines.join("") };
        match with.get_entry(name) {
            None => {
                edits.push(insert_lines_after(source, with.span.end, &[format!("{indent}{name}: {written}")]));
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
        changes.push(SemanticChange::Set(path.clone(), name.to_owned(), quote_scalar(&value)));
    }
    let at = leading_comments_start(source, step.span.start);
    let above = source.slice(Span::new(at, step.span.start));
    if !above.lines().any(is_noxide_comment) {
        let dash_indent = step_indent(view)?;
        let lines = CACHE_STEP_COMMENT.map(|line| format!("{dash_indent}{line}"));
        edits.push(insert_lines_at(source, source.line_start(source.line_index(step.span.start)), &lines));
    }
    Some(unsafe_fix(view, "cache the directories in use, with a complete key", edits, changes))
}

/// Returns the offset of the `|` or `>` that starts a block scalar.
fn block_header_start(between: &str, from: usize) -> Option<usize> {
    let at = between.find(['|', '>'])?;
    let comment = between.find('#').is_some_and(|comment| comment < between.trim_end().len());
    (!comment).then_some(from + at)
}

/// Corrects a wrong path by rewriting the whole step.
pub(crate) fn fix_cache_path(view: &JobView) -> Option<Fix> {
    let cache = view.analysis.caches.iter().find(|cache| cache.kind == JobCacheKind::ActionsCache)?;
    rewrite_cache_step(view, cache)
}

/// Adds `restore-keys`: the key up to its first hash.
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
    Some(safe_fix(
        view,
        "restore the latest entry of the same platform if there is no exact hit",
        vec![edit],
        vec![change],
    ))
}

/// Adds a cache step before the first install; in a job that publishes, adds an ignore comment instead.
pub(crate) fn add_cache_step(view: &JobView, install: Span) -> Option<Fix> {
    if view.is_release() {
        return add_no_cache_comment(view, install);
    }
    let before = first_install_step(view)?;
    let inputs = recommend_cache_inputs(view);
    let dash_indent = step_indent(view)?;
    let uses = choose_cache_action(view)?;
    let mut lines: Vec<String> = CACHE_STEP_COMMENT.iter().map(|line| format!("{dash_indent}{line}")).collect();
    lines.push(format!("{dash_indent}- name: Restore Python packages"));
    lines.push(format!("{dash_indent}  uses: {uses}"));
    lines.push(format!("{dash_indent}  with:"));
    lines.push(format!("{dash_indent}    path: |"));
    lines.extend(inputs.paths.iter().map(|path| format!("{dash_indent}      {path}")));
    lines.push(format!("{dash_indent}    key: {}", inputs.key));
    lines.push(format!("{dash_indent}    restore-keys: |"));
    lines.push(format!("{dash_indent}      {}", inputs.restore_key));
    let value = format!(
        "{{name: Restore Python packages, uses: {}, with: {{path: {}, key: {}, restore-keys: {}}}}}",
        quote_scalar(&uses),
        quote_scalar(&format!("{}\n", inputs.paths.join("\n"))),
        quote_scalar(&inputs.key),
        quote_scalar(&format!("{}\n", inputs.restore_key)),
    );
    insert_step(view, before, &lines, &value, "restore a cache before the first install")
}

/// Returns the first step that installs packages, directly or through nox; `None` if it is not after the checkout.
fn first_install_step<'a>(view: &JobView<'a>) -> Option<&'a WorkflowStep> {
    let installs = view.analysis.installs.iter().map(|job_install| job_install.step_index);
    let first = installs.chain(view.analysis.nox_calls.iter().map(|call| call.step_index)).min()?;
    let checkout = view.job.steps.iter().find(|step| step.uses_action("actions/checkout"))?;
    view.step(first).filter(|step| step.index > checkout.index)
}

/// Adds a separate cache step for the sessions' environments to the jobs of the first workflow that caches uv's downloads,
/// except to jobs that publish.
///
/// Environments contain absolute paths, so the workspace is part of the key, and they must match exactly, so there are
/// no prefixes.
pub(crate) fn add_environment_cache_steps(views: &[JobView]) -> Option<Fix> {
    let first = views
        .iter()
        .find(|view| !view.is_release() && view.analysis.caches.iter().any(JobCache::caches_uv_downloads))?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for view in views.iter().filter(|view| view.source() == first.source() && !view.is_release()) {
        let inputs = recommend_cache_inputs(view);
        inputs.restore_key.contains("-py").then_some(())?;
        let before = first_install_step(view)?;
        let dash_indent = step_indent(view)?;
        let uses = choose_cache_action(view)?;
        let key = format!("{}-${{{{ github.workspace }}}}", inputs.key.replacen("uv-", "nox-", 1));
        let lines = [
            format!("{dash_indent}{ENVIRONMENTS_STEP_COMMENT}"),
            format!("{dash_indent}- name: Restore environments"),
            format!("{dash_indent}  uses: {uses}"),
            format!("{dash_indent}  with:"),
            // Without the data of noxide's runs.
            format!("{dash_indent}    path: |"),
            format!("{dash_indent}      {DEFAULT_ENVDIR}/*"),
            format!("{dash_indent}      !{DEFAULT_ENVDIR}/{RUN_DATA_DIR}"),
            format!("{dash_indent}    key: {key}"),
        ];
        let value = format!(
            "{{name: Restore environments, uses: {}, with: {{path: {}, key: {}}}}}",
            quote_scalar(&uses),
            quote_scalar(&format!("{DEFAULT_ENVDIR}/*\n!{DEFAULT_ENVDIR}/{RUN_DATA_DIR}\n")),
            quote_scalar(&key)
        );
        let fix = insert_step(view, before, &lines, &value, "")?;
        edits.extend(fix.edits);
        changes.extend(fix.changes);
    }
    Some(unsafe_fix(first, "cache the environments that are reused", edits, changes))
}

/// Returns the cache action that the project already uses, or the newest that the forge supports; `None` where actions
/// are pinned by commit, since the commit is unknown.
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

/// Adds an ignore comment to a job that publishes: the missing cache is intended.
fn add_no_cache_comment(view: &JobView, install: Span) -> Option<Fix> {
    let source = view.source();
    let line = source.line_index(install.start);
    let end = source.line_start(line) + source.line_text(line).len();
    let step = view.job.steps.iter().find(|step| step.span.contains(install))?;
    let (key, value) = step.node.get_entry("run")?;
    let one_line = source.line_index(key.span.start) == line && source.line_index(value.span.end) == line;
    let is_editable = !source.line_text(line).contains('#')
        && !step.node.is_flow
        && matches!(value.kind, YamlKind::Scalar(_, YamlStyle::Plain | YamlStyle::Quoted));
    (one_line && is_editable)
        .then(|| TextEdit {
            span: Span::new(end, end),
            text: "  # noxide: ignore[NX101] releases are built without a cache".to_owned(),
        })
        .map(|edit| unsafe_fix(view, "add an ignore comment: the missing cache is intended", vec![edit], vec![]))
}

/// Recommended inputs of a cache step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheStepInputs {
    /// Directories to cache.
    pub(crate) paths: Vec<String>,
    pub(crate) key: String,
    /// The key up to its hash, as prefix for `restore-keys`.
    pub(crate) restore_key: String,
}

/// Returns the recommended cache inputs of a job.
pub(crate) fn recommend_cache_inputs(view: &JobView) -> CacheStepInputs {
    let python = python_version(view);
    let uv = uv_version(view);
    let mut paths = vec![uv_cache_dir(view)];
    if view.analysis.installs.iter().any(|job_install| job_install.install.installer == PackageInstaller::Pip) {
        paths.push("~/.cache/pip".to_owned());
    }
    // Not `.nox`: environments contain absolute paths and break in another workspace.
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
    // `uv.lock` is hashed even if it is not committed: `hashFiles` ignores missing files.
    hashed.push(files.lock_file.as_deref().unwrap_or("uv.lock"));
    hashed.extend(files.noxfile_name.as_deref());
    hashed.extend(files.requirements_files.iter().map(String::as_str));
    let hashed: Vec<String> = hashed.iter().map(|file| format!("'{file}'")).collect();
    CacheStepInputs { paths, key: format!("{prefix}${{{{ hashFiles({}) }}}}", hashed.join(", ")), restore_key: prefix }
}

/// Returns the cache directory that uv uses in this job.
fn uv_cache_dir(view: &JobView) -> String {
    let configured = view.workflow.resolve_variable(view.job, None, "UV_CACHE_DIR").map(|text| text.value.clone());
    let from_noxfile =
        || view.project.noxfile.as_ref()?.find_env_assignment("UV_CACHE_DIR").map(|variable| variable.value.clone());
    configured
        .or_else(from_noxfile)
        .filter(|directory| !directory.contains('<'))
        .unwrap_or_else(|| "~/.cache/uv".to_owned())
}

/// Returns the name shared by jobs that install the same packages: the first job's id, or the session in a session matrix.
fn cache_group_name(view: &JobView) -> String {
    if let Some(session) = view.matrix_session_expression() {
        return session;
    }
    let packages = view.installed_packages();
    let first = view
        .project
        .workflow_job_views(view.workflow)
        .find(|other| packages.is_some() && other.installed_packages() == packages);
    first.map_or_else(|| view.job.id.value.clone(), |other| other.job.id.value.clone())
}

/// Returns the job's Python version, as an expression or a number.
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

/// Returns the job's uv version, as an expression or a number.
fn uv_version(view: &JobView) -> Option<String> {
    if view.workflow.resolve_variable(view.job, None, "UV_VERSION").is_some() {
        return Some("${{ env.UV_VERSION }}".to_owned());
    }
    let word = view.analysis.installs.iter().find_map(|job_install| job_install.install.find_package("uv"))?;
    word.text.strip_prefix("uv==").map(str::to_owned)
}

//! Fixes of cache steps: repaired paths, keys and prefixes, and missing steps.

use super::super::fix::{CACHE_STEP_COMMENT, ENVIRONMENTS_STEP_COMMENT, Fix, SemanticChange, TextEdit};
use super::super::forge::Forge;
use super::super::job_cache::{self, CACHE_VARIABLES, JobCache, JobCacheKind};
use super::super::job_facts::Downloads;
use super::super::noxfile::NoxfileSession;
use super::super::project::JobView;
use super::super::shell::PackageInstaller;
use super::super::workflow::{SpannedText, WorkflowStep};
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};
use super::step_edit::{insert_step, step_indent};
use super::text_edit::{self, mark_display_only, quote_scalar, safe_fix, unsafe_fix};
use crate::project::{DEFAULT_ENVDIR, RUN_DATA_DIR};

/// Repairs a cache step: adds to its key what is missing, keeps the rest, and makes `restore-keys` the key up to its hash.
///
/// Returns `None` if the step holds anything but downloads of packages or environments, or saves in another step.
pub(crate) fn repair_cache_step(view: &JobView, cache: &JobCache) -> Option<Fix> {
    let step =
        view.step(cache.step_index).filter(|_| cache.kind == JobCacheKind::ActionsCache && !view.may_publish())?;
    let saves = step.action.as_ref().is_some_and(|action| action.subpath.is_empty());
    let with = step.node.get("with").filter(|with| !with.is_flow && !with.aliased && !step.node.is_flow && saves)?;
    let is_download = |path: &SpannedText| cache.is_uv_path(&path.value) || cache.is_pip_path(&path.value);
    (cache.paths.iter().all(is_download) || cache.paths.iter().all(|path| job_cache::is_environment_path(&path.value)))
        .then_some(())?;
    let key = cache.key.as_ref()?;
    let (prefix, new_key) = complete_key(view, cache, &key.value)?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    let path = text_edit::step_path(view, step, Some("with"));
    if new_key != key.value {
        edits.push(replace_scalar(view, with.get("key")?, &new_key)?);
        changes.push(SemanticChange::Set(path.clone(), "key".to_owned(), quote_scalar(&new_key)));
    }
    if let Some(old) = with.get("restore-keys").filter(|_| cache.restore_keys.iter().any(|old| old.value != prefix)) {
        let value = if is_block(old) { format!("{prefix}\n") } else { prefix.clone() };
        edits.push(replace_scalar(view, old, &prefix)?);
        changes.push(SemanticChange::Set(path.clone(), "restore-keys".to_owned(), quote_scalar(&value)));
    }
    let mut corrected = CACHE_VARIABLES.into_iter().filter_map(|tool| correct_tool_path(view, step, cache, with, tool));
    if let Some((edit, change)) = corrected.next() {
        edits.push(edit);
        changes.push(change);
    }
    (!edits.is_empty()).then(|| unsafe_fix(view, "complete the key of the cache", edits, changes))
}

/// Replaces the cached directory of uv or pip by the one that the job uses.
pub(crate) fn correct_cache_path(view: &JobView, cache: &JobCache, tool: (&str, PackageInstaller)) -> Option<Fix> {
    let step = view.step(cache.step_index).filter(|_| cache.kind == JobCacheKind::ActionsCache)?;
    let saves = step.action.as_ref().is_some_and(|action| action.subpath.is_empty());
    let with = step.node.get("with").filter(|with| !with.aliased && saves)?;
    let (edit, change) = correct_tool_path(view, step, cache, with, tool)?;
    let title = format!("cache the directory that {} uses", tool.1.as_str());
    Some(unsafe_fix(view, &title, vec![edit], vec![change]))
}

fn correct_tool_path(
    view: &JobView,
    step: &WorkflowStep,
    cache: &JobCache,
    with: &YamlNode,
    (variable, installer): (&str, PackageInstaller),
) -> Option<(TextEdit, SemanticChange)> {
    let used = tool_cache_dir(view, variable).filter(|used| !cache.paths.iter().any(|path| path.value == *used))?;
    let is_of_tool = |path: &str| match installer {
        PackageInstaller::Uv => cache.is_uv_path(path),
        _ => cache.is_pip_path(path),
    };
    // The output of a step is the directory that the tool uses.
    let is_wrong = |path: &&SpannedText| is_of_tool(&path.value) && !path.aliased && !path.value.contains("steps.");
    let wrong = cache.paths.iter().find(is_wrong)?;
    let written = view.source().slice(wrong.span);
    let at = written.find(&wrong.value).filter(|_| used.chars().all(|c| !c.is_whitespace()))?;
    let start = wrong.span.start + at;
    let edit = TextEdit { span: super::super::source::Span::new(start, start + wrong.value.len()), text: used.clone() };
    let new = with.get("path")?.as_str()?.replacen(&wrong.value, &used, 1);
    let path = text_edit::step_path(view, step, Some("with"));
    Some((edit, SemanticChange::Set(path, "path".to_owned(), quote_scalar(&new))))
}

/// Returns the key up to its hash, and the whole key, with everything that is missing.
fn complete_key(view: &JobView, cache: &JobCache, key: &str) -> Option<(String, String)> {
    let (mut head, hashed, tail) = match key.split_once("${{ hashFiles(") {
        Some((head, rest)) => {
            let (list, tail) = rest.split_once(") }}")?;
            (head.to_owned(), job_cache::extract_hashed_files(&format!("hashFiles({list})")), tail)
        }
        None if key.contains("hashFiles") => return None,
        None => (format!("{key}-"), Vec::new(), ""),
    };
    if tail.contains("hashFiles") || key.contains('\n') || hashed.iter().any(|file| file.starts_with('$')) {
        return None;
    }
    let known = job_cache::strip_hash_files(key);
    if is_key_shared_by_other_installs(view, key) {
        head.push_str(&format!("{}-", cache_group_name(view)));
    }
    if !job_cache::has_os_part(&known) {
        head.push_str("${{ runner.os }}-${{ runner.arch }}-");
    }
    if let Some(python) = python_version(view).filter(|_| !job_cache::has_python_part(&known)) {
        head.push_str(&format!("py{python}-"));
    }
    let holds_uv = cache.paths.iter().any(|path| cache.is_uv_path(&path.value));
    if let Some(uv) = uv_version(view).filter(|_| holds_uv && !job_cache::has_uv_version_part(&known)) {
        head.push_str(&format!("uv{uv}-"));
    }
    let mut files = hashed.clone();
    let is_covered = |file: &str| hashed.iter().any(|old| old == file || old.rsplit('/').next() == Some(file));
    files.extend(dependency_files(view).into_iter().filter(|file| !is_covered(file)));
    (!files.is_empty()).then_some(())?;
    let files: Vec<String> = files.iter().map(|file| format!("'{file}'")).collect();
    let key = format!("{head}${{{{ hashFiles({}) }}}}{tail}", files.join(", "));
    Some((head, key))
}

/// Whether another job of the workflow uses this key and installs other packages.
fn is_key_shared_by_other_installs(view: &JobView, key: &str) -> bool {
    let packages = view.installed_packages();
    let has_key = |other: &JobView| {
        other.analysis.caches.iter().any(|cache| cache.key.as_ref().is_some_and(|text| text.value == key))
    };
    let mut others = view.project.workflow_job_views(view.workflow);
    let is_shared = others.any(|other| has_key(&other) && other.installed_packages() != packages);
    is_shared || (view.matrix_session_expression().is_some() && !key.contains("matrix."))
}

fn is_block(node: &YamlNode) -> bool {
    matches!(node.kind, YamlKind::Scalar(_, YamlStyle::Literal))
}

/// Replaces a scalar by one line, in its own style; `None` if that style cannot hold it.
fn replace_scalar(view: &JobView, node: &YamlNode, text: &str) -> Option<TextEdit> {
    let YamlKind::Scalar(_, style) = &node.kind else { return None };
    let is_plain = !text.contains(": ") && !text.contains(" #") && text.starts_with(|c: char| c.is_alphanumeric());
    let written = match style {
        YamlStyle::Literal => text.to_owned(),
        YamlStyle::Plain if is_plain => text.to_owned(),
        YamlStyle::Plain | YamlStyle::Quoted => quote_scalar(text),
        YamlStyle::Folded => return None,
    };
    let last_line = view.source().line_index(node.span.end);
    let is_one_line = *style == YamlStyle::Literal || view.source().line_index(node.span.start) == last_line;
    (is_one_line && !node.aliased).then_some(TextEdit { span: node.span, text: written })
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

/// Adds a cache step before the first install. Returns `None` if the job may publish, may run on a system other than
/// Linux, or downloads with tools whose cache directory is unknown; if the project is not at the default place of the
/// checkout; or if the matrix chooses sessions in a way that the key would not contain.
pub(crate) fn add_cache_step(view: &JobView) -> Option<Fix> {
    let before = first_install_step(view).filter(|_| !view.may_publish() && view.runs_on_linux())?;
    let is_moved = |step: &WorkflowStep| {
        step.uses_action("actions/checkout")
            && ["path", "repository"].iter().any(|name| step.input_value(name).is_some())
    };
    if view.job.steps.iter().any(is_moved)
        || (view.matrix_session_expression().is_none() && has_different_entries(view))
        || view.downloads().is_some_and(|downloads| installs_nox_with_uv(view) && !downloads.uv)
    {
        return None;
    }
    let inputs = recommend_cache_inputs(view)?;
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

/// Whether the jobs of the matrix may install different packages: it chooses sessions that are unknown or differ.
fn has_different_entries(view: &JobView) -> bool {
    let chosen = view.analysis.nox_calls.iter().filter(|call| call.is_selected_by_expression);
    let sessions = chosen.flat_map(|call| &call.sessions).map(|(name, _)| view.noxfile_session(name));
    let packages: Vec<_> = sessions.map(|session| session.map(NoxfileSession::installed_packages)).collect();
    packages.iter().any(Option::is_none) || packages.windows(2).any(|pair| pair[0] != pair[1])
}

/// Whether the job installs nox together with uv, so that sessions may use it.
fn installs_nox_with_uv(view: &JobView) -> bool {
    let mut packages = view.analysis.installs.iter().flat_map(|job_install| &job_install.install.packages);
    packages.any(|word| word.text.starts_with("nox[uv"))
}

/// Returns the first step that installs packages, directly or through nox; `None` if it is not after the checkout.
fn first_install_step<'a>(view: &JobView<'a>) -> Option<&'a WorkflowStep> {
    let installs = view.analysis.installs.iter().map(|job_install| job_install.step_index);
    let first = installs.chain(view.analysis.nox_calls.iter().map(|call| call.step_index)).min()?;
    let checkout = view.job.steps.iter().find(|step| step.uses_action("actions/checkout"))?;
    view.step(first).filter(|step| step.index > checkout.index)
}

/// Adds a separate cache step for the sessions' environments to the jobs of the first workflow that caches uv's downloads,
/// except to jobs that publish. A patch to review: a restored environment keeps its old packages until the key changes.
///
/// Environments contain absolute paths, so the workspace is part of the key, and they must match exactly, so there are
/// no prefixes.
pub(crate) fn add_environment_cache_steps(views: &[JobView]) -> Option<Fix> {
    let first = views
        .iter()
        .find(|view| !view.may_publish() && view.analysis.caches.iter().any(JobCache::caches_uv_downloads))?;
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    for view in views.iter().filter(|view| view.source() == first.source() && !view.may_publish()) {
        let inputs = recommend_cache_inputs(view)?;
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
    Some(mark_display_only(unsafe_fix(first, "cache the environments that are reused", edits, changes)))
}

/// Returns the cache action that the project already uses on this forge, or the newest that the forge supports; `None`
/// where actions are pinned by commit, since the commit is unknown.
fn choose_cache_action(view: &JobView) -> Option<String> {
    let by_commit = |step: &WorkflowStep| step.action.as_ref().is_some_and(|action| action.version.len() == 40);
    if view.job.steps.iter().any(by_commit) {
        return None;
    }
    let on_same_forge = view.project.job_views().filter(|other| other.workflow.forge == view.workflow.forge);
    let saves_and_restores = |step: &&WorkflowStep| {
        let action = step.action.as_ref().filter(|action| action.is_cache_restore() && action.subpath.is_empty());
        // GitHub's runners no longer have the Node version of older ones.
        let oldest = if view.workflow.forge == Forge::Github { 5 } else { 4 };
        action.is_some_and(|action| action.major_version().is_some_and(|major| major >= oldest))
    };
    let used = on_same_forge.flat_map(|view| &view.job.steps).find(saves_and_restores);
    let absolute = view.job.steps.iter().any(|step| step.action.as_ref().is_some_and(|action| action.host.is_some()));
    Some(used.and_then(|step| step.uses.as_ref()).map_or_else(
        || match view.workflow.forge {
            Forge::Forgejo if absolute => "https://data.forgejo.org/actions/cache@v4".to_owned(),
            Forge::Github => "actions/cache@v5".to_owned(),
            _ => "actions/cache@v4".to_owned(),
        },
        |uses| uses.value.clone(),
    ))
}

/// Recommended inputs of a cache step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CacheStepInputs {
    /// Directories to cache.
    paths: Vec<String>,
    key: String,
    /// The key up to its hash, as prefix for `restore-keys`.
    restore_key: String,
}

/// Returns the recommended cache inputs of a job; `None` if it downloads with tools whose cache directory is unknown, or
/// no file says what it installs.
fn recommend_cache_inputs(view: &JobView) -> Option<CacheStepInputs> {
    // Such a run may execute code of a pull request, and its cache is restored on the default branch.
    if view.workflow.triggers.may_run_foreign_code() {
        return None;
    }
    let Downloads { uv, pip } = view.downloads()?;
    // Not `.nox`: environments contain absolute paths and break in another workspace.
    let mut paths = Vec::new();
    if uv {
        paths.push(tool_cache_dir(view, "UV_CACHE_DIR").unwrap_or_else(|| "~/.cache/uv".to_owned()));
    }
    if pip {
        paths.push(tool_cache_dir(view, "PIP_CACHE_DIR").unwrap_or_else(|| "~/.cache/pip".to_owned()));
    }
    let mut files = dependency_files(view);
    let named = named_requirement_files(view)?;
    files.extend(named.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    let files: Vec<String> = files.iter().map(|file| format!("'{file}'")).collect();
    if paths.is_empty() || files.is_empty() {
        return None;
    }
    let tool = if uv { "uv" } else { "pip" };
    let mut prefix = format!("{tool}-{}-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-", cache_group_name(view));
    if let Some(python) = python_version(view) {
        prefix.push_str(&format!("py{python}-"));
    }
    if let Some(version) = uv_version(view).filter(|_| uv) {
        prefix.push_str(&format!("uv{version}-"));
    }
    let key = format!("{prefix}${{{{ hashFiles({}) }}}}", files.join(", "));
    Some(CacheStepInputs { paths, key, restore_key: prefix })
}

/// Returns the requirements files that commands and sessions of the job install; `None` if one is not a file of the project.
fn named_requirement_files(view: &JobView) -> Option<Vec<String>> {
    let in_job = view.analysis.installs.iter().flat_map(|job_install| job_install.install.requirement_files.clone());
    let sessions = view.session_names().iter().filter_map(|name| view.noxfile_session(name));
    let in_sessions = sessions.flat_map(|session| session.requirement_files()).map(str::to_owned);
    let mut files: Vec<String> =
        in_job.chain(in_sessions).map(|file| file.trim_start_matches("./").to_owned()).collect();
    files.sort();
    files.dedup();
    files.iter().all(|file| view.project.root.join(file).is_file()).then_some(files)
}

/// Returns the project's files that decide what is installed.
fn dependency_files(view: &JobView) -> Vec<String> {
    let files = &view.project.files;
    let mut names: Vec<String> = Vec::new();
    names.extend(files.has_pyproject.then(|| "pyproject.toml".to_owned()));
    names.extend(files.lock_file.clone());
    names.extend(files.noxfile_name.clone().filter(|_| !view.analysis.nox_calls.is_empty()));
    names.extend(files.requirements_files.iter().cloned());
    names
}

/// Returns the cache directory that a variable of the workflow or the noxfile sets.
fn tool_cache_dir(view: &JobView, variable: &str) -> Option<String> {
    let configured = view.cache_dir_variable(variable).map(|text| text.value);
    let noxfile = view.project.noxfile.as_ref().filter(|_| !view.analysis.nox_calls.is_empty());
    let from_noxfile = || Some(noxfile?.find_env_assignment(variable)?.value.clone());
    let directory = configured.or_else(from_noxfile).filter(|directory| !directory.contains('<'))?;
    Some(job_cache::workspace_path(&directory).to_owned())
}

/// Returns the name shared by jobs that install the same packages: the first job's id, or the session in a session matrix.
/// A job whose packages are not all written out shares none, and a job with the cache of another action has no such key.
fn cache_group_name(view: &JobView) -> String {
    if let Some(session) = view.matrix_session_expression() {
        return session;
    }
    let packages = view.installed_packages();
    let is_known = packages.as_ref().is_some_and(|names| !names.is_empty()) && has_written_installs(view);
    let has_action_cache = |other: &JobView| {
        let mut caches = other.analysis.caches.iter();
        caches.any(|cache| cache.kind != JobCacheKind::ActionsCache)
    };
    let mut others = view.project.workflow_job_views(view.workflow).filter(|other| !has_action_cache(other));
    let first = others.find(|other| is_known && other.installed_packages() == packages);
    first.map_or_else(|| view.job.id.value.clone(), |other| other.job.id.value.clone())
}

/// Whether no install of the job's sessions has a computed argument.
fn has_written_installs(view: &JobView) -> bool {
    let is_computed = |word: &String| word.starts_with('<') || (word.starts_with('*') && !word.ends_with(".posargs"));
    view.session_names().iter().filter_map(|name| view.noxfile_session(name)).all(|session| {
        let mut installs = session.calls.iter().filter(|call| call.method.ends_with("install"));
        installs.all(|call| !call.args.iter().any(is_computed))
    })
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
    word.text.strip_prefix("uv==").filter(|version| !version.contains('$')).map(str::to_owned)
}

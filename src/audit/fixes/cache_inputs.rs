//! What a job's cache keeps and under which key, worked out from the job and the project.

use super::super::project::JobView;
use super::super::shell::PackageInstaller;

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

//! What a job's cache keeps and under which key, worked out from the job and the project.

use super::super::shell::Installer;
use super::super::survey::View;

/// A cache as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Folders to keep.
    pub paths: Vec<String>,
    /// The key.
    pub key: String,
    /// The key without its hash.
    pub prefix: String,
}

/// The recipe of a job.
pub fn recipe(view: &View) -> Recipe {
    let python = python(view);
    let uv = uv_version(view);
    let mut paths = vec![uv_folder(view)];
    if view.survey.installs.iter().any(|installed| installed.install.by == Installer::Pip) {
        paths.push("~/.cache/pip".to_owned());
    }
    // Not `.nox`: environments hold absolute paths, and a workspace that moves would restore broken ones.
    let mut prefix = format!("uv-{}-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-", group(view));
    if let Some(python) = python {
        prefix.push_str(&format!("py{python}-"));
    }
    if let Some(uv) = uv {
        prefix.push_str(&format!("uv{uv}-"));
    }
    let files = &view.project.files;
    let mut hashed: Vec<&str> = Vec::new();
    hashed.extend(files.pyproject.then_some("pyproject.toml"));
    // A lock that git ignores is not there when the key is made: naming it costs nothing and is right once it is committed.
    hashed.push(files.lock.as_deref().unwrap_or("uv.lock"));
    hashed.extend(files.noxfile.as_deref());
    hashed.extend(files.requirements.iter().map(String::as_str));
    let hashed: Vec<String> = hashed.iter().map(|file| format!("'{file}'")).collect();
    Recipe { paths, key: format!("{prefix}${{{{ hashFiles({}) }}}}", hashed.join(", ")), prefix }
}

/// The folder that uv uses in this job.
fn uv_folder(view: &View) -> String {
    let said = view.workflow.variable(view.job, None, "UV_CACHE_DIR").map(|text| text.value.clone());
    let set = || view.project.noxfile.as_ref()?.variable("UV_CACHE_DIR").map(|variable| variable.value.clone());
    said.or_else(set).filter(|folder| !folder.contains('<')).unwrap_or_else(|| "~/.cache/uv".to_owned())
}

/// Jobs that install the same share a name: that of the first of them, or the session's in a matrix of sessions.
fn group(view: &View) -> String {
    if let Some(session) = view.session_of_matrix() {
        return session;
    }
    let own = view.install_set();
    let first = view.project.jobs_of(view.workflow).find(|other| own.is_some() && other.install_set() == own);
    first.map_or_else(|| view.job.id.value.clone(), |other| other.job.id.value.clone())
}

/// The Python of the job, as an expression or a version.
fn python(view: &View) -> Option<String> {
    let setup = view.job.steps.iter().find(|step| step.is("actions/setup-python"));
    let setup = setup.and_then(|step| step.input("python-version")).map(|text| text.value.clone());
    let image = || {
        let image = view.job.container.as_ref()?.value.rsplit('/').next()?;
        let tag = image.strip_prefix("python:")?;
        let version = tag.split('-').next()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    };
    setup.filter(|text| !text.contains('\n')).or_else(image)
}

/// The version of uv in the job, as an expression or a version.
fn uv_version(view: &View) -> Option<String> {
    if view.workflow.variable(view.job, None, "UV_VERSION").is_some() {
        return Some("${{ env.UV_VERSION }}".to_owned());
    }
    let word = view.survey.installs.iter().find_map(|installed| installed.install.package("uv"))?;
    word.text.strip_prefix("uv==").map(str::to_owned)
}

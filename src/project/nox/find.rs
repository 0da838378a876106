//! Search for nox: explicit path, project, PATH, noxide's own directory, module, private environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::executables::{find_on_path, is_executable, shebang_interpreter};
use super::private_install::{self, NoxInstallError};

/// Where to search for nox.
#[derive(Clone, Debug, Default)]
pub struct NoxSearch {
    /// `--nox` or `NOXIDE_NOX`: a nox command, a Python that has nox, or the name of either on PATH.
    pub explicit: Option<PathBuf>,
    /// The project's directory.
    pub root: PathBuf,
    /// The value of PATH.
    pub path_variable: OsString,
    /// A directory searched after PATH: that of noxide's own command, in case both were installed together.
    pub sibling_directory: Option<PathBuf>,
    /// noxide's cache directory for a private environment; with `None` none may be created.
    pub cache: Option<PathBuf>,
}

impl NoxSearch {
    /// Returns a search in the environment of this process.
    pub(crate) fn from_environment(explicit: Option<PathBuf>, root: &Path, cache: Option<PathBuf>) -> Self {
        let executable = env::current_exe().ok();
        Self {
            explicit,
            root: root.to_path_buf(),
            path_variable: env::var_os("PATH").unwrap_or_default(),
            sibling_directory: executable.as_deref().and_then(Path::parent).map(Path::to_path_buf),
            cache,
        }
    }
}

/// The interpreter that runs nox, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoxPython {
    /// The interpreter.
    pub executable: PathBuf,
    /// Where it was found.
    pub origin: NoxOrigin,
    /// A directory to append to PATH, so that sessions find the uv installed with nox.
    pub extra_path: Option<PathBuf>,
}

/// Where nox was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoxOrigin {
    /// Named by `--nox` or `NOXIDE_NOX`.
    Explicit,
    /// The project's `.venv`.
    Project,
    /// The `nox` on PATH.
    Path,
    /// Installed together with noxide.
    Sibling,
    /// `python -m nox`.
    Module,
    /// noxide's private environment.
    Private {
        /// Whether it was created just now.
        created: bool,
    },
}

/// Reasons why nox was not found.
#[derive(Debug, Error)]
pub enum NoxError {
    /// The explicit path has no nox.
    #[error("{} is neither a nox command nor a Python that has nox", .0.display())]
    NotNox(PathBuf),
    /// nox was not found and may not be installed.
    #[error("nox was not found: not in .venv, not on PATH, not beside noxide, not in the Python on PATH")]
    NotFound,
    /// nox was not found and could not be installed.
    #[error("nox was not found, and installing it for noxide failed: {0}")]
    PrivateInstall(#[from] NoxInstallError),
}

impl NoxPython {
    /// Returns a notice if nox was installed just now.
    pub(crate) fn install_notice(&self) -> Option<String> {
        let NoxOrigin::Private { created: true } = self.origin else { return None };
        let directory = self.executable.parent().unwrap_or(&self.executable);
        Some(format!("no nox was found: noxide installed one with uv in {}", directory.display()))
    }

    /// Returns a command that runs nox itself, with its own command line.
    pub(crate) fn nox_command(&self) -> Command {
        // Without the working directory, in which a file `nox.py` would be imported.
        let program = "import sys; sys.path[:] = [p for p in sys.path if p]; import runpy; \
                       runpy.run_module('nox', run_name='__main__', alter_sys=True)";
        let mut command = Command::new(&self.executable);
        command.args(["-c", program]);
        command
    }

    /// Returns PATH with the extra directory appended; `None` if there is no extra directory.
    pub(crate) fn extended_path(&self, path: &OsStr) -> Option<OsString> {
        let extra = self.extra_path.clone()?;
        env::join_paths(env::split_paths(path).chain([extra])).ok()
    }
}

impl NoxSearch {
    /// Returns the interpreter of noxide's private environment, whether it exists or not.
    fn private_python(&self) -> Option<PathBuf> {
        self.cache.as_deref().map(|cache| private_install::programs_dir(cache).join("python"))
    }

    /// Returns the directory in which nox would be installed.
    pub(crate) fn private_environment(&self) -> Option<PathBuf> {
        let python = self.private_python()?;
        python.ancestors().nth(2).map(Path::to_path_buf)
    }

    /// Returns the uv next to a nox that this search may find, without starting or installing anything: in the
    /// project's `.venv`, beside noxide, or in noxide's private environment.
    pub(crate) fn find_uv_beside_nox(&self) -> Option<PathBuf> {
        let project = to_absolute(&self.root).join(".venv/bin");
        let private = self.cache.as_deref().map(private_install::programs_dir);
        let directories = [Some(project), self.sibling_directory.clone(), private];
        directories.into_iter().flatten().map(|directory| directory.join("uv")).find(|uv| is_executable(uv))
    }
}

/// Finds the interpreter that runs nox for a project.
pub fn find_nox(search: &NoxSearch) -> Result<NoxPython, NoxError> {
    match find_installed_nox(search)? {
        Some(python) => Ok(python),
        None => install_private_nox(search),
    }
}

/// Finds the interpreter that runs nox, without installing anything; `None` if nox must be installed first.
pub(crate) fn find_installed_nox(search: &NoxSearch) -> Result<Option<NoxPython>, NoxError> {
    if let Some(explicit) = &search.explicit {
        let is_name = explicit.components().count() == 1 && !explicit.is_file();
        let command = if is_name {
            find_on_path(&search.path_variable, &explicit.to_string_lossy())
        } else {
            Some(to_absolute(explicit))
        };
        return command
            .and_then(|command| resolve_python(&command, &search.path_variable))
            .map(|executable| Some(nox_python(executable, NoxOrigin::Explicit)))
            .ok_or_else(|| NoxError::NotNox(explicit.clone()));
    }
    let local = to_absolute(&search.root).join(".venv/bin/nox");
    if let Some(python) = is_executable(&local).then(|| script_interpreter(&local, &search.path_variable)).flatten() {
        return Ok(Some(nox_python(python, NoxOrigin::Project)));
    }
    if let Some(python) =
        find_on_path(&search.path_variable, "nox").and_then(|nox| resolve_python(&nox, &search.path_variable))
    {
        return Ok(Some(nox_python(python, NoxOrigin::Path)));
    }
    if let Some(directory) = &search.sibling_directory {
        let nox = directory.join("nox");
        if let Some(python) = is_executable(&nox).then(|| script_interpreter(&nox, &search.path_variable)).flatten() {
            let found = nox_python(python, NoxOrigin::Sibling);
            return Ok(Some(NoxPython { extra_path: Some(directory.clone()), ..found }));
        }
    }
    for name in ["python3", "python"] {
        if let Some(python) = find_on_path(&search.path_variable, name).filter(|python| has_nox(python)) {
            return Ok(Some(nox_python(python, NoxOrigin::Module)));
        }
    }
    let private = search.private_python().filter(|python| python.is_file());
    Ok(private.map(|executable| private_nox(executable, false)))
}

/// Installs nox and uv into noxide's private environment.
///
/// # Errors
/// When there is no cache directory, or the installation fails.
pub(crate) fn install_private_nox(search: &NoxSearch) -> Result<NoxPython, NoxError> {
    let cache = search.cache.as_ref().ok_or(NoxError::NotFound)?;
    let (executable, created) = private_install::ensure_environment(cache, &search.path_variable)?;
    Ok(private_nox(executable, created))
}

fn private_nox(executable: PathBuf, created: bool) -> NoxPython {
    let extra_path = executable.parent().map(Path::to_path_buf);
    NoxPython { executable, origin: NoxOrigin::Private { created }, extra_path }
}

fn nox_python(executable: PathBuf, origin: NoxOrigin) -> NoxPython {
    NoxPython { executable, origin, extra_path: None }
}

/// Returns the interpreter of a nox command, or a Python itself if it has nox.
fn resolve_python(command: &Path, path: &OsString) -> Option<PathBuf> {
    let name = command.file_name()?.to_string_lossy().into_owned();
    if name.starts_with("python") || name.starts_with("pypy") {
        return has_nox(command).then(|| command.to_path_buf());
    }
    script_interpreter(command, path).or_else(|| probe_wrapper(command))
}

fn script_interpreter(script: &Path, path: &OsString) -> Option<PathBuf> {
    shebang_interpreter(script, |name| find_on_path(path, name))
}

/// Whether a Python has nox, checked without importing it.
fn has_nox(python: &Path) -> bool {
    let probe = "import sys; sys.path[:] = [p for p in sys.path if p]; import importlib.util as u; \
                 sys.exit(u.find_spec('nox') is None)";
    silence_output(Command::new(python).args(["-c", probe])).status().is_ok_and(|status| status.success())
}

/// Returns the interpreter behind a wrapper (a pyenv shim, a shell script), by running it with a noxfile that prints
/// the interpreter.
fn probe_wrapper(command: &Path) -> Option<PathBuf> {
    const ANSWER_PREFIX: &str = "noxide-interpreter-probe:";
    let directory = tempfile::tempdir().ok()?;
    let noxfile = directory.path().join("noxfile.py");
    let text = format!("import sys\nprint({ANSWER_PREFIX:?} + sys.executable)\n");
    std::io::Write::write_all(&mut fs_err::File::create(&noxfile).ok()?, text.as_bytes()).ok()?;
    let mut probe = Command::new(command);
    probe.arg("--list").arg("-f").arg(&noxfile).current_dir(directory.path());
    let output = silence_output(&mut probe).stdout(Stdio::piped()).output().ok()?;
    let output = String::from_utf8_lossy(&output.stdout);
    let python = output.lines().find_map(|line| line.strip_prefix(ANSWER_PREFIX))?;
    Some(PathBuf::from(python)).filter(|python| python.is_file())
}

fn silence_output(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn to_absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

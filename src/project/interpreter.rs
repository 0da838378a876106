//! Python interpreter: the version, ABI, platform and marker values that it reports.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::dependencies::MarkerEnvironment;

/// Facts about a Python interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interpreter {
    /// Path of the base interpreter, with links resolved.
    pub executable: PathBuf,
    /// Version to the patch, with pre-release and free-threading suffixes, such as `3.13.0rc1` or `3.14.0t`.
    pub version: String,
    /// ABI tag in the names of extension modules: `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// Tag in the names of bytecode files, such as `cpython-311`.
    pub cache_tag: String,
    /// C library: `glibc-2.36`, `musl`, or empty if neither.
    pub libc: String,
    /// Values of the variables of environment markers.
    pub markers: MarkerEnvironment,
}

/// Reasons why an interpreter could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// No interpreter of that version was found.
    #[error("Python {0} was not found")]
    NotFound(String),
    /// It could not be started.
    #[error("cannot start {}", path.display())]
    Start {
        /// The interpreter.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Its output is not the JSON that the probe script prints.
    #[error("{} did not answer the interpreter probe: {output}", path.display())]
    InvalidAnswer {
        /// The interpreter.
        path: PathBuf,
        /// The last line it printed.
        output: String,
    },
}

/// Returns the path of the interpreter in the project's `.venv`, otherwise the name of the one on PATH.
pub(crate) fn default_interpreter(root: &Path) -> PathBuf {
    let project_python = root.join(".venv/bin/python");
    if project_python.exists() { project_python } else { "python3".into() }
}

/// Prints the facts as JSON; works with Python 3.7 and newer.
const PROBE_SCRIPT: &str = r#"
import json, os, platform, sys, sysconfig
def version(info):
    text = "%d.%d.%d" % info[:3]
    return text if info[3] == "final" else text + info[3][0].replace("c", "rc") + str(info[4])
def libc():
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return "musl"
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").replace(" ", "-")
    except (AttributeError, ValueError, OSError):
        return ""
full = version(sys.version_info)
free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
print(json.dumps({
    "executable": executable, "version": platform.python_version() + free,
    "abi": sysconfig.get_config_var("SOABI") or "", "cache_tag": sys.implementation.cache_tag or "", "libc": libc(),
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": version(sys.implementation.version),
        "os_name": os.name, "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(), "platform_system": platform.system(),
        "platform_version": platform.version(), "python_full_version": full,
        "python_version": ".".join(platform.python_version_tuple()[:2]), "sys_platform": sys.platform,
    },
}))
"#;

impl Interpreter {
    /// Finds the interpreter that nox would use for a session: `spec` is the session's `python=`, and `None` means
    /// nox's own.
    ///
    /// Since late 2025 nox prefers its own interpreter if it matches, so `nox_version` is needed. `uv` is queried next,
    /// as nox does with that backend. Nothing is downloaded.
    ///
    /// # Errors
    /// When no interpreter matches, or it cannot be probed.
    pub(crate) fn find_for_spec(
        spec: Option<&str>,
        (nox_python, nox_version): (&Path, &str),
        uv: Option<&Path>,
    ) -> Result<Self, InterpreterError> {
        let Some(spec) = spec else { return Self::probe(nox_python) };
        if let Some(own) = Some(nox_python)
            .filter(|_| prefers_own_interpreter(nox_version))
            .and_then(|python| Self::probe(python).ok())
            && own.matches_version(spec)
        {
            return Ok(own);
        }
        let found = uv.and_then(|uv| {
            let mut command = Command::new(uv);
            command.args(["python", "find", "--no-python-downloads", "--no-project", "--system", spec]);
            let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
            Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        });
        let name =
            if spec.starts_with(|c: char| c.is_ascii_digit()) { format!("python{spec}") } else { spec.to_owned() };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path =
            || std::env::split_paths(&path).map(|directory| directory.join(&name)).find(|python| python.is_file());
        match found.or_else(on_path) {
            Some(python) => Self::probe(&python),
            None => Err(InterpreterError::NotFound(spec.to_owned())),
        }
    }

    /// Whether its version matches a value of `python=`: `3`, `3.13`, `3.13.1`, `3.13t`, `python3.13`.
    fn matches_version(&self, spec: &str) -> bool {
        let is_free_threaded = |version: &str| version.ends_with('t');
        let parts = |version: &str| version.trim_end_matches('t').split('.').map(str::to_owned).collect::<Vec<_>>();
        let requested = spec.strip_prefix("python").unwrap_or(spec);
        self.abi.starts_with("cpython")
            && is_free_threaded(requested) == is_free_threaded(&self.version)
            && parts(&self.version).starts_with(&parts(requested))
    }

    /// Probes the interpreter at `path`. Takes about 20 ms.
    ///
    /// # Errors
    /// When it cannot be started or does not print the expected JSON.
    pub fn probe(path: &Path) -> Result<Self, InterpreterError> {
        let mut command = Command::new(path);
        command.args(["-I", "-S", "-c", PROBE_SCRIPT]).stdin(Stdio::null());
        let output = command.output().map_err(|source| InterpreterError::Start { path: path.to_path_buf(), source })?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(stdout.trim()).map_err(|_| {
            let printed = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
            let last_line = printed.trim().lines().last().unwrap_or("it printed nothing").to_owned();
            InterpreterError::InvalidAnswer { path: path.to_path_buf(), output: last_line }
        })
    }
}

/// Whether a version of nox tries its own interpreter first (by `python-discovery`), as 2025.11.12 does and 2025.2.9
/// does not.
fn prefers_own_interpreter(nox_version: &str) -> bool {
    let mut parts = nox_version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (2025, 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_matches_the_versions_of_sessions() {
        let python = |version: &str| Interpreter {
            version: version.to_owned(),
            abi: "cpython-313-x86_64-linux-gnu".to_owned(),
            ..Interpreter::default()
        };
        for spec in ["3", "3.13", "3.13.1", "python3.13"] {
            assert!(python("3.13.1").matches_version(spec), "{spec}");
        }
        for spec in ["3.1", "3.12", "3.13t", "3.13.10", "pypy3.13", "", ">=3.13"] {
            assert!(!python("3.13.1").matches_version(spec), "{spec}");
        }
        assert!(python("3.14.0t").matches_version("3.14t") && !python("3.14.0t").matches_version("3.14"));
        let releases = ["2022.1.7", "2025.2.9", "2025.11.12", "2026.10.20", "unknown"];
        assert_eq!(releases.map(prefers_own_interpreter), [false, false, true, true, false]);
    }
}

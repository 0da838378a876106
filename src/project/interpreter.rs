//! An interpreter as it tells of itself: version, ABI, platform, and its answers to markers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::lock::MarkerEnvironment;

/// What is known of an interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interpreter {
    /// The interpreter behind all environments made from it, without links.
    pub executable: PathBuf,
    /// Version to the patch, with what else tells builds apart, such as `3.13.0rc1` or `3.14.0t`.
    pub version: String,
    /// Its ABI, as extension modules are named for it: `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// Tag of its bytecode, such as `cpython-311`.
    pub tag: String,
    /// C library: `glibc-2.36`, `musl`, or empty where neither.
    pub libc: String,
    /// Its answers to markers.
    pub markers: MarkerEnvironment,
}

/// Why an interpreter did not tell of itself.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// There is none of that version.
    #[error("there is no Python {0} here")]
    NotFound(String),
    /// It could not be started.
    #[error("cannot start {}", path.display())]
    Start {
        /// The interpreter.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It said something else.
    #[error("{} does not tell what kind of Python it is: {output}", path.display())]
    InvalidAnswer {
        /// The interpreter.
        path: PathBuf,
        /// What it said.
        output: String,
    },
}

/// Works with Python 3.7. The kernel's own version is left out of `platform_version` by nobody, so it is asked too.
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
    "abi": sysconfig.get_config_var("SOABI") or "", "tag": sys.implementation.cache_tag or "", "libc": libc(),
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
    /// The interpreter that nox would take for a session: `spec` as its `python=` says, or nox's own.
    ///
    /// `release` is that of nox. Since late in 2025 it takes its own wherever that will do; `uv` is asked next, as nox
    /// itself does with that backend; nothing is fetched.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub(crate) fn find_for_spec(
        spec: Option<&str>,
        (nox, release): (&Path, &str),
        uv: Option<&Path>,
    ) -> Result<Self, InterpreterError> {
        let Some(spec) = spec else { return Self::probe(nox) };
        if let Some(own) = Some(nox).filter(|_| prefers_own_interpreter(release)).and_then(|nox| Self::probe(nox).ok())
            && own.matches_version(spec)
        {
            return Ok(own);
        }
        let found = uv.and_then(|uv| {
            let mut command = Command::new(uv);
            command.args(["python", "find", "--no-python-downloads", "--no-project", "--system", spec]);
            let done = command.stdin(Stdio::null()).output().ok().filter(|done| done.status.success())?;
            Some(PathBuf::from(String::from_utf8_lossy(&done.stdout).trim()))
        });
        let name = if spec.starts_with(|sign: char| sign.is_ascii_digit()) {
            format!("python{spec}")
        } else {
            spec.to_owned()
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = || std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|python| python.is_file());
        match found.or_else(on_path) {
            Some(python) => Self::probe(&python),
            None => Err(InterpreterError::NotFound(spec.to_owned())),
        }
    }

    /// Whether it is of a version as `python=` says one: `3`, `3.13`, `3.13.1`, `3.13t`, `python3.13`.
    fn matches_version(&self, spec: &str) -> bool {
        let free = |version: &str| version.ends_with('t');
        let parts = |version: &str| version.trim_end_matches('t').split('.').map(str::to_owned).collect::<Vec<_>>();
        let wanted = spec.strip_prefix("python").unwrap_or(spec);
        self.abi.starts_with("cpython")
            && free(wanted) == free(&self.version)
            && parts(&self.version).starts_with(&parts(wanted))
    }

    /// Asks the interpreter at `path`. Takes some 20 ms.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub fn probe(path: &Path) -> Result<Self, InterpreterError> {
        let mut command = Command::new(path);
        command.args(["-I", "-S", "-c", PROBE_SCRIPT]).stdin(Stdio::null());
        let done = command.output().map_err(|source| InterpreterError::Start { path: path.to_path_buf(), source })?;
        let said = String::from_utf8_lossy(&done.stdout);
        serde_json::from_str(said.trim()).map_err(|_| {
            let said = format!("{said}{}", String::from_utf8_lossy(&done.stderr));
            let said = said.trim().lines().last().unwrap_or("nothing was said").to_owned();
            InterpreterError::InvalidAnswer { path: path.to_path_buf(), output: said }
        })
    }
}

/// Whether a release of nox looks at its own interpreter first (`python-discovery`): 2025.11.12 does, 2025.2.9 does not.
fn prefers_own_interpreter(release: &str) -> bool {
    let mut parts = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (2025, 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_of_versions_as_sessions_say_them() {
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

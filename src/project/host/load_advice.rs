//! Advice for a noxfile that does not load: what is missing, and how to get it.

use std::path::Path;

use super::error::{LoadFailure, LoadStage};
use crate::project::{NoxOrigin, NoxPython};

/// The beginning of the exception of a package that is not installed, before its quoted name.
const MISSING_MODULE: &str = "ModuleNotFoundError: No module named ";

/// Returns what to do about a failure, if that is known. `noxfile` is the noxfile as the arguments name it, seen from
/// `root`.
pub(super) fn load_advice(failure: &LoadFailure, python: &NoxPython, root: &Path, noxfile: &Path) -> Option<String> {
    if failure.stage != LoadStage::Noxfile {
        return None;
    }
    let exception = failure.exception.as_deref().unwrap_or_default();
    if let Some(module) = exception.strip_prefix(MISSING_MODULE).and_then(|rest| rest.split(['\'', '.']).nth(1)) {
        return Some(missing_module_advice(module, python));
    }
    (!root.join(noxfile).exists()).then(|| missing_noxfile_advice(root, noxfile))
}

fn missing_module_advice(module: &str, python: &NoxPython) -> String {
    let directory = python.executable.parent().unwrap_or(&python.executable);
    match python.origin {
        NoxOrigin::Private { .. } => format!(
            "nox runs in an environment of noxide's own, which has only nox and uv; install nox where `{module}` is \
             installed (in .venv or on PATH, or pass --nox), or list what the noxfile imports in a `# /// script` block"
        ),
        _ => format!("install what provides `{module}` beside nox, for {}", directory.join("python").display()),
    }
}

fn missing_noxfile_advice(root: &Path, noxfile: &Path) -> String {
    let is_default = noxfile == Path::new("noxfile.py");
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    let above = absolute.ancestors().skip(1).find(|directory| directory.join("noxfile.py").is_file());
    if !is_default {
        "check the path that -f names".to_owned()
    } else if root.join("tox.ini").is_file() {
        "convert tox.ini to a noxfile with `uvx --from 'nox[tox-to-nox]' tox-to-nox`".to_owned()
    } else if let Some(file) = tox_settings_file(root) {
        format!(
            "{file} has environments of tox, which noxide does not run: create a noxfile.py with a session for each"
        )
    } else if let Some(directory) = above {
        format!("there is a noxfile in {}; change to it with -C", directory.display())
    } else {
        "create noxfile.py, or pass another directory with -C or another file with -f".to_owned()
    }
}

/// Returns the file, other than tox.ini, that sets up tox.
fn tox_settings_file(root: &Path) -> Option<&'static str> {
    let has_line = |file: &str, section: &str| {
        let text = fs_err::read_to_string(root.join(file)).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with(section))
    };
    let sections = [("tox.toml", ""), ("pyproject.toml", "[tool.tox"), ("setup.cfg", "[tox")];
    sections.into_iter().find(|(file, section)| has_line(file, section)).map(|(file, _)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(exception: &str) -> LoadFailure {
        serde_json::from_value(serde_json::json!({
            "stage": "noxfile", "exit_code": 2, "message": "the noxfile raised an exception", "exception": exception,
        }))
        .unwrap()
    }

    fn python(origin: NoxOrigin) -> NoxPython {
        NoxPython { executable: "/venv/bin/python".into(), origin, extra_path: None }
    }

    #[test]
    fn a_missing_package_is_installed_beside_nox_or_declared() {
        let (root, noxfile) = (Path::new("/nowhere"), Path::new("noxfile.py"));
        let missing = failure("ModuleNotFoundError: No module named 'pandas.core'; 'pandas' is not a package");
        let advice = |origin| load_advice(&missing, &python(origin), root, noxfile).unwrap();
        assert_eq!(advice(NoxOrigin::Path), "install what provides `pandas` beside nox, for /venv/bin/python");
        let private = advice(NoxOrigin::Private { created: false });
        assert!(private.contains("where `pandas` is installed") && private.contains("# /// script"), "{private}");
    }

    #[test]
    fn a_missing_noxfile_is_converted_found_above_or_created() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("sub");
        fs_err::create_dir(&root).unwrap();
        let advice = |name: &str| {
            load_advice(&failure(""), &python(NoxOrigin::Path), &root, Path::new(name)).unwrap_or_default()
        };
        assert!(advice("noxfile.py").starts_with("create noxfile.py"));
        assert!(advice("other.py").contains("-f"));
        fs_err::write(directory.path().join("noxfile.py"), "").unwrap();
        assert!(advice("noxfile.py").ends_with("change to it with -C"));
        fs_err::write(root.join("tox.ini"), "").unwrap();
        assert!(advice("noxfile.py").contains("tox-to-nox"));
        fs_err::remove_file(root.join("tox.ini")).unwrap();
        fs_err::write(
            root.join("pyproject.toml"),
            "[project]
[tool.tox]
env_list = ['py']
",
        )
        .unwrap();
        assert!(advice("noxfile.py").starts_with("pyproject.toml has environments of tox"));
        fs_err::remove_file(root.join("pyproject.toml")).unwrap();
        fs_err::write(root.join("noxfile.py"), "").unwrap();
        assert_eq!(advice("noxfile.py"), "", "another problem of an existing noxfile");
    }
}

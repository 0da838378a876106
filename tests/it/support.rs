//! Shared by the tests: a Python environment with nox and uv, and projects in temporary folders.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The folder that test environments and downloads are kept in, between runs.
pub(crate) fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Makes something once, whatever number of test processes want it: `make` runs under a lock while `done` is absent.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    std::fs::create_dir_all(kept()).unwrap();
    let place = kept().join(name);
    let lock = File::create(kept().join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let done = kept().join(format!("{name}.done"));
    if !done.exists() {
        std::fs::remove_dir_all(&place).ok();
        make(&place);
        File::create(done).unwrap();
    }
    place
}

/// Copies `examples/parcelbook` as it is committed, or about to be: whoever ran the example where it lies left
/// environments, records and a lock there, and a test that took them along would find its work done.
pub(crate) fn copy_example(place: &Path) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/parcelbook");
    let files = must(Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(&example));
    for file in files.lines() {
        let target = place.join(file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(example.join(file), target).unwrap();
    }
}

/// Runs a command that must succeed.
pub(crate) fn must(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{text}", done.status);
    text
}

/// An environment that has nox and uv: `NOXIDE_TEST_VENV`, or one made from PyPI at the first use and kept.
pub(crate) fn venv() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| {
        if let Some(told) = env::var_os("NOXIDE_TEST_VENV") {
            return told.into();
        }
        once("venv", |place| {
            must(Command::new("python3").args(["-m", "venv"]).arg(place));
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nox", "uv", "websocket-client"];
            must(Command::new(place.join("bin/python")).args(pip));
        })
    })
}

/// The interpreter of that environment.
pub(crate) fn python() -> PathBuf {
    venv().join("bin/python")
}

/// Releases of nox that the host must know, oldest first; the environment's own is the newest.
pub(crate) const RELEASES: [&str; 8] =
    ["2022.1.7", "2023.4.22", "2024.4.15", "2024.10.9", "2025.2.9", "2025.11.12", "2026.4.10", "2026.8.17"];

/// A folder for PYTHONPATH that puts a release of nox before the environment's own.
pub(crate) fn release(version: &str) -> OsString {
    let place = once("nox-releases", |place| {
        std::fs::create_dir_all(place).unwrap();
        let fetch = |package: &str, folder: &str| {
            let wheels = place.join(format!("{folder}-wheel"));
            let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d"];
            must(Command::new(python()).args(pip).arg(&wheels).arg(package));
            for wheel in std::fs::read_dir(&wheels).unwrap() {
                let unpack = ["-m", "zipfile", "-e"];
                must(Command::new(python()).args(unpack).arg(wheel.unwrap().path()).arg(place.join(folder)));
            }
        };
        fetch("py==1.11.0", "py"); // what 2022.1.7 needs and later ones do not
        for version in RELEASES {
            fetch(&format!("nox=={version}"), version);
        }
    });
    env::join_paths([place.join(version), place.join("py")]).unwrap()
}

/// PATH with that environment first, so that `nox` and `uv` are found as a user would have them.
pub(crate) fn path() -> OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths([venv().join("bin")].into_iter().chain(env::split_paths(&rest))).unwrap()
}

/// Variables every test gives to nox and noxide: nothing is downloaded, nothing of the caller's own leaks in.
pub(crate) fn settings() -> Vec<(&'static str, Option<OsString>)> {
    let mut settings = vec![
        ("PATH", Some(path())),
        ("NOX_DOWNLOAD_PYTHON", Some("never".into())),
        ("UV_PYTHON_DOWNLOADS", Some("never".into())),
        ("PYTHONDONTWRITEBYTECODE", Some("1".into())),
        ("NOXIDE_CACHE_DIR", Some(kept().join("caches").into())),
    ];
    for name in ["CI", "NO_COLOR", "FORCE_COLOR", "NOXSESSION", "NOXPYTHON", "NOXTAG", "PYTHONPATH", "COVERAGE_FILE"] {
        settings.push((name, None));
    }
    settings
}

/// A project in a temporary folder that goes away with it.
pub(crate) struct Project {
    folder: std::rc::Rc<TempDir>,
    root: PathBuf,
}

impl Project {
    /// A project with this noxfile, below a folder whose name has a space.
    pub(crate) fn new(noxfile: &str) -> Self {
        let project = Self::empty();
        project.write("noxfile.py", noxfile);
        project
    }

    /// A project without anything in it.
    pub(crate) fn empty() -> Self {
        let folder = std::rc::Rc::new(tempfile::tempdir().unwrap());
        let root = folder.path().canonicalize().unwrap().join("a project");
        std::fs::create_dir(&root).unwrap();
        Self { folder, root }
    }

    /// The project in a folder below it.
    pub(crate) fn below(&self, root: &Path) -> Self {
        Self { folder: std::rc::Rc::clone(&self.folder), root: root.to_path_buf() }
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder beside it, for what must not lie in it.
    pub(crate) fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, making its folders.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().write_all(text.as_ref()).unwrap();
        path
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A command in it, with the tests' settings.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, value) in settings() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// Writes a program.
pub(crate) fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

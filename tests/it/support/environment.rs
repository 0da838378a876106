//! The environment of the tests: Python with nox and uv, releases of nox, shared directories.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::CommandDeadline as _;

/// Whether tests run all their rounds: with `NOXIDE_TEST_FULL`, as in `.ci/run`.
fn is_full_run() -> bool {
    env::var_os("NOXIDE_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// The rounds of a test: the second number in a full run, else the first.
pub(crate) fn rounds(some: u32, all: u32) -> u32 {
    if is_full_run() { all } else { some }
}

/// The rounds of a test that a variable can set, for a measurement by hand.
pub(crate) fn rounds_from(variable: &str, some: u32, all: u32) -> u32 {
    env::var(variable).map_or_else(|_| rounds(some, all), |text| text.parse().unwrap())
}

/// The directory of environments and downloads that later runs of the tests use again.
pub(crate) fn shared_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Creates a directory once for all test processes: `make` runs under a lock, unless it has succeeded before.
pub(crate) fn build_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    std::fs::create_dir_all(shared_dir()).unwrap();
    let directory = shared_dir().join(name);
    let lock = File::create(shared_dir().join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let done = shared_dir().join(format!("{name}.done"));
    if !done.exists() {
        std::fs::remove_dir_all(&directory).ok();
        make(&directory);
        File::create(done).unwrap();
    }
    directory
}

/// Copies `examples/parcelbook` as committed or about to be: environments, records and locks that runs of the example
/// left there stay behind.
pub(crate) fn copy_example(directory: &Path) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/parcelbook");
    let files = run_checked(Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(&example));
    for file in files.lines() {
        let target = directory.join(file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(example.join(file), target).unwrap();
    }
}

/// Runs a command that must succeed; returns both its streams.
pub(crate) fn run_checked(command: &mut Command) -> String {
    let output = command.finish();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// An environment with nox and uv: `NOXIDE_TEST_VENV`, or one made from PyPI at the first use.
pub(crate) fn venv() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| {
        if let Some(path) = env::var_os("NOXIDE_TEST_VENV") {
            return path.into();
        }
        build_once("venv", |directory| {
            run_checked(Command::new("python3").args(["-m", "venv"]).arg(directory));
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nox", "uv", "websocket-client"];
            run_checked(Command::new(directory.join("bin/python")).args(pip));
        })
    })
}

/// The interpreter of [`venv`].
pub(crate) fn python() -> PathBuf {
    venv().join("bin/python")
}

/// Releases of nox that the host must support, oldest first; the one of the environment is the newest.
const NOX_RELEASES: [&str; 8] =
    ["2022.1.7", "2023.4.22", "2024.4.15", "2024.10.9", "2025.2.9", "2025.11.12", "2026.4.10", "2026.8.17"];

/// The releases for tests that try several: the oldest, one between and the newest, or all in a full run.
pub(crate) fn nox_releases() -> Vec<&'static str> {
    if is_full_run() { NOX_RELEASES.to_vec() } else { vec![NOX_RELEASES[0], NOX_RELEASES[3], NOX_RELEASES[7]] }
}

/// A PYTHONPATH that puts a release of nox before the one of the environment.
pub(crate) fn nox_release_path(version: &str) -> OsString {
    let directory = build_once("nox-releases", |directory| {
        std::fs::create_dir_all(directory).unwrap();
        let fetch = |package: &str, name: &str| {
            let wheels = directory.join(format!("{name}-wheel"));
            let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d"];
            run_checked(Command::new(python()).args(pip).arg(&wheels).arg(package));
            for wheel in std::fs::read_dir(&wheels).unwrap() {
                let unpack = ["-m", "zipfile", "-e"];
                run_checked(Command::new(python()).args(unpack).arg(wheel.unwrap().path()).arg(directory.join(name)));
            }
        };
        fetch("py==1.11.0", "py"); // what 2022.1.7 needs and later ones do not
        for version in NOX_RELEASES {
            fetch(&format!("nox=={version}"), version);
        }
    });
    env::join_paths([directory.join(version), directory.join("py")]).unwrap()
}

/// PATH with that environment first, so that `nox` and `uv` are found.
pub(crate) fn tool_path() -> OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths([venv().join("bin")].into_iter().chain(env::split_paths(&rest))).unwrap()
}

/// Variables of every nox and noxide in the tests; none means unset. No interpreter is downloaded, and nothing of the
/// caller's own reaches them.
pub(crate) fn test_environment() -> Vec<(&'static str, Option<OsString>)> {
    let mut variables = vec![
        ("PATH", Some(tool_path())),
        ("NOX_DOWNLOAD_PYTHON", Some("never".into())),
        ("UV_PYTHON_DOWNLOADS", Some("never".into())),
        ("PYTHONDONTWRITEBYTECODE", Some("1".into())),
        ("NOXIDE_CACHE_DIR", Some(shared_dir().join("caches").into())),
    ];
    for name in [
        "CI",
        "NO_COLOR",
        "FORCE_COLOR",
        "NOXSESSION",
        "NOXPYTHON",
        "NOXTAG",
        "PYTHONPATH",
        "COVERAGE_FILE",
        "RUSTC_BOOTSTRAP",
    ] {
        variables.push((name, None));
    }
    variables
}

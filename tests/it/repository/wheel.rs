//! The wheel: built by maturin as pip does, installed into a fresh venv, run from there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::{CommandDeadline as _, python, shared_dir, venv};

const NOXFILE: &str = "import nox

@nox.session(venv_backend='none')
def greet(session):
    \"\"\"Say hello.\"\"\"
";

/// Runs a command that must succeed; returns its standard output.
#[track_caller]
fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.finish();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{text}{}", String::from_utf8_lossy(&stderr));
    text
}

/// A `PATH` with these directories first and then only the system's own.
pub(crate) fn path_of(directories: &[&Path]) -> OsString {
    let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new);
    std::env::join_paths(directories.iter().chain(system.iter())).unwrap()
}

/// A wheel of this package, built with the dev profile in a separate target directory.
fn build_wheel(into: &Path) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cargo = Path::new(env!("CARGO")).parent().unwrap();
    let tools = venv().join("bin");
    assert!(tools.join("maturin").is_file(), "no maturin in {}: run the tests with .ci/test", tools.display());
    output(
        Command::new(python())
            .args(["-m", "pip", "wheel", ".", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"])
            .arg(into)
            .current_dir(package)
            .env("PATH", path_of(&[&tools, cargo]))
            .env_remove("RUSTC_BOOTSTRAP")
            .env("CARGO_TARGET_DIR", package.join("target/wheel"))
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .env("MATURIN_PEP517_ARGS", "--profile dev")
            // A coverage run is about the noxide under test, not about this one.
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("LLVM_PROFILE_FILE"),
    );
    let mut wheels = fs_err::read_dir(into).unwrap().map(|entry| entry.unwrap().path());
    let wheel = wheels.next().unwrap();
    assert_eq!((wheel.extension().unwrap().to_str(), wheels.next()), (Some("whl"), None));
    wheel
}

/// The noxide under test as a wheel that brings nox and uv, created once: unlike the wheel of a release, it needs no build.
pub(crate) fn program_wheel() -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| {
        let into = shared_dir().join("program-wheel");
        fs_err::remove_dir_all(&into).ok();
        fs_err::create_dir_all(&into).unwrap();
        let script = "import pathlib, sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True; \
                      import executed; executed.wheel(*map(pathlib.Path, sys.argv[2:]))";
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/audit");
        let mut command = Command::new(python());
        output(command.args(["-c", script]).arg(benches).arg(env!("CARGO_BIN_EXE_noxide")).arg(&into));
        fs_err::read_dir(&into).unwrap().next().unwrap().unwrap().path()
    })
}

/// Adds that wheel to an index in a directory; returns its version.
pub(crate) fn index_program_wheel(index: &Path) -> String {
    let name = program_wheel().file_name().unwrap().to_str().unwrap();
    fs_err::copy(program_wheel(), index.join("files").join(name)).unwrap();
    let page = index.join("simple/noxide");
    fs_err::create_dir_all(&page).unwrap();
    fs_err::write(page.join("index.html"), format!("<a href=\"../../files/{name}\">{name}</a>\n")).unwrap();
    name.split('-').nth(1).unwrap().to_owned()
}

#[test]
fn the_wheel_installs_noxide_beside_nox_and_uv() {
    let directory = tempfile::tempdir().unwrap();
    let wheel = build_wheel(&directory.path().join("wheels"));
    let venv = directory.path().join("venv");
    output(Command::new(python()).args(["-m", "venv"]).arg(&venv));
    output(Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet"]).arg(&wheel));
    let programs = venv.join("bin");
    for name in ["noxide", "nox", "uv"] {
        assert!(programs.join(name).is_file(), "{name} is not in the venv");
    }

    let noxide = |arguments: &[&str]| {
        let mut command = Command::new(programs.join("noxide"));
        let home = directory.path().join("home");
        command.args(arguments).env_clear().env("HOME", home).env("PATH", path_of(&[&programs]));
        command
    };
    let version = output(&mut noxide(&["--version"]));
    let expected = concat!("noxide ", env!("CARGO_PKG_VERSION"), " (");
    assert!(version.starts_with(expected) && version.trim().ends_with("-linux-gnu)"), "{version}");
    assert_eq!(output(&mut noxide(&["-V"])).trim(), concat!("noxide ", env!("CARGO_PKG_VERSION")));

    let project = directory.path().join("project");
    fs_err::create_dir(&project).unwrap();
    fs_err::write(project.join("noxfile.py"), NOXFILE).unwrap();
    let list = output(noxide(&["list", "-C"]).arg(&project));
    assert!(list.contains("greet") && list.contains("Say hello."), "{list}");
    let kept = fs_err::read_dir(directory.path().join("home/.cache/noxide")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["host"], "nox was beside noxide, yet it made an environment of its own");
}

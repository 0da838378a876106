//! Lock files, markers and interpreters compared with uv's export, `packaging` and a real Python.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use noxide::project::Interpreter;
use noxide::project::dependencies::{ClosureRoot, Marker, MarkerEnvironment, UvLock};

use crate::support::{ChildDeadline as _, CommandDeadline as _, build_once, copy_example, python, run_checked, venv};

/// `examples/parcelbook` with a uv.lock from the real uv, created once.
pub(crate) fn locked_parcelbook() -> std::path::PathBuf {
    build_once("locked-parcelbook", |dir| {
        copy_example(dir);
        run_checked(
            Command::new(venv().join("bin/uv")).args(["lock", "--quiet", "--python"]).arg(python()).current_dir(dir),
        );
    })
}

fn lock() -> UvLock {
    UvLock::read(&locked_parcelbook().join("uv.lock")).unwrap()
}

/// What uv itself would install, as `name==version`.
fn exported(arguments: &[&str]) -> BTreeSet<String> {
    let mut uv = Command::new(venv().join("bin/uv"));
    uv.args(["export", "--frozen", "--no-emit-project", "--no-hashes", "--no-header", "--no-annotate", "--offline"]);
    uv.args(arguments).arg("--no-default-groups").current_dir(locked_parcelbook());
    let done = uv.finish();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let environment = Interpreter::probe(&python()).unwrap().markers;
    let text = String::from_utf8(done.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(|sign: char| sign.is_ascii_alphanumeric()));
    let matching = lines.filter(|line| {
        let marker: Option<Marker> = line.split_once(" ; ").map(|(_, marker)| marker.parse().unwrap());
        marker.is_none_or(|marker| marker.evaluate(&environment, &BTreeSet::new()))
    });
    matching.map(|line| line.split(" ;").next().unwrap().trim().to_owned()).collect()
}

fn closed(root: ClosureRoot) -> BTreeSet<String> {
    let lock = lock();
    let environment = Interpreter::probe(&python()).unwrap().markers;
    let closure = lock.resolve_closure(&[root], &environment);
    assert_eq!(closure.unresolved, BTreeSet::new());
    closure.remote_packages().map(|package| format!("{}=={}", package.name, package.version.clone().unwrap())).collect()
}

fn project(extras: &[&str]) -> ClosureRoot {
    ClosureRoot::Project { extras: extras.iter().map(|extra| (*extra).to_owned()).collect() }
}

#[test]
fn a_closure_is_what_uv_would_install() {
    assert_eq!(closed(project(&[])), exported(&[]));
    assert_eq!(closed(project(&["tests"])), exported(&["--extra", "tests"]));
    assert_eq!(closed(project(&["types", "security"])), exported(&["--extra", "types", "--extra", "security"]));
    assert_eq!(closed(project(&["dev"])), exported(&["--extra", "dev"]));
    assert_eq!(closed(ClosureRoot::Group("locked-older".to_owned())), exported(&["--only-group", "locked-older"]));
    let lint = closed(project(&["lint"]));
    assert!(lint.contains("ruff==0.15.0") && !lint.iter().any(|package| package.starts_with("pytest")), "{lint:?}");
    // Every package of the lock file that comes from an index has digests.
    let lock = lock();
    assert!(
        lock.packages.iter().filter(|package| !package.is_local()).all(|package| package.file_hashes().count() > 0)
    );
}

/// Markers of every kind except `platform_release`, where packaging and uv differ, and environments to evaluate them in.
const MARKERS: [&str; 23] = [
    "python_version >= '3.9'",
    "python_version<'3.10' or python_version>'3.12'",
    "python_full_version == '3.12.*'",
    "python_full_version != '3.12.*' and sys_platform == 'linux'",
    "python_full_version >= '3.12.0rc1'",
    "python_full_version < '3.13'",
    "'3.10' <= python_version",
    "python_version ~= '3.11'",
    "python_version === '3.12'",
    "implementation_version >= '3.9.1'",
    "implementation_name == 'cpython' or platform_python_implementation == 'PyPy'",
    "os_name == 'nt' or (os_name == 'posix' and platform_system != 'Windows')",
    "os_name == 'nt' or os_name == 'posix' and platform_system == 'Windows'",
    "(os_name == 'nt' or os_name == 'posix') and platform_system == 'Darwin'",
    "platform_machine in 'x86_64 amd64'",
    "platform_machine not in 'x86_64 amd64'",
    "'linux' in sys_platform",
    "'win' not in sys_platform",
    "platform_version == ''",
    "extra == 'Docs_All'",
    "extra != 'docs-all' and python_version > '3'",
    "sys_platform == \"win32\" and platform_machine == \"ARM64\"",
    "((python_version > '3.10'))",
];

#[test]
fn markers_evaluate_as_in_packaging() {
    let linux = Interpreter::probe(&python()).unwrap().markers;
    let old = MarkerEnvironment {
        python_version: "3.9".to_owned(),
        python_full_version: "3.9.2".to_owned(),
        implementation_version: "3.9.0".to_owned(),
        ..linux.clone()
    };
    let rc = MarkerEnvironment {
        python_version: "3.12".to_owned(),
        python_full_version: "3.12.0rc1".to_owned(),
        ..linux.clone()
    };
    let windows = MarkerEnvironment {
        os_name: "nt".to_owned(),
        sys_platform: "win32".to_owned(),
        platform_system: "Windows".to_owned(),
        platform_machine: "ARM64".to_owned(),
        platform_version: String::new(),
        python_version: "3.13".to_owned(),
        python_full_version: "3.13.1".to_owned(),
        ..linux.clone()
    };
    let environments = [linux, old, rc, windows];
    let script = "import json, sys\nfrom packaging.markers import Marker\nmarkers, environments = json.load(sys.stdin)\n\
        print(json.dumps([[Marker(m).evaluate(dict(e, extra=x)) for m in markers] for e in environments for x in ('', 'docs-all')]))\n";
    let mut packaging = Command::new(python());
    packaging.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut packaging = packaging.spawn().unwrap();
    serde_json::to_writer(packaging.stdin.take().unwrap(), &(MARKERS, &environments)).unwrap();
    let answers: Vec<Vec<bool>> = serde_json::from_slice(&packaging.finish_output().stdout).unwrap();
    let mut expected = answers.iter();
    for environment in &environments {
        for extras in [BTreeSet::new(), BTreeSet::from(["docs-all".to_owned()])] {
            let evaluated: Vec<bool> =
                MARKERS.iter().map(|text| text.parse::<Marker>().unwrap().evaluate(environment, &extras)).collect();
            let theirs = expected.next().unwrap();
            for ((text, evaluated), theirs) in MARKERS.iter().zip(&evaluated).zip(theirs) {
                assert_eq!(evaluated, theirs, "{text} with {extras:?} in {environment:?}");
            }
        }
    }
    assert!(answers.len() == 8 && answers.iter().flatten().any(|holds| !holds), "{answers:?}");
}

#[test]
fn an_interpreter_reports_its_markers() {
    let found = Interpreter::probe(&python()).unwrap();
    let version = run_checked(Command::new(python()).arg("--version"));
    assert_eq!(format!("Python {}", found.version), version.trim());
    assert!(found.abi.starts_with("cpython-") && found.cache_tag.starts_with("cpython-3"), "{found:?}");
    assert!(found.executable.is_absolute() && !found.executable.starts_with(venv()), "behind all links: {found:?}");
    assert_eq!(found.markers.python_full_version, found.version);
    let missing = Interpreter::probe(Path::new("/nowhere/python")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot start /nowhere/python");
    let other = Interpreter::probe(Path::new("/bin/true")).unwrap_err();
    assert_eq!(other.to_string(), "/bin/true did not answer the interpreter probe: it printed nothing");
}

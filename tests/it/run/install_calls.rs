//! Every install call with every backend: the results, statuses and effects of plain nox.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::{
    CommandDeadline as _, Project, nox_release_path, noxide_command, python, venv, write_script, write_wheel,
};

/// Sessions that make every kind of install call and write down what each returned, raised and did.
const CALLS: &str = r#"
import importlib.util, os, pathlib
import nox

ROOT = pathlib.Path(__file__).parent
WHEELS = ["--no-index", "--find-links", str(ROOT / "wheels")]
nox.options.reuse_existing_virtualenvs = True

def attempt(session, name, call, *args, **kwargs):
    mark = ROOT / ("mark-" + session.name)
    try:
        result = repr(call(*args, **kwargs))
    except Exception as error:
        result = "%s: %s" % (type(error).__name__, error)
    with open(ROOT / "effects", "a") as file:
        file.write("%s, %s: %s%s\n" % (session.name, name, result.replace(str(ROOT), ""), mark.exists() * ", marked"))
    if mark.exists():
        mark.unlink()

def calls(session, *only):
    mark = "open(%r, 'w')" % str(ROOT / ("mark-" + session.name))
    target = ["--target", str(ROOT / ("target-" + session.name))]
    for name in () if only else ("run_install", "run_always"):
        run = getattr(session, name, session.run_always)  # an old nox has only that one
        attempt(session, name, run, "python", "-c", mark, external=True)
        attempt(session, name + " of nothing", run)
        attempt(session, name + " captured", run, "python", "-c", "print(1)", silent=True, external=True)
        attempt(session, name + " of a function", run, len, "abc")
        attempt(session, name + " fails", run, "python", "-c", "raise SystemExit(3)", external=True)
        if UV:
            attempt(session, name + " uv", run, "uv", "pip", "install", "-q", *target, *WHEELS, "nxdemo", external=True)
            attempt(session, name + " sync", run, "uv", "sync", "-q", "--frozen", "--offline", external=True)
    attempt(session, "install of nothing", session.install)
    attempt(session, "install", session.install, *WHEELS, "nxdemo")
    if not only:
        attempt(session, "install of what is not there", session.install, *WHEELS, "nxnone")
        pip = ["python", "-m", "pip", "install", "-q", *target, *WHEELS]
        attempt(session, "pip", session.run_always, *pip, "nxdemo", external=True)
    attempt(session, "conda_install of nothing", session.conda_install)
    attempt(session, "conda_install", session.conda_install, "nxconda", auto_offline=False)
    code = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('nxdemo', 'nxconda')])"
    attempt(session, "found", session.run, "python", "-c", code, silent=True, external=True)

for backend in BACKENDS:
    nox.session(lambda session: calls(session), name="of-" + backend, venv_backend=backend)
for backend in RELATED_BACKENDS:  # nox handles them like one of those
    nox.session(lambda session: calls(session, "installs"), name="by-" + backend, venv_backend=backend)
nox.session(lambda session: calls(session), name="none", venv_backend="none")
nox.session(lambda session: calls(session), name="no-python", python=False)
nox.session(lambda session: session.install(*WHEELS, "nxdemo"), name="only-install", venv_backend="none")
nox.session(lambda session: session.conda_install("nxconda", auto_offline=False), name="only-conda", python=False)
nox.session(lambda session: session.run_always("false", external=True), name="only-run", venv_backend="none")
"#;

/// A stand-in for conda, mamba and micromamba: environments with pip, and a module for each package.
const CONDA: &str = r#"#!/usr/bin/env python3
import os, pathlib, subprocess, sys
command, words = sys.argv[1], sys.argv[2:]
prefix = words[words.index("--prefix") + 1] if "--prefix" in words else None
if command == "create":
    subprocess.check_call([os.environ["VIRTUALENV"], "-q", "--no-download", prefix])
    pathlib.Path(prefix, "conda-meta").mkdir()
elif command == "install":
    site = next(pathlib.Path(prefix, "lib").glob("*/site-packages")) if prefix else pathlib.Path()
    (site / "nxconda.py").write_text("")
"#;

/// Flags of consecutive runs: environments are created, then reused, then not used at all.
const ROUNDS: [&str; 4] = ["", "-R", "--no-venv", "--no-venv --no-install"];

/// What the calls did and how the sessions ended, in each round.
type Rounds = Vec<(BTreeMap<String, String>, Vec<String>)>;

fn run_rounds(noxfile: &str, release: Option<&str>, run: impl Fn(&Project, &str) -> Command) -> Rounds {
    let project = Project::new(noxfile);
    project.write("pyproject.toml", "[project]\nname = 'holder'\nversion = '1'\n[tool.uv]\npackage = false\n");
    write_wheel(&project, "nxdemo", "1.0");
    project.command("uv").args(["lock", "-q", "--offline"]).finish();
    let programs = project.outer_dir().join("programs");
    for name in ["conda", "mamba", "micromamba"] {
        write_script(&programs.join(name), CONDA);
    }
    let path = std::env::join_paths([programs, venv().join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    let rounds = ROUNDS.iter().map(|flags| {
        let mut command = run(&project, flags);
        command.args(["--report", "report.json"]).env("PATH", &path).env("VIRTUALENV", venv().join("bin/virtualenv"));
        command.env("UV_CACHE_DIR", project.outer_dir().join("uv"));
        if let Some(release) = release {
            command.env("PYTHONPATH", nox_release_path(release));
        }
        let ran = command.finish();
        let printed = || format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let report =
            std::fs::read_to_string(project.root().join("report.json")).unwrap_or_else(|_| panic!("{}", printed()));
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let mut effects: Vec<String> = project.read("effects").lines().map(str::to_owned).collect();
        effects.sort();
        for file in ["report.json", "effects"] {
            fs_err::remove_file(project.root().join(file)).unwrap();
        }
        let sessions = report["sessions"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (sessions.map(|session| (text(&session["name"]), text(&session["result"]))).collect(), effects)
    });
    rounds.collect()
}

fn compare(release: Option<&str>, backends: &str, related: &str) {
    let uv = if release.is_none() { "True" } else { "False" };
    let lists = format!("BACKENDS = {backends:?}.split()\nRELATED_BACKENDS = {related:?}.split()\n");
    let noxfile = format!("UV = {uv}\n{lists}{CALLS}");
    let expected = run_rounds(&noxfile, release, |project, flags| {
        let mut command = project.command(python());
        command.args(["-m", "nox"]).args(flags.split_whitespace());
        command
    });
    let found = run_rounds(&noxfile, release, |project, flags| noxide_command(project, &format!("run -j 1 {flags}")));
    for (flags, (expected, found)) in ROUNDS.iter().zip(expected.iter().zip(&found)) {
        assert!(expected.0.len() > 5 && !expected.1.is_empty(), "{flags}: {expected:?}");
        let differ: Vec<_> = expected.1.iter().zip(&found.1).filter(|(expected, found)| expected != found).collect();
        assert!(differ.is_empty(), "nox {release:?} {flags}: {differ:#?}");
        assert_eq!(expected, found, "nox {release:?} {flags}");
    }
}

#[test]
fn install_calls_are_those_of_nox_with_every_backend() {
    compare(None, "virtualenv uv conda", "venv uv|virtualenv mamba micromamba micromamba|uv");
}

#[test]
fn install_calls_are_those_of_an_old_nox() {
    compare(Some("2023.4.22"), "virtualenv conda", "venv mamba");
}

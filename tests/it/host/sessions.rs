//! Sessions as the host reads them from a noxfile and runs them as its children.

use std::collections::BTreeMap;
use std::fs::File;

use noxide::project::{HostError, HostMode, ManifestIndex, NoxStatus};

use crate::support::{CommandDeadline as _, HostArgs, Project, nox_releases, run_host};

#[test]
fn sessions_are_read_and_run() {
    let project = Project::new(
        r#"'''Quality.'''
import nox
nox.options.default_venv_backend = "none"
print("x" * 5000)

@nox.session(tags=["fast"])
def lint(session):
    """Looks.

    Closely."""
    session.run("echo", "linted", *session.posargs, external=True)

@nox.session(requires=["lint"], default=False)
@nox.parametrize("n", [1, 2])
def tests(session, n):
    session.log("n is %d, %s", n, session.parallel)
"#,
    );
    let ran =
        run_host(&project, &HostArgs { posargs: vec!["--a b".into()], ..HostArgs::args(&["-s", "lint", "tests"]) });
    assert_eq!(ran.finish_order[0], "lint");
    assert_eq!(ran.finished.len(), 3);
    assert!(ran.finished.values().all(|finished| finished.status == NoxStatus::Success));
    assert!(ran.log("lint").contains("Running session lint"), "{}", ran.log("lint"));
    assert!(ran.log("lint").contains("linted --a b"));
    assert!(ran.log("lint").contains("Session lint was successful"));
    assert!(ran.log("tests(n=2)").contains("n is 2, True"));
    let manifest = &ran.manifest;
    assert_eq!(manifest.mode, HostMode::Fork);
    assert_eq!(manifest.description, "Quality.");
    assert_eq!(manifest.root, project.root());
    let tests = &manifest.sessions[2];
    assert_eq!((tests.name.as_str(), tests.base.as_str()), ("tests(n=2)", "tests"));
    assert_eq!(tests.requires, [ManifestIndex(0)]);
    assert_eq!(tests.parameters, [("n".to_owned(), "2".to_owned())]);
    assert!(!tests.default && manifest.sessions[0].default);
    assert_eq!(manifest.sessions[0].description, "Looks.");
    assert_eq!((tests.backend.as_str(), &tests.envdir), ("none", &None));
}

/// Sessions of every kind; runs on every release, with `requires` where the release has it.
const KINDS: &str = r#"
import inspect, os, pathlib, signal, sys
import nox

nox.options.default_venv_backend = "none"
NEW = "requires" in inspect.signature(nox.session).parameters

def after(*names):
    return nox.session(requires=list(names)) if NEW else nox.session

@nox.session
def good(session):
    session.log("posargs %s", session.posargs)

@nox.session
def failing(session):
    session.run("false", external=True)

@nox.session
def skipping(session):
    session.skip("not today")

@nox.session
def erroring(session):
    session.error("no way")

@nox.session
def raising(session):
    raise ValueError("boom")

@after("good")
def built(session):
    session.log("built")

@after("failing")
def blocked(session):
    session.log("must not run" if NEW else "old")

@after("skipping")
def unblocked(session):
    session.log("skipped is fine")

@nox.session
def first(session):
    session.notify("late", posargs=["of", pathlib.Path("first")])

@nox.session
def second(session):
    session.notify("late", posargs=["of second"])
    session.notify("good")

@nox.session
def lost(session):
    session.notify("nowhere")

@nox.session
def late(session):
    session.log("late with %s", [str(p) for p in session.posargs])

@nox.session
@nox.parametrize("path", [pathlib.Path("a"), pathlib.Path("b")])
def withpath(session, path):
    assert isinstance(path, pathlib.Path)

@nox.session
def exits(session):
    sys.exit(3)

@nox.session
def exits_well(session):
    sys.exit()

@nox.session
def dies(session):
    os._exit(5)

@nox.session
def killed(session):
    os.kill(os.getpid(), signal.SIGKILL)
"#;
/// Sessions that do not end nox itself when it runs them one after the other.
const CALM: [&str; 11] =
    ["good", "failing", "skipping", "erroring", "raising", "built", "blocked", "unblocked", "first", "second", "lost"];

/// Statuses from the report of nox, one session after the other.
fn sequential(project: &Project, env: &[(String, Option<String>)]) -> BTreeMap<String, NoxStatus> {
    let mut command = project.command(crate::support::python());
    command.args(["-m", "nox", "--report", "report.json", "-s"]).args(CALM).args(["--", "one", "two"]);
    for (name, value) in env {
        command.env(name, value.as_deref().unwrap());
    }
    command.finish();
    let report: serde_json::Value = serde_json::from_str(&project.read("report.json")).unwrap();
    let statuses = report["sessions"].as_array().unwrap().iter().map(|session| {
        let word = session["result"].as_str().unwrap().to_uppercase();
        (session["name"].as_str().unwrap().to_owned(), serde_json::from_value(word.into()).unwrap())
    });
    statuses.collect()
}

fn check_release(version: Option<&str>) {
    let project = Project::new(KINDS);
    let mut host_args = HostArgs::args(&["-s"]);
    host_args
        .args
        .extend(CALM.iter().chain(&["withpath", "exits", "exits_well", "dies", "killed"]).map(ToString::to_string));
    host_args.posargs = vec!["one".into(), "two".into()];
    if let Some(version) = version {
        host_args = host_args.env("PYTHONPATH", crate::support::nox_release_path(version).to_str().unwrap());
    }
    let expected = sequential(&project, &host_args.env);
    let ran = run_host(&project, &host_args);
    assert_eq!(ran.manifest.mode, HostMode::Fork);
    if let Some(version) = version {
        assert_eq!(ran.manifest.nox, version);
    }
    let found: BTreeMap<_, _> = expected.keys().map(|name| (name.clone(), ran.finished[name].status)).collect();
    assert_eq!(found, expected, "{version:?}");
    assert_eq!(
        expected["blocked"],
        if ran.manifest.sessions[6].requires.is_empty() { NoxStatus::Success } else { NoxStatus::Aborted }
    );
    assert_eq!(ran.status("withpath(path=PosixPath('a'))"), NoxStatus::Success);
    assert_eq!(ran.finish_order.iter().filter(|name| *name == "late").count(), 1);
    assert_eq!(ran.finish_order.last().unwrap(), "late");
    assert!(ran.log("late").contains("late with ['of"), "{}", ran.log("late"));
    assert!(ran.log("good").contains("posargs ['one', 'two']"), "{}", ran.log("good"));
    assert!(ran.log("good").contains("nox > Session good was successful"), "{}", ran.log("good"));
    assert!(ran.log("raising").contains("raised exception ValueError('boom')"));
    assert!(ran.log("lost").contains("Session nowhere not found"));
    assert_eq!(ran.finished["erroring"].reason, "no way");
    let notifies = |name: &str| ran.manifest.sessions.iter().find(|s| s.base == name).unwrap().notifies.clone();
    assert_eq!((notifies("second"), notifies("good").len()), (vec!["late".to_owned(), "good".to_owned()], 0));
    assert_eq!(ran.status("exits"), NoxStatus::Failed);
    assert_eq!(ran.finished["exits"].reason, "the session called sys.exit(3)");
    assert_eq!(ran.status("exits_well"), NoxStatus::Success);
    assert_eq!((ran.status("dies"), ran.finished["dies"].exit_code), (NoxStatus::Crashed, Some(5)));
    assert_eq!((ran.status("killed"), ran.finished["killed"].signal), (NoxStatus::Crashed, Some(9)));
    assert!(ran.finished["killed"].reason.contains("SIGKILL"));
}

#[test]
fn the_newest_nox_behaves_as_nox() {
    check_release(None);
}

#[test]
fn supported_releases_behave_as_nox() {
    for version in nox_releases() {
        check_release(Some(version));
    }
}

#[test]
fn a_noxfile_with_threads_gets_one_process_per_session() {
    let threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n";
    let project = Project::new(&format!("{threads}{KINDS}"));
    let mut host_args = HostArgs::args(&["-s", "withpath", "dies"]);
    host_args.args.extend(CALM.iter().map(ToString::to_string));
    host_args.posargs = vec!["one".into()];
    let ran = run_host(&project, &host_args);
    let HostMode::Reload { why } = &ran.manifest.mode else { panic!() };
    assert_eq!(why, "the noxfile leaves threads running after its import");
    assert_eq!(ran.status("built"), NoxStatus::Success);
    assert_eq!(ran.status("blocked"), NoxStatus::Aborted);
    assert_eq!(ran.status("withpath(path=PosixPath('a'))"), NoxStatus::Success);
    assert_eq!((ran.status("dies"), ran.finished["dies"].exit_code), (NoxStatus::Crashed, Some(5)));
    assert_eq!(ran.status("lost"), NoxStatus::Failed);
    assert!(ran.log("late").contains("late with ['of"), "{}", ran.log("late"));
    assert!(ran.log("good").contains("posargs ['one']"));
    assert!(ran.log("good").contains("Session good was successful"));
}

#[test]
fn a_nox_on_pythonpath_with_unknown_internals_is_used() {
    let project = Project::new(KINDS);
    // A working nox with another name for its list of sessions.
    let other = project.outer_dir().join("other");
    std::fs::create_dir(&other).unwrap();
    let find = "import nox, os, shutil, sys; shutil.copytree(os.path.dirname(nox.__file__), sys.argv[1])";
    crate::support::run_checked(project.command(crate::support::python()).args(["-c", find]).arg(other.join("nox")));
    for file in ["manifest.py", "tasks.py", "sessions.py", "_parallel.py", "_completers.py"] {
        let path = other.join("nox").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("_all_sessions", "_every_session");
        std::io::Write::write_all(&mut File::create(&path).unwrap(), text.as_bytes()).unwrap();
    }
    let mut host_args = HostArgs::args(&["-s", "withpath", "dies"]).env("PYTHONPATH", other.to_str().unwrap());
    host_args.args.extend(CALM.iter().map(ToString::to_string));
    host_args.posargs = vec!["one".into()];
    let ran = run_host(&project, &host_args);
    let HostMode::NoxProcess { why } = &ran.manifest.mode else { panic!() };
    assert_eq!(why, "this nox has no nox.manifest.Manifest._all_sessions");
    for (name, status) in [
        ("good", NoxStatus::Success),
        ("failing", NoxStatus::Failed),
        ("skipping", NoxStatus::Skipped),
        ("erroring", NoxStatus::Aborted),
        ("built", NoxStatus::Success),
        ("unblocked", NoxStatus::Success),
        ("dies", NoxStatus::Failed),
    ] {
        assert_eq!(ran.status(name), status, "{name}: {}", ran.log(name));
    }
    assert!(ran.log("good").contains("posargs ['one']"));
    assert_eq!(ran.manifest.envdir, project.root().join(".nox"));
    project.write("option.py", format!("{KINDS}nox.options.envdir = 'envs'\n"));
    for (flags, envdir) in [(&[][..], "envs"), (&["--envdir", "of a flag"], "of a flag"), (&["--envdir=b"], "b")] {
        let ask = HostArgs::args(&[&["-f", "option.py"], flags].concat()).env("PYTHONPATH", other.to_str().unwrap());
        let (host, manifest) = ask.start(&project).unwrap();
        host.close();
        assert_eq!(manifest.envdir, project.root().join(envdir), "{flags:?}");
    }
    let refused = HostArgs::args(&["-s", "nothing"]).env("PYTHONPATH", other.to_str().unwrap()).start(&project);
    let Err(HostError::Load(failure)) = refused else { panic!() };
    assert_eq!(failure.exit_code, Some(3));
    assert!(failure.message.contains("Sessions not found: nothing"), "{}", failure.message);
}

//! Environments, coverage and interpreters as the host reads them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use noxide::project::{
    CoverageUse, HostError, LoadStage, NoxError, NoxOrigin, NoxSearch, NoxStatus, NoxfileManifest, find_nox,
};

use crate::support::{HostArgs, Project, nox_release_path, nox_releases, run_host, write_script};

fn read(project: &Project, host_args: &HostArgs) -> NoxfileManifest {
    let (host, manifest) = host_args.start(project).unwrap_or_else(|error| panic!("{error}\n{}", error.output()));
    host.close();
    manifest
}

const SCRIPT: &str = "# /// script\n# dependencies = ['nox', 'iniconfig']\n# ///\nimport os, sys\nimport iniconfig, nox\n\
                      nox.options.default_venv_backend = 'none'\n@nox.session\ndef one(session):\n    \
                      print('in', sys.prefix, os.environ.get('PYTHONPATH'), session.posargs)\n";

#[test]
fn a_noxfile_with_dependencies_gets_the_interpreter_nox_would_give_it() {
    let project = Project::new(SCRIPT);
    let mut host_args = HostArgs::args(&["-s", "one"]).env("PYTHONPATH", "/nowhere");
    host_args.posargs = vec!["a b".into()];
    let ran = run_host(&project, &host_args);
    let home = project.root().join(".nox/_nox_script_mode");
    assert!(ran.manifest.executable.starts_with(&home), "{:?}", ran.manifest.executable);
    assert_eq!(ran.status("one"), NoxStatus::Success);
    let line = format!("in {} /nowhere ['a b']", home.display());
    assert!(ran.log("one").contains(&line), "{}", ran.log("one"));
    let refused = HostArgs::args(&[]).env("NOX_SCRIPT_MODE", "none").start(&project);
    let Err(HostError::Load(failure)) = refused else { panic!() };
    assert_eq!(failure.stage, LoadStage::Noxfile);
    assert!(failure.exception.unwrap().contains("iniconfig"));
}

#[test]
fn a_noxfile_whose_dependencies_are_installed_needs_no_environment() {
    let project = Project::new(&SCRIPT.replace("iniconfig", "packaging"));
    assert!(!read(&project, &HostArgs::args(&[])).executable.starts_with(project.root()));
}

#[test]
fn unavailable_noxfile_dependencies_are_an_error_of_nox() {
    for (noxfile, words) in [
        (SCRIPT.replace("'nox', ", ""), "Must have a nox dependency"),
        (SCRIPT.replace("'iniconfig'", "'iniconfig==99999'"), "could not create"),
        (SCRIPT.replace("# depend", "# requires-python = '>=3.99'\n# depend"), "3.99"),
    ] {
        let Err(HostError::Load(failure)) = HostArgs::args(&[]).start(&Project::new(&noxfile)) else { panic!() };
        assert_eq!(failure.stage, LoadStage::Nox, "{}", failure.message);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[test]
fn an_interpreter_without_nox_is_an_error() {
    let project = Project::new("import nox\n");
    let blocked = project.outer_dir().join("nox");
    std::fs::create_dir(&blocked).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(blocked.join("__init__.py")).unwrap(), b"import none_such")
        .unwrap();
    let refused = HostArgs::args(&[]).env("PYTHONPATH", project.outer_dir().to_str().unwrap()).start(&project);
    let Err(HostError::Load(failure)) = refused else { panic!() };
    assert_eq!(failure.stage, LoadStage::Nox);
    assert!(failure.message.contains("none_such"), "{}", failure.message);
}

#[test]
fn environments_are_as_nox_resolves_them() {
    let noxfile = "import nox\nnox.options.reuse_venv = 'yes'\nnox.options.error_on_external_run = True\n\
                   nox.options.stop_on_first_error = True\n\
                   @nox.session(venv_backend='uv|virtualenv', python='3.11')\ndef a(session): pass\n\
                   @nox.session(python=False)\ndef b(session): pass\n\
                   @nox.session(reuse_venv=False, tags=['t'])\ndef c(session): pass\n\
                   @nox.session(venv_backend='none', default=False)\ndef d(session): pass\n\
                   @nox.session(python=['3.11', '3.12'])\ndef e(session): pass\n";
    let project = Project::new(noxfile);
    let manifest = read(&project, &HostArgs::args(&["--report", "out.json"]));
    let facts: Vec<_> = manifest
        .sessions
        .iter()
        .map(|s| (s.name.as_str(), s.backend.as_str(), s.reuse, s.envdir.is_some(), s.python.as_deref()))
        .collect();
    assert_eq!(
        facts,
        [
            ("a", "uv", true, true, Some("3.11")),
            ("b", "none", true, false, None),
            ("c", "virtualenv", false, true, None),
            ("d", "none", true, false, None),
            ("e-3.11", "virtualenv", true, true, Some("3.11")),
            ("e-3.12", "virtualenv", true, true, Some("3.12")),
        ]
    );
    assert_eq!(manifest.sessions[0].envdir, Some(project.root().join(".nox/a")));
    assert_eq!(manifest.sessions[4].base, "e");
    assert_eq!((manifest.sessions[2].tags.as_slice(), manifest.sessions[2].line), (&["t".to_owned()][..], Some(9)));
    assert_eq!(manifest.queue.len(), 5);
    assert!(manifest.stop_on_first_error);
    assert_eq!(manifest.report, Some(project.root().join("out.json")));
    assert_eq!(manifest.sessions[0].file, Some(project.root().join("noxfile.py")));
    let forced = read(&project, &HostArgs::args(&["-fb", "none", "-N"]));
    assert!(forced.sessions.iter().all(|session| session.backend == "none"));
}

#[test]
fn the_directory_of_environments_is_that_of_nox() {
    let head = "import nox, os\n@nox.session(venv_backend='virtualenv')\ndef a(session): pass\n";
    let option = |value: &str| format!("{head}nox.options.envdir = {value}\n");
    for version in nox_releases().into_iter().map(Some).chain([None]) {
        let project = Project::new(head);
        project.write("option.py", option("'envs'"));
        project.write("outside.py", option("os.path.abspath('../shared')"));
        project.write("sub/below.py", option("'../envs/./'"));
        for (args, expected) in [
            ("-f noxfile.py", ".nox"),
            ("-f option.py", "envs"),
            ("-f option.py --envdir of/flag", "of/flag"),
            ("-f outside.py", "../shared"),
            ("-f sub/below.py", "envs"),
        ] {
            let mut ask = HostArgs::args(&args.split(' ').collect::<Vec<_>>());
            if let Some(version) = version {
                ask = ask.env("PYTHONPATH", nox_release_path(version).to_str().unwrap());
            }
            let manifest = read(&project, &ask);
            let expected = match expected.strip_prefix("../") {
                Some(name) => project.root().with_file_name(name),
                None => project.root().join(expected),
            };
            assert_eq!(manifest.envdir, expected, "{version:?}: {args}");
            // nox itself joins the names of environments to it.
            assert_eq!(manifest.sessions[0].envdir, Some(expected.join("a")), "{version:?}: {args}");
        }
        project.write("moves.py", format!("{head}os.makedirs('other', exist_ok=True)\nos.chdir('other')\n"));
        let manifest = read(&project, &HostArgs::args(&["-f", "moves.py"]));
        assert_eq!(manifest.envdir, project.root().join(".nox"), "sessions run in the directory of the noxfile");
    }
}

#[test]
fn no_dependencies_works_on_every_release() {
    let noxfile = "import nox\nnox.options.default_venv_backend = 'none'\n@nox.session\ndef a(session): session.error('no')\n\
                   @nox.session(requires=['a'])\ndef b(session): session.log('ran')\n";
    let threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n";
    for (version, head) in [(Some("2025.2.9"), ""), (Some("2026.4.10"), threads), (None, "")] {
        let project = Project::new(&format!("{head}{noxfile}"));
        let mut host_args = HostArgs::args(&["-s", "b", "--no-dependencies"]);
        if let Some(version) = version {
            host_args = host_args.env("PYTHONPATH", crate::support::nox_release_path(version).to_str().unwrap());
        }
        let ran = run_host(&project, &host_args);
        assert_eq!(ran.finish_order, ["b"], "{version:?}");
        assert_eq!(ran.status("b"), NoxStatus::Success, "{version:?}: {}", ran.log("b"));
    }
}

#[test]
fn color_follows_settings_unless_flags_or_variables_override() {
    let project = Project::new("import nox\n@nox.session(python=False)\ndef a(session): session.log('x')\n");
    let coloured = |host_args: HostArgs| run_host(&project, &host_args).log("a").contains("\u{1b}[");
    assert!(!coloured(HostArgs::args(&[])));
    assert!(coloured(HostArgs { color: true, ..HostArgs::args(&[]) }));
    assert!(coloured(HostArgs::args(&["--forcecolor"])));
    assert!(!coloured(HostArgs { color: true, ..HostArgs::args(&["--nocolor"]) }));
    assert!(!coloured(HostArgs { color: true, ..HostArgs::args(&[]) }.env("NO_COLOR", "1")));
}

/// What each session of a noxfile does with coverage data.
fn uses(body: &str, files: &[(&str, &str)]) -> Vec<(String, Option<String>, bool)> {
    let project = Project::new(&format!("import nox, pathlib\n{body}"));
    for (name, text) in files {
        project.write(name, text);
    }
    let sessions = read(&project, &HostArgs::args(&[])).sessions.into_iter();
    sessions
        .map(|session| {
            let CoverageUse { writes, reads } = session.coverage;
            (session.base, writes.map(|path| path.display().to_string()), reads)
        })
        .collect()
}

fn used(name: &str, writes: Option<&str>, reads: bool) -> (String, Option<String>, bool) {
    (name.to_owned(), writes.map(ToOwned::to_owned), reads)
}

#[test]
fn coverage_is_read_from_the_sessions_source() {
    let body = r#"
import functools
def wrapped(function):
    @functools.wraps(function)
    def inner(session):
        return function(session)
    return inner
ARGS = ["pytest", "--cov=pkg"]
def measure(session, *more):
    session.run("coverage", "run", *more, "-m", "pytest")
@nox.session
def plain(session): session.run("coverage", "run", "-m", "pytest", "-p", "no:x")
@nox.session
def parallel(session): session.run("python", "-m", "coverage", "run", "-p", "-m", "pytest")
@nox.session
@nox.parametrize("n", [1])
def called(session, n): measure(session)
@nox.session
@wrapped
def pytested(session): session.run(*ARGS)
@nox.session
def unmeasured(session): session.run("pytest", "--cov", "--no-cov")
@nox.session
def own(session): session.run("pytest", "--cov", env={"COVERAGE_FILE": f".coverage.{session.name}"})
@nox.session
def fixed(session):
    session.env["COVERAGE_FILE"] = "data/cov"
    session.run("coverage", "run", "x.py")
@nox.session
def option(session): session.run("coverage", "run", "--data-file=else", "x.py")
@nox.session
def report(session):
    session.run("coverage", "combine")
    session.run("coverage", "report", "--fail-under=100")
@nox.session
def globbing(session): print(list(pathlib.Path().glob(".coverage.*")))
@nox.session
def both(session):
    measure(session, "--parallel-mode")
    session.run("coverage", "combine")
@nox.session
def through_uv(session):
    session.run("uv", "run", "--group", "t", "coverage", "run", "-m", "pytest", *session.posargs)
@nox.session
def default(session): session.run("pytest", *(session.posargs or ["--cov=src"]))
@nox.session
def each(session):
    for command in ("xml", "html"):
        session.run("coverage", command)
@nox.session
def neither(session):
    session.install("coverage")
    session.run("ruff", "check")
"#;
    let plain = Some(".coverage");
    assert_eq!(
        uses(body, &[]),
        [
            used("plain", plain, false),
            used("parallel", plain, false),
            used("called", plain, false),
            used("pytested", plain, false),
            used("unmeasured", None, false),
            used("own", plain, false),
            used("fixed", Some("data/cov"), false),
            used("option", Some("else"), false),
            used("report", None, true),
            used("globbing", None, true),
            used("both", plain, false),
            used("through_uv", plain, false),
            used("default", plain, false),
            used("each", None, true),
            used("neither", None, false),
        ]
    );
}

#[test]
fn coverage_is_read_from_the_projects_files() {
    let body = "@nox.session\ndef a(session): session.run('coverage', 'run', '-m', 'x')\n\
                @nox.session\ndef b(session): session.run('pytest')\n@nox.session\ndef c(session): session.run('pytest', '--cov')\n";
    let pyproject = "[tool.coverage.run]\nparallel = true\ndata_file = 'd/cov'\n[tool.pytest.ini_options]\naddopts = '-q --cov=x'\n";
    let with = |file: &'static str, b: Option<&str>| {
        vec![used("a", Some(file), false), used("b", b, false), used("c", Some(file), false)]
    };
    assert_eq!(uses(body, &[("pyproject.toml", pyproject)]), with("d/cov", Some("d/cov")));
    let rc = ("  .coveragerc".trim(), "[run]\nparallel = False\n");
    assert_eq!(uses(body, &[("pyproject.toml", pyproject), rc]), with(".coverage", Some(".coverage")));
    assert_eq!(uses(body, &[("setup.cfg", "[coverage:run]\nparallel = yes\n")]), with(".coverage", None));
    assert_eq!(uses(body, &[("tox.ini", "[pytest]\naddopts = --cov\n")]), with(".coverage", Some(".coverage")));
    assert_eq!(uses(body, &[("pyproject.toml", "[[broken")]), with(".coverage", None));
}

/// A search in these directories only.
fn search(project: &Project, path: &[&Path]) -> NoxSearch {
    NoxSearch {
        root: project.root().to_path_buf(),
        path_variable: std::env::join_paths(path).unwrap(),
        ..NoxSearch::default()
    }
}

#[test]
fn nox_is_found_where_users_expect_it() {
    let project = Project::empty();
    let bin = crate::support::venv().join("bin");
    let python = crate::support::python();
    let empty = project.outer_dir().join("empty");
    let found = find_nox(&search(&project, &[&empty, &bin])).unwrap();
    assert_eq!((same(&found.executable), found.origin), (same(&python), NoxOrigin::Path));

    let shim = project.outer_dir().join("shims/nox");
    write_script(&shim, &format!("#!/bin/sh\nexec '{}' \"$@\"\n", bin.join("nox").display()));
    let found = find_nox(&search(&project, &[shim.parent().unwrap()])).unwrap();
    assert_eq!((same(&found.executable), found.origin), (same(&python), NoxOrigin::Path));

    let alone = project.outer_dir().join("alone");
    write_script(&alone.join("python3"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()));
    let found = find_nox(&NoxSearch { sibling_directory: Some(bin.clone()), ..search(&project, &[&empty]) }).unwrap();
    assert_eq!((found.origin, found.extra_path), (NoxOrigin::Sibling, Some(bin.clone())));
    let module = find_nox(&search(&project, &[&empty, &alone])).unwrap();
    assert_eq!((module.executable, module.origin), (alone.join("python3"), NoxOrigin::Module));
    assert!(matches!(find_nox(&search(&project, &[&empty])), Err(NoxError::NotFound)));

    write_script(&project.root().join(".venv/bin/nox"), &format!("#!{}\nimport nox\n", python.display()));
    let found = find_nox(&search(&project, &[&empty])).unwrap();
    assert_eq!((found.executable, found.origin), (python, NoxOrigin::Project));
}

fn same(path: &Path) -> PathBuf {
    path.parent().unwrap().canonicalize().unwrap().join("python")
}

#[test]
fn nox_of_the_flag_is_used() {
    let project = Project::empty();
    let bin = crate::support::venv().join("bin");
    let find_explicit =
        |what: &Path| find_nox(&NoxSearch { explicit: Some(what.to_path_buf()), ..search(&project, &[&bin]) });
    for what in [&bin.join("nox"), &bin.join("python"), Path::new("nox"), Path::new("python")] {
        let found = find_explicit(what).unwrap();
        assert_eq!((same(&found.executable), found.origin), (same(&crate::support::python()), NoxOrigin::Explicit));
    }
    for what in [&project.root().join("none"), Path::new("none-such-command"), Path::new("/bin/true")] {
        let error = find_explicit(what).unwrap_err();
        assert!(error.to_string().starts_with(what.to_str().unwrap()), "{error}");
    }
}

#[test]
fn nox_is_installed_once_when_missing() {
    let project = Project::new(
        "import nox\n@nox.session(venv_backend='uv')\ndef a(session): session.run('uv', '--version', external=True)\n",
    );
    let cache = project.outer_dir().join("the cache");
    let bare = project.outer_dir().join("bare");
    std::fs::create_dir(&bare).unwrap();
    let base = crate::support::run_checked(
        std::process::Command::new("python3").args(["-c", "import sys; print(sys._base_executable)"]),
    );
    write_script(&bare.join("python3"), &format!("#!/bin/sh\nexec '{}' -I \"$@\"\n", base.trim()));
    let with_cache = NoxSearch { cache: Some(cache.clone()), ..search(&project, &[&bare]) };
    let found = match find_nox(&with_cache).unwrap() {
        found if found.origin == NoxOrigin::Module => return, // this machine's own Python has nox
        found => found,
    };
    assert_eq!(found.origin, NoxOrigin::Private { created: true });
    assert!(found.executable.starts_with(&cache));
    assert_eq!(find_nox(&with_cache).unwrap().origin, NoxOrigin::Private { created: false });
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1, "something was left beside it");
    let nox = found.executable.with_file_name("nox");
    assert!(crate::support::run_checked(std::process::Command::new(nox).arg("--version")).contains("20"));

    let host_args = HostArgs { python: found.executable.clone(), extra_path: found.extra_path, ..HostArgs::args(&[]) };
    let ran = run_host(&project, &host_args.env("PATH", "/usr/bin:/bin"));
    assert_eq!(ran.status("a"), NoxStatus::Success, "{}", ran.log("a"));
    let none = NoxSearch {
        path_variable: OsString::from("/nonexistent"),
        cache: Some(project.outer_dir().join("c2")),
        ..with_cache
    };
    assert!(find_nox(&none).unwrap_err().to_string().ends_with("python3 was not found on PATH"));
    write_script(&bare.join("python3"), "#!/bin/sh\necho 'no ensurepip' >&2\nexit 1\n");
    let broken = NoxSearch { cache: Some(project.outer_dir().join("c3")), ..search(&project, &[&bare]) };
    let error = find_nox(&broken).unwrap_err().to_string();
    assert!(error.ends_with("python3 -m venv failed: no ensurepip"), "{error}");
    assert_eq!(std::fs::read_dir(project.outer_dir().join("c3")).unwrap().count(), 0);
}

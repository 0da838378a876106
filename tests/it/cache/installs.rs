//! Installs on real nox, uv and pip: counted, skipped when unchanged, with the results of nox itself.

use std::process::Command;

use noxide::record::InstallStats;

use crate::support::{
    NoxideRun, Project, nox_release_path, nox_releases, noxide_command, run_checked, venv, write_wheel,
};

/// A noxfile for `uv` whose installs use only `wheels`.
fn uv_project(body: &str) -> Project {
    let head = "import nox\nnox.options.default_venv_backend = 'uv'\nnox.options.reuse_existing_virtualenvs = True\n\
        LOCAL = ['--no-index', '--find-links', 'wheels']\n\
        def tell(session, name): session.run('python', '-c', 'import %s; print(\"found\", %s.VERSION)' % (name, name))\n";
    let project = Project::new(&format!("{head}{body}"));
    write_wheel(&project, "nxdemo", "1.0");
    project
}

/// Runs noxide with a uv cache outside the project; returns its output and the installs of the first session.
fn run(project: &Project, arguments: &str) -> (String, Option<InstallStats>) {
    let mut command = noxide_command(project, &format!("run --output stream {arguments}"));
    command.env("UV_CACHE_DIR", project.outer_dir().join("uv"));
    let ran = NoxideRun::finish(&mut command);
    assert_eq!(ran.code(), 0, "{}", ran.text);
    (ran.text, project.newest_record().sessions[0].result.as_ref().unwrap().install)
}

/// Installs that were run and skipped in one more run.
fn counts(project: &Project, arguments: &str) -> (u32, u32) {
    let install = run(project, arguments).1.unwrap();
    (install.commands, install.skipped)
}

const ONE: &str =
    "@nox.session\ndef one(session):\n    session.install(*LOCAL, *EXTRA, 'nxdemo')\n    tell(session, 'nxdemo')\n";

#[test]
fn installs_that_built_the_environment_are_skipped_and_reported() {
    let project = uv_project(&format!("EXTRA = []\n{ONE}"));
    let (text, install) = run(&project, "");
    let install = install.unwrap();
    assert!(install.commands == 1 && install.skipped == 0 && install.wall_ms > 0, "{install:?}");
    assert!(text.contains("found 1.0") && !text.contains("Skipped"));
    let (text, install) = run(&project, "");
    assert_eq!(install.map(|install| (install.commands, install.skipped)), Some((0, 1)));
    let notice = "Skipped the install of --no-index --find-links wheels nxdemo: this environment is up to date.";
    assert!(text.contains(notice) && text.contains("found 1.0"), "{text}");
    assert_eq!(counts(&project, "--cache off"), (1, 0), "as under nox");
    assert_eq!(counts(&project, "--cache off -R"), (1, 0), "nox's own -R is nox's own");
    assert_eq!(counts(&project, ""), (0, 1), "an install that changed nothing leaves it known");
    assert_eq!(counts(&project, "--no-reuse-existing-virtualenvs"), (1, 0), "a fresh environment has nothing");
}

#[test]
fn any_changed_input_installs_again() {
    let project = uv_project(&format!("EXTRA = []\n{ONE}"));
    assert_eq!(counts(&project, ""), (1, 0));
    let change = |from: &str, to: &str| {
        let noxfile = fs_err::read_to_string(project.root().join("noxfile.py")).unwrap();
        assert!(noxfile.contains(from));
        project.write("noxfile.py", noxfile.replace(from, to));
    };
    // Other arguments.
    change("EXTRA = []", "EXTRA = ['-r', 'wanted.txt']");
    project.write("wanted.txt", "nxdemo>=1\n");
    assert_eq!(counts(&project, ""), (1, 0));
    assert_eq!(counts(&project, ""), (0, 1));
    // The content of a file in the arguments, and of one that it includes.
    project.write("wanted.txt", "nxdemo>=1\n-c limits.txt\n");
    project.write("limits.txt", "nxdemo<3\n");
    assert_eq!(counts(&project, ""), (1, 0));
    project.write("limits.txt", "nxdemo<4\n");
    assert_eq!(counts(&project, ""), (1, 0));
    assert_eq!(counts(&project, ""), (0, 1));
    // A variable that uv reads, and the settings of uv.
    let with = |name: &str, value: &str| {
        let mut command = noxide_command(&project, "run");
        command.env("UV_CACHE_DIR", project.outer_dir().join("uv")).env(name, value);
        assert_eq!(NoxideRun::finish(&mut command).code(), 0);
        let install = project.newest_record().sessions[0].result.as_ref().unwrap().install.unwrap();
        (install.commands, install.skipped)
    };
    assert_eq!(with("UV_PRERELEASE", "allow"), (1, 0));
    assert_eq!(with("UV_PRERELEASE", "allow"), (0, 1));
    assert_eq!(with("UV_UPGRADE", "1"), (1, 0));
    assert_eq!(with("UV_UPGRADE", "1"), (1, 0), "an upgrade is asked for each time");
    assert_eq!(counts(&project, ""), (0, 1), "it changed nothing, so what was known still is");
    project.write("pyproject.toml", "[tool.uv]\nprerelease = 'allow'\n");
    assert_eq!(counts(&project, ""), (1, 0));
    project.write("pyproject.toml", "[tool.uv]\nprerelease = 'allow'\n[tool.ruff]\nline-length = 100\n");
    assert_eq!(counts(&project, ""), (0, 1), "what is not uv's does not count");
    // An environment that was changed outside the session.
    let site = project.root().join(".nox/one/lib");
    let site = fs_err::read_dir(site).unwrap().next().unwrap().unwrap().path().join("site-packages");
    fs_err::remove_dir_all(site.join("nxdemo-1.0.dist-info")).unwrap();
    fs_err::remove_file(site.join("nxdemo.py")).unwrap();
    let (text, install) = run(&project, "");
    assert!(install.unwrap().commands == 1 && text.contains("found 1.0"), "{text}");
    fs_err::remove_file(site.join("nxdemo.py")).unwrap();
    fs_err::write(site.join("other.py"), "").unwrap();
    assert_eq!(
        NoxideRun::finish(&mut noxide_command(&project, "run")).code(),
        1,
        "uv sees no more than the metadata, as under nox"
    );
    assert_eq!(project.newest_record().sessions[0].result.as_ref().unwrap().install.unwrap().commands, 1);
    // The stored state is not valid JSON.
    fs_err::write(project.root().join(".nox/one/.noxide-installs.json"), "{").unwrap();
    fs_err::write(site.join("nxdemo.py"), "VERSION = '1.0'\n").unwrap();
    assert_eq!(counts(&project, ""), (1, 0));
}

#[test]
fn installs_with_changing_inputs_are_never_skipped() {
    let project = uv_project(
        "@nox.session\ndef one(session):\n    session.install(*LOCAL, *session.posargs, 'nxdemo')\n    tell(session, 'nxdemo')\n",
    );
    for arguments in ["--upgrade", "--force-reinstall", "--reinstall-package nxdemo", "--strict"] {
        assert_eq!(counts(&project, &format!("-- {arguments}")), (1, 0), "{arguments}");
        assert_eq!(counts(&project, &format!("-- {arguments}")), (1, 0), "{arguments}");
    }
    // As with nox, a reused environment gets a new release only from an upgrade.
    write_wheel(&project, "nxdemo", "1.1");
    assert_eq!(counts(&project, ""), (1, 0));
    let (text, install) = run(&project, "");
    assert!(install.unwrap().skipped == 1 && text.contains("found 1.0"), "{text}");
    let mut nox = Command::new(venv().join("bin/nox"));
    nox.arg("-r").current_dir(project.root()).env("UV_CACHE_DIR", project.outer_dir().join("uv"));
    for (name, value) in crate::support::test_environment() {
        match value {
            Some(value) => nox.env(name, value),
            None => nox.env_remove(name),
        };
    }
    assert!(run_checked(&mut nox).contains("found 1.0"), "nox itself keeps what satisfies");
    assert!(run(&project, "-- --upgrade").0.contains("found 1.1"));
    assert!(run(&project, "--no-reuse-existing-virtualenvs").0.contains("found 1.1"));
}

#[test]
fn later_installs_that_replace_packages_invalidate_earlier_ones() {
    let project = uv_project(
        "@nox.session\ndef one(session):\n    session.install(*LOCAL, 'nxdemo')\n    tell(session, 'nxdemo')\n    \
         session.install(*LOCAL, 'nxdemo<2')\n    tell(session, 'nxdemo')\n    \
         session.run_install('uv', 'pip', 'install', *LOCAL, 'nxother')\n    session.run_install('python', '-c', '')\n",
    );
    write_wheel(&project, "nxdemo", "2.0");
    write_wheel(&project, "nxother", "1.0");
    let (text, install) = run(&project, "");
    assert!(text.contains("found 2.0") && text.contains("found 1.0"), "{text}");
    assert_eq!(install.unwrap().commands, 4);
    // With nox the second run finds 1.0 twice, because 1.0 satisfies both; so it does here.
    let (text, install) = run(&project, "");
    assert!(!text.contains("found 2.0") && text.matches("found 1.0").count() == 2, "{text}");
    assert_eq!(install.map(|install| (install.commands, install.skipped)), Some((2, 2)), "{text}");
    assert_eq!(counts(&project, ""), (1, 3), "another program than pip and uv is run each time");
}

#[test]
fn local_projects_are_recognized_by_their_files() {
    let body = "import pathlib, shutil\n@nox.session\ndef one(session):\n    session.install(*session.posargs)\n    \
        session.run('python', '-c', 'import own; print(\"own is\", own.VALUE)')\n";
    let project = uv_project(body);
    let pyproject = "[build-system]\nrequires = ['flit_core>=3.9']\nbuild-backend = 'flit_core.buildapi'\n\
        [project]\nname = 'own'\nversion = '1'\ndescription = 'x'\n";
    project.write("pyproject.toml", pyproject);
    project.write("own.py", "\"\"\"Own.\"\"\"\nVALUE = 1\n");
    for arguments in ["-- .", "-- -e ."] {
        run(&project, arguments);
        assert_eq!(counts(&project, arguments), (0, 1), "{arguments}");
        project.write("own.py", "\"\"\"Own.\"\"\"\nVALUE = 2\n");
        let (text, install) = run(&project, arguments);
        assert!(text.contains("own is 2"), "{arguments}: {text}");
        assert_eq!(install.unwrap().skipped, u32::from(arguments.contains("-e")), "{arguments}");
        project.write("own.py", "\"\"\"Own.\"\"\"\nVALUE = 1\n");
        project.write("pyproject.toml", format!("{pyproject}dependencies = []\n"));
        assert_eq!(counts(&project, arguments), (1, 0), "{arguments}: other metadata");
        project.write("pyproject.toml", pyproject);
    }
    // Dynamic metadata and an unknown build backend are never skipped.
    {
        let doubtful = pyproject.replace("version = '1'\ndescription = 'x'", "dynamic = ['version', 'description']");
        project.write("pyproject.toml", &doubtful);
        project.write("own.py", "\"\"\"Own.\"\"\"\n__version__ = '1'\nVALUE = 1\n");
        assert_eq!(counts(&project, "-- -e ."), (1, 0));
        assert_eq!(counts(&project, "-- -e ."), (1, 0));
    }
    // A temporary copy with the same files has the same digest.
    project.write("pyproject.toml", pyproject);
    let body = body.replace(
        "session.install(*session.posargs)",
        "import tempfile\n    with tempfile.TemporaryDirectory() as directory:\n        \
         for name in ('own.py', 'pyproject.toml'): shutil.copy(name, directory)\n        session.install(directory)",
    );
    project.write(
        "noxfile.py",
        format!(
            "import nox\nnox.options.default_venv_backend = 'uv'\nnox.options.reuse_existing_virtualenvs = True\n{body}"
        ),
    );
    assert_eq!(counts(&project, ""), (1, 0));
    assert_eq!(counts(&project, ""), (0, 1));
}

#[test]
fn a_lock_constrains_installs_that_ignore_it() {
    let project = uv_project(&format!("EXTRA = []\n{ONE}"));
    let pyproject = "[project]\nname = 'own'\nversion = '1'\nrequires-python = '>=3.8'\ndependencies = ['nxdemo']\n\
        [tool.uv]\nno-index = true\nfind-links = ['wheels']\n";
    project.write("pyproject.toml", pyproject);
    let missing = NoxideRun::finish(&mut noxide_command(&project, "run --locked"));
    assert!(missing.code() == 2 && missing.text.contains("there is no uv.lock in"), "{}", missing.text);
    assert!(missing.text.contains("create one with `uv lock`, or run without --locked"), "{}", missing.text);
    let uv = |arguments: &[&str]| {
        let mut uv = Command::new(venv().join("bin/uv"));
        uv.args(arguments).current_dir(project.root()).env("UV_CACHE_DIR", project.outer_dir().join("uv"));
        run_checked(uv.env("UV_PYTHON_DOWNLOADS", "never"))
    };
    uv(&["lock", "--quiet"]);
    write_wheel(&project, "nxdemo", "1.1");
    assert!(run(&project, "").0.contains("found 1.1"), "the lock is ignored");
    let (text, install) = run(&project, "--locked");
    assert!(install.unwrap().commands == 1 && text.contains("found 1.0"), "{text}");
    let (text, install) = run(&project, "--locked");
    assert!(install.unwrap().skipped == 1 && text.contains("found 1.0"), "{text}");
    // A change of the lock file changes the constraints.
    uv(&["lock", "--quiet", "--upgrade"]);
    assert!(run(&project, "--locked").0.contains("found 1.1"));
    // The noxfile is unchanged; the setting has the effect of the flag, and `--no-locked` overrides it.
    project.write("pyproject.toml", format!("{pyproject}[tool.noxide.cache]\nlocked = true\n"));
    project.write("uv.lock", "version = 1\n[[package]\n");
    let broken = NoxideRun::finish(&mut noxide_command(&project, "run"));
    assert!(broken.code() == 3 && broken.text.contains("uv cannot export uv.lock"), "{}", broken.text);
    assert_eq!(NoxideRun::finish(&mut noxide_command(&project, "run --no-locked --cache off")).code(), 0);
}

#[test]
fn installs_are_skipped_under_old_releases_with_pip_too() {
    let noxfile = "import nox\n@nox.session(reuse_venv=True, venv_backend='venv')\ndef one(session):\n    \
        session.install('--no-index', '--find-links', 'wheels', 'nxdemo')\n    \
        session.run('python', '-c', 'import nxdemo; print(\"found\", nxdemo.VERSION)')\n";
    let project = Project::new(noxfile);
    write_wheel(&project, "nxdemo", "1.0");
    for version in nox_releases().into_iter().step_by(2) {
        let mut command = noxide_command(&project, "run --output stream");
        command.env("PYTHONPATH", nox_release_path(version));
        let ran = NoxideRun::finish(&mut command);
        assert!(ran.code() == 0 && ran.text.contains("found 1.0"), "{version}: {}", ran.text);
        let mut command = noxide_command(&project, "run --output stream");
        command.env("PYTHONPATH", nox_release_path(version));
        let ran = NoxideRun::finish(&mut command);
        assert!(ran.code() == 0 && ran.text.contains("Skipped the install of"), "{version}: {}", ran.text);
        fs_err::remove_dir_all(project.root().join(".nox")).unwrap();
    }
}

#[test]
fn index_responses_are_reused_up_to_max_age() {
    let project = uv_project(&format!("EXTRA = []\n{ONE}"));
    let fresh = "--no-reuse-existing-virtualenvs --max-age 1h";
    assert!(!run(&project, fresh).0.contains("offline"), "nobody asked before");
    let (text, install) = run(&project, fresh);
    assert!(text.contains("Installing --no-index --find-links wheels nxdemo offline: the index was queried"), "{text}");
    assert_eq!(install.unwrap().commands, 1);
    // Packages missing from the cache of uv are downloaded again.
    project.write(
        "noxfile.py",
        fs_err::read_to_string(project.root().join("noxfile.py"))
            .unwrap()
            .replace("LOCAL = ['--no-index', '--find-links', 'wheels']", "LOCAL = []")
            .replace("'nxdemo')\n    tell(session, 'nxdemo')", "'iniconfig')"),
    );
    assert!(!run(&project, fresh).0.contains("offline"));
    assert!(run(&project, fresh).0.contains("Installing iniconfig offline"));
    fs_err::remove_dir_all(project.outer_dir().join("uv")).unwrap();
    let (text, _) = run(&project, fresh);
    assert!(
        text.contains("Installing iniconfig offline") && text.contains("The offline install failed; retrying online."),
        "{text}"
    );
    assert!(!run(&project, "--no-reuse-existing-virtualenvs").0.contains("offline"), "without max-age it is asked");
}

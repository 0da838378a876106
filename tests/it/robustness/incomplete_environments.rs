//! Environments that a killed run left incomplete.

use std::path::Path;

use crate::support::{NoxideRun, Project, nox_release_path, nox_releases, noxide_command, run};

/// A session that passes only with the interpreter of its own environment.
const NOXFILE: &str = "import nox\n\
    @nox.session(venv_backend='BACKEND')\n\
    def a(session):\n    \
    session.run('python', '-c', 'import sys, sysconfig; assert sys.prefix != sys.base_prefix')\n";

/// The directory of the packages of an environment.
fn site_packages(environment: &Path) -> std::path::PathBuf {
    let mut found = walkdir::WalkDir::new(environment.join("lib")).max_depth(2).into_iter().map(Result::unwrap);
    found.find(|entry| entry.file_name() == "site-packages").unwrap().into_path()
}

#[test]
fn an_incomplete_environment_is_created_anew() {
    type EnvironmentDamage = (&'static str, fn(&Path));
    let damages: [EnvironmentDamage; 6] = [
        ("it has no pyvenv.cfg", |environment| {
            fs_err::remove_file(environment.join("pyvenv.cfg")).unwrap();
            fs_err::remove_dir_all(environment.join("lib")).unwrap();
        }),
        ("it has no pyvenv.cfg", |environment| fs_err::remove_file(environment.join("pyvenv.cfg")).unwrap()),
        ("it has no site-packages", |environment| fs_err::remove_dir_all(environment.join("lib")).unwrap()),
        ("it has no bin/python", |environment| fs_err::remove_dir_all(environment.join("bin")).unwrap()),
        ("six-1.0.dist-info has no RECORD", |environment| {
            let dist = site_packages(environment).join("six-1.0.dist-info");
            fs_err::create_dir(&dist).unwrap();
            fs_err::write(dist.join("METADATA"), "Name: six\nVersion: 1.0\n").unwrap();
        }),
        ("its last install was interrupted", |environment| {
            fs_err::write(environment.join(".noxide-installing"), "").unwrap();
        }),
    ];
    for backend in ["uv", "virtualenv"] {
        let project = Project::new(&NOXFILE.replace("BACKEND", backend));
        let environment = project.root().join(".nox/a");
        assert_eq!(run(&project, "-r").code(), 0);
        fs_err::write(environment.join("kept"), "").unwrap();
        let ran = run(&project, "-r");
        assert!(ran.code() == 0 && environment.join("kept").exists(), "a complete one is reused: {}", ran.text);
        for (reason, damage) in damages {
            damage(&environment);
            fs_err::write(environment.join("kept"), "").unwrap();
            let ran = run(&project, "-r");
            assert_eq!(ran.code(), 0, "{backend}, {reason}: {}\n{}", ran.text, project.session_log("a"));
            assert!(project.session_log("a").contains(reason), "{backend}: {}", project.session_log("a"));
            assert!(
                !environment.join("kept").exists() && environment.join("pyvenv.cfg").exists(),
                "{backend}, {reason}"
            );
        }
    }
}

#[test]
fn nothing_is_installed_outside_the_environment() {
    let project = Project::new(
        "import nox, os\n\
        @nox.session(venv_backend='uv')\n\
        def a(session):\n    \
        os.unlink(os.path.join(session.virtualenv.location, 'pyvenv.cfg'))\n    \
        session.install('--dry-run', './demo')\n",
    );
    project.write("demo/pyproject.toml", "[project]\nname = 'demo'\nversion = '1.0'\n");
    for _ in 0..2 {
        let ran = run(&project, "-r");
        assert_eq!(ran.code(), 1, "{}", ran.text);
        assert!(
            ran.text.contains("it has no pyvenv.cfg. An install would change the interpreter outside"),
            "{}",
            ran.text
        );
        assert!(!project.root().join(".nox/a/.noxide-installs.json").exists());
    }
}

#[test]
fn an_environment_is_marked_while_an_install_changes_it() {
    let project = Project::new(
        "import nox, os, pathlib\n\
        @nox.session(venv_backend='uv')\n\
        def a(session):\n    \
        marker = pathlib.Path(session.virtualenv.location, '.noxide-installing')\n    \
        session.run_install('python', '-c', 'import os, sys; sys.exit(not os.path.exists(sys.argv[1]))', str(marker))\n    \
        try: session.run_install('python', '-c', 'raise SystemExit(1)')\n    \
        except nox.command.CommandFailed: pass\n    \
        assert not marker.exists()\n",
    );
    let ran = run(&project, "");
    assert_eq!(ran.code(), 0, "{}\n{}", ran.text, project.session_log("a"));
}

#[test]
fn every_release_of_nox_creates_it_anew() {
    for version in nox_releases() {
        let project = Project::new(&NOXFILE.replace("BACKEND", "virtualenv"));
        let environment = project.root().join(".nox/a");
        let run = || {
            let mut command = noxide_command(&project, "run -r");
            NoxideRun::finish(command.env("PYTHONPATH", nox_release_path(version)))
        };
        for reason in ["", "it has no pyvenv.cfg"] {
            let ran = run();
            assert_eq!(ran.code(), 0, "{version}: {}", ran.text);
            assert!(project.session_log("a").contains(reason), "{version}: {}", project.session_log("a"));
            assert!(environment.join("pyvenv.cfg").exists(), "{version}");
            fs_err::remove_file(environment.join("pyvenv.cfg")).unwrap();
            fs_err::remove_dir_all(environment.join("lib")).unwrap();
        }
    }
}

#[test]
fn an_environment_whose_creation_was_interrupted_is_created() {
    for backend in ["uv", "virtualenv", "venv"] {
        let project = Project::new(&NOXFILE.replace("BACKEND", backend));
        let environment = project.root().join(".nox/a");
        fs_err::create_dir_all(environment.join("bin")).unwrap();
        fs_err::write(environment.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
        fs_err::write(environment.join(".gitignore"), "*").unwrap();
        let ran = run(&project, "");
        assert_eq!(ran.code(), 0, "{backend}: {}\n{}", ran.text, project.session_log("a"));
    }
    // uv keeps a directory with other files, and so does noxide.
    let project = Project::new(&NOXFILE.replace("BACKEND", "uv"));
    let kept = project.root().join(".nox/a/thesis.txt");
    fs_err::create_dir_all(kept.parent().unwrap()).unwrap();
    fs_err::write(kept.with_file_name("CACHEDIR.TAG"), "").unwrap();
    fs_err::write(&kept, "text").unwrap();
    assert_eq!(run(&project, "").code(), 1);
    assert!(kept.exists());
}

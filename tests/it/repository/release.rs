//! What releases are made of: notes, the image's Dockerfile, the hooks, the documentation's site.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::wheel::{path_of, program_wheel};
use crate::support::{CommandDeadline as _, Project, build_once, run_checked, write_script};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// `scripts/release_notes.py` in a copy of the repository with this version and changelog.
fn release_notes(version: &str, changelog: &str, arguments: &[&str]) -> Result<String, String> {
    let copy = tempfile::tempdir().unwrap();
    fs_err::create_dir(copy.path().join("scripts")).unwrap();
    fs_err::copy(root().join("scripts/release_notes.py"), copy.path().join("scripts/release_notes.py")).unwrap();
    fs_err::write(copy.path().join("Cargo.toml"), format!("[package]\nversion = \"{version}\" # x\n")).unwrap();
    fs_err::write(copy.path().join("CHANGELOG.md"), changelog).unwrap();
    let output = Command::new("python3").arg(copy.path().join("scripts/release_notes.py")).args(arguments).finish();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn release_notes_are_the_section_of_the_version() {
    let changelog =
        "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.2.0 (2026-12-01)\n\n### Added\n\n- a\n\n## 0.1.0\n\n- b\n";
    assert_eq!(release_notes("0.2.0", changelog, &["--tag", "v0.2.0"]).unwrap(), "### Added\n\n- a\n");
    assert_eq!(release_notes("0.2.0", changelog, &["Unreleased"]).unwrap(), "- new\n");
    for (version, arguments, expected) in [
        ("0.2.0", ["--tag", "v0.2.1"], "but Cargo.toml has 0.2.0"),
        ("0.2.0-dev", ["--tag", "v0.2.0-dev"], "is not the version of a release"),
        ("0.3.0", ["--tag", "v0.3.0"], "no section `## [0.3.0]`"),
    ] {
        let error = release_notes(version, changelog, &arguments).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    // The project's own changelog has the section that the next release renames.
    let own = fs_err::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(release_notes("0.1.0", &own, &["Unreleased"]).unwrap().contains("noxide run"));
}

#[test]
fn the_steps_of_the_image_install_noxide() {
    let text = fs_err::read_to_string(root().join("Dockerfile")).unwrap().replace("\\\n", " ");
    let steps: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("RUN ")).collect();
    let [packages, install] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(packages.contains("git nodejs") && packages.contains("rm -rf /var/lib/apt/lists/*"), "{packages}");
    let install = install.strip_prefix("--mount=type=bind,target=/context").unwrap();

    // The step in an environment instead of the image, with a directory in the place of the context.
    let directory = tempfile::tempdir().unwrap();
    let name = program_wheel().file_name().unwrap();
    fs_err::create_dir(directory.path().join("dist")).unwrap();
    fs_err::copy(program_wheel(), directory.path().join("dist").join(name)).unwrap();
    run_checked(Command::new("python3").args(["-m", "venv"]).arg(directory.path().join("venv")));
    let script = install.replace("/context", &directory.path().display().to_string());
    let step = |source: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", &script]).env("PATH", path_of(&[&directory.path().join("venv/bin")]));
        command.env("NOXIDE_INSTALL", source).finish()
    };
    let missing = step("");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("pass --build-arg NOXIDE_INSTALL"));
    let done = step(&format!("dist/{}", name.display()));
    let shown = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && shown.starts_with("noxide "), "{shown}{}", String::from_utf8_lossy(&done.stderr));
}

/// The environment with prek.
fn hooks_dir() -> PathBuf {
    build_once("prek", |dir| {
        run_checked(Command::new("python3").args(["-m", "venv"]).arg(dir));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "prek==0.5.11"];
        run_checked(Command::new(dir.join("bin/python")).args(pip));
    })
}

#[test]
fn the_hook_audits_workflows() {
    let project = Project::empty();
    let git = |directory: &Path, words: &[&str]| {
        let name = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
        run_checked(Command::new("git").current_dir(directory).args(name).args(words))
    };
    // A repository with the hooks alone, so that the installed noxide is used (`language: system`).
    let hooks = project.outer_dir().join("hooks");
    fs_err::create_dir(&hooks).unwrap();
    fs_err::copy(root().join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml")).unwrap();
    for directory in [hooks.as_path(), project.root()] {
        git(directory, &["init", "-q"]);
    }
    git(&hooks, &["add", "-A"]);
    git(&hooks, &["commit", "-qm", "hooks"]);
    let commit = git(&hooks, &["rev-parse", "HEAD"]);
    let config = format!(
        "repos:\n  - repo: {}\n    rev: {commit}    hooks:\n      - id: noxide-audit\n        language: system\n",
        hooks.display()
    );
    project.write(".pre-commit-config.yaml", config);
    project.write("README.md", "text\n");
    git(project.root(), &["add", "-A"]);
    let bin = project.outer_dir().join("bin");
    write_script(&bin.join("noxide"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_noxide")));
    let hook = || {
        let mut command = Command::new(hooks_dir().join("bin/prek"));
        command.args(["run", "--color", "never"]).current_dir(project.root()).env("PATH", path_of(&[&bin]));
        command.env("PREK_HOME", project.outer_dir().join("prek")).env("HOME", project.outer_dir()).finish()
    };
    let none = hook();
    let text = String::from_utf8_lossy(&none.stdout).into_owned() + &String::from_utf8_lossy(&none.stderr);
    assert!(none.status.success() && text.contains("Skipped"), "{text}");
    // A workflow with a finding fails the hook, which shows it.
    let workflow = "on: push\njobs:\n  a:\n    runs-on: docker\n    steps:\n      - run: pip install nox\n";
    project.write(".forgejo/workflows/ci.yml", workflow);
    git(project.root(), &["add", "-A"]);
    let found = hook();
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(!found.status.success() && text.contains("NX301"), "{text}");
}

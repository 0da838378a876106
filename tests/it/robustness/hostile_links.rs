//! Symbolic links where noxide writes and removes files: nothing behind them changes.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{NoxideRun, Project, noxide_command};

const SESSIONS: &str = "@nox.session\ndef one(session): print('ran')\n";

/// A directory outside the project with files of a user, among them some named as those of noxide.
fn victim(project: &Project) -> PathBuf {
    let victim = project.outer_dir().canonicalize().unwrap().join("victim");
    for file in [
        "src/main.py",
        "runs/src/main.py",
        "logs/a.log",
        "a.json",
        ".coverage",
        "runs/20200101-000000.000-abcdef/main.py",
        ".noxide/runs/src/main.py",
        "sessions/a.json",
    ] {
        fs_err::create_dir_all(victim.join(file).parent().unwrap()).unwrap();
        fs_err::write(victim.join(file), "precious").unwrap();
    }
    victim
}

/// All paths below a directory, with the content of files.
fn content(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    entries.map(|entry| (entry.path().to_owned(), fs_err::read(entry.path()).ok())).collect()
}

#[test]
fn run_data_behind_a_link_is_not_touched() {
    for link in [".nox/.noxide", ".nox/.noxide/runs", ".nox/.noxide/trace", ".nox/.noxide/restored"] {
        for command in ["run", "trace"] {
            let project = Project::with_sessions(SESSIONS);
            project.write("noxide.toml", "keep-runs = 1\n");
            let victim = victim(&project);
            let before = content(&victim);
            let path = project.root().join(link);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(&victim, &path).unwrap();
            let temporary = project.outer_dir().join("tmp");
            fs_err::create_dir_all(&temporary).unwrap();
            for _ in 0..2 {
                let mut noxide = noxide_command(&project, command);
                let ran = NoxideRun::finish(noxide.env("TMPDIR", &temporary));
                assert_eq!(content(&victim), before, "{link}, noxide {command}");
                assert_eq!(ran.exit, Some(0), "{link}: {}", ran.text);
                assert!(ran.text.contains(&format!("{link} is a symbolic link")), "{}", ran.text);
            }
        }
    }
}

#[test]
fn a_temporary_directory_prepared_by_another_user_is_not_used() {
    let project = Project::with_sessions(SESSIONS);
    let victim = victim(&project);
    let before = content(&victim);
    let temporary = project.outer_dir().join("tmp");
    fs_err::create_dir_all(&temporary).unwrap();
    symlink(&victim, temporary.join(format!("noxide-{}", rustix::process::getuid().as_raw()))).unwrap();
    project.write(".nox/.noxide", "a file");
    for _ in 0..2 {
        let mut noxide = noxide_command(&project, "run");
        let ran = NoxideRun::finish(noxide.env("TMPDIR", &temporary));
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        assert!(ran.text.contains("records are written to"), "{}", ran.text);
    }
    assert_eq!(content(&victim), before);
}

#[test]
fn ci_removes_only_directories_that_it_created() {
    let project = Project::with_sessions(SESSIONS);
    let victim = victim(&project);
    let before = content(&victim);
    let remote = project.outer_dir().join("remote").display().to_string();
    let ci = |dir: &Path| project.noxide(&["ci", "--remote", &remote, "--dir", dir.to_str().unwrap()]);
    let ran = ci(&victim);
    assert!(ran.exit != Some(0) && ran.text.contains("logs was not created by noxide ci"), "{}", ran.text);
    symlink(&victim, project.root().join("link")).unwrap();
    let ran = ci(&project.root().join("link"));
    assert!(ran.exit != Some(0) && ran.text.contains("link is a symbolic link"), "{}", ran.text);
    assert_eq!(content(&victim), before);

    // Files of the project itself have the same names.
    for name in [".gitignore", "coverage.json", "junit.xml", "record.json"] {
        let own = project.outer_dir().join("own").join(name);
        fs_err::create_dir_all(&own).unwrap();
        fs_err::write(own.join(name), "precious").unwrap();
        let ran = ci(&own);
        assert!(ran.exit == Some(3) && ran.text.contains("was not created by noxide ci"), "{}", ran.text);
        assert_eq!(fs_err::read_to_string(own.join(name)).unwrap(), "precious");
    }

    let dir = project.root().join("collected");
    assert_eq!(ci(&dir).exit, Some(0));
    fs_err::write(dir.join("logs/old.log"), "of an earlier job").unwrap();
    assert_eq!(ci(&dir).exit, Some(0));
    assert!(dir.join("logs/one.log").exists() && !dir.join("logs/old.log").exists());
}

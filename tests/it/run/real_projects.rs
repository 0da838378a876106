//! Real projects from PyPI: noxide ends with the same results as nox running one session after another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{CommandDeadline as _, build_once, noxide_in, python, run_checked, shared_dir, tool_path, venv};

/// The unpacked source archive of a release, downloaded once.
fn source(name: &str, version: &str) -> PathBuf {
    let directory = build_once(&format!("{name}-{version}-source"), |dir| {
        let archive = dir.join("archive");
        let pip =
            ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"];
        run_checked(Command::new(python()).args(pip).arg(format!("{name}=={version}")).arg("-d").arg(&archive));
        let archive = fs_err::read_dir(archive).unwrap().next().unwrap().unwrap().path();
        run_checked(Command::new("tar").arg("xf").arg(archive).arg("-C").arg(dir));
    });
    let unpacked = |entry: &fs_err::DirEntry| entry.path().join("noxfile.py").exists();
    fs_err::read_dir(directory).unwrap().map(Result::unwrap).find(unpacked).unwrap().path()
}

/// A directory of additional interpreters of pyenv, if there are any: more sessions run with them.
fn interpreters() -> PathBuf {
    build_once("interpreters", |dir| {
        fs_err::create_dir_all(dir).unwrap();
        let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
        let versions = pyenv.or(home).map(|root| root.join("versions")).and_then(|path| fs_err::read_dir(path).ok());
        for directory in versions.into_iter().flatten().flatten() {
            let name = directory.file_name().to_string_lossy().into_owned();
            let Some((minor, _)) = name.rsplit_once('.').filter(|(minor, _)| minor.starts_with("3.")) else { continue };
            let program = directory.path().join(format!("bin/python{minor}"));
            if program.exists() {
                let link = dir.join(format!("python{minor}"));
                std::os::unix::fs::symlink(program, link).ok();
            }
        }
    })
}

/// The comparable results of a run: exit code, status of each session, coverage totals, Git status.
#[derive(Debug, PartialEq)]
struct ProjectResult {
    exit: Option<i32>,
    statuses: BTreeMap<String, String>,
    totals: Vec<String>,
    changed: Vec<String>,
}

/// A clean clone of the project, committed and tagged, in which `run` is started.
fn run_in_clone(project: &Path, version: &str, run: impl FnOnce(&Path) -> (Command, bool)) -> ProjectResult {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    run_checked(Command::new("cp").arg("-r").arg(project).arg(&tree));
    let git = |arguments: &[&str]| {
        let name = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        run_checked(Command::new("git").args(name).args(arguments).current_dir(&tree))
    };
    git(&["init", "--quiet", "."]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "as released"]);
    git(&["tag", &format!("v{version}")]);
    let report = dir.path().join("report.json");
    let (mut started, keeps_logs) = run(&report);
    let search = std::env::join_paths(
        [venv().join("bin"), interpreters()].into_iter().chain(std::env::split_paths(&tool_path())),
    );
    started.current_dir(&tree).env("PATH", search.unwrap()).env("UV_CACHE_DIR", shared_dir().join("uv-cache"));
    let output = started.stdin(Stdio::null()).finish();
    let mut log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if keeps_logs {
        log.clear();
        for run in fs_err::read_dir(tree.join(".nox/.noxide/runs")).unwrap() {
            for session in fs_err::read_dir(run.unwrap().path().join("logs")).unwrap() {
                log.push_str(&String::from_utf8_lossy(&fs_err::read(session.unwrap().path()).unwrap()));
            }
        }
    }
    let report: serde_json::Value = serde_json::from_slice(&fs_err::read(report).unwrap()).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let statuses = report["sessions"].as_array().unwrap().iter();
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_total =
        |line: &&str| line.starts_with("TOTAL ") || (line.starts_with("Combined ") && line.contains(" file"));
    let mut totals: Vec<String> = log.lines().filter(is_total).map(squeezed).collect();
    totals.sort_unstable();
    let changed = git(&["status", "--porcelain"]);
    ProjectResult {
        exit: output.status.code(),
        statuses: statuses.map(|session| (text(&session["signatures"][0]), text(&session["result"]))).collect(),
        totals,
        changed: changed.lines().map(str::to_owned).collect(),
    }
}

/// One after another with nox, then twice in parallel with noxide, and once more with each session traced.
fn compare(name: &str, version: &str) -> ProjectResult {
    let project = source(name, version);
    let sequential = run_in_clone(&project, version, |report| {
        // The same environment as for noxide, but another program.
        let template = noxide_in(Path::new("."), &[]);
        let mut nox = Command::new(venv().join("bin/nox"));
        for (name, value) in template.get_envs() {
            match value {
                Some(value) => nox.env(name, value),
                None => nox.env_remove(name),
            };
        }
        nox.arg("--report").arg(report);
        (nox, false)
    });
    for trace in ["auto", "auto", "always"] {
        let parallel = run_in_clone(&project, version, |report| {
            let mut noxide = noxide_in(Path::new("."), &["run", "-j2", "--trace", trace, "--report"]);
            noxide.arg(report);
            (noxide, true)
        });
        assert_eq!(parallel, sequential, "{name} --trace {trace}");
    }
    sequential
}

#[test]
fn environ_config_ends_the_same() {
    let seen = compare("environ-config", "26.1.0");
    assert!(seen.statuses.len() >= 14, "{seen:?}");
    assert!(seen.statuses.contains_key("coverage_report"));
}

#[test]
#[ignore = "ten minutes: by hand, with `cargo test --test it real_projects -- --ignored`"]
fn citric_ends_the_same() {
    let seen = compare("citric", "2.3.0");
    assert!(seen.statuses.len() >= 17, "{seen:?}");
}

#[test]
#[ignore = "ten minutes: by hand, with `cargo test --test it real_projects -- --ignored`"]
fn hist_ends_the_same() {
    let seen = compare("hist", "2.12.1");
    assert!(seen.statuses.len() >= 3, "{seen:?}");
}

#[test]
#[ignore = "ten minutes: by hand, with `cargo test --test it real_projects -- --ignored`"]
fn towncrier_ends_the_same() {
    let seen = compare("towncrier", "26.9.0");
    assert!(seen.statuses.len() >= 3, "{seen:?}");
}

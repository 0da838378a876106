//! Hostile files of a project, a cache or another runner: every command ends, and no runner reads a log as commands.

use std::os::unix::fs::symlink;

use crate::support::{NoxideRun, Project, noxide_command};

const TWO: &str = "@nox.session(venv_backend='none')\ndef one(session): pass\n\
                   @nox.session(venv_backend='none')\ndef two(session): pass\n";

/// Results of traces come from a cache, which may contain anything.
#[test]
fn learned_conflicts_never_make_a_run_wait_for_itself() {
    let project = Project::with_sessions(TWO);
    assert_eq!(project.noxide(&["run", "-j2", "--trace", "always"]).exit, Some(0));
    let path = project.root().join(".nox/.noxide/trace/conflicts.json");
    let known: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    for pairs in [vec![("one", "one")], vec![("two", "one")], vec![("one", "two"), ("two", "one")], vec![("x", "one")]]
    {
        for separation in ["order", "lock"] {
            let conflict = |(first, second): &(&str, &str)| serde_json::json!({ "first": first, "second": second, "separation": separation, "path": "x" });
            let mut document = known.clone();
            document["conflicts"] = pairs.iter().map(conflict).collect();
            fs_err::write(&path, document.to_string()).unwrap();
            let ran = project.noxide(&["run", "-j2"]);
            assert_eq!(ran.exit, Some(0), "{pairs:?} {separation}: {}", ran.text);
        }
    }
    // A link to a device without an end.
    fs_err::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(project.noxide(&["run", "-j2"]).exit, Some(0));
}

#[test]
fn logs_and_reports_reach_a_runner_without_commands() {
    let project = Project::with_sessions(
        "@nox.session(venv_backend='none')\ndef bad(session):\n    \
         print('::add-path::/evil\\n##[add-path]/evil\\n  ::set-env name=A::b', flush=True)\n    session.error('no')\n",
    );
    assert_eq!(project.noxide(&["run"]).exit, Some(1));
    for command in
        ["logs --failed", "logs bad", "logs bad --follow", "report --format markdown", "report --format text"]
    {
        let mut noxide = noxide_command(&project, command);
        let ran = NoxideRun::finish(noxide.env("GITHUB_ACTIONS", "true"));
        let mut are_stopped = false;
        for line in ran.stdout.lines() {
            are_stopped |= line.starts_with("::stop-commands::");
            let is_command = line.trim_start().starts_with("::add-path") || line.trim_start().starts_with("::set-env");
            assert!(!is_command || are_stopped, "{command}: {}", ran.stdout);
            assert!(!line.starts_with("##["), "{command}: {}", ran.stdout);
        }
        assert!(ran.stdout.contains("evil") || command.ends_with("text"), "{command}: {}", ran.stdout);
    }
}

const WORKFLOW: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    timeout-minutes: 9\n    steps:\n      \
                        - uses: actions/checkout@v6\n      - run: pipx run nox==2026.1.1 -s one\n";

#[test]
fn an_audit_of_special_files_and_endless_noxfiles_ends() {
    let project = Project::with_sessions(TWO);
    project.write(".github/workflows/ci.yml", WORKFLOW);
    let audit = || project.noxide(&["audit", "--fail-on", "never"]);
    assert_eq!(audit().exit, Some(0));
    for name in ["uv.toml", ".pre-commit-config.yaml"] {
        let path = project.root().join(name);
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(audit().exit, Some(0), "{name}");
        fs_err::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert_eq!(audit().exit, Some(0), "{name}");
        fs_err::remove_file(&path).unwrap();
    }
    // A directory outside of the project.
    fs_err::create_dir_all(project.root().join(".github/actions")).unwrap();
    symlink("/", project.root().join(".github/actions/root")).unwrap();
    assert_eq!(audit().exit, Some(0));
    // Functions that call each other 2^40 times.
    let mut functions = String::from("import nox\n");
    for number in 0..40 {
        functions += &format!("def f{number}(s):\n    f{0}(s)\n    f{0}(s)\n", number + 1);
    }
    functions += "def f40(s): s.run('x')\n@nox.session\ndef one(session): f0(session)\n";
    project.write("noxfile.py", &functions);
    assert_eq!(audit().exit, Some(0));
}

#[test]
fn init_writes_through_no_link_out_of_the_project() {
    let project = Project::with_sessions(TWO);
    let outside = project.outer_dir().join("outside");
    fs_err::create_dir_all(&outside).unwrap();
    symlink(&outside, project.root().join(".forgejo")).unwrap();
    let ran = project.noxide(&["init", "--new", "--forge", "forgejo", "--install", "noxide==1.0.0"]);
    assert!(ran.exit == Some(3) && ran.text.contains("leads out of the project"), "{}", ran.text);
    let files = walkdir::WalkDir::new(&outside).into_iter().map(Result::unwrap);
    assert_eq!(files.filter(|entry| entry.file_type().is_file()).count(), 0);
}

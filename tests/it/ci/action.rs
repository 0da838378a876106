//! The action of this repository, run by act with its cache: the second run, on an empty machine, restores.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::backends::acttools;
use crate::cache::fixture::Fixture;
use crate::support::{CommandDeadline as _, run_checked, tool_path};

const WORKFLOW: &str = "on: push\njobs:\n  check:\n    runs-on: docker\n    steps:\n      - uses: actions/checkout@v4\n      \
    - uses: noxide/noxide@v1\n        with:\n          binary: BINARY\n          sessions: \"one 'two words'\"\n          args: -j 2\n      \
    - if: always()\n        run: cat noxide-ci/cache.json noxide-ci/logs/one.log\n";

#[test]
fn two_machines_one_cache() {
    let fixture = Fixture::new();
    let project = &fixture.project;
    project.write(
        "noxfile.py",
        "import nox\nnox.options.default_venv_backend = 'uv'\n\
         @nox.session\ndef one(session):\n    session.install('alpha')\n    session.run('python', '-c', 'import beta')\n\
         @nox.session(name='two words', venv_backend='none')\ndef two(session): session.log('two ran')\n",
    );
    project.write(".forgejo/workflows/ci.yml", WORKFLOW.replace("BINARY", env!("CARGO_BIN_EXE_noxide")));
    project.write(".gitignore", "uv.lock\n.venv\n");
    let git = |words: &[&str]| run_checked(project.command("git").args(words));
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x"]);
    let action = project.outer_dir().join("action");
    fs_err::create_dir(&action).unwrap();
    fs_err::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml"), action.join("action.yml")).unwrap();

    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acttools/run-workflow.sh");
    // Another cache server than that of the other tests.
    let work = acttools("acttools-action");
    let run = |more: &[&str]| {
        let mut command = Command::new("bash");
        command.arg(&kit).arg(&work).arg("--repo").arg(project.root()).args(["--label", "docker", "--quiet"]);
        command.arg("--map").arg(format!("noxide/noxide={}", action.display()));
        command.args(["--env", "NOX_DOWNLOAD_PYTHON=never", "--env", "UV_PYTHON_DOWNLOADS=never"]).args(more);
        for name in ["UV_CACHE_DIR", "NOXIDE_CACHE_DIR", "NOXIDE_REMOTE", "CI"] {
            command.env_remove(name);
        }
        let output = command.env("PATH", tool_path()).finish();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let summary = fs_err::read_to_string(work.join("last.json")).unwrap_or_else(|error| panic!("{error}\n{shown}"));
        let summary: Value = serde_json::from_str(&summary).unwrap();
        let log = fs_err::read_to_string(summary["log"].as_str().unwrap()).unwrap();
        assert_eq!(summary["exit"], 0, "{shown}\n{log}");
        log
    };
    let cold = run(&["--cold"]);
    assert!(cold.contains("cache: uploaded 2 packages") && cold.contains("two ran"), "{cold}");
    let warm = run(&["--fresh-home"]);
    assert!(warm.contains("cache: downloaded 2 of 2 packages") && warm.contains("the Actions cache (v1)"), "{warm}");
    assert!(warm.contains("cache: uploaded nothing: nothing is new"), "{warm}");
}

//! Reasons of failures: what failed, never a line of a program's output.

use crate::support::{NoxideRun, Project, nox_release_path, nox_releases, run_flags};

const FAILURES: &str = r#"
PRINTS = "echo first harmless line; echo Command true failed with exit code 9; exit 3"
@nox.session
def captured(session):
    session.run("sh", "-c", PRINTS, external=True, silent=True)
@nox.session
def several_lines(session):
    session.run("python3", "-c", "import sys\nsys.exit(4)", external=True)
@nox.session
def long(session):
    session.run("sh", "-c", "exit 6", "x" * 2000, external=True)
@nox.session
def survived(session):
    for end in ("; exit 1", "; exit 2"):
        try:
            session.run("sh", "-c", PRINTS + end, external=True, silent=True)
        except nox.command.CommandFailed:
            pass
    session.run("sh", "-c", "exit 5", external=True)
@nox.session
def not_found(session):
    try:
        session.run("sh", "-c", PRINTS, external=True, silent=True)
    except nox.command.CommandFailed:
        session.run("no-such-program", external=True)
@nox.session
def killed(session):
    session.run("sh", "-c", "kill -9 $$", external=True)
@nox.session
def raises(session):
    raise RuntimeError("the build failed:\nfirst harmless line")
@nox.session
def calls(session):
    session.run(lambda: {}["key"])
@nox.session
def stops(session):
    session.error("not today")
"#;

fn check_release(release: Option<&str>) {
    let project = Project::with_sessions(FAILURES);
    let mut command = run_flags(&project, &[]);
    command.envs(release.map(|release| ("PYTHONPATH", nox_release_path(release))));
    let ran = NoxideRun::finish(&mut command);
    let reason = |name: &str| ran.session(name).reason.as_str();
    let command = "Command sh -c 'echo first harmless line; echo Command true failed with exit code 9; exit 3'";
    assert_eq!(reason("captured"), format!("{command} failed with exit code 3"), "{release:?}");
    assert_eq!(reason("several_lines"), "Command python3 -c 'import sys sys.exit(4)' failed with exit code 4");
    let long = reason("long");
    assert!(long.starts_with("Command sh -c 'exit 6' xxx") && long.ends_with("xxx failed with exit code 6"), "{long}");
    assert!(long.chars().count() < 400, "{long}");
    assert_eq!(reason("survived"), "Command sh -c 'exit 5' failed with exit code 5");
    assert_eq!(reason("not_found"), "Program no-such-program not found.");
    assert_eq!(reason("killed"), "Command sh -c 'kill -9 $$' failed with exit code -9 (SIGKILL)");
    assert_eq!(reason("raises"), "RuntimeError: the build failed:");
    assert_eq!(reason("calls"), "KeyError: 'key'");
    assert_eq!(reason("stops"), "not today");
    assert!(
        !ran.record().sessions.iter().any(|session| session
            .result
            .as_ref()
            .unwrap()
            .reason
            .contains("harmless line\n"))
    );
}

#[test]
fn the_reason_of_a_failure_is_what_failed() {
    check_release(None);
}

#[test]
fn the_reason_is_the_same_on_every_release() {
    for release in nox_releases() {
        check_release(Some(release));
    }
}

#[test]
fn a_failed_install_is_named() {
    let project = Project::new(
        "import nox\n@nox.session(venv_backend='uv')\ndef installs(session):\n    session.install('./missing')\n",
    );
    let ran = project.noxide(&["run"]);
    let reason = &ran.session("installs").reason;
    let command =
        reason.strip_prefix("Command ").and_then(|rest| rest.split_once("uv pip install ./missing failed with"));
    assert!(command.is_some_and(|(_, code)| code.starts_with(" exit code ")), "{reason}: {}", ran.text);
}

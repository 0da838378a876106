//! `--report`: the file that nox itself would have written, byte for byte except for durations.

use crate::support::{CommandDeadline as _, NoxideRun, Project, nox_release_path, nox_releases, run_flags};

const SESSIONS: &str = r#"
import inspect
from nox import _decorators
VALUES = [1, 2.5, 1e-7, 10**30, None, True, "é😀\x7f\"\\", "line\nbreak\ttab", "x" * 250, (1, (2, 3)), (), [], {},
          {"k": [1, {}], "ä": None}, {1: "int key"}, float("nan"), float("-inf"), "", "'quoted'", "1"]
@nox.session
@nox.parametrize("value", VALUES, ids=["v%d" % number for number in range(len(VALUES))])
def values(session, value):
    pass
@nox.session
@nox.parametrize("a,b", [(1, "x"), (2, "y")])
@nox.parametrize("c", [nox.param((1, 2), id="pair"), "z"])
def several(session, a, b, c):
    pass
@nox.session(python=["3.98", "3.99"], venv_backend="virtualenv")
@nox.parametrize("django", ["4", "5"])
def versions(session, django):
    pass
@nox.session(python="3.97", venv_backend="virtualenv")
def version(session):
    pass
@nox.session
def skips(session):
    session.skip()
@nox.session
def skips_with_reason(session):
    session.skip("not\nhere")
@nox.session
def stops(session):
    session.error()
@nox.session
def stops_with_reason(session):
    session.error("why é")
@nox.session
def fails(session):
    session.run("sh", "-c", "echo said; exit 3", external=True, silent=True)
@nox.session
def raises(session):
    raise ValueError("x")
NEEDS = {"requires": ["skips", "fails", "raises"]} if "requires" in inspect.signature(_decorators.Func).parameters else {}
@nox.session(**NEEDS)
def needs(session):
    if not NEEDS:
        session.skip("this nox has no requires")
@nox.session(name="odd name")
def odd(session):
    pass
"#;

/// An empty parametrization, which some releases of nox cannot run.
const EMPTY: &str = r#"
@nox.session
@nox.parametrize("nothing", [])
def empty(session, nothing):
    pass
"#;

/// The report with all durations replaced.
fn without_durations(report: &str) -> String {
    let line = |line: &str| match line.split_once("\"duration\": ") {
        Some((before, after)) => format!("{before}\"duration\": …{}", if after.ends_with(',') { "," } else { "" }),
        None => line.to_owned(),
    };
    // `lines` would drop a line break at the end.
    report.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn check_release(release: Option<&str>) {
    let path = release.map(|release| ("PYTHONPATH", nox_release_path(release)));
    let all = format!("{SESSIONS}{EMPTY}");
    let cases = [
        (SESSIONS, &[][..]),
        (SESSIONS, &["-x"]),
        (SESSIONS, &["-s", "needs", "versions"]),
        (SESSIONS, &["-k", "skips or odd"]),
        (EMPTY, &[]),
        (&all, &[]),
    ];
    for (sessions, flags) in cases {
        // Without history sessions start in nox's order.
        let project = Project::with_sessions(sessions);
        let nox = project.command("nox").args(["--report", "nox.json"]).args(flags).envs(path.clone()).finish();
        let mut noxide = run_flags(&project, &["--report", "noxide.json", "-j1"]);
        let noxide = NoxideRun::finish(noxide.args(flags).envs(path.clone()));
        if sessions != SESSIONS && !project.root().join("nox.json").exists() {
            assert!(!nox.status.success() && noxide.code() != 0, "{release:?}: {}", noxide.text);
            continue;
        }
        let (nox, noxide) = (project.read("nox.json"), project.read("noxide.json"));
        assert!(nox.contains("\"sessions\""), "{nox}");
        assert_same_lines(&without_durations(&nox), &without_durations(&noxide), &format!("{release:?} {flags:?}"));
    }
}

/// Fails with the first line that differs.
fn assert_same_lines(expected: &str, found: &str, case: &str) {
    for (number, (one, other)) in expected.split('\n').zip(found.split('\n')).enumerate() {
        assert_eq!(one, other, "{case}: line {}", number + 1);
    }
    assert_eq!(expected, found, "{case}");
}

#[test]
fn the_report_is_that_of_nox() {
    check_release(None);
}

#[test]
fn the_report_is_that_of_nox_on_every_release() {
    std::thread::scope(|scope| {
        for release in nox_releases() {
            scope.spawn(move || check_release(Some(release)));
        }
    });
}

#[test]
fn a_report_has_entries_for_sessions_that_noxide_ends() {
    let project = Project::with_sessions(
        "@nox.session\n@nox.parametrize('p', [('a\\nb', 'é')])\ndef slow(session, p):\n    time.sleep(1000)\n",
    );
    let ran = project.noxide(&["run", "--timeout", "1s", "--report", "r.json"]);
    let report = without_durations(&project.read("r.json"));
    let expected = r#"{
  "result": 0,
  "sessions": [
    {
      "args": {
        "p": [
          "a\nb",
          "\u00e9"
        ]
      },
      "name": "slow",
      "result": "failed",
      "result_code": 0,
      "reason": "still running after its timeout of 1s"#;
    assert!(report.starts_with(expected), "{report}\n{}", ran.text);
}

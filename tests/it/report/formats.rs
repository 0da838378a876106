//! Report formats other than the page, the choice of the run, and errors.

use std::path::Path;
use std::process::{Command, Output};

use noxide::record::{AttemptResult, Machine, NeedOrigin, Outcome, RunRecord};
use noxide::report::{FailedLogTail, RunReport, WaitReason, build_perfetto_trace, render_markdown, render_text};
use serde_json::Value;

use super::generated_runs::{Shaped, record, session, write_run};
use crate::support::CommandDeadline as _;

fn noxide(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_noxide")).arg("-C").arg(root).arg("report").args(arguments).finish()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Two slots; `tests` and `cover` share a lock, `ship` needs `cover`, `bench` runs alone.
fn one() -> RunRecord {
    record(
        3,
        2,
        vec![
            session("lint", 0, 2_000, 0).installed(500, 9, 1),
            session("tests", 10, 6_000, 1).locks("db"),
            session("docs", 2_010, 1_000, 0).retried(),
            session("cover", 6_020, 4_000, 0).locks("db"),
            session("ship", 10_200, 500, 1).needs("cover", NeedOrigin::Requires),
            session("bench", 10_720, 1_500, 0).alone(),
            session("fail|<b>", 3_020, 700, 0).ended(Outcome::Failed, "exit code 1"),
            session("never", 0, 0, 0).never(Outcome::Aborted, "fail|<b> did not pass"),
        ],
    )
}

#[test]
fn text_and_markdown() {
    let mut before = one();
    before.sessions[2] = session("docs", 2_010, 1_000, 0).ended(Outcome::Failed, "exit code 2");
    let report = RunReport::from_record(&one(), &[before]);
    insta::assert_snapshot!("report_text", render_text(&report));
    let tail = FailedLogTail {
        session: "fail|<b>".to_owned(),
        lines: vec!["a ``` b".to_owned()],
        omitted_note: String::new(),
    };
    insta::assert_snapshot!("report_markdown", render_markdown(&report, &[tail]));
    let huge =
        FailedLogTail { session: "lint".to_owned(), lines: vec!["x".repeat(90_000)], omitted_note: String::new() };
    assert!(!render_markdown(&report, &[huge]).contains("xxx"), "a comment has little room");
}

#[test]
fn the_critical_path_and_the_lower_bounds_are_right() {
    let report = RunReport::from_record(&one(), &[]);
    let chain: Vec<&str> = report.critical_path.iter().map(|link| link.session.as_str()).collect();
    assert_eq!(chain, ["tests", "cover", "ship", "bench"]);
    let expected: Vec<&WaitReason> = report.critical_path.iter().map(|link| &link.reason).collect();
    assert_eq!(expected[0], &WaitReason::First);
    assert_eq!(expected[1], &WaitReason::Lock { session: "tests".to_owned(), lock: "db".to_owned() });
    assert_eq!(expected[2], &WaitReason::Need { session: "cover".to_owned() });
    assert_eq!(expected[3], &WaitReason::Exclusive { session: "ship".to_owned() });
    let bounds = &report.lower_bounds;
    assert_eq!((bounds.needs, bounds.lock.as_ref().unwrap().1, bounds.exclusive), (6_000, 10_000, 1_500));
    assert_eq!(bounds.largest_bound(), (11_500, "sessions that share db, plus the exclusive sessions".to_owned()));
    assert_eq!(report.sessions[4].waited, Some(180));
    assert_eq!((report.sessions[4].ready, report.sessions[4].on_critical_path), (10_020, true));
    let slot = record(1, 1, vec![session("a", 0, 100, 0), session("b", 110, 100, 0)]);
    let report = RunReport::from_record(&slot, &[]);
    assert_eq!(report.critical_path[1].reason, WaitReason::Slot { session: "a".to_owned() });
    assert_eq!(report.lower_bounds.largest_bound().1, "CPU time");
    // A need takes precedence over the slot if it ended at about the same time.
    for (need_end, reason) in
        [(90, WaitReason::Need { session: "a".to_owned() }), (20, WaitReason::Slot { session: "b".to_owned() })]
    {
        let waiting = session("c", 110, 100, 1).needs("a", NeedOrigin::Requires);
        let several = record(1, 2, vec![session("a", 0, need_end, 0), session("b", 0, 100, 1), waiting]);
        assert_eq!(RunReport::from_record(&several, &[]).critical_path[1].reason, reason);
    }
    let alone = record(1, 2, vec![session("a", 0, 100, 0), session("b", 0, 300, 0)]);
    let report = RunReport::from_record(&alone, &[]);
    assert_eq!(report.lower_bounds.largest_bound(), (300, "the longest session".to_owned()));
    let nothing = RunReport::from_record(&record(1, 1, Vec::new()), &[]);
    assert!(nothing.critical_path.is_empty() && nothing.parallel_speedup().is_none());
    assert_eq!((nothing.format_verdict(), nothing.lower_bounds.largest_bound().0), ("0 sessions".to_owned(), 0));
}

#[test]
fn a_killed_run_has_a_report_too() {
    let mut killed = one();
    killed.exit_code = None;
    killed.interrupt_cause = Some("killed".to_owned());
    killed.machine = Machine { ci: None, ..killed.machine };
    killed.sessions[1].result = None;
    let report = RunReport::from_record(&killed, &[]);
    assert!(report.format_verdict().contains("1 unfinished"), "{}", report.format_verdict());
    assert!(render_text(&report).contains("noxide was killed"));
    let page = noxide::report::render_page(&report, &[]).unwrap();
    assert!(page.contains("noxide was killed") && page.contains("No output."));
}

#[test]
fn sessions_that_pass_late_or_change_outcome_on_one_commit_are_flaky() {
    let run = |number, outcome| record(number, 1, vec![session("a", 0, 100, 0).ended(outcome, "")]);
    // 2 and 3 are of one commit, 4 is of the next.
    let (pass, fail) = (run(2, Outcome::Passed), run(3, Outcome::Failed));
    let report = RunReport::from_record(&fail, std::slice::from_ref(&pass));
    assert_eq!(
        (
            report.flaky_sessions[0].retried_runs,
            report.flaky_sessions[0].mixed_commits.len(),
            report.flaky_sessions[0].runs
        ),
        (0, 1, 2)
    );
    assert!(RunReport::from_record(&run(4, Outcome::Failed), std::slice::from_ref(&pass)).flaky_sessions.is_empty());
    assert!(
        RunReport::from_record(&run(3, Outcome::Cancelled), std::slice::from_ref(&pass)).flaky_sessions.is_empty(),
        "ended from outside"
    );
    let with_tree =
        |record: &RunRecord, tree: Option<&str>| RunRecord { tree: tree.map(str::to_owned), ..record.clone() };
    for tree in [None, Some("other files")] {
        let changed = with_tree(&fail, tree);
        let report = RunReport::from_record(&changed, std::slice::from_ref(&pass));
        assert!(report.flaky_sessions.is_empty(), "one commit, but other files: {tree:?}");
    }
    assert_eq!(RunReport::from_record(&fail, &[pass]).sessions[0].usual, Some(100), "the median of its passes");
}

#[test]
fn the_usual_time_is_that_of_the_passing_attempt_as_in_plans() {
    let mut retried = record(2, 1, vec![session("a", 0, 100, 0)]);
    let attempts = &mut retried.sessions[0].result.as_mut().unwrap().attempts;
    attempts.push(AttemptResult { number: 2, start: 5_000, end: 5_200, ..attempts[0].clone() });
    let run = record(3, 1, vec![session("a", 0, 300, 0)]);
    assert_eq!(RunReport::from_record(&run, &[retried]).sessions[0].usual, Some(200));
}

#[test]
fn json_is_one_document_and_the_perfetto_file_loads() {
    let root = tempfile::tempdir().unwrap();
    write_run(root.path(), &record(1, 2, vec![session("lint", 0, 1_000, 0)]));
    write_run(root.path(), &one());
    let json: Value = serde_json::from_str(&out(&noxide(root.path(), &["--format", "json"]))).unwrap();
    assert_eq!((&json["version"], &json["run"]["wall"]), (&2.into(), &12_250.into()));
    assert_eq!(json["sessions"][0]["history"].as_array().unwrap().len(), 2);
    assert_eq!((&json["run"]["install"], &json["run"]["cache"]["misses"]), (&500.into(), &1.into()));
    let trace: Value = serde_json::from_str(&out(&noxide(root.path(), &["--format", "perfetto"]))).unwrap();
    assert_eq!(trace, build_perfetto_trace(&RunReport::from_record(&one(), &[])));
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    assert_eq!((of("X"), of("s"), of("f")), (8, 1, 1), "each attempt, and the arrow of the one need");
    assert_eq!(of("b"), of("e"));
    let lint = events.iter().find(|event| event["name"] == "lint").unwrap();
    assert_eq!((&lint["ts"], &lint["dur"], &lint["tid"]), (&0.into(), &2_000_000.into(), &0.into()));
}

#[test]
fn runs_are_selected_and_reports_written() {
    let root = tempfile::tempdir().unwrap();
    let none = noxide(root.path(), &[]);
    assert_eq!((none.status.code(), err(&none).contains("no run is recorded in .")), (Some(2), true));
    let directory = write_run(root.path(), &one());
    let written = noxide(root.path(), &["-o", "out/page.html"]);
    assert_eq!((written.status.code(), err(&written)), (Some(0), "report: out/page.html\n".to_owned()));
    assert!(fs_err::read_to_string(root.path().join("out/page.html")).unwrap().starts_with("<!doctype html>"));
    assert_eq!(err(&noxide(root.path(), &["-q"])), "");
    assert!(out(&noxide(root.path(), &["-o", "-"])).starts_with("<!doctype html>"));
    let file = directory.join("record.json");
    assert!(out(&noxide(root.path(), &[file.to_str().unwrap(), "--format", "md"])).starts_with("### noxide"));
    assert!(out(&noxide(root.path(), &["20261101", "--format", "text"])).contains("✗ failed"));
    let unknown = noxide(root.path(), &["2025", "--format", "json"]);
    assert_eq!((unknown.status.code(), out(&unknown).contains("'2025' matches no run")), (Some(2), true));
    let nowhere = noxide(root.path(), &["-o", "/dev/null/a.html"]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", err(&nowhere));
}

#[test]
fn a_record_of_another_or_no_version_is_rejected_by_name() {
    let root = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("{\"version\": 4, \"sessions\": \"new\"}", "version 3, not version 4"),
        ("{\"version\": 1}", "version 3, not version 1"),
        ("{\"version\": 3}", "not a run record"),
        ("[]", "not a run record"),
        ("\u{0}", "not a run record"),
    ] {
        let file = root.path().join("some.json");
        fs_err::write(&file, text).unwrap();
        let output = noxide(root.path(), &["some.json"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(expected) && err(&output).contains("some.json"), "{}", err(&output));
    }
}

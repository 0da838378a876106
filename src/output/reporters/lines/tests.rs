//! Tests of the line reporter: styles, forges, heartbeat, failing streams.

use super::*;
use crate::output::best_effort_writer::tests::{Capture, Failing};
use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};
use crate::output::options::{ActionsContext, ActionsForge};
use crate::record::Outcome;

fn show(builder: &RunEventBuilder, options: OutputOptions) -> String {
    let capture = Capture::default();
    builder.feed_reporter(&mut LineReporter::new(Box::new(capture.clone()), options));
    builder.replace_root(&capture.text())
}

fn ci_options(forge: ActionsForge) -> OutputOptions {
    let actions = ActionsContext { forge, stop_token: "t0k3n".to_owned(), is_live: true };
    OutputOptions { is_ci: true, actions: Some(actions), ..OutputOptions::plain() }
}

fn styled(style: SessionOutputStyle) -> OutputOptions {
    OutputOptions { style, ..OutputOptions::plain() }
}

fn sample_run() -> RunEventBuilder {
    let mut builder = RunEventBuilder::from_sessions(vec![
        session_spec_with_usual("lint", 3_000, &[]),
        session_spec_with_usual("tests", 20_000, &[]),
        session_spec("docs"),
    ]);
    fs_err::create_dir(builder.project_root().join("src")).unwrap();
    fs_err::write(builder.project_root().join("src/a.py"), "import os\n").unwrap();
    builder.start_session(0, "lint").start_session(0, "tests").append_output(900, "tests", b"collecting\rcoll");
    builder.append_output(2_900, "lint", b"src/a.py:1:8: F401 `os` unused\n::set-env name=PATH::/evil\n");
    builder.append_output(2_950, "tests", b"ected 2 items\n\x1b[32m..\x1b[0m no end");
    builder.finish_session(3_000, "lint", Outcome::Failed, "exit code 1").retry_session(
        3_500,
        "tests",
        "exit code 3",
        500,
    );
    builder.start_session(4_000, "tests").append_output(4_100, "tests", b"2 passed\n").finish_session(
        9_000,
        "tests",
        Outcome::Passed,
        "",
    );
    builder.finish_session(9_001, "docs", Outcome::Skipped, "Python 3.9 not found").finish_run(9_100, 1);
    builder
}

#[test]
fn grouped_shows_only_logs_of_failures_outside_ci() {
    insta::assert_snapshot!("grouped", show(&sample_run(), styled(SessionOutputStyle::Grouped)));
    let verbose = show(&sample_run(), OutputOptions { verbose: 1, ..OutputOptions::plain() });
    assert!(verbose.contains("\n2 passed\n") && verbose.contains("nox 2026.10.20"), "{verbose}");
}

#[test]
fn lines_of_sessions_are_never_mixed() {
    insta::assert_snapshot!("stream", show(&sample_run(), styled(SessionOutputStyle::Stream)));
    insta::assert_snapshot!("labelled", show(&sample_run(), styled(SessionOutputStyle::Labelled)));
}

#[test]
fn quiet_shows_failures_and_totals() {
    insta::assert_snapshot!("quiet", show(&sample_run(), styled(SessionOutputStyle::Quiet)));
    let quieter = show(&sample_run(), OutputOptions { quiet: 2, ..OutputOptions::plain() });
    assert_eq!(quieter.lines().count(), 1, "{quieter}");
    let mut good = RunEventBuilder::new(&["lint"]);
    good.start_session(0, "lint").finish_session(5, "lint", Outcome::Passed, "").finish_run(6, 0);
    assert_eq!(show(&good, styled(SessionOutputStyle::Quiet)).trim().lines().count(), 2);
}

#[test]
fn each_forge_gets_groups_and_its_annotations() {
    insta::assert_snapshot!("github", show(&sample_run(), ci_options(ActionsForge::GitHub)));
    insta::assert_snapshot!("forgejo", show(&sample_run(), ci_options(ActionsForge::Forgejo)));
}

#[test]
fn annotations_of_sessions_reach_github_once_and_streams_stay_guarded() {
    let mut builder = RunEventBuilder::new(&["lint", "types"]);
    builder.start_session(0, "lint").append_output(1, "lint", b"::error file=a.py,line=1::bad\n::endgroup::\n");
    builder.start_session(1, "types").finish_session(2, "types", Outcome::Failed, "exit code 2");
    builder.finish_session(2, "lint", Outcome::Failed, "exit code 1").finish_run(3, 1);
    insta::assert_snapshot!("own", show(&builder, ci_options(ActionsForge::GitHub)));
    let streamed =
        show(&builder, OutputOptions { style: SessionOutputStyle::Stream, ..ci_options(ActionsForge::GitHub) });
    let commands: Vec<&str> = streamed.lines().filter(|line| line.starts_with("::")).take(4).collect();
    assert_eq!(
        commands,
        ["::error file=a.py,line=1::bad", "::stop-commands::t0k3n", "::endgroup::", "::t0k3n::"],
        "{streamed}"
    );
    let labelled =
        show(&builder, OutputOptions { style: SessionOutputStyle::Labelled, ..ci_options(ActionsForge::GitHub) });
    assert!(labelled.contains("\nlint  | ::endgroup::\n") && labelled.contains("\n::error file=a.py"), "{labelled}");
}

#[test]
fn a_long_log_is_shown_once() {
    let mut builder = RunEventBuilder::new(&["tests", "docs"]);
    let log: String = (1..=1_000).map(|n| format!("line {n}\n")).collect();
    builder.start_session(0, "tests").write_log("tests", log.as_bytes()).finish_session(
        5,
        "tests",
        Outcome::Failed,
        "exit code 1",
    );
    builder.start_session(5, "docs").finish_session(9, "docs", Outcome::Passed, "").finish_run(9, 1);
    let text = show(&builder, styled(SessionOutputStyle::Grouped));
    assert_eq!(text.matches("line 800\n").count(), 1);
    assert_eq!(text.matches("line 801\n").count(), 1);
    assert!(text.contains("\nfailed tests: .nox/.noxide/runs/1/tests-1.log\n"), "{text}");
    let text = show(&builder, styled(SessionOutputStyle::Quiet));
    assert!(!text.contains("line 800\n") && text.contains("line 801\n"), "{text}");
    assert!(text.contains("… 800 lines above, in .nox/.noxide/runs/1/tests-1.log"), "{text}");
    let mut one = RunEventBuilder::new(&["tests", "docs"]);
    one.start_session(0, "tests").write_log("tests", "x\n".repeat(201).as_bytes());
    one.finish_session(5, "tests", Outcome::Failed, "")
        .finish_session(6, "docs", Outcome::Aborted, "")
        .finish_run(6, 1);
    assert!(show(&one, styled(SessionOutputStyle::Quiet)).contains("… 1 line above, in"));
    let mut alone = RunEventBuilder::new(&["tests"]);
    alone
        .start_session(0, "tests")
        .write_log("tests", b"only once\n")
        .finish_session(5, "tests", Outcome::Failed, "")
        .finish_run(6, 1);
    assert_eq!(show(&alone, styled(SessionOutputStyle::Grouped)).matches("only once").count(), 1);
}

#[test]
fn a_heartbeat_is_printed_about_once_a_minute() {
    let mut builder =
        RunEventBuilder::from_sessions(vec![session_spec_with_usual("tests", 240_000, &[]), session_spec("docs")]);
    builder.start_session(0, "tests").start_session(1_000, "docs");
    let capture = Capture::default();
    let mut lines = LineReporter::new(Box::new(capture.clone()), OutputOptions::plain());
    builder.events.iter().for_each(|event| lines.on_event(event, builder.run_dir()).unwrap());
    capture.take();
    (0..200).for_each(|second| lines.on_tick(second * 1_000).unwrap());
    insta::assert_snapshot!(capture.take(), @r"
    … still running after 56s: tests (56s of ~4m 00s), docs (55s)
    … still running after 1m 51s: tests (1m 51s of ~4m 00s), docs (1m 50s)
    … still running after 2m 46s: tests (2m 46s of ~4m 00s), docs (2m 45s)
    ");
    builder.finish_session(199_500, "tests", Outcome::Passed, "").finish_session(199_600, "docs", Outcome::Passed, "");
    builder.events[3..].iter().for_each(|event| lines.on_event(event, builder.run_dir()).unwrap());
    capture.take();
    lines.on_tick(300_000).unwrap();
    assert_eq!(capture.take(), "… still waiting after 5m 00s\n");
    let mut quiet = LineReporter::new(Box::new(capture.clone()), styled(SessionOutputStyle::Quiet));
    quiet.on_event(&builder.events[0], builder.run_dir()).unwrap();
    quiet.on_tick(99_000).unwrap();
    assert_eq!(capture.take(), "");
}

#[test]
fn a_heartbeat_names_some_sessions_and_a_request_shows_all() {
    let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
    let mut builder = RunEventBuilder::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    names.iter().for_each(|name| {
        builder.start_session(0, name);
    });
    let capture = Capture::default();
    let mut lines = LineReporter::new(Box::new(capture.clone()), OutputOptions::plain());
    builder.events.iter().for_each(|event| lines.on_event(event, builder.run_dir()).unwrap());
    lines.on_tick(60_000).unwrap();
    assert!(capture.take().ends_with("s7 (1m 00s) and 4 more\n"));
    lines.show_running().unwrap();
    assert_eq!(capture.take().lines().count(), 13);
}

#[test]
fn an_interruption_counts_the_stopped_sessions() {
    let mut builder = RunEventBuilder::new(&["a", "b"]);
    builder.start_session(0, "a").start_session(0, "b").interrupt_run(5, "SIGINT").finish_session(
        6,
        "a",
        Outcome::Cancelled,
        "SIGINT",
    );
    builder.interrupt_run(7, "SIGINT").finish_session(8, "b", Outcome::Cancelled, "SIGINT").finish_run(9, 130);
    let text = show(&builder, OutputOptions::plain());
    assert!(text.contains("interrupted (Ctrl-C): stopping 2 running sessions\n"), "{text}");
    assert!(text.contains("interrupted (Ctrl-C): stopping 1 running session\n"), "{text}");
}

#[test]
fn a_disk_that_fills_up_during_a_log_is_reported_once() {
    let mut builder = RunEventBuilder::new(&["tests"]);
    builder.start_session(0, "tests").append_output(1, "tests", &b"0123456789\n".repeat(20_000));
    builder.finish_session(5, "tests", Outcome::Failed, "").finish_run(6, 1);
    for style in [SessionOutputStyle::Grouped, SessionOutputStyle::Stream] {
        let full = Failing(50_000, io::ErrorKind::StorageFull);
        let mut lines = LineReporter::new(Box::new(full), styled(style));
        let errors = builder.events.iter().filter(|event| lines.on_event(event, builder.run_dir()).is_err()).count();
        assert_eq!(errors, 1);
    }
}

#[test]
fn a_missing_log_or_a_closed_pipe_is_no_error() {
    let mut builder = sample_run();
    builder.interrupt_run(9_200, "SIGTERM").add_notice(9_300, "odd").add_session(9_400, "late", "tests");
    for style in [SessionOutputStyle::Grouped, SessionOutputStyle::Stream] {
        let pipe = Failing(40, io::ErrorKind::BrokenPipe);
        builder.feed_reporter(&mut LineReporter::new(Box::new(pipe), styled(style)));
        let full = Failing(40, io::ErrorKind::StorageFull);
        let mut lines = LineReporter::new(Box::new(full), styled(style));
        let errors = builder.events.iter().filter(|event| lines.on_event(event, builder.run_dir()).is_err()).count();
        assert_eq!(errors, 1, "a full disk is reported once");
    }
    fs_err::remove_file(builder.run_dir().join("lint-1.log")).unwrap();
    let text = show(&builder, styled(SessionOutputStyle::Grouped));
    assert!(text.contains("cannot read the log") && text.contains("terminated (SIGTERM): stopping the run"), "{text}");
    assert!(show(&builder, styled(SessionOutputStyle::Stream)).contains("late"));
}

#[test]
fn truncated_events_get_a_summary() {
    let mut builder = RunEventBuilder::new(&["a", "b"]);
    builder.start_session(0, "a");
    assert!(show(&builder, OutputOptions::plain()).contains("2 sessions: 2 unfinished in 0ms"));
    builder.events.clear();
    assert_eq!(show(&builder, OutputOptions::plain()), "");
}

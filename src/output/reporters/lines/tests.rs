//! Tests of the lines that pipes and CI get: styles, forges, silence, streams that fail.

use super::*;
use crate::output::options::{Actions, Forge};
use crate::output::pipe::tests::{Capture, Failing};
use crate::output::story::{Story, session, usual};
use crate::record::Outcome;

fn show(story: &Story, options: OutputOptions) -> String {
    let capture = Capture::default();
    story.feed(&mut Lines::new(Box::new(capture.clone()), options));
    story.stable(&capture.text())
}

fn on(forge: Forge) -> OutputOptions {
    let actions = Actions { forge, stop_token: "t0k3n".to_owned() };
    OutputOptions { ci: true, actions: Some(actions), ..OutputOptions::plain() }
}

fn styled(style: Style) -> OutputOptions {
    OutputOptions { style, ..OutputOptions::plain() }
}

fn story() -> Story {
    let mut story = Story::of(vec![usual("lint", 3_000, &[]), usual("tests", 20_000, &[]), session("docs")]);
    fs_err::create_dir(story.root().join("src")).unwrap();
    fs_err::write(story.root().join("src/a.py"), "import os\n").unwrap();
    story.start(0, "lint").start(0, "tests").grew(900, "tests", b"collecting\rcoll");
    story.grew(2_900, "lint", b"src/a.py:1:8: F401 `os` unused\n::set-env name=PATH::/evil\n");
    story.grew(2_950, "tests", b"ected 2 items\n\x1b[32m..\x1b[0m no end");
    story.finish(3_000, "lint", Outcome::Failed, "exit code 1").retry(3_500, "tests", "exit code 3", 500);
    story.start(4_000, "tests").grew(4_100, "tests", b"2 passed\n").finish(9_000, "tests", Outcome::Passed, "");
    story.finish(9_001, "docs", Outcome::Skipped, "Python 3.9 not found").over(9_100, 1);
    story
}

#[test]
fn grouped_shows_only_failures_logs_outside_ci() {
    insta::assert_snapshot!("grouped", show(&story(), styled(Style::Grouped)));
    let verbose = show(&story(), OutputOptions { verbose: 1, ..OutputOptions::plain() });
    assert!(verbose.contains("\n2 passed\n") && verbose.contains("nox 2026.10.20"), "{verbose}");
}

#[test]
fn streams_of_lines_never_mix() {
    insta::assert_snapshot!("stream", show(&story(), styled(Style::Stream)));
    insta::assert_snapshot!("labelled", show(&story(), styled(Style::Labelled)));
}

#[test]
fn quiet_shows_failures_and_totals() {
    insta::assert_snapshot!("quiet", show(&story(), styled(Style::Quiet)));
    let quieter = show(&story(), OutputOptions { quiet: 2, ..OutputOptions::plain() });
    assert_eq!(quieter.lines().count(), 1, "{quieter}");
    let mut good = Story::new(&["lint"]);
    good.start(0, "lint").finish(5, "lint", Outcome::Passed, "").over(6, 0);
    assert_eq!(show(&good, styled(Style::Quiet)).trim().lines().count(), 2);
}

#[test]
fn each_forge_gets_folds_and_what_it_shows_of_annotations() {
    insta::assert_snapshot!("github", show(&story(), on(Forge::GitHub)));
    insta::assert_snapshot!("forgejo", show(&story(), on(Forge::Forgejo)));
}

#[test]
fn sessions_own_annotations_reach_github_once_and_streams_stay_guarded() {
    let mut story = Story::new(&["lint", "types"]);
    story.start(0, "lint").grew(1, "lint", b"::error file=a.py,line=1::bad\n::endgroup::\n");
    story.start(1, "types").finish(2, "types", Outcome::Failed, "exit code 2");
    story.finish(2, "lint", Outcome::Failed, "exit code 1").over(3, 1);
    insta::assert_snapshot!("own", show(&story, on(Forge::GitHub)));
    let streamed = show(&story, OutputOptions { style: Style::Stream, ..on(Forge::GitHub) });
    let commands: Vec<&str> = streamed.lines().filter(|line| line.starts_with("::")).take(4).collect();
    assert_eq!(
        commands,
        ["::error file=a.py,line=1::bad", "::stop-commands::t0k3n", "::endgroup::", "::t0k3n::"],
        "{streamed}"
    );
    let labelled = show(&story, OutputOptions { style: Style::Labelled, ..on(Forge::GitHub) });
    assert!(labelled.contains("\nlint  | ::endgroup::\n") && labelled.contains("\n::error file=a.py"), "{labelled}");
}

#[test]
fn a_long_log_is_shown_whole_once_and_its_end_again() {
    let mut story = Story::new(&["tests", "docs"]);
    let log: String = (1..=1_000).map(|n| format!("line {n}\n")).collect();
    story.start(0, "tests").write("tests", log.as_bytes()).finish(5, "tests", Outcome::Failed, "exit code 1");
    story.start(5, "docs").finish(9, "docs", Outcome::Passed, "").over(9, 1);
    let text = show(&story, styled(Style::Grouped));
    assert_eq!(text.matches("line 800\n").count(), 1);
    assert_eq!(text.matches("line 801\n").count(), 2);
    assert!(text.contains("… 800 lines above, in .noxide/runs/1/tests-1.log"), "{text}");
    let mut one = Story::new(&["tests", "docs"]);
    one.start(0, "tests").write("tests", "x\n".repeat(201).as_bytes());
    one.finish(5, "tests", Outcome::Failed, "").finish(6, "docs", Outcome::Aborted, "").over(6, 1);
    assert!(show(&one, styled(Style::Grouped)).contains("… 1 line above, in"));
    let mut alone = Story::new(&["tests"]);
    alone.start(0, "tests").write("tests", b"only once\n").finish(5, "tests", Outcome::Failed, "").over(6, 1);
    assert_eq!(show(&alone, styled(Style::Grouped)).matches("only once").count(), 1);
}

#[test]
fn silence_is_broken_about_once_a_minute() {
    let mut story = Story::of(vec![usual("tests", 240_000, &[]), session("docs")]);
    story.start(0, "tests").start(1_000, "docs");
    let capture = Capture::default();
    let mut lines = Lines::new(Box::new(capture.clone()), OutputOptions::plain());
    story.events.iter().for_each(|event| lines.event(event, story.folder()).unwrap());
    capture.take();
    (0..200).for_each(|second| lines.tick(second * 1_000).unwrap());
    insta::assert_snapshot!(capture.take(), @r"
    … still running after 56s: tests (56s of ~4m 00s), docs (55s)
    … still running after 1m 51s: tests (1m 51s of ~4m 00s), docs (1m 50s)
    … still running after 2m 46s: tests (2m 46s of ~4m 00s), docs (2m 45s)
    ");
    story.finish(199_500, "tests", Outcome::Passed, "").finish(199_600, "docs", Outcome::Passed, "");
    story.events[3..].iter().for_each(|event| lines.event(event, story.folder()).unwrap());
    capture.take();
    lines.tick(300_000).unwrap();
    assert_eq!(capture.take(), "… still waiting after 5m 00s\n");
    let mut quiet = Lines::new(Box::new(capture.clone()), styled(Style::Quiet));
    quiet.event(&story.events[0], story.folder()).unwrap();
    quiet.tick(99_000).unwrap();
    assert_eq!(capture.take(), "");
}

#[test]
fn a_crowd_is_named_in_part_and_asked_for_in_whole() {
    let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
    let mut story = Story::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    names.iter().for_each(|name| {
        story.start(0, name);
    });
    let capture = Capture::default();
    let mut lines = Lines::new(Box::new(capture.clone()), OutputOptions::plain());
    story.events.iter().for_each(|event| lines.event(event, story.folder()).unwrap());
    lines.tick(60_000).unwrap();
    assert!(capture.take().ends_with("s7 (1m 00s) and 4 more\n"));
    lines.show_running().unwrap();
    assert_eq!(capture.take().lines().count(), 13);
}

#[test]
fn an_ending_run_says_how_many_it_ends() {
    let mut story = Story::new(&["a", "b"]);
    story.start(0, "a").start(0, "b").interrupt(5, "SIGINT").finish(6, "a", Outcome::Cancelled, "SIGINT");
    story.interrupt(7, "SIGINT").finish(8, "b", Outcome::Cancelled, "SIGINT").over(9, 130);
    let text = show(&story, OutputOptions::plain());
    assert!(text.contains("SIGINT: ending 2 running sessions\n"), "{text}");
    assert!(text.contains("SIGINT: ending 1 running session\n"), "{text}");
}

#[test]
fn a_disk_that_fills_up_amid_a_log_is_told_once() {
    let mut story = Story::new(&["tests"]);
    story.start(0, "tests").grew(1, "tests", &b"0123456789\n".repeat(20_000));
    story.finish(5, "tests", Outcome::Failed, "").over(6, 1);
    for style in [Style::Grouped, Style::Stream] {
        let full = Failing(50_000, io::ErrorKind::StorageFull);
        let mut lines = Lines::new(Box::new(full), styled(style));
        let told = story.events.iter().filter(|event| lines.event(event, story.folder()).is_err()).count();
        assert_eq!(told, 1);
    }
}

#[test]
fn a_lost_log_or_a_closed_pipe_ends_no_run() {
    let mut story = story();
    story.interrupt(9_200, "SIGTERM").notice(9_300, "odd").add(9_400, "late", "tests");
    for style in [Style::Grouped, Style::Stream] {
        let pipe = Failing(40, io::ErrorKind::BrokenPipe);
        story.feed(&mut Lines::new(Box::new(pipe), styled(style)));
        let full = Failing(40, io::ErrorKind::StorageFull);
        let mut lines = Lines::new(Box::new(full), styled(style));
        let told = story.events.iter().filter(|event| lines.event(event, story.folder()).is_err()).count();
        assert_eq!(told, 1, "a full disk is told once");
    }
    fs_err::remove_file(story.folder().join("lint-1.log")).unwrap();
    let text = show(&story, styled(Style::Grouped));
    assert!(text.contains("its log cannot be read") && text.contains("SIGTERM: ending the run"), "{text}");
    assert!(show(&story, styled(Style::Stream)).contains("late"));
}

#[test]
fn events_that_end_early_still_get_a_summary() {
    let mut story = Story::new(&["a", "b"]);
    story.start(0, "a");
    assert!(show(&story, OutputOptions::plain()).contains("2 sessions: 2 unfinished in 0ms"));
    story.events.clear();
    assert_eq!(show(&story, OutputOptions::plain()), "");
}

//! `noxide report --compare`: runs, commits and branches side by side.

use std::path::Path;
use std::process::{Command, Output};

use noxide::record::{Outcome, RunRecord};
use serde_json::Value;

use super::generated_runs::{Shaped, record, session, write_run};
use crate::support::{CommandDeadline as _, Random, run_checked};

fn compare_runs(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noxide"));
    command.arg("-C").arg(root).args(["report", "--compare"]).args(arguments).finish()
}

fn git(root: &Path, arguments: &[&str]) -> String {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
    run_checked(Command::new("git").arg("-C").arg(root).args(settings).args(arguments)).trim().to_owned()
}

/// A run of two sessions on this commit; `tests` takes this share of a minute.
fn run(number: usize, commit: &str, share: f64, random: &mut Random) -> RunRecord {
    let mut noisy = |ms: f64| (ms * (0.97 + random.fraction() * 0.06)) as u64;
    let (lint, tests) = (noisy(5_000.0), noisy(60_000.0 * share));
    let mut record = record(number, 2, vec![session("lint", 0, lint, 0), session("tests", 0, tests, 1)]);
    record.commit = Some(commit.to_owned());
    record
}

#[test]
fn branches_and_commits_select_their_runs() {
    let root = tempfile::tempdir().unwrap();
    let (root, mut random) = (root.path(), Random::new(7));
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let old = git(root, &["rev-parse", "HEAD"]);
    git(root, &["switch", "-q", "-c", "faster"]);
    git(root, &["commit", "-q", "--allow-empty", "-m", "two"]);
    let new = git(root, &["rev-parse", "HEAD"]);
    git(root, &["commit", "-q", "--allow-empty", "-m", "three, never run"]);
    for number in 0..10 {
        write_run(root, &run(2 * number, &old, 1.0, &mut random));
        write_run(root, &run(2 * number + 1, &new, 0.8, &mut random));
    }
    let output: Value =
        serde_json::from_slice(&compare_runs(root, &["main", "faster", "--format", "json"]).stdout).unwrap();
    assert_eq!(
        (&output["version"], &output["before"]["run_count"], &output["after"]["run_count"]),
        (&2.into(), &10.into(), &10.into())
    );
    assert!(output["after"]["description"].as_str().unwrap().ends_with("1 before its tip"), "{output}");
    let verdicts: Vec<&str> =
        output["sessions"].as_array().unwrap().iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["no-difference-shown", "faster"]);
    assert_eq!(output["total"]["verdict"], "faster");
    let ratio = &output["sessions"][1]["ratio"];
    assert!(ratio["low"].as_f64().unwrap() < 0.8 && ratio["high"].as_f64().unwrap() > 0.8, "{ratio}");
    let text = compare_runs(root, &[&new[..9], &old, "--check"]);
    assert_eq!(text.status.code(), Some(1), "going back is slower");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("no difference shown") && text.contains("slower"), "{text}");
    assert_eq!(compare_runs(root, &["main", "faster", "--check"]).status.code(), Some(0));
    let markdown = compare_runs(root, &["main", "main", "--format", "markdown", "-o", "-"]);
    assert!(String::from_utf8(markdown.stdout).unwrap().contains("| total |"));
}

#[test]
fn one_run_each_is_too_few_and_failures_do_not_count() {
    let root = tempfile::tempdir().unwrap();
    let (root, mut random) = (root.path(), Random::new(3));
    let commit = "00112233445566778899aabbccddeeff00112233";
    write_run(root, &run(1, commit, 1.0, &mut random));
    let mut failed = run(2, commit, 0.1, &mut random);
    failed.sessions[1] = session("tests", 0, 100, 1).ended(Outcome::Failed, "exit code 1");
    failed.exit_code = Some(1);
    failed.sessions.push(session("docs", 0, 100, 1));
    let directory = write_run(root, &failed);
    let output = compare_runs(root, &["20261101-100100", directory.join("record.json").to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("too few runs") && text.contains("only before") && text.contains("only after"), "{text}");
    let only: Value =
        serde_json::from_slice(&compare_runs(root, &["last", "0011223", "--format", "json"]).stdout).unwrap();
    assert_eq!((&only["after"]["run_count"], &only["total"]["name"]), (&2.into(), &"common sessions".into()));
    let sum = |side: &str| only["total"][side]["median"].as_f64().unwrap();
    let lint = |side: &str| only["sessions"][1][side]["median"].as_f64().unwrap();
    assert!(sum("before") - lint("before") < 0.2, "only lint and docs, which are in both: {only}");
}

#[test]
fn a_file_without_a_run_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let code = |arguments: &[&str], expected: &str| {
        let output = compare_runs(root, arguments);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(expected),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(2));
    };
    code(&["a", "b"], "no run is recorded in .");
    write_run(root, &record(1, 1, vec![session("a", 0, 100, 0)]));
    code(&["last", "--output=x"], "2 values");
    code(&["last", "nothing"], "a commit or a branch");
    code(&["last", "last", "--format", "perfetto"], "--compare cannot be written as perfetto");
    fs_err::write(root.join("bad.json"), "{").unwrap();
    code(&["bad.json", "last"], "bad.json");
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["commit", "-q", "--allow-empty", "-m", "one"]);
    code(&["last", "main"], "no run is recorded for 'main'");
}

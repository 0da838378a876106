//! `noxide gate`: skipped passes, cancelled is named, a missing job is an error.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{ChildDeadline as _, CommandDeadline as _, NoxideRun, Project, noxide_in};

fn gate(needs: &str, more: &[&str]) -> NoxideRun {
    let project = Project::empty();
    project.write(
        "ci.yml",
        "on: push\njobs:\n  lint: {runs-on: docker, steps: []}\n  tests: {runs-on: docker, steps: []}\n  gate: {runs-on: docker, steps: []}\n",
    );
    let mut arguments = vec!["gate", "--needs", needs];
    arguments.extend_from_slice(more);
    project.noxide(&arguments)
}

const GOOD: &str = r#"{"lint": {"result": "success", "outputs": {}}, "tests": {"result": "skipped"}}"#;

#[test]
fn success_and_skipped_pass_the_gate() {
    let ran = gate(GOOD, &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "✓ lint   success\n– tests  skipped\n2 jobs passed\n");
    assert_eq!(gate(GOOD, &["--expect", "lint,tests"]).exit, Some(0));
    assert_eq!(gate(GOOD, &["--workflow", "ci.yml", "--job", "gate"]).exit, Some(0));
}

#[test]
fn failed_jobs_are_named() {
    let ran = gate(
        r#"{"a": {"result": "failure"}, "b": {"result": "cancelled"}, "c": {"result": "odd"}, "d": {"result": "success"}}"#,
        &["--expect", "d,e"],
    );
    assert_eq!(ran.exit, Some(1));
    for line in [
        "a  failure  the job failed",
        "b  cancelled  the job was",
        "c  odd  unknown result",
        "e  missing  the job is not in",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    assert!(ran.stdout.ends_with("4 of 5 jobs did not pass\n"), "{}", ran.stdout);
    let lint = r#"{"lint": {"result": "success"}}"#;
    let ran = gate(lint, &["--workflow", "ci.yml", "--job", "gate", "--format", "json"]);
    assert_eq!(ran.exit, Some(1));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["version"], &document["ok"]), (&1.into(), &false.into()));
    assert_eq!((&document["jobs"][1]["job"], &document["jobs"][1]["result"]), (&"tests".into(), &Value::Null));
    assert_eq!(gate(lint, &[]).stdout.lines().last(), Some("1 job passed"));
}

#[test]
fn results_come_from_a_variable_or_standard_input() {
    let project = Project::empty();
    for name in ["NOXIDE_NEEDS", "NEEDS"] {
        let done = noxide_in(project.root(), &["gate"]).env(name, GOOD).finish();
        assert_eq!(done.status.code(), Some(0), "{name}");
    }
    let mut gate = noxide_in(project.root(), &["gate"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    gate.stdin.take().unwrap().write_all(b"{\"a\": {\"result\": \"failure\"}}").unwrap();
    assert_eq!(gate.wait_for_end().code(), Some(1));
}

#[test]
fn unreadable_needs_are_a_usage_error() {
    let workflow = |job: &str| gate(GOOD, &["--workflow", "ci.yml", "--job", job]);
    let absent = gate(GOOD, &["--workflow", "none.yml", "--job", "gate"]);
    let project = Project::empty();
    project.write("broken.yml", "jobs: [\n");
    let broken = project.noxide(&["gate", "--needs", GOOD, "--workflow", "broken.yml", "--job", "x"]);
    let unnamed = gate(GOOD, &["--workflow", "ci.yml"]);
    for (ran, expected) in [
        (gate("{", &[]), "toJSON(needs)"),
        (gate("{}", &[]), "needs no other job"),
        (Project::empty().noxide(&["gate"]), "no job results"),
        (workflow("other"), "no job `other`"),
        (absent, "none.yml"),
        (broken, "broken.yml"),
        (unnamed, "the gate job is unknown"),
    ] {
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
}

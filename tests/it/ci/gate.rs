//! `noxide gate`: skipped is fine, cancelled is named, a missing job is an error.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::noxide::{Ran, command, noxide};
use crate::support::Project;

fn gate(needs: &str, more: &[&str]) -> Ran {
    let project = Project::empty();
    project.write(
        "ci.yml",
        "on: push\njobs:\n  lint: {runs-on: docker, steps: []}\n  tests: {runs-on: docker, steps: []}\n  gate: {runs-on: docker, steps: []}\n",
    );
    let mut arguments = vec!["gate", "--needs", needs];
    arguments.extend_from_slice(more);
    noxide(&project, &arguments)
}

const GOOD: &str = r#"{"lint": {"result": "success", "outputs": {}}, "tests": {"result": "skipped"}}"#;

#[test]
fn success_and_skipped_are_well() {
    let ran = gate(GOOD, &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(ran.out, "✓ lint   success\n– tests  skipped\n2 jobs passed\n");
    assert_eq!(gate(GOOD, &["--expect", "lint,tests"]).exit, Some(0));
    assert_eq!(gate(GOOD, &["--workflow", "ci.yml", "--job", "gate"]).exit, Some(0));
}

#[test]
fn what_is_not_well_is_named() {
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
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    assert!(ran.out.ends_with("4 of 5 jobs failed\n"), "{}", ran.out);
    let lint = r#"{"lint": {"result": "success"}}"#;
    let ran = gate(lint, &["--workflow", "ci.yml", "--job", "gate", "--format", "json"]);
    assert_eq!(ran.exit, Some(1));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["version"], &document["ok"]), (&1.into(), &false.into()));
    assert_eq!((&document["jobs"][1]["job"], &document["jobs"][1]["result"]), (&"tests".into(), &Value::Null));
    assert_eq!(gate(lint, &[]).out.lines().last(), Some("1 job passed"));
}

#[test]
fn results_come_by_variable_and_by_the_standard_input() {
    let project = Project::empty();
    for name in ["NOXIDE_NEEDS", "NEEDS"] {
        let done = command(project.root(), &["gate"]).env(name, GOOD).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{name}");
    }
    let mut gate = command(project.root(), &["gate"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    gate.stdin.take().unwrap().write_all(b"{\"a\": {\"result\": \"failure\"}}").unwrap();
    assert_eq!(gate.wait().unwrap().code(), Some(1));
}

#[test]
fn what_cannot_be_judged_is_wrong_usage() {
    let workflow = |job: &str| gate(GOOD, &["--workflow", "ci.yml", "--job", job]);
    let absent = gate(GOOD, &["--workflow", "none.yml", "--job", "gate"]);
    let project = Project::empty();
    project.write("broken.yml", "jobs: [\n");
    let broken = noxide(&project, &["gate", "--needs", GOOD, "--workflow", "broken.yml", "--job", "x"]);
    let unnamed = gate(GOOD, &["--workflow", "ci.yml"]);
    for (ran, why) in [
        (gate("{", &[]), "toJSON(needs)"),
        (gate("{}", &[]), "needs no other job"),
        (noxide(&Project::empty(), &["gate"]), "no job results"),
        (workflow("other"), "no job `other`"),
        (absent, "none.yml"),
        (broken, "broken.yml"),
        (unnamed, "the gate job is unknown"),
    ] {
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {}", ran.err);
    }
}

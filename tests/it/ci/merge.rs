//! `noxide merge`: three merged shards equal one run of all sessions.

use std::collections::BTreeMap;

use noxide::project::default_run_data_dir;
use noxide::record::{Outcome, RunRecord, RunStore};

use super::shards::{NOXFILE, project};
use crate::support::{NoxideRun, Project};

fn outcomes(record: &RunRecord) -> Vec<(String, Outcome)> {
    let result = |s: &noxide::record::RecordedSession| (s.spec.name.to_string(), s.result.as_ref().unwrap().outcome);
    record.sessions.iter().map(result).collect()
}

/// Three shards, each in its own checkout, and a project to merge them in.
fn shards() -> (Project, Vec<String>) {
    let whole = project();
    let mut directories = Vec::new();
    for index in 1..=3 {
        let checkout = whole.outer_dir().join(format!("checkout {index}"));
        std::fs::create_dir(&checkout).unwrap();
        let checkout = whole.below(&checkout);
        checkout.write("noxfile.py", NOXFILE);
        checkout.write("noxide.toml", "[sessions.lint]\nartifacts = ['*.xml']\n");
        checkout.write("lint.xml", "<testsuite name='ruff'><testcase name='a'/></testsuite>");
        checkout.noxide(&["run", "--shard", &format!("{index}/3")]);
        directories.push(checkout.root().display().to_string());
    }
    (whole, directories)
}

fn merge(project: &Project, directories: &[String], more: &[&str]) -> NoxideRun {
    let mut arguments = vec!["merge"];
    arguments.extend(directories.iter().map(String::as_str));
    arguments.extend_from_slice(more);
    project.noxide(&arguments)
}

/// Names of cases and how each ended.
fn cases(xml: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for case in xml.split("<testcase ").skip(1) {
        let name = case.split("name=\"").nth(1).or_else(|| case.split("name='").nth(1)).unwrap();
        let name = name.split(['"', '\'']).next().unwrap().to_owned();
        let end = ["<failure", "<error", "<skipped"].into_iter().find(|end| case.contains(end)).unwrap_or("");
        found.insert(name, end.to_owned());
    }
    found
}

#[test]
fn shards_merged_are_one_run() {
    let (whole, directories) = shards();
    whole.write("noxide.toml", "[sessions.lint]\nartifacts = ['*.xml']\n");
    whole.write("lint.xml", "<testsuite name='ruff'><testcase name='a'/></testsuite>");
    let one = whole.noxide(&["run", "--junit", "one.xml"]);
    let merged = merge(&whole, &directories, &["--junit", "merged.xml"]);
    assert_eq!((one.exit, merged.exit), (Some(1), Some(1)), "{merged:?}");
    let (one, merged_record) = (one.record(), merged.record());
    assert_eq!(outcomes(one), outcomes(merged_record));
    assert_eq!(cases(&whole.read("one.xml")), cases(&whole.read("merged.xml")));
    assert!(cases(&whole.read("one.xml")).len() == 8, "{}", whole.read("one.xml"));
    assert!(
        merged.stdout.contains("3 runs of") && merged.stdout.contains("7 sessions: 6 passed, 1 aborted"),
        "{}",
        merged.stdout
    );
    assert!(merged.stdout.contains("found something"), "{}", merged.stdout);
    // The newest run is now the merged one, and it can be shown again, logs and all.
    let again = whole.noxide(&["replay", "last"]);
    assert!(again.exit == Some(1) && again.stdout.contains("found something"), "{}", again.stdout);
    let log = whole.read(&format!(".nox/.noxide/runs/{}/logs/package.log", merged_record.run_id));
    assert!(log.contains("nox > package"), "{log}");
}

#[test]
fn a_missing_shard_is_named() {
    let (whole, directories) = shards();
    let ran = merge(&whole, &directories[1..], &["--dir", "all", "--format", "json"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["version"], &document["missing_shards"][0]), (&1.into(), &"1/3".into()));
    let first = RunStore::open_existing(default_run_data_dir(directories[0].as_ref()))
        .unwrap()
        .newest_records(1)
        .pop()
        .unwrap();
    let missing: Vec<String> = first.sessions.iter().map(|session| session.spec.name.to_string()).collect();
    assert_eq!(document["missing_sessions"], serde_json::json!(missing));
    assert!(whole.read("all/record.json").contains("no record contains") && whole.read("all/events.jsonl").len() > 100);
}

#[test]
fn the_worse_of_two_results_and_the_newer_of_two_runs_count() {
    let whole = Project::new(
        "import nox, os\nnox.options.default_venv_backend = 'none'\n\
        @nox.session\ndef same(session):\n    if os.path.exists('broken'): session.error('broken')\n",
    );
    let other = whole.outer_dir().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = whole.below(&other);
    other.write("noxfile.py", whole.read("noxfile.py"));
    whole.noxide(&["run"]);
    other.write("broken", "");
    other.noxide(&["run"]);
    let both = [&whole, &other].map(|project| project.root().join(".nox/.noxide").display().to_string());
    let ran = merge(&whole, &both, &["--dir", "merged"]);
    assert!(
        ran.exit == Some(1) && ran.stdout.contains("same is in several records; the worst result counts"),
        "{ran:?}"
    );
    std::fs::remove_file(other.root().join("broken")).unwrap();
    other.noxide(&["run"]);
    assert_eq!(merge(&whole, &both, &["--dir", "again"]).exit, Some(0));
    // Each log has a unique name.
    assert!(
        whole.read("again/logs/same.log").contains("nox > ") && whole.read("again/logs/same-2.log").contains("nox > ")
    );
}

#[test]
fn directories_without_a_run_are_rejected() {
    let project = Project::empty();
    std::fs::create_dir_all(project.root().join("empty")).unwrap();
    project.write("odd/record.json", "{}");
    let record = r#"{"version": 9}"#;
    project.write("new/record.json", record);
    for (directory, expected) in [
        ("empty", "no run is recorded"),
        ("none", "cannot read directory none: "),
        ("odd", "record.json"),
        ("new", "record.json"),
    ] {
        let ran = merge(&project, &[directory.to_owned()], &[]);
        assert!(ran.exit == Some(2) && ran.stderr.contains(expected), "{directory}: {ran:?}");
    }
    assert_eq!(project.noxide(&["merge"]).exit, Some(2));
    assert_eq!(project.noxide(&["merge", "empty", "--fail-under", "97"]).exit, Some(2));
    assert_eq!(project.noxide(&["merge", "--coverage", "--fail-under", "101"]).exit, Some(2));
}

//! `noxide merge`: three merged shards equal one run of all sessions.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

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
        merged.stdout.contains("merged 3 runs into") && merged.stdout.contains("7 sessions: 6 passed, 1 aborted"),
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
        ran.exit == Some(1)
            && ran
                .stdout
                .contains("same is in several records; the worst result counts (unfinished, failed, passed, skipped)"),
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

/// The directory of the only run of a checkout.
fn run_dir(checkout: &str) -> PathBuf {
    let runs = default_run_data_dir(checkout.as_ref()).join("runs");
    std::fs::read_dir(runs)
        .unwrap()
        .map(|run| run.unwrap().path())
        .find(|run| run.join("record.json").exists())
        .unwrap()
}

/// Replaces text in a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs_err::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn files_outside_a_download_are_neither_read_nor_written() {
    type Attack = (&'static str, fn(&Path, &Path));
    let attacks: [Attack; 7] = [
        ("a log is a link", |run, victim| {
            std::fs::remove_file(run.join("logs/lint.log")).unwrap();
            symlink(victim.join("secret"), run.join("logs/lint.log")).unwrap();
        }),
        ("the directory of the logs is a link", |run, victim| {
            std::fs::remove_dir_all(run.join("logs")).unwrap();
            symlink(victim, run.join("logs")).unwrap();
            edit(&run.join("record.json"), "logs/lint.log", "logs/secret");
        }),
        ("a log is an absolute path", |run, victim| {
            edit(&run.join("record.json"), "logs/lint.log", &victim.join("secret").display().to_string());
        }),
        ("a log is above the run", |run, _| {
            edit(&run.join("record.json"), "logs/lint.log", "../../../../../victim/secret");
        }),
        ("a file of an artifact is a link", |run, victim| {
            std::fs::remove_file(run.join("artifacts/lint/files/lint.xml")).unwrap();
            symlink(victim.join("secret.xml"), run.join("artifacts/lint/files/lint.xml")).unwrap();
        }),
        ("an artifact is an absolute path", |run, victim| {
            let path = victim.join("secret.xml").display().to_string();
            edit(&run.join("artifacts/lint/artifacts.json"), "lint.xml", &path);
        }),
        ("the record is a link", |run, victim| {
            std::fs::copy(run.join("record.json"), victim.join("record.json")).unwrap();
            std::fs::remove_file(run.join("record.json")).unwrap();
            symlink(victim.join("record.json"), run.join("record.json")).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        let whole = project();
        whole.write("noxide.toml", "[sessions.lint]\nartifacts = ['*.xml']\n");
        whole.write("lint.xml", "<testsuite name='ruff'><testcase name='a'/></testsuite>");
        whole.noxide(&["run"]);
        let victim = whole.outer_dir().join("victim");
        std::fs::create_dir(&victim).unwrap();
        fs_err::write(victim.join("secret"), "a secret of the user\n").unwrap();
        fs_err::write(victim.join("secret.xml"), "<testsuite name='secret'/>").unwrap();
        let run = run_dir(&whole.root().display().to_string());
        attack(&run, &victim);
        let target = whole.outer_dir().join("merged");
        let arguments = ["merge", run.to_str().unwrap(), "--junit", "j.xml", "--dir", target.to_str().unwrap()];
        let ran = whole.noxide(&arguments);
        assert_eq!(std::fs::read_to_string(victim.join("secret")).unwrap(), "a secret of the user\n", "{name}");
        assert!(!ran.text.contains("a secret of the user"), "{name}: {}", ran.text);
        let report = std::fs::read_to_string(whole.root().join("j.xml")).unwrap_or_default();
        assert!(!report.contains("secret"), "{name}: {report}");
        for entry in walkdir::WalkDir::new(&target).into_iter().flatten() {
            assert!(!entry.path_is_symlink(), "{name}: {}", entry.path().display());
            let text = std::fs::read(entry.path()).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains("a secret of the user"), "{name}");
        }
        if !name.contains("artifact is an absolute") {
            assert!(ran.exit != Some(0) && ran.text.contains("not "), "{name}: {}", ran.text);
            let report = whole.noxide(&["report", "--format", "html", run.join("record.json").to_str().unwrap()]);
            assert!(!report.text.contains("a secret of the user"), "{name}: {}", report.text);
        }
    }
}

#[test]
fn links_in_the_target_of_a_merge_are_replaced() {
    let whole = project();
    whole.noxide(&["run"]);
    let victim = whole.outer_dir().join("victim");
    fs_err::write(&victim, "precious").unwrap();
    let target = whole.outer_dir().join("merged");
    std::fs::create_dir_all(target.join("logs")).unwrap();
    for name in ["logs/lint.log", "record.json", "events.jsonl"] {
        symlink(&victim, target.join(name)).unwrap();
    }
    let ran = merge(&whole, &[whole.root().display().to_string()], &["--dir", target.to_str().unwrap()]);
    assert!(ran.text.contains("merged 1 run"), "{}", ran.text);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert!(std::fs::symlink_metadata(target.join("logs/lint.log")).unwrap().is_file());
}

//! On-disk compatibility: a run as version 3 wrote it, read by the current code.

use std::path::{Path, PathBuf};

use noxide::project::SessionName;
use noxide::project::default_run_data_dir;
use noxide::record::{ArtifactList, NeedOrigin, Outcome, RunRecord, RunStore, SessionHistory, read_events};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-3")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// A directory with a run of this record.
fn with_record(record: &Value) -> (tempfile::TempDir, RunStore) {
    let root = tempfile::tempdir().unwrap();
    let directory = RunStore::open(default_run_data_dir(root.path())).unwrap();
    fs_err::create_dir(directory.run_dir("1")).unwrap();
    fs_err::write(directory.run_dir("1").join("record.json"), record.to_string()).unwrap();
    (root, directory)
}

#[test]
fn a_record_of_version_3_round_trips() {
    let kept = json(&golden().join("record.json"));
    let (_root, directory) = with_record(&kept);
    let record = directory.read_record("1").unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), kept, "nothing is lost, renamed or added without a thought");
    assert_eq!((record.version, record.exit_code, record.slots), (3, Some(1), 2));
    assert_eq!(
        (
            record.count_outcome(Outcome::Passed),
            record.count_outcome(Outcome::Aborted),
            record.count_outcome(Outcome::Skipped)
        ),
        (2, 2, 1)
    );
    let tests = &record.sessions[1];
    assert_eq!((tests.spec.name.as_str(), &tests.spec.locks[0][..], tests.spec.cpus), ("tests", "database", 2));
    let result = tests.result.as_ref().unwrap();
    assert!(result.flaky && result.attempts.len() == 2 && result.attempts[0].reason == "not yet");
    assert_eq!(record.sessions[2].spec.needs[0].origin, NeedOrigin::Settings { location: "noxide.toml:6".to_owned() });
    assert_eq!(record.sessions[4].spec.needs[0].origin, NeedOrigin::Notify);
    let usual = SessionHistory::from_records(&[record]).usual_stats(&SessionName::new("report")).unwrap();
    assert_eq!((usual.wall_ms, usual.cpu_ms, usual.peak_memory), (6, Some(4), Some(21_082_112)));
}

#[test]
fn events_of_version_3_fold_into_their_record() {
    let events = read_events(&golden().join("events.jsonl")).unwrap();
    let lines = fs_err::read_to_string(golden().join("events.jsonl")).unwrap();
    for (event, line) in events.iter().zip(lines.lines()) {
        assert_eq!(serde_json::to_value(event).unwrap(), serde_json::from_str::<Value>(line).unwrap());
    }
    assert_eq!(events.len(), lines.lines().count());
    let kept: RunRecord = serde_json::from_value(json(&golden().join("record.json"))).unwrap();
    assert_eq!(RunRecord::from_events(&events, kept.machine.clone()), Some(kept));
}

#[test]
fn a_manifest_of_version_2_round_trips() {
    let all = ArtifactList::read_all(&golden());
    let [(directory, artifacts)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(*directory, golden().join("artifacts/tests"));
    assert_eq!(serde_json::to_value(artifacts).unwrap(), json(&directory.join("artifacts.json")));
    assert_eq!((artifacts.files.len(), artifacts.files[0].bytes), (2, 13));
    assert_eq!(artifacts.files[1].link_target.as_deref(), Some(Path::new("junit.xml")));
}

#[test]
fn later_versions_are_rejected_and_unknown_fields_ignored() {
    let mut record = json(&golden().join("record.json"));
    record["colour"] = "blue".into();
    assert!(with_record(&record).1.read_record("1").is_ok());
    for other in [1, 2, 4] {
        record["version"] = other.into();
        let (_root, store) = with_record(&record);
        let error = store.read_record("1").unwrap_err().to_string();
        assert!(error.contains("reads records of version 3") && error.contains(&format!("version {other}")), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut artifacts = json(&golden().join("artifacts/tests/artifacts.json"));
    artifacts["version"] = 1.into();
    fs_err::write(dir.path().join("artifacts.json"), artifacts.to_string()).unwrap();
    assert!(ArtifactList::read(dir.path()).unwrap_err().to_string().contains("version 1"));
    fs_err::write(dir.path().join("artifacts.json"), "{").unwrap();
    assert!(ArtifactList::read(dir.path()).is_err());
}

#[test]
fn installs_and_caches_are_imported_where_logged() {
    let mut kept = json(&golden().join("record.json"));
    kept["sessions"][1]["result"]["install"] = serde_json::json!({"wall_ms": 1200, "commands": 2, "skipped": 1});
    kept["sessions"][1]["result"]["cache"] = serde_json::json!({"hits": 27, "misses": 1, "restored_bytes": 4096, "restore_ms": 80, "miss_reason": "ruff 0.15.0 is not kept"});
    let (_root, directory) = with_record(&kept);
    let record = directory.read_record("1").unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), kept);
    let result = record.sessions[1].result.as_ref().unwrap();
    assert_eq!(result.install.map(|install| (install.wall_ms, install.commands, install.skipped)), Some((1200, 2, 1)));
    assert_eq!(result.cache.as_ref().map(|cache| (cache.hits, cache.misses)), Some((27, 1)));
    assert!(record.sessions[0].result.as_ref().unwrap().install.is_none());
}

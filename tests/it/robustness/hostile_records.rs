//! Untrusted records, logs and events: impossible numbers, special files in place of documents, clocks in the future.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use noxide::project::default_run_data_dir;
use noxide::record::{RunRecord, RunStore, read_events};
use serde_json::{Value, json};

use crate::support::{NoxideRun, Project, noxide_command, noxide_in, run};

const RUN: &str = "20260101-000000.000-aaaaaa";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-3").join(name)
}

fn golden_record() -> Value {
    serde_json::from_slice(&fs_err::read(golden("record.json")).unwrap()).unwrap()
}

/// All paths of numbers in a document, as JSON pointers.
fn numbers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(pointer.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| numbers(item, &format!("{pointer}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| numbers(item, &format!("{pointer}/{name}"), found));
        }
        _ => {}
    }
}

/// The path of a field as messages write it.
fn field_path(pointer: &str) -> String {
    let path = pointer.split('/').skip(1).fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(_) => format!("{path}[{part}]"),
        Err(_) => format!("{path}.{part}"),
    });
    path.trim_start_matches('.').to_owned()
}

#[test]
fn no_number_of_a_record_may_be_impossible() {
    let mut record = golden_record();
    record["shard"] = json!({ "index": 1, "count": 2, "sessions": ["lint"] });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.json");
    let mut pointers = Vec::new();
    numbers(&record, "", &mut pointers);
    assert!(pointers.len() > 40, "{pointers:?}");
    for pointer in &pointers {
        let may_be_negative = pointer.ends_with("/exit_status") || pointer.ends_with("/signal");
        for value in [json!(-1), json!(1_u64 << 60), json!(u64::MAX), json!(1e308), json!(-1e308), json!(1.5)] {
            let mut changed = record.clone();
            *changed.pointer_mut(pointer).unwrap() = value.clone();
            fs_err::write(&path, changed.to_string()).unwrap();
            let read = RunRecord::read(&path);
            if may_be_negative && value == json!(-1) {
                read.unwrap();
                continue;
            }
            let error = read.unwrap_err().to_string();
            assert!(error.contains("record.json"), "{pointer} = {value}: {error}");
            let names_field = error.contains(&field_path(pointer)) || pointer == "/version" || may_be_negative;
            assert!(names_field, "{pointer} = {value}: {error}");
        }
    }
    for text in ["NaN", "Infinity", "-Infinity", "1e999", "\"4\"", "null"] {
        let text = record.to_string().replace("\"slots\":2,", &format!("\"slots\":{text},"));
        fs_err::write(&path, text).unwrap();
        assert!(RunRecord::read(&path).unwrap_err().to_string().contains("record.json"));
    }
    // Of the attack: two billion shards, slots for which no memory suffices.
    for (pointer, value) in [("/slots", 1_u64 << 31), ("/shard/count", 2_000_000_000)] {
        let mut changed = record.clone();
        *changed.pointer_mut(pointer).unwrap() = json!(value);
        fs_err::create_dir_all(directory.path().join("in/logs")).unwrap();
        fs_err::write(directory.path().join("in/record.json"), changed.to_string()).unwrap();
        let ran = NoxideRun::finish(&mut noxide_in(directory.path(), &["merge", "in"]));
        assert_eq!(ran.exit, Some(2), "{}", ran.text);
        let field = field_path(pointer);
        assert!(ran.text.contains("record.json") && ran.text.contains(&format!("{field} is {value}")), "{}", ran.text);
    }
}

#[test]
fn events_with_impossible_numbers_or_outside_logs_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.jsonl");
    let lines = fs_err::read_to_string(golden("events.jsonl")).unwrap();
    for (number, line) in lines.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        let mut pointers = Vec::new();
        numbers(&event, "", &mut pointers);
        for pointer in
            pointers.iter().filter(|pointer| !pointer.ends_with("exit_status") && !pointer.ends_with("signal"))
        {
            for value in [json!(-1), json!(1_u64 << 60), json!(1.5)] {
                let mut changed = event.clone();
                *changed.pointer_mut(pointer).unwrap() = value;
                fs_err::write(&path, format!("{changed}\n")).unwrap();
                let error = read_events(&path).unwrap_err().to_string();
                assert!(
                    error.contains("events.jsonl:1: ") && error.contains(&field_path(pointer)),
                    "{number}: {error}"
                );
            }
        }
    }
    for log in ["/etc/passwd", "../../record.json", "logs/../../x"] {
        let event =
            json!({ "at": 1, "event": "session-started", "session": "a", "attempt": 1, "slots": [0], "log": log });
        fs_err::write(&path, format!("{event}\n")).unwrap();
        assert!(read_events(&path).unwrap_err().to_string().contains("not in the directory of the run"), "{log}");
    }
}

#[test]
fn lists_of_a_record_have_limits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.json");
    let mut record = golden_record();
    record["notices"] = vec![json!("a"); 60_000].into();
    fs_err::write(&path, record.to_string()).unwrap();
    assert!(RunRecord::read(&path).unwrap_err().to_string().contains("notices has 60000 items"));
    let mut record = golden_record();
    record["sessions"][0]["locks"] = vec![json!("a"); 50_001].into();
    fs_err::write(&path, record.to_string()).unwrap();
    let error = RunRecord::read(&path).unwrap_err().to_string();
    assert!(error.contains("locks has 5000") && error.contains("items, more than 50000"), "{error}");
    let mut record = golden_record();
    let sessions = record["sessions"].as_array_mut().unwrap();
    let ended = sessions.iter_mut().find(|session| !session["result"].is_null()).unwrap();
    let mut attempt = ended["result"]["attempts"][0].clone();
    attempt["slots"] = vec![json!(0); 50_000].into();
    ended["result"]["attempts"] = vec![attempt; 21].into();
    fs_err::write(&path, record.to_string()).unwrap();
    assert!(RunRecord::read(&path).unwrap_err().to_string().contains("items, more than 1000000"));
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(80 << 20).unwrap();
    assert!(RunRecord::read(&path).unwrap_err().to_string().contains("more than"));
}

/// A run with these files in the store of a project.
fn stored_run(project: &Project, run: &str) -> PathBuf {
    let store = RunStore::open(default_run_data_dir(project.root())).unwrap();
    let dir = store.run_dir(run);
    fs_err::create_dir_all(dir.join("logs")).unwrap();
    fs_err::write(dir.join("run.lock"), "").unwrap();
    let mut record = golden_record();
    record["run_id"] = json!(run);
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
    fs_err::copy(golden("events.jsonl"), dir.join("events.jsonl")).unwrap();
    for session in record["sessions"].as_array().unwrap() {
        for attempt in session["result"]["attempts"].as_array().into_iter().flatten() {
            fs_err::write(dir.join(attempt["log"].as_str().unwrap()), "log\n").unwrap();
        }
    }
    dir
}

type Harm = fn(&Path);
const HARMS: [(&str, Harm); 2] = [("pipe", put_pipe), ("device", put_device)];

fn put_pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, 0o600.into()).unwrap();
}

fn put_device(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

#[test]
fn special_files_in_a_run_are_not_opened() {
    let log = golden_record()["sessions"][1]["result"]["attempts"][0]["log"].as_str().unwrap().to_owned();
    for (name, harm) in HARMS {
        for file in ["record.json", "events.jsonl", &log, "../../imported.json", "artifacts"] {
            let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
            let dir = stored_run(&project, RUN);
            let path = dir.join(file);
            fs_err::remove_file(&path).ok();
            harm(&path);
            for command in
                ["report --format text", "report --format html -o x.html", "replay last", "run", "list", "merge ."]
            {
                let ran = NoxideRun::finish(&mut noxide_command(&project, command));
                let what = format!("{name} as {file}, noxide {command}: {}", ran.text);
                assert!(matches!(ran.exit, Some(0..=3)) && ran.elapsed < Duration::from_secs(30), "{what}");
                assert!(!ran.text.contains("panicked"), "{what}");
            }
        }
    }
}

/// A checkout can have links to devices, and an unpacked tree pipes, in place of the files that an audit reads.
#[test]
fn special_files_in_a_project_do_not_stop_an_audit() {
    for (name, harm) in HARMS {
        for file in ["setup.cfg", "setup.py", "pyproject.toml", "uv.lock", "noxide.toml", ".github/workflows/b.yml"] {
            let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
            project.write(".github/workflows/a.yml", "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [run: nox]\n");
            let path = project.root().join(file);
            fs_err::remove_file(&path).ok();
            harm(&path);
            let ran = NoxideRun::finish(&mut noxide_command(&project, "audit"));
            let what = format!("{name} as {file}: {}", ran.text);
            assert!(matches!(ran.exit, Some(0..=3)) && ran.elapsed < Duration::from_secs(30), "{what}");
        }
    }
}

/// A tree that was unpacked or checked out may have a link to any directory of the user as directory of the logs.
#[test]
fn logs_behind_a_link_are_not_shown() {
    let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
    let dir = stored_run(&project, RUN);
    let outside = project.outer_dir().join("outside");
    fs_err::rename(dir.join("logs"), &outside).unwrap();
    for entry in fs_err::read_dir(&outside).unwrap() {
        fs_err::write(entry.unwrap().path(), "private of the user\n").unwrap();
    }
    symlink(&outside, dir.join("logs")).unwrap();
    for command in [
        "replay last",
        "replay last -vv",
        "logs",
        "logs tests",
        "logs --failed",
        "logs tests --follow",
        "report last --format text",
        "report last --format markdown",
        "report last --format html -o -",
    ] {
        let ran = NoxideRun::finish(&mut noxide_command(&project, command));
        assert!(matches!(ran.exit, Some(2 | 3)), "noxide {command}: {ran:?}");
        assert!(!ran.text.contains("private of the user"), "noxide {command}: {}", ran.text);
    }
}

#[test]
fn shards_that_are_missing_are_named_by_range() {
    let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
    let dir = project.root().join("download");
    fs_err::create_dir_all(dir.join("logs")).unwrap();
    let mut record = golden_record();
    record["shard"] = json!({ "index": 3, "count": 10_000, "sessions": [] });
    fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
    let ran = NoxideRun::finish(&mut noxide_command(&project, "merge download --format json"));
    assert!(ran.elapsed < Duration::from_secs(20), "{:?}", ran.elapsed);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["missing_shards"], json!(["1-2/10000", "4-10000/10000"]), "{}", ran.text);
    for index in [0, 10_001] {
        record["shard"]["index"] = json!(index);
        fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
        let error = RunRecord::read(&dir.join("record.json")).unwrap_err().to_string();
        assert!(error.contains("shard.index is"), "{error}");
    }
}

/// Records, reports and the directory of a run are as private as the umask asks for.
#[test]
fn the_umask_holds_for_the_files_of_a_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::with_sessions("@nox.session\ndef one(session): print('ran')\n");
    fs_err::create_dir(project.root().join(".nox")).unwrap();
    let plain = noxide_command(&project, "");
    let mut command = std::process::Command::new("sh");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let script = "umask 077; exec \"$0\" run --junit junit.xml";
    command.current_dir(project.root()).args(["-c", script]).arg(plain.get_program());
    assert_eq!(NoxideRun::finish(&mut command).exit, Some(0));
    let runs = walkdir::WalkDir::new(default_run_data_dir(project.root()).join("runs")).min_depth(1);
    let paths = runs.into_iter().map(|entry| entry.unwrap().path().to_path_buf());
    let mut checked = 0;
    for path in paths.chain([project.root().join("junit.xml")]) {
        let metadata = fs_err::symlink_metadata(&path).unwrap();
        if !metadata.is_symlink() {
            assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 4, "{checked}");
}

#[test]
fn a_run_of_a_clock_in_the_future_does_not_remain_the_last() {
    let project = Project::with_sessions("@nox.session\ndef one(session): print('ran')\n");
    project.write("noxide.toml", "keep-runs = 2\n");
    stored_run(&project, "22000101-000000.000-aaaaaa");
    assert_eq!(run(&project, "").exit, Some(0));
    let store = RunStore::open_existing(default_run_data_dir(project.root())).unwrap();
    let runs = store.run_ids();
    assert_eq!((runs.len(), runs[0].as_str()), (2, "22000101-000000.000-aaaaaa"), "it is the oldest");
    assert_eq!(store.newest_records(1)[0].run_id, runs[1]);
    let report = project.noxide(&["report", "--format", "json"]);
    assert!(report.stdout.contains(&runs[1]), "{}", report.text);
    assert_eq!(run(&project, "").exit, Some(0));
    assert!(!store.run_ids().contains(&runs[0]), "it is removed first: {:?}", store.run_ids());
}

#[test]
fn a_junit_report_that_cannot_be_written_is_an_error() {
    let project = Project::with_sessions("@nox.session\ndef one(session): print('ran')\n");
    project.write("file", "");
    let ran = run(&project, "--junit file/junit.xml");
    assert_eq!(ran.exit, Some(3), "{}", ran.text);
    assert!(ran.text.contains("warning: cannot write the JUnit report: "), "{}", ran.text);
    assert_eq!(run(&project, "--junit directory/junit.xml").exit, Some(0));
    let failing = Project::with_sessions("@nox.session\ndef one(session): session.error('no')\n");
    failing.write("file", "");
    assert_eq!(run(&failing, "--junit file/junit.xml").exit, Some(1), "the failure counts more");
    assert_eq!(run(&project, "--report file/report.json").exit, Some(3));
}

#[test]
fn many_unknown_names_are_refused_at_once() {
    let sessions: String = (0..40).map(|number| format!("@nox.session\ndef s{number}(session): pass\n")).collect();
    let project = Project::with_sessions(&sessions);
    let select = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("unknown{number}")).collect();
        let mut command = noxide_command(&project, "run -s");
        NoxideRun::finish(command.args(names))
    };
    let (one, many) = (select(1), select(20_000));
    assert_eq!((one.exit, many.exit), (Some(2), Some(2)), "{}", one.text);
    // One second on an idle machine; tests may run beside many others.
    assert!(many.elapsed < one.elapsed + Duration::from_secs(8), "{:?} and {:?}", many.elapsed, one.elapsed);
    assert!(many.text.len() < 20_000, "{} bytes", many.text.len());
}

#[test]
fn the_newest_of_thousands_of_runs_is_merged_and_more_than_a_thousand_are_refused() {
    let project = Project::empty();
    let runs = project.root().join("download/.nox/.noxide/runs");
    for number in 0..4_000 {
        let run = runs.join(format!("20260101-000000.000-{number:06x}"));
        fs_err::create_dir_all(&run).unwrap();
        fs_err::write(run.join("record.json"), "").unwrap();
    }
    let newest = runs.join("20260102-000000.000-000000");
    fs_err::create_dir_all(newest.join("logs")).unwrap();
    fs_err::copy(golden("record.json"), newest.join("record.json")).unwrap();
    let ran = project.noxide(&["merge", "download"]);
    assert!(ran.stdout.contains("merged 1 run into"), "{ran:?}");
    for number in 0..=1_000 {
        let run = project.root().join(format!("many/{number}"));
        fs_err::create_dir_all(&run).unwrap();
        fs_err::write(run.join("record.json"), "").unwrap();
    }
    let ran = project.noxide(&["merge", "many"]);
    assert!(ran.exit == Some(2) && ran.text.contains("more than 1000 runs"), "{ran:?}");
}

#[test]
fn a_damaged_download_is_not_merged_as_a_success() {
    let project = Project::empty();
    let dir = project.root().join("download");
    fs_err::create_dir_all(dir.join("logs")).unwrap();
    let merge = |record: &Value| {
        fs_err::write(dir.join("record.json"), record.to_string()).unwrap();
        project.noxide(&["merge", "download"])
    };
    let mut record = golden_record();
    record["exit_code"] = json!(0);
    record["sessions"] = json!([record["sessions"][1]]);
    for outcome in ["passed", "failed"] {
        record["sessions"][0]["result"]["outcome"] = json!(outcome);
        let ran = merge(&record);
        assert_eq!(ran.exit, Some(i32::from(outcome == "failed")), "{}", ran.text);
    }
    record["sessions"][0]["result"] = Value::Null;
    assert_eq!(merge(&record).exit, Some(1), "it did not end");
    // A run without a record whose events are not a file of the download.
    record["sessions"] = json!([]);
    let other = project.root().join("download/other");
    fs_err::create_dir_all(&other).unwrap();
    symlink(golden("events.jsonl"), other.join("events.jsonl")).unwrap();
    let ran = merge(&record);
    assert!(ran.exit == Some(2) && ran.text.contains("is not a regular file"), "{}", ran.text);
}

#[test]
fn json_has_no_control_characters_of_a_terminal() {
    let project = Project::with_sessions("@nox.session\ndef one(session): pass\n");
    let mut record = golden_record();
    record["notices"] = json!(["a\u{9b}2J\u{202e}\u{2028}\u{7f}b"]);
    fs_err::write(project.root().join("record.json"), record.to_string()).unwrap();
    let ran = NoxideRun::finish(&mut noxide_command(&project, "report record.json --format json -o -"));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(document.to_string().contains("a\u{9b}2J\u{202e}\u{2028}\u{7f}b"), "{}", ran.text);
    let is_harmful = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}');
    assert_eq!(ran.stdout.find(is_harmful), None);
    assert!(ran.stdout.contains(r"a\u009b2J\u202e\u2028\u007fb"), "{}", ran.stdout);
}

#[test]
fn a_record_has_few_versions_and_lanes_for_slots_that_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.json");
    let mut record = golden_record();
    record["versions"] = (0..101).map(|number| json!([format!("p{number}"), "1"])).collect();
    fs_err::write(&path, record.to_string()).unwrap();
    let error = RunRecord::read(&path).unwrap_err().to_string();
    assert!(error.contains("versions has 101 items, more than 100"), "{error}");

    let mut record = golden_record();
    let sessions = record["sessions"].as_array_mut().unwrap();
    let ended = sessions.iter_mut().find(|session| !session["result"].is_null()).unwrap();
    ended["result"]["attempts"][0]["slots"] = json!([90_000, 90_000]);
    fs_err::write(&path, record.to_string()).unwrap();
    let report = ["report", path.to_str().unwrap(), "--format", "html", "-o", "-"];
    let page = NoxideRun::finish(&mut noxide_in(directory.path(), &report));
    assert_eq!(page.exit, Some(0), "{}", page.text);
    let lanes = page.stdout.matches("<div class=\"lane\">").count();
    assert!(page.stdout.contains(">90000<") && lanes < 10, "{lanes}");
}

#[test]
fn texts_of_a_record_are_one_line_and_escaped_in_files_too() {
    let project = Project::with_sessions("");
    let run_dir = project.root().join(".nox/.noxide/runs").join(RUN);
    fs_err::create_dir_all(run_dir.join("logs")).unwrap();
    let mut record = golden_record();
    record["commit"] = json!("ab\n::x\u{9b}\u{202e}");
    record["run_id"] = json!(RUN);
    fs_err::write(run_dir.join("record.json"), record.to_string()).unwrap();
    let ran = project.noxide(&["runs"]);
    assert!(ran.exit == Some(0) && ran.text.contains("ab") && !ran.text.contains("ab\n"), "{}", ran.text);
    for format in ["json", "perfetto"] {
        let file = project.outer_dir().join(format);
        let ran = project.noxide(&["report", "--format", format, "-o", file.to_str().unwrap()]);
        assert_eq!(ran.exit, Some(0), "{}", ran.text);
        let text = fs_err::read_to_string(file).unwrap();
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text}");
    }
}

#[test]
fn a_log_that_many_attempts_name_is_in_a_junit_report_as_often_as_its_limit_allows() {
    let directory = tempfile::tempdir().unwrap();
    let download = directory.path().join("download");
    fs_err::create_dir_all(download.join("logs")).unwrap();
    let mut record = golden_record();
    let sessions = record["sessions"].as_array_mut().unwrap();
    let ended = sessions.iter_mut().find(|session| !session["result"].is_null()).unwrap();
    let mut attempt = ended["result"]["attempts"][0].clone();
    attempt["outcome"] = json!("failed");
    attempt["log"] = json!("logs/one.log");
    attempt["log_bytes"] = json!(32 * 1024);
    ended["result"]["attempts"] = (0..600)
        .map(|number| {
            attempt["number"] = json!(number + 1);
            attempt.clone()
        })
        .collect();
    ended["result"]["outcome"] = json!("failed");
    fs_err::write(download.join("record.json"), record.to_string()).unwrap();
    fs_err::write(download.join("logs/one.log"), "MARK".to_owned() + &"x".repeat(32 * 1024 - 4)).unwrap();
    let merge = ["merge", "download", "--dir", "merged", "--junit", "junit.xml"];
    let ran = NoxideRun::finish(&mut noxide_in(directory.path(), &merge));
    let report = fs_err::read_to_string(directory.path().join("junit.xml")).unwrap();
    assert_eq!(report.matches("MARK").count(), 512, "{}", ran.text);
}

//! The race corpus: small noxfiles with the expected result in their first lines, traced one by one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::support::{CommandDeadline as _, Project, noxide_in, run_checked, shared_dir};

/// The directory of the corpus.
pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/trace/corpus")
}

/// A static program without a C library, built once.
pub(crate) fn static_program() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/trace/static.c");
    crate::support::build_once("trace-static", |dir| {
        std::fs::create_dir_all(dir).unwrap();
        let flags = ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-O1", "-o"];
        run_checked(Command::new("cc").args(flags).arg(dir.join("write")).arg(&source));
    });
    shared_dir().join("trace-static/write")
}

/// The expected result: `one two KIND PATH` of each race, `incomplete one` of each incomplete trace.
fn truth(text: &str, outside: &str) -> BTreeSet<String> {
    let header = text.lines().skip(1).take_while(|line| line.starts_with('#'));
    let race = |line: &str| {
        let found = line.strip_prefix("# race: ").map(str::to_owned);
        found.or_else(|| line.strip_prefix("# incomplete: ").map(|session| format!("incomplete {session}")))
    };
    header.filter_map(race).map(|line| line.replace("{outside}", outside)).collect()
}

fn found(case: &Path, service: u16, receiver: u16) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(case).unwrap();
    let project = Project::new(&text);
    let outside = project.outer_dir().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let outside = outside.canonicalize().unwrap();
    let mut command = noxide_in(project.root(), &["trace", "--format", "json"]);
    command.env("CORPUS_STATIC", static_program()).env("CORPUS_OUTSIDE", &outside);
    command.env("CORPUS_SERVICE", service.to_string()).env("CORPUS_RECEIVER", receiver.to_string());
    let output = command.finish();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(0) {
        return (truth(&text, ""), [format!("exit {:?}: {shown}", output.status.code())].into());
    }
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["version"], 2);
    let mut found = BTreeSet::new();
    for race in document["conflicts"].as_array().unwrap() {
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let pair = &race["sessions"];
        let (kind, path) = (word(&race["kind"]), word(&race["path"]));
        found.insert(format!("{} {} {kind} {path}", word(&pair[0]), word(&pair[1])));
    }
    for session in document["sessions"].as_array().unwrap().iter().filter(|session| session["complete"] == false) {
        found.insert(format!("incomplete {}", session["session"].as_str().unwrap()));
    }
    (truth(&text, &outside.display().to_string()), found)
}

#[test]
fn every_race_is_found_and_nothing_else() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 25);
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let receiver_port = receiver.local_addr().unwrap().port();
    static_program();
    let results = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let result = found(case, port, receiver_port);
                    results.lock().unwrap().push((case.file_stem().unwrap().to_owned(), result));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    assert_eq!(results.len(), cases.len());
    let (mut right, mut missed, mut false_alarms) = (0, Vec::new(), Vec::new());
    for (case, (truth, found)) in &results {
        right += truth.intersection(found).count();
        missed.extend(truth.difference(found).map(|race| format!("{}: {race}", case.display())));
        false_alarms.extend(found.difference(truth).map(|race| format!("{}: {race}", case.display())));
    }
    let rate = |right: usize, wrong: usize| right as f64 / (right + wrong) as f64;
    println!(
        "{} noxfiles, {} truths: recall {:.3}, precision {:.3}",
        results.len(),
        right + missed.len(),
        rate(right, missed.len()),
        rate(right, false_alarms.len())
    );
    assert!(missed.is_empty(), "missed: {missed:#?}\nfalse alarms: {false_alarms:#?}");
    assert!(false_alarms.is_empty(), "false alarms: {false_alarms:#?}");
}

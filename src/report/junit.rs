//! A run as a JUnit report: sessions are cases, the JUnit files of their own tests further suites.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString,
};

use super::suites::{Merged, merge};
use crate::record::{Artifacts, Attempt, Outcome, Record, RecordedSession};

/// How much of the end of a failed session's log stands in the report.
const TAIL: u64 = 32 * 1024;

/// A JUnit report.
#[derive(Debug)]
pub struct Junit {
    /// The document.
    pub xml: Vec<u8>,
    /// JUnit files that were passed over, and why, in sentences.
    pub passed_over: Vec<String>,
}

/// The report of a run; `folder` is the run's own, with its logs and what it gathered.
pub fn junit(record: &Record, folder: &Path) -> Junit {
    let mut report = Report::new("noxide");
    report.timestamp = record.time.parse().ok();
    report.set_time(Duration::from_millis(record.wall));
    let mut suite = TestSuite::new("sessions");
    suite.set_time(Duration::from_millis(record.wall));
    suite.timestamp = report.timestamp;
    suite.add_properties(suite_properties(record));
    suite.add_test_cases(record.sessions.iter().map(|session| case(session, folder)));
    report.add_test_suite(suite);
    let (merged, passed_over) = merged(folder);
    let mut more = Vec::new();
    for suites in merged {
        report.tests += suites.tests;
        report.failures += suites.failures;
        report.errors += suites.errors;
        report.skipped += suites.skipped;
        more.extend(suites.xml);
    }
    let mut xml = Vec::new();
    // Writing to memory fails only where memory does.
    let _ = report.serialize(&mut xml);
    let end = b"</testsuites>";
    let at = xml.windows(end.len()).rposition(|part| part == end).unwrap_or(xml.len());
    xml.splice(at..at, more);
    Junit { xml, passed_over }
}

fn suite_properties(record: &Record) -> Vec<Property> {
    let mut properties = vec![property("run", &record.run), property("slots", record.slots)];
    properties.extend(record.commit.as_ref().map(|commit| property("commit", commit)));
    properties.extend(record.interrupted.as_ref().map(|cause| property("interrupted", cause)));
    properties.extend(record.versions.iter().map(|(tool, version)| property(tool, version)));
    properties
}

fn case(session: &RecordedSession, folder: &Path) -> TestCase {
    let name = text(session.facts.name.as_str());
    let Some(result) = &session.result else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("noxide was killed before it was over").set_type("unfinished");
        return TestCase::new(name, status);
    };
    let (earlier, last) = match result.attempts.split_last() {
        Some((last, earlier)) => (earlier, Some(last)),
        None => (result.attempts.as_slice(), None),
    };
    let kind = kind(result.outcome, last.is_some());
    let mut status = match kind {
        None if result.outcome == Outcome::Skipped => TestCaseStatus::skipped(),
        None => TestCaseStatus::success(),
        Some(kind) => TestCaseStatus::non_success(kind),
    };
    if !result.reason.is_empty() {
        status.set_message(text(&result.reason));
    }
    if kind.is_some() {
        status.set_type(result.outcome.word());
        if let Some(tail) = last.and_then(|last| tail(folder, last)) {
            status.set_description(text(&tail));
        }
    }
    status.add_reruns(earlier.iter().map(|attempt| rerun(attempt, folder)));
    // Counted as failed only because it passed too late.
    if last.is_some_and(|last| last.outcome == Outcome::Passed) && result.outcome == Outcome::Failed {
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    let mut case = TestCase::new(name, status);
    case.set_classname("nox");
    case.set_time(Duration::from_millis(result.wall()));
    case.add_properties(case_properties(session, last));
    case
}

fn case_properties(session: &RecordedSession, last: Option<&Attempt>) -> Vec<Property> {
    let mut properties = Vec::new();
    if !session.facts.description.is_empty() {
        properties.push(property("description", &session.facts.description));
    }
    let Some(last) = last else { return properties };
    let attempts = session.result.as_ref().map_or(0, |result| result.attempts.len());
    properties.push(property("outcome", session.result.as_ref().map_or("", |result| result.outcome.word())));
    properties.push(property("attempts", attempts));
    properties.push(property("log", last.log.display()));
    properties.extend(last.exit.map(|exit| property("exit", exit)));
    properties.extend(last.signal.map(|signal| property("signal", signal)));
    properties.extend(last.cpu.map(|cpu| property("cpu-seconds", format!("{:.3}", cpu as f64 / 1_000.0))));
    properties.extend(last.peak_memory.map(|bytes| property("peak-memory-bytes", bytes)));
    if last.leaky {
        properties.push(property("leaky", "it left a process behind that held its output"));
    }
    properties
}

fn rerun(attempt: &Attempt, folder: &Path) -> TestRerun {
    let mut rerun = TestRerun::new(kind(attempt.outcome, true).unwrap_or(NonSuccessKind::Failure));
    rerun.set_time(Duration::from_millis(attempt.end.saturating_sub(attempt.start)));
    rerun.set_message(text(&attempt.reason)).set_type(attempt.outcome.word());
    if let Some(tail) = tail(folder, attempt) {
        rerun.set_description(text(&tail));
    }
    rerun
}

/// Failures are what sessions found; errors are what kept them from finding anything.
fn kind(outcome: Outcome, started: bool) -> Option<NonSuccessKind> {
    match outcome {
        Outcome::Passed | Outcome::Replayed | Outcome::Skipped => None,
        Outcome::Failed => Some(NonSuccessKind::Failure),
        // Given up by `session.error`, which is how noxfiles say what they found.
        Outcome::Aborted if started => Some(NonSuccessKind::Failure),
        Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled | Outcome::Aborted => Some(NonSuccessKind::Error),
    }
}

/// The end of an attempt's log from the start of a line on.
fn tail(folder: &Path, attempt: &Attempt) -> Option<String> {
    let mut file = fs_err::File::open(folder.join(&attempt.log)).ok()?;
    let from = attempt.log_bytes.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let start = if from == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1) };
    let kept = String::from_utf8_lossy(&bytes[start..]);
    let above = from + start as u64;
    Some(if above == 0 { kept.into_owned() } else { format!("({above} bytes above are left out)\n{kept}") })
}

fn property(name: &str, value: impl std::fmt::Display) -> Property {
    Property::new(text(name), text(&value.to_string()))
}

/// Text that may stand in XML; quick-junit takes out control characters and colours, but not these two.
fn text(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// The suites of all JUnit files that were gathered, and which files were passed over.
fn merged(folder: &Path) -> (Vec<Merged>, Vec<String>) {
    let (mut merged, mut passed_over) = (Vec::new(), Vec::new());
    for (place, artifacts) in Artifacts::of_run(folder) {
        let xml = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
        for file in artifacts.files.iter().filter(|file| file.target.is_none() && xml(&file.path)) {
            match merge(&place.join("files").join(&file.path), &artifacts.session) {
                Ok(suites) => merged.extend(suites),
                Err(why) => passed_over.push(format!(
                    "{} of {} is not in the JUnit report: {why}",
                    file.path.display(),
                    artifacts.session
                )),
            }
        }
    }
    (merged, passed_over)
}

//! JUnit report of a run: each session is a test case, each JUnit file of its own tests is merged as a suite.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString,
};

use super::junit_suites::{JunitFileError, RewrittenSuites, rewrite_suite_file};
use crate::fs::{RootDir, write_atomic};
use crate::record::{ArtifactList, AttemptResult, Outcome, RecordedSession, RunRecord};
use crate::text::visible_ranges;

/// Maximum number of bytes of merged JUnit files.
const MAX_MERGED_BYTES: usize = 256 << 20;
/// Number of invalid JUnit files after which no further file is merged: each is a warning.
const MAX_SKIPPED_FILES: usize = 1_000;

/// Bytes of a failed session's log to include.
const MAX_LOG_TAIL: u64 = 32 * 1024;
/// Most bytes of logs in a report: many attempts of a record may name one log.
const MAX_ALL_LOG_TAILS: u64 = 16 << 20;

/// A JUnit report.
#[derive(Debug)]
pub struct JunitReport {
    /// The XML document.
    pub xml: Vec<u8>,
    /// One sentence per skipped JUnit file, with the reason.
    pub skipped_files: Vec<String>,
}

/// Writes the JUnit report of a run, and returns a warning for each JUnit file of its artifacts that was skipped. `redact`
/// masks secrets in these files; logs and records have none.
///
/// # Errors
/// When the file or its directory cannot be written.
pub(crate) fn write_junit_report(
    path: &Path,
    record: &RunRecord,
    run_dir: &Path,
    redact: &dyn Fn(&str) -> String,
) -> std::io::Result<Vec<String>> {
    let report = build_junit_report(record, run_dir, redact);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs_err::create_dir_all(parent)?;
    }
    write_atomic(path, &report.xml)?;
    Ok(report.skipped_files)
}

/// Builds the report of a run; `run_dir` contains its logs and artifacts.
pub fn build_junit_report(record: &RunRecord, run_dir: &Path, redact: &dyn Fn(&str) -> String) -> JunitReport {
    let mut report = Report::new("noxide");
    report.timestamp = record.started_at.parse().ok();
    report.set_time(Duration::from_millis(record.wall_ms));
    let mut suite = TestSuite::new("sessions");
    suite.set_time(Duration::from_millis(record.wall_ms));
    suite.timestamp = report.timestamp;
    suite.add_properties(suite_properties(record));
    let logs = LogTails { run_dir, bytes_left: Cell::new(MAX_ALL_LOG_TAILS) };
    suite.add_test_cases(record.sessions.iter().map(|session| session_test_case(session, &logs)));
    report.add_test_suite(suite);
    let (merged, skipped_files) = merge_artifact_suites(run_dir, redact);
    let mut merged_xml = Vec::new();
    for suites in merged {
        report.tests += suites.tests;
        report.failures += suites.failures;
        report.errors += suites.errors;
        report.skipped += suites.skipped;
        merged_xml.extend(suites.xml);
    }
    let mut xml = Vec::new();
    // Writing to memory does not fail.
    let _ = report.serialize(&mut xml);
    let end = b"</testsuites>";
    let at = xml.windows(end.len()).rposition(|part| part == end).unwrap_or(xml.len());
    xml.splice(at..at, merged_xml);
    JunitReport { xml, skipped_files }
}

fn suite_properties(record: &RunRecord) -> Vec<Property> {
    let mut properties = vec![xml_property("run", &record.run_id), xml_property("slots", record.slots)];
    properties.extend(record.commit.as_ref().map(|commit| xml_property("commit", commit)));
    properties.extend(record.interrupt_cause.as_ref().map(|cause| xml_property("interrupted", cause)));
    properties.extend(record.versions.iter().map(|(tool, version)| xml_property(tool, version)));
    properties
}

fn session_test_case(session: &RecordedSession, logs: &LogTails<'_>) -> TestCase {
    let name = sanitize_xml_text(session.spec.name.as_str());
    let Some(result) = &session.result else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("noxide was killed before the session ended").set_type("unfinished");
        return TestCase::new(name, status);
    };
    let (earlier, last) = match result.attempts.split_last() {
        Some((last, earlier)) => (earlier, Some(last)),
        None => (result.attempts.as_slice(), None),
    };
    let kind = failure_kind(result.outcome, last.is_some());
    let mut status = match kind {
        None if result.outcome == Outcome::Skipped => TestCaseStatus::skipped(),
        None => TestCaseStatus::success(),
        Some(kind) => TestCaseStatus::non_success(kind),
    };
    if !result.reason.is_empty() {
        status.set_message(sanitize_xml_text(&result.reason));
    }
    if kind.is_some() {
        status.set_type(result.outcome.as_str());
        if let Some(tail) = last.and_then(|last| logs.read(last)) {
            status.set_description(sanitize_xml_text(&tail));
        }
    }
    status.add_reruns(earlier.iter().map(|attempt| failed_attempt_rerun(attempt, logs)));
    // It passed after a failed attempt, which the settings count as a failure.
    if last.is_some_and(|last| last.outcome == Outcome::Passed) && result.outcome == Outcome::Failed {
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    let mut case = TestCase::new(name, status);
    case.set_classname("nox");
    case.set_time(Duration::from_millis(result.wall_time()));
    case.add_properties(case_properties(session, last));
    case
}

fn case_properties(session: &RecordedSession, last: Option<&AttemptResult>) -> Vec<Property> {
    let mut properties = Vec::new();
    if !session.spec.description.is_empty() {
        properties.push(xml_property("description", &session.spec.description));
    }
    let Some(last) = last else { return properties };
    let attempts = session.result.as_ref().map_or(0, |result| result.attempts.len());
    properties.push(xml_property("outcome", session.result.as_ref().map_or("", |result| result.outcome.as_str())));
    properties.push(xml_property("attempts", attempts));
    properties.push(xml_property("log", last.log.display()));
    properties.extend(last.exit_status.map(|exit| xml_property("exit", exit)));
    properties.extend(last.signal.map(|signal| xml_property("signal", signal)));
    properties.extend(last.cpu_ms.map(|cpu| xml_property("cpu-seconds", format!("{:.3}", cpu as f64 / 1_000.0))));
    properties.extend(last.peak_memory.map(|bytes| xml_property("peak-memory-bytes", bytes)));
    if last.leaky {
        properties.push(xml_property("leaky", "it left a process running that kept its output open"));
    }
    properties
}

fn failed_attempt_rerun(attempt: &AttemptResult, logs: &LogTails<'_>) -> TestRerun {
    let mut rerun = TestRerun::new(failure_kind(attempt.outcome, true).unwrap_or(NonSuccessKind::Failure));
    rerun.set_time(Duration::from_millis(attempt.end.saturating_sub(attempt.start)));
    rerun.set_message(sanitize_xml_text(&attempt.reason)).set_type(attempt.outcome.as_str());
    if let Some(tail) = logs.read(attempt) {
        rerun.set_description(sanitize_xml_text(&tail));
    }
    rerun
}

/// Returns whether an outcome is a failure (found by the session) or an error (the session could not do its work).
fn failure_kind(outcome: Outcome, started: bool) -> Option<NonSuccessKind> {
    match outcome {
        Outcome::Passed | Outcome::Skipped => None,
        Outcome::Failed => Some(NonSuccessKind::Failure),
        // `session.error`, by which noxfiles report a failure.
        Outcome::Aborted if started => Some(NonSuccessKind::Failure),
        Outcome::TimedOut | Outcome::Crashed | Outcome::Cancelled | Outcome::Aborted => Some(NonSuccessKind::Error),
    }
}

/// The ends of the logs of a run.
struct LogTails<'a> {
    run_dir: &'a Path,
    bytes_left: Cell<u64>,
}

impl LogTails<'_> {
    /// Reads the end of an attempt's log, from the start of a line; `None` if the others were too long.
    fn read(&self, attempt: &AttemptResult) -> Option<String> {
        self.bytes_left.get().checked_sub(MAX_LOG_TAIL)?;
        let mut file = RootDir::open(self.run_dir).and_then(|run| run.open_file(&attempt.log)).ok()?;
        let from = attempt.log_bytes.saturating_sub(MAX_LOG_TAIL);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG_TAIL).read_to_end(&mut bytes).ok()?;
        self.bytes_left.set(self.bytes_left.get().saturating_sub(bytes.len() as u64));
        let start = if from == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1) };
        let tail = String::from_utf8_lossy(&bytes[start..]);
        let above = from + start as u64;
        Some(if above == 0 { tail.into_owned() } else { format!("({above} bytes above omitted)\n{tail}") })
    }
}

fn xml_property(name: &str, value: impl std::fmt::Display) -> Property {
    Property::new(sanitize_xml_text(name), sanitize_xml_text(&value.to_string()))
}

/// Strips control sequences by the rules by which secrets are masked, so that no part of one appears, and replaces
/// characters that XML does not allow and quick-junit does not remove.
fn sanitize_xml_text(text: &str) -> XmlString {
    let visible = |line| visible_ranges(line).into_iter().map(move |range| &line[range]);
    let text: String = text.split_inclusive('\n').flat_map(visible).collect();
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// Merges the suites of all collected JUnit files; also returns the skipped files.
fn merge_artifact_suites(run_dir: &Path, redact: &dyn Fn(&str) -> String) -> (Vec<RewrittenSuites>, Vec<String>) {
    let (mut merged, mut skipped_files) = (Vec::<RewrittenSuites>::new(), Vec::new());
    // The list may come from another runner.
    let (mut seen, mut bytes_left) = (BTreeSet::new(), MAX_MERGED_BYTES);
    for (session_dir, artifacts) in ArtifactList::read_all(run_dir) {
        let xml = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
        for file in artifacts.files.iter().filter(|file| file.link_target.is_none() && xml(&file.path)) {
            let path = session_dir.strip_prefix(run_dir).unwrap_or(&session_dir).join("files").join(&file.path);
            if !seen.insert(path.clone()) {
                continue;
            }
            let name = format!("{} of {}", file.path.display(), artifacts.session);
            let opened = RootDir::open(run_dir).and_then(|run| run.open_file(&path));
            match rewrite_suite_file(opened, &artifacts.session, bytes_left, redact) {
                Ok(suites) => {
                    bytes_left = bytes_left.saturating_sub(suites.as_ref().map_or(0, |suites| suites.xml.len()));
                    merged.extend(suites);
                }
                Err(JunitFileError::ReportTooLarge) => {
                    skipped_files
                        .push(format!("{name} and later files are not in the JUnit report: it would be too large"));
                    return (merged, skipped_files);
                }
                Err(_) if skipped_files.len() == MAX_SKIPPED_FILES => {
                    skipped_files
                        .push(format!("{name} and later files are not in the JUnit report: too many are invalid"));
                    return (merged, skipped_files);
                }
                Err(reason) => skipped_files.push(format!("{name} is not in the JUnit report: {reason}")),
            }
        }
    }
    (merged, skipped_files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_stripped_by_the_rules_of_masking() {
        for (text, shown) in [
            // A control string without an end hides the rest of its line from masking.
            ("a\u{90}b\nc", "a\nc"),
            ("a\u{9d}b\nc", "a\nc"),
            ("a\x1b]b\nc", "a\nc"),
            ("a\u{9b}31mb\x1b[0m c\n", "ab c\n"),
            ("a\u{202e}b\u{7f}c", "abc"),
        ] {
            assert_eq!(sanitize_xml_text(text).as_str(), shown, "{text:?}");
        }
    }
}

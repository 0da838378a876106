//! Saved logs: output of nox from 2022 on, with or without a forge's timestamps, and lists of checks.

use super::duration::{millis_between, parse_humanized_duration};
use super::json_fields::sanitize_name;
use super::statuses::{job_name, parse_status_description};
use crate::record::ImportedJob;
use crate::text::strip_control_sequences;

/// Content of a log: jobs in order of completion, the first timestamp, and nox's own total in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedLog {
    pub(super) jobs: Vec<ImportedJob>,
    pub(super) first_timestamp: Option<String>,
    pub(super) total_ms: Option<u64>,
}

/// Parses a log.
///
/// Since 2025.11, nox prints how long a session took if it took a second or more. For older versions the durations come
/// from the forge's timestamps.
pub(super) fn parse_log(text: &str) -> ParsedLog {
    let mut log = ParsedLog::default();
    let mut started: Vec<(String, Option<String>)> = Vec::new();
    for line in text.lines() {
        let line = strip_control_sequences(line);
        let (time, text) = split_timestamp(&line);
        if log.first_timestamp.is_none() {
            log.first_timestamp = time.map(str::to_owned);
        }
        if let Some(message) = text.find("nox > ").map(|at| text[at + 6..].trim()) {
            parse_nox_line(message, time, &mut started, &mut log);
        } else if let Some((context, passed, wall)) = parse_check_line(text) {
            log.jobs.push(ImportedJob { name: sanitize_name(&job_name(context)), wall_ms: Some(wall), passed });
        }
    }
    log
}

/// Splits a line into the forge's timestamp and the rest.
fn split_timestamp(line: &str) -> (Option<&str>, &str) {
    // GitHub's downloads begin each line with job, step and time, separated by tabs.
    let rest = line.rsplit('\t').next().unwrap_or(line).trim_start_matches('\u{feff}');
    match rest.split_once(' ') {
        Some((time, text)) if time.parse::<jiff::Timestamp>().is_ok() => (Some(time), text),
        _ => (None, rest),
    }
}

fn parse_nox_line(message: &str, time: Option<&str>, started: &mut Vec<(String, Option<String>)>, log: &mut ParsedLog) {
    if let Some(name) = message.strip_prefix("Running session ") {
        started.push((name.to_owned(), time.map(str::to_owned)));
        return;
    }
    if let Some(rest) = message.strip_prefix("Ran ") {
        log.total_ms =
            rest.split_once(" in ").and_then(|(_, time)| parse_humanized_duration(time.trim_end_matches(':')));
        return;
    }
    // `* lint: success, took 3 seconds`, in the final list: for sessions that were not reported before.
    if let Some((name, end)) = message.strip_prefix("* ").and_then(|rest| rest.rsplit_once(": ")) {
        let (word, took) = end.split_once(", took ").map_or((end, None), |(word, took)| (word, Some(took)));
        if ["success", "failed"].contains(&word) && !log.jobs.iter().any(|job| job.name == sanitize_name(name)) {
            let wall = took.and_then(parse_humanized_duration);
            log.jobs.push(ImportedJob { name: sanitize_name(name), wall_ms: wall, passed: word == "success" });
        }
        return;
    }
    let Some(rest) = message.strip_prefix("Session ") else { return };
    let ended = [(" was successful", true), (" failed", false)];
    let Some((name, after, passed)) = ended
        .iter()
        .find_map(|(word, passed)| rest.find(word).map(|at| (&rest[..at], &rest[at + word.len()..], *passed)))
    else {
        return;
    };
    let start = started.iter().rposition(|(other, _)| other == name).map(|at| started.remove(at));
    let measured = start.and_then(|(_, start)| millis_between(start.as_deref()?, time?));
    let printed =
        after.strip_prefix(" in ").or_else(|| after.strip_prefix(" (took ").and_then(|rest| rest.split(')').next()));
    let wall = measured.or_else(|| printed.and_then(parse_humanized_duration));
    log.jobs.push(ImportedJob { name: sanitize_name(name), wall_ms: wall, passed });
}

/// Parses a line of a list of checks: `ci.yml / lint (pull_request) Successful in 26s`.
fn parse_check_line(line: &str) -> Option<(&str, bool, u64)> {
    ["Successful in ", "Failing after "].iter().find_map(|word| {
        let at = line.find(word)?;
        let (passed, wall) = parse_status_description(&line[at..])?;
        let context = line[..at].trim().trim_end_matches([':', '|', '-', '—', '–']).trim();
        (!context.is_empty()).then_some((context, passed, wall))
    })
}

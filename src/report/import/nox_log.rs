//! Saved logs: output of nox from 2022 on, with or without a forge's timestamps, and lists of checks.

use std::collections::{HashMap, HashSet};

use super::duration::{millis_between, parse_humanized_duration};
use super::json_fields::{ResponseFormatError, sanitize_name};
use super::statuses::{job_name, parse_status_description};
use crate::record::ImportedJob;
use crate::text::strip_control_sequences;

/// Most jobs of a log.
const MAX_LOG_JOBS: usize = 50_000;

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
///
/// # Errors
/// If it has more jobs than a run can have.
pub(super) fn parse_log(text: &str) -> Result<ParsedLog, ResponseFormatError> {
    let mut parser = LogParser::default();
    for line in text.lines() {
        parser.parse_line(&strip_control_sequences(line));
        if parser.log.jobs.len() > MAX_LOG_JOBS {
            let problem = format!("the log has more than {MAX_LOG_JOBS} jobs; import a part of it");
            return Err(ResponseFormatError(problem));
        }
    }
    Ok(parser.log)
}

/// A log that is read line by line. Any session can print such lines, so each takes the same time.
#[derive(Default)]
struct LogParser {
    log: ParsedLog,
    /// Names of the jobs found so far.
    job_names: HashSet<String>,
    /// Timestamps at which sessions started that have not ended, by name.
    started: HashMap<String, Vec<Option<String>>>,
}

impl LogParser {
    fn parse_line(&mut self, line: &str) {
        let (time, text) = split_timestamp(line);
        if self.log.first_timestamp.is_none() {
            self.log.first_timestamp = time.map(str::to_owned);
        }
        if let Some(message) = text.find("nox > ").map(|at| text[at + 6..].trim()) {
            self.parse_nox_line(message, time);
        } else if let Some((context, passed, wall)) = parse_check_line(text) {
            self.add_job(ImportedJob { name: sanitize_name(&job_name(context)), wall_ms: Some(wall), passed });
        }
    }

    fn add_job(&mut self, job: ImportedJob) {
        self.job_names.insert(job.name.clone());
        self.log.jobs.push(job);
    }

    fn parse_nox_line(&mut self, message: &str, time: Option<&str>) {
        if let Some(name) = message.strip_prefix("Running session ") {
            self.started.entry(name.to_owned()).or_default().push(time.map(str::to_owned));
            return;
        }
        if let Some(rest) = message.strip_prefix("Ran ") {
            self.log.total_ms =
                rest.split_once(" in ").and_then(|(_, time)| parse_humanized_duration(time.trim_end_matches(':')));
            return;
        }
        // `* lint: success, took 3 seconds`, in the final list: for sessions that were not reported before.
        if let Some((name, end)) = message.strip_prefix("* ").and_then(|rest| rest.rsplit_once(": ")) {
            let (word, took) = end.split_once(", took ").map_or((end, None), |(word, took)| (word, Some(took)));
            let name = sanitize_name(name);
            if ["success", "failed"].contains(&word) && !self.job_names.contains(&name) {
                let wall = took.and_then(parse_humanized_duration);
                self.add_job(ImportedJob { name, wall_ms: wall, passed: word == "success" });
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
        let start = self.started.get_mut(name).and_then(Vec::pop);
        let measured = start.and_then(|start| millis_between(start.as_deref()?, time?));
        let printed = after
            .strip_prefix(" in ")
            .or_else(|| after.strip_prefix(" (took ").and_then(|rest| rest.split(')').next()));
        let wall = measured.or_else(|| printed.and_then(parse_humanized_duration));
        self.add_job(ImportedJob { name: sanitize_name(name), wall_ms: wall, passed });
    }
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

/// Parses a line of a list of checks: `ci.yml / lint (pull_request) Successful in 26s`.
fn parse_check_line(line: &str) -> Option<(&str, bool, u64)> {
    ["Successful in ", "Failing after "].iter().find_map(|word| {
        let at = line.find(word)?;
        let (passed, wall) = parse_status_description(&line[at..])?;
        let context = line[..at].trim().trim_end_matches([':', '|', '-', '—', '–']).trim();
        (!context.is_empty()).then_some((context, passed, wall))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_reported_once_and_their_number_is_limited() {
        let list = "nox > * a: success, took 3 seconds\n";
        let text = format!("nox > Running session a\nnox > Session a was successful in 2 seconds.\n{list}{list}");
        let jobs = parse_log(&text).unwrap().jobs;
        assert_eq!(jobs, [ImportedJob { name: "a".to_owned(), wall_ms: Some(2000), passed: true }]);
        let lines = |count: usize| (0..count).map(|number| format!("nox > * s{number}: success\n")).collect::<String>();
        assert_eq!(parse_log(&lines(MAX_LOG_JOBS)).unwrap().jobs.len(), MAX_LOG_JOBS);
        let error = parse_log(&lines(MAX_LOG_JOBS + 1)).unwrap_err().to_string();
        assert_eq!(error, "the log has more than 50000 jobs; import a part of it");
    }
}

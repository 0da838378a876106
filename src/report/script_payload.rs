//! JSON payload of the page's script: sessions and their history in compact form.

use std::collections::HashMap;

use serde::Serialize;

use super::critical_path::CriticalPathEntry;
use super::page_view::{has_failed_itself, is_slower_than_usual, was_stopped};
use super::run_history::PastSession;
use super::run_report::{AttemptReport, RunReport, SessionReport};
use super::text::outcome_mark;
use crate::record::{NeedOrigin, Outcome};

/// Payload of the page's script.
#[derive(Serialize)]
pub(super) struct ScriptPayload<'a> {
    sessions: Vec<ScriptSession<'a>>,
}

/// One session; empty values are omitted.
#[derive(Serialize)]
struct ScriptSession<'a> {
    name: &'a str,
    outcome: &'static str,
    mark: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stopped: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    flaky: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    slower: bool,
    /// Index of each session that it needs, with the origin of the need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<(usize, String)>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    locks: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    exclusive: bool,
    cpus: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usual: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<u64>,
    /// Number of packages found in the cache, and of all required packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busy_cpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<ScriptAttempt<'a>>,
    /// Duration in each run in hundredths of a second, or `None` if it did not run.
    history_centis: Vec<Option<u64>>,
    /// One letter per run: the outcome.
    history_outcomes: String,
}

/// Number, outcome, start, end, slots, reason.
type ScriptAttempt<'a> = (u32, &'static str, u64, u64, &'a [usize], &'a str);

/// Builds the payload.
pub(super) fn build_script_payload(report: &RunReport) -> ScriptPayload<'_> {
    let indexes = report.session_indexes();
    let links: HashMap<&str, &CriticalPathEntry> =
        report.critical_path.iter().map(|link| (link.session.as_str(), link)).collect();
    let link_of = |session: &SessionReport| links.get(session.name.as_str()).copied();
    let sessions = report.sessions.iter().map(|session| script_session(session, &indexes, link_of(session)));
    ScriptPayload { sessions: sessions.collect() }
}

/// Describes a session; `link` is its entry on the critical path.
fn script_session<'a>(
    session: &'a SessionReport,
    indexes: &HashMap<&str, usize>,
    link: Option<&CriticalPathEntry>,
) -> ScriptSession<'a> {
    let needs = session
        .needs
        .iter()
        .filter_map(|need| Some((*indexes.get(need.session.as_str())?, describe_need_origin(&need.origin))));
    // A single attempt has the same times as the session.
    let several = session.attempts.len() > 1;
    let attempts = session.attempts.iter().filter(|_| several).map(script_attempt);
    ScriptSession {
        name: &session.name,
        outcome: session.outcome_str(),
        mark: outcome_mark(session.outcome),
        description: &session.description,
        reason: &session.reason,
        failed: has_failed_itself(session),
        stopped: was_stopped(session),
        flaky: session.was_flaky,
        slower: is_slower_than_usual(session),
        needs: needs.collect(),
        locks: &session.locks,
        exclusive: session.exclusive,
        cpus: session.cpus,
        start: session.start,
        wall: session.wall,
        usual: session.usual,
        delta: session.wall.zip(session.usual).map(|(wall, usual)| to_signed(wall) - to_signed(usual)),
        waited: session.waited.filter(|waited| *waited > 0),
        install: session.install,
        cache: session.cache.as_ref().map(|cache| (cache.hits, cache.hits + cache.misses)),
        busy_cpus: session.busy_cpus().map(|busy| (busy * 100.0).round() / 100.0),
        memory: session.peak_memory.map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20))),
        wait_reason: link.map(|link| link.reason.describe_wait()),
        attempts: attempts.collect(),
        history_centis: session
            .history
            .iter()
            .map(|past| past.and_then(|past| past.wall).map(|ms| (ms + 5) / 10))
            .collect(),
        history_outcomes: session.history.iter().map(outcome_letter).collect(),
    }
}

fn script_attempt(attempt: &AttemptReport) -> ScriptAttempt<'_> {
    (attempt.number, attempt.outcome.as_str(), attempt.start, attempt.end, &attempt.slots, &attempt.reason)
}

fn to_signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn describe_need_origin(origin: &NeedOrigin) -> String {
    match origin {
        NeedOrigin::Requires => "requires".to_owned(),
        NeedOrigin::Notify => "notify".to_owned(),
        NeedOrigin::Coverage { data_file } => format!("reads {data_file}"),
        NeedOrigin::SharedVariable { name } => format!("reads {name}"),
        NeedOrigin::Settings { location } => location.clone(),
        NeedOrigin::Trace { path } => format!("trace: {path}"),
    }
}

fn outcome_letter(past: &Option<PastSession>) -> char {
    let Some(past) = past else { return '.' };
    match past.outcome {
        Some(Outcome::Passed) => 'p',
        Some(Outcome::Skipped) => 's',
        Some(Outcome::Failed) => 'f',
        Some(Outcome::TimedOut) => 't',
        Some(Outcome::Crashed) => 'x',
        Some(Outcome::Cancelled) => 'c',
        Some(Outcome::Aborted) => 'a',
        None => 'u',
    }
}

//! Run report: data of one run and its history, from which every output format is rendered.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::critical_path::{CriticalPathEntry, LowerBounds, critical_path, lower_bounds};
use super::run_history::{FlakySession, PastRun, PastSession, find_flaky_sessions, usual_wall};
use crate::record::{CacheStats, Machine, Outcome, RecordedSession, RunRecord, SessionNeed};
use crate::text::pluralize;

/// Format version of the document.
pub(crate) const REPORT_VERSION: u32 = 2;

/// Report of one run and its history. Times are milliseconds since the run's start unless noted otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// Always `REPORT_VERSION`.
    pub version: u32,
    /// Totals of the run.
    pub run: RunTotals,
    /// Critical path of the run.
    pub critical_path: Vec<CriticalPathEntry>,
    /// Lower bounds for the duration of these sessions.
    pub lower_bounds: LowerBounds,
    /// Sessions in plan order.
    pub sessions: Vec<SessionReport>,
    /// Flaky sessions.
    pub flaky_sessions: Vec<FlakySession>,
    /// This run and earlier ones, oldest first; in the same order as each session's `history`.
    pub recent_runs: Vec<PastRun>,
}

/// Totals of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunTotals {
    /// Run identifier.
    #[serde(rename = "run")]
    pub(crate) run_id: String,
    /// Name of the project's directory.
    pub(crate) project: String,
    /// Wall-clock time of the start, RFC 3339.
    pub(crate) time: String,
    /// Duration in milliseconds.
    pub(crate) wall: u64,
    /// Sum of the sessions' durations.
    pub(crate) session_total: u64,
    /// CPU time of all sessions, if measured.
    pub(crate) cpu: Option<u64>,
    /// Sum of the times during which sessions were ready but not running, in milliseconds.
    pub(crate) waited: u64,
    /// Install time of all sessions in milliseconds, if measured.
    pub(crate) install: Option<u64>,
    /// Cache statistics of all sessions, if a cache was used.
    pub(crate) cache: Option<CacheStats>,
    /// Exit code of noxide.
    pub(crate) exit: Option<u8>,
    /// Reason for an early end.
    pub(crate) interrupted: Option<String>,
    pub(crate) commit: Option<String>,
    /// Number of slots.
    pub(crate) slots: usize,
    pub(crate) machine: Machine,
    pub(crate) versions: Vec<(String, String)>,
    /// Notices shown during the run.
    pub(crate) notices: Vec<String>,
}

/// Report of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionReport {
    /// Session name.
    pub name: String,
    /// First line of its docstring.
    pub description: String,
    /// Outcome, or `None` if noxide was killed before the session ended.
    pub outcome: Option<Outcome>,
    /// Reason for the outcome.
    pub reason: String,
    /// Whether it passed after a failed attempt.
    pub flaky: bool,
    /// Sessions it needs.
    pub needs: Vec<SessionNeed>,
    /// Named locks it holds.
    pub locks: Vec<String>,
    /// Whether it runs alone.
    pub exclusive: bool,
    /// Slots that it takes (setting `cpus`).
    pub cpus: usize,
    /// When all sessions that it needs had ended.
    pub ready: u64,
    /// Start of the first attempt.
    pub start: Option<u64>,
    /// End of the last attempt.
    pub end: Option<u64>,
    /// Time between ready and start.
    pub waited: Option<u64>,
    /// Time from the first start to the last end.
    pub wall: Option<u64>,
    /// Install time in milliseconds, if measured.
    pub install: Option<u64>,
    /// Cache statistics, if a cache was used.
    pub cache: Option<CacheStats>,
    /// CPU time of all attempts.
    pub cpu: Option<u64>,
    /// Peak memory of any attempt, in bytes.
    pub peak_memory: Option<u64>,
    /// Usual wall time: the median of the passing attempts in earlier runs.
    pub usual: Option<u64>,
    /// Whether it is on the critical path.
    pub on_critical_path: bool,
    /// Whether it is flaky in this run or in the history.
    #[serde(skip)]
    pub(super) was_flaky: bool,
    /// Its attempts.
    pub attempts: Vec<AttemptReport>,
    /// The session in each of `recent_runs`, or `None` if the run did not include it.
    pub history: Vec<Option<PastSession>>,
}

/// One attempt of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptReport {
    /// Attempt number, from 1.
    pub(crate) number: u32,
    pub(crate) outcome: Outcome,
    /// Reason for the outcome.
    pub(crate) reason: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Slots it occupied.
    pub(crate) slots: Vec<usize>,
}

impl RunReport {
    /// Builds the report of a run; `earlier` are the records before it, newest first.
    pub fn from_record(record: &RunRecord, earlier: &[RunRecord]) -> Self {
        let runs: Vec<&RunRecord> = earlier.iter().rev().chain([record]).collect();
        // What a stopped run waited for says nothing about its duration.
        let critical = if record.interrupt_cause.is_none() { critical_path(record) } else { Vec::new() };
        let past_sessions: Vec<HashMap<&str, PastSession>> =
            runs.iter().map(|run| PastSession::by_session(run)).collect();
        let ends = session_ends(record);
        let mut sessions: Vec<SessionReport> =
            record.sessions.iter().map(|session| build_session_report(session, &ends, &past_sessions)).collect();
        let flaky = find_flaky_sessions(&runs);
        let critical_names: HashSet<&str> = critical.iter().map(|link| link.session.as_str()).collect();
        let flaky_names: HashSet<&str> = flaky.iter().map(|flaky| flaky.session.as_str()).collect();
        for session in &mut sessions {
            session.on_critical_path = critical_names.contains(session.name.as_str());
            session.was_flaky = flaky_names.contains(session.name.as_str());
        }
        let sum = |figure: fn(&SessionReport) -> Option<u64>| {
            sessions.iter().filter_map(figure).fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0) + one))
        };
        let project = record.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let run = RunTotals {
            run_id: record.run_id.clone(),
            project: project.unwrap_or_else(|| "project".to_owned()),
            time: record.started_at.clone(),
            wall: record.wall_ms,
            session_total: sum(|session| session.wall).unwrap_or(0),
            cpu: sum(|session| session.cpu),
            waited: sum(|session| session.waited).unwrap_or(0),
            install: sum(|session| session.install),
            cache: sum_cache_stats(&sessions),
            exit: record.exit_code,
            interrupted: record.interrupt_cause.clone(),
            commit: record.commit.clone(),
            slots: record.slots,
            machine: record.machine.clone(),
            versions: record.versions.clone(),
            notices: record.notices.clone(),
        };
        let runs = runs.into_iter().map(PastRun::from_record).collect();
        Self {
            version: REPORT_VERSION,
            run,
            critical_path: critical,
            lower_bounds: lower_bounds(record),
            sessions,
            flaky_sessions: flaky,
            recent_runs: runs,
        }
    }

    /// Returns the indexes of the sessions, by name.
    pub(super) fn session_indexes(&self) -> HashMap<&str, usize> {
        let mut indexes = HashMap::new();
        for (index, session) in self.sessions.iter().enumerate() {
            indexes.entry(session.name.as_str()).or_insert(index);
        }
        indexes
    }

    /// Formats the verdict: `11 sessions: 10 passed, 1 failed`.
    pub fn format_verdict(&self) -> String {
        let count = |outcome| self.sessions.iter().filter(|session| session.outcome == outcome).count();
        let mut parts: Vec<String> = Outcome::ALL
            .iter()
            .map(|outcome| (count(Some(*outcome)), outcome.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if count(None) > 0 {
            parts.push(format!("{} unfinished", count(None)));
        }
        let sessions = pluralize(self.sessions.len(), "session");
        if parts.is_empty() { sessions } else { format!("{sessions}: {}", parts.join(", ")) }
    }

    /// Returns the speedup over running one session after another, or `None` if nothing ran.
    pub fn parallel_speedup(&self) -> Option<f64> {
        (self.run.wall > 0 && self.run.session_total > 0).then(|| self.run.session_total as f64 / self.run.wall as f64)
    }

    /// Returns the average number of busy CPUs, if measured.
    pub(crate) fn busy_cpus(&self) -> Option<f64> {
        self.run.cpu.filter(|_| self.run.wall > 0).map(|cpu| cpu as f64 / self.run.wall as f64)
    }
}

impl SessionReport {
    /// Returns whether the session fails the run; an unfinished session does.
    pub(crate) fn is_failed(&self) -> bool {
        self.outcome.is_none_or(Outcome::is_failure)
    }

    /// Returns the outcome as a word.
    pub(crate) fn outcome_str(&self) -> &'static str {
        self.outcome.map_or("unfinished", Outcome::as_str)
    }

    /// Returns the average number of CPUs it kept busy, if measured.
    pub(crate) fn busy_cpus(&self) -> Option<f64> {
        let (cpu, wall) = (self.cpu?, self.wall.filter(|wall| *wall > 0)?);
        Some(cpu as f64 / wall as f64)
    }

    /// Returns notes on the session, as short phrases.
    pub(crate) fn collect_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.reason.is_empty() {
            notes.push(self.reason.clone());
        }
        if self.flaky {
            notes.push(format!("flaky: passed on attempt {}", self.attempts.len()));
        } else if self.attempts.len() > 1 {
            notes.push(format!("{} attempts", self.attempts.len()));
        }
        if let Some(cache) = self.cache.as_ref().filter(|cache| !cache.miss_reason.is_empty()) {
            notes.push(format!("cache: {}", cache.miss_reason));
        }
        notes
    }
}

/// Sums the cache statistics. Sessions that share a restore report the same time, so the longest counts.
fn sum_cache_stats(sessions: &[SessionReport]) -> Option<CacheStats> {
    sessions.iter().filter_map(|session| session.cache.as_ref()).fold(None, |sum, one| {
        let sum: CacheStats = sum.unwrap_or_default();
        Some(CacheStats {
            hits: sum.hits.saturating_add(one.hits),
            misses: sum.misses.saturating_add(one.misses),
            restored_bytes: sum.restored_bytes.saturating_add(one.restored_bytes),
            restore_ms: sum.restore_ms.max(one.restore_ms),
            miss_reason: String::new(),
        })
    })
}

/// Returns the ends of the sessions that ran, by name.
fn session_ends(record: &RunRecord) -> HashMap<&str, u64> {
    let mut ends = HashMap::new();
    for session in &record.sessions {
        if let Some(last) = session.result.as_ref().and_then(|result| result.last_attempt()) {
            ends.entry(session.spec.name.as_str()).or_insert(last.end);
        }
    }
    ends
}

fn build_session_report(
    session: &RecordedSession,
    ends: &HashMap<&str, u64>,
    past_sessions: &[HashMap<&str, PastSession>],
) -> SessionReport {
    let spec = &session.spec;
    let result = session.result.as_ref();
    let attempts = result.map_or(&[][..], |result| result.attempts.as_slice());
    let (start, end) = (attempts.first().map(|first| first.start), attempts.last().map(|last| last.end));
    let ready = spec.needs.iter().filter_map(|need| ends.get(need.session.as_str())).copied().max().unwrap_or(0);
    let ready = start.map_or(ready, |start| ready.min(start));
    // None unless every attempt has the figure: a partial sum would be too small.
    let cpu_of_each: Option<Vec<u64>> = attempts.iter().map(|attempt| attempt.cpu_ms).collect();
    let past: Vec<Option<PastSession>> = past_sessions.iter().map(|run| run.get(spec.name.as_str()).copied()).collect();
    SessionReport {
        name: spec.name.as_str().to_owned(),
        description: spec.description.clone(),
        outcome: result.map(|result| result.outcome),
        reason: result.map(|result| result.reason.clone()).unwrap_or_default(),
        flaky: result.is_some_and(|result| result.flaky),
        needs: spec.needs.clone(),
        locks: spec.locks.clone(),
        exclusive: spec.exclusive,
        cpus: spec.cpus,
        ready,
        start,
        end,
        waited: start.map(|start| start - ready),
        wall: result.filter(|_| start.is_some()).map(crate::record::SessionResult::wall_time),
        install: result.and_then(|result| result.install).map(|install| install.wall_ms),
        cache: result.and_then(|result| result.cache.clone()),
        cpu: cpu_of_each.filter(|all| !all.is_empty()).map(|all| all.iter().sum()),
        peak_memory: attempts.iter().filter_map(|attempt| attempt.peak_memory).max(),
        // The last one is this run.
        usual: spec.usual_ms.or_else(|| usual_wall(&past[..past.len() - 1])),
        on_critical_path: false,
        was_flaky: false,
        attempts: attempts
            .iter()
            .map(|attempt| AttemptReport {
                number: attempt.number,
                outcome: attempt.outcome,
                reason: attempt.reason.clone(),
                start: attempt.start,
                end: attempt.end,
                slots: attempt.slots.clone(),
            })
            .collect(),
        history: past,
    }
}

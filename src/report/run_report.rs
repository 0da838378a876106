//! What is known of one run beside those before it: the document that every form of a report is made of.

use std::collections::HashMap;

use serde::Serialize;

use super::critical_path::{CriticalPathEntry, LowerBounds, critical_path, lower_bounds};
use super::run_history::{FlakySession, PastRun, PastSession, find_flaky_sessions, usual_wall};
use crate::record::{CacheStats, Machine, Outcome, RecordedSession, RunRecord, SessionNeed};
use crate::text::pluralize;

/// The version of the document.
pub(crate) const REPORT_VERSION: u32 = 1;

/// What is known of one run beside those before it. Times are milliseconds since the run's start unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// Always [`REPORT_VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunTotals,
    /// What the run waited for, from its start to its end.
    pub held_up: Vec<CriticalPathEntry>,
    /// What no order of these sessions can beat.
    pub bounds: LowerBounds,
    /// Sessions in the order of the plan.
    pub sessions: Vec<SessionReport>,
    /// Sessions that change their mind.
    pub flaky: Vec<FlakySession>,
    /// This run and those before it, oldest first; what `past` of a session is counted by.
    pub runs: Vec<PastRun>,
}

/// Figures of the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunTotals {
    /// The run's identifier.
    pub(crate) run: String,
    /// The last part of the project's path.
    pub(crate) project: String,
    /// Wall clock at the start, RFC 3339.
    pub(crate) time: String,
    /// How long it took.
    pub(crate) wall: u64,
    /// How long its sessions take one after another.
    pub(crate) sequential: u64,
    /// CPU time of all sessions, where it was measured.
    pub(crate) cpu: Option<u64>,
    /// Milliseconds that sessions were ready and did not run yet, all of them added up.
    pub(crate) waited: u64,
    /// Milliseconds that sessions spent installing, where that was measured.
    pub(crate) install: Option<u64>,
    /// What the cache did for all sessions, where it was used.
    pub(crate) cache: Option<CacheStats>,
    /// Noxide's exit code.
    pub(crate) exit: Option<u8>,
    /// What ended it early.
    pub(crate) interrupted: Option<String>,
    /// Git commit.
    pub(crate) commit: Option<String>,
    /// CPUs' worth of room.
    pub(crate) slots: usize,
    /// The machine.
    pub(crate) machine: Machine,
    /// Tool versions.
    pub(crate) versions: Vec<(String, String)>,
    /// Sentences shown during the run.
    pub(crate) notices: Vec<String>,
}

/// Figures of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionReport {
    /// Its name.
    pub name: String,
    /// First line of its docstring.
    pub description: String,
    /// How it ended; none where the run was killed before its end.
    pub outcome: Option<Outcome>,
    /// Why, in words.
    pub reason: String,
    /// Passed after a failed attempt.
    pub flaky: bool,
    /// What it waits for.
    pub needs: Vec<SessionNeed>,
    /// Named locks it holds.
    pub locks: Vec<String>,
    /// Nothing runs beside it.
    pub exclusive: bool,
    /// Slots it takes.
    pub cpus: usize,
    /// When all it needs was over.
    pub ready: u64,
    /// When its first attempt started.
    pub start: Option<u64>,
    /// When its last attempt ended.
    pub end: Option<u64>,
    /// From ready to start.
    pub waited: Option<u64>,
    /// From the first start to the last end.
    pub wall: Option<u64>,
    /// Milliseconds of that spent installing, where that was measured.
    pub install: Option<u64>,
    /// What the cache did for it, where it was used.
    pub cache: Option<CacheStats>,
    /// CPU time of all attempts.
    pub cpu: Option<u64>,
    /// Peak memory of any attempt, in bytes.
    pub peak_memory: Option<u64>,
    /// Its usual wall time: the median of its passes before this run.
    pub usual: Option<u64>,
    /// Whether the run waited for it: it is one of `held_up`.
    pub critical: bool,
    /// Its attempts.
    pub attempts: Vec<AttemptReport>,
    /// Its part in each of `runs`; none where it had none.
    pub past: Vec<Option<PastSession>>,
}

/// Figures of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptReport {
    /// 1 for the first.
    pub(crate) number: u32,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why, in words.
    pub(crate) reason: String,
    /// Start.
    pub(crate) start: u64,
    /// End.
    pub(crate) end: u64,
    /// Slots it held.
    pub(crate) slots: Vec<usize>,
}

impl RunReport {
    /// The report of a run; `earlier` are the records before it, newest first.
    pub fn from_record(record: &RunRecord, earlier: &[RunRecord]) -> Self {
        let runs: Vec<&RunRecord> = earlier.iter().rev().chain([record]).collect();
        let held_up = critical_path(record);
        let parts: Vec<HashMap<&str, PastSession>> = runs.iter().map(|run| PastSession::by_session(run)).collect();
        let mut sessions: Vec<SessionReport> =
            record.sessions.iter().map(|session| build_session_report(session, record, &parts)).collect();
        for session in &mut sessions {
            session.critical = held_up.iter().any(|link| link.session == session.name);
        }
        let sum = |figure: fn(&SessionReport) -> Option<u64>| {
            sessions.iter().filter_map(figure).fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0) + one))
        };
        let project = record.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let run = RunTotals {
            run: record.run.clone(),
            project: project.unwrap_or_else(|| "project".to_owned()),
            time: record.time.clone(),
            wall: record.wall,
            sequential: sum(|session| session.wall).unwrap_or(0),
            cpu: sum(|session| session.cpu),
            waited: sum(|session| session.waited).unwrap_or(0),
            install: sum(|session| session.install),
            cache: sum_cache_stats(&sessions),
            exit: record.exit,
            interrupted: record.interrupted.clone(),
            commit: record.commit.clone(),
            slots: record.slots,
            machine: record.machine.clone(),
            versions: record.versions.clone(),
            notices: record.notices.clone(),
        };
        let flaky = find_flaky_sessions(&runs);
        let runs = runs.into_iter().map(PastRun::from_record).collect();
        Self { version: REPORT_VERSION, run, held_up, bounds: lower_bounds(record), sessions, flaky, runs }
    }

    /// The verdict in a few words: `11 sessions: 10 passed, 1 failed`.
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

    /// How much faster than one after another; none where nothing ran.
    pub fn parallel_speedup(&self) -> Option<f64> {
        (self.run.wall > 0 && self.run.sequential > 0).then(|| self.run.sequential as f64 / self.run.wall as f64)
    }

    /// CPUs that were busy on average, where it was measured.
    pub(crate) fn busy_cpus(&self) -> Option<f64> {
        self.run.cpu.filter(|_| self.run.wall > 0).map(|cpu| cpu as f64 / self.run.wall as f64)
    }
}

impl SessionReport {
    /// Whether its outcome makes the run fail; a session cut short by a kill does.
    pub(crate) fn is_failed(&self) -> bool {
        self.outcome.is_none_or(Outcome::is_failure)
    }

    /// The word for its outcome.
    pub(crate) fn outcome_str(&self) -> &'static str {
        self.outcome.map_or("unfinished", Outcome::as_str)
    }

    /// CPUs it kept busy on average, where that was measured.
    pub(crate) fn busy_cpus(&self) -> Option<f64> {
        let (cpu, wall) = (self.cpu?, self.wall.filter(|wall| *wall > 0)?);
        Some(cpu as f64 / wall as f64)
    }

    /// What there is to say beside figures, in short phrases.
    pub(crate) fn collect_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.reason.is_empty() {
            notes.push(self.reason.clone());
        }
        if self.flaky {
            notes.push(format!("flaky: passed at attempt {}", self.attempts.len()));
        } else if self.attempts.len() > 1 {
            notes.push(format!("{} attempts", self.attempts.len()));
        }
        if let Some(cache) = self.cache.as_ref().filter(|cache| !cache.reason.is_empty()) {
            notes.push(format!("cache: {}", cache.reason));
        }
        notes
    }
}

/// What the cache did for all sessions; those that share a restore say the same time, so the longest counts.
fn sum_cache_stats(sessions: &[SessionReport]) -> Option<CacheStats> {
    sessions.iter().filter_map(|session| session.cache.as_ref()).fold(None, |sum, one| {
        let sum: CacheStats = sum.unwrap_or_default();
        Some(CacheStats {
            hits: sum.hits.saturating_add(one.hits),
            misses: sum.misses.saturating_add(one.misses),
            bytes: sum.bytes.saturating_add(one.bytes),
            ms: sum.ms.max(one.ms),
            reason: String::new(),
        })
    })
}

fn build_session_report(
    session: &RecordedSession,
    record: &RunRecord,
    parts: &[HashMap<&str, PastSession>],
) -> SessionReport {
    let facts = &session.facts;
    let result = session.result.as_ref();
    let attempts = result.map_or(&[][..], |result| result.attempts.as_slice());
    let (start, end) = (attempts.first().map(|first| first.start), attempts.last().map(|last| last.end));
    let over = |name: &str| {
        let needed = record.sessions.iter().find(|other| other.facts.name.as_str() == name)?;
        needed.result.as_ref()?.last_attempt().map(|last| last.end)
    };
    let ready = facts.needs.iter().filter_map(|need| over(need.on.as_str())).max().unwrap_or(0);
    let ready = start.map_or(ready, |start| ready.min(start));
    let sum = |figure: fn(&crate::record::AttemptResult) -> Option<u64>| {
        attempts.iter().map(figure).collect::<Option<Vec<u64>>>().filter(|all| !all.is_empty())
    };
    let past: Vec<Option<PastSession>> = parts.iter().map(|run| run.get(facts.name.as_str()).copied()).collect();
    SessionReport {
        name: facts.name.as_str().to_owned(),
        description: facts.description.clone(),
        outcome: result.map(|result| result.outcome),
        reason: result.map(|result| result.reason.clone()).unwrap_or_default(),
        flaky: result.is_some_and(|result| result.flaky),
        needs: facts.needs.clone(),
        locks: facts.locks.clone(),
        exclusive: facts.exclusive,
        cpus: facts.cpus,
        ready,
        start,
        end,
        waited: start.map(|start| start - ready),
        wall: result.filter(|_| start.is_some()).map(crate::record::SessionResult::wall_time),
        install: result.and_then(|result| result.install).map(|install| install.ms),
        cache: result.and_then(|result| result.cache.clone()),
        cpu: sum(|attempt| attempt.cpu).map(|all| all.iter().sum()),
        peak_memory: attempts.iter().filter_map(|attempt| attempt.peak_memory).max(),
        usual: facts.usual.or_else(|| usual_wall(&past[..past.len() - 1])),
        critical: false,
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
        past,
    }
}

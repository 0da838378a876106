//! What is known of one run beside those before it: the document that every form of a report is made of.

use std::collections::HashMap;

use serde::Serialize;

use super::chain::{Bounds, Link, bounds, held_up};
use super::past::{Flaky, Past, PastRun, flaky, usual};
use crate::record::{CacheUse, Machine, NeedFacts, Outcome, Record, RecordedSession};

/// The version of the document.
pub const REPORT_VERSION: u32 = 1;

/// What is known of one run beside those before it. Times are milliseconds since the run's start unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Always [`REPORT_VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunFigures,
    /// What the run waited for, from its start to its end.
    pub held_up: Vec<Link>,
    /// What no order of these sessions can beat.
    pub bounds: Bounds,
    /// Sessions in the order of the plan.
    pub sessions: Vec<SessionFigures>,
    /// Sessions that change their mind.
    pub flaky: Vec<Flaky>,
    /// This run and those before it, oldest first; what `past` of a session is counted by.
    pub runs: Vec<PastRun>,
}

/// Figures of the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunFigures {
    /// The run's identifier.
    pub run: String,
    /// The last part of the project's path.
    pub project: String,
    /// Wall clock at the start, RFC 3339.
    pub time: String,
    /// How long it took.
    pub wall: u64,
    /// How long its sessions take one after another.
    pub sequential: u64,
    /// CPU time of all sessions, where it was measured.
    pub cpu: Option<u64>,
    /// Milliseconds that sessions were ready and did not run yet, all of them added up.
    pub waited: u64,
    /// Milliseconds that sessions spent installing, where that was measured.
    pub install: Option<u64>,
    /// What the cache did for all sessions, where it was used.
    pub cache: Option<CacheUse>,
    /// Noxide's exit code.
    pub exit: Option<u8>,
    /// What ended it early.
    pub interrupted: Option<String>,
    /// Git commit.
    pub commit: Option<String>,
    /// CPUs' worth of room.
    pub slots: usize,
    /// The machine.
    pub machine: Machine,
    /// Tool versions.
    pub versions: Vec<(String, String)>,
    /// Sentences shown during the run.
    pub notices: Vec<String>,
}

/// Figures of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionFigures {
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
    pub needs: Vec<NeedFacts>,
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
    pub cache: Option<CacheUse>,
    /// CPU time of all attempts.
    pub cpu: Option<u64>,
    /// Peak memory of any attempt, in bytes.
    pub peak_memory: Option<u64>,
    /// Its usual wall time: the median of its passes before this run.
    pub usual: Option<u64>,
    /// Whether the run waited for it: it is one of `held_up`.
    pub critical: bool,
    /// Its attempts.
    pub attempts: Vec<AttemptFigures>,
    /// Its part in each of `runs`; none where it had none.
    pub past: Vec<Option<Past>>,
}

/// Figures of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptFigures {
    /// 1 for the first.
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
    /// Start.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Slots it held.
    pub slots: Vec<usize>,
}

impl Report {
    /// The report of a run; `earlier` are the records before it, newest first.
    pub fn new(record: &Record, earlier: &[Record]) -> Self {
        let runs: Vec<&Record> = earlier.iter().rev().chain([record]).collect();
        let held_up = held_up(record);
        let parts: Vec<HashMap<&str, Past>> = runs.iter().map(|run| Past::of(run)).collect();
        let mut sessions: Vec<SessionFigures> =
            record.sessions.iter().map(|session| figures(session, record, &parts)).collect();
        for session in &mut sessions {
            session.critical = held_up.iter().any(|link| link.session == session.name);
        }
        let sum = |figure: fn(&SessionFigures) -> Option<u64>| {
            sessions.iter().filter_map(figure).fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0) + one))
        };
        let project = record.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let run = RunFigures {
            run: record.run.clone(),
            project: project.unwrap_or_else(|| "project".to_owned()),
            time: record.time.clone(),
            wall: record.wall,
            sequential: sum(|session| session.wall).unwrap_or(0),
            cpu: sum(|session| session.cpu),
            waited: sum(|session| session.waited).unwrap_or(0),
            install: sum(|session| session.install),
            cache: cache(&sessions),
            exit: record.exit,
            interrupted: record.interrupted.clone(),
            commit: record.commit.clone(),
            slots: record.slots,
            machine: record.machine.clone(),
            versions: record.versions.clone(),
            notices: record.notices.clone(),
        };
        let flaky = flaky(&runs);
        let runs = runs.into_iter().map(PastRun::of).collect();
        Self { version: REPORT_VERSION, run, held_up, bounds: bounds(record), sessions, flaky, runs }
    }

    /// The verdict in a few words: `11 sessions: 10 passed, 1 failed`.
    pub fn verdict(&self) -> String {
        let count = |outcome| self.sessions.iter().filter(|session| session.outcome == outcome).count();
        let mut parts: Vec<String> = Outcome::ALL
            .iter()
            .map(|outcome| (count(Some(*outcome)), outcome.word()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if count(None) > 0 {
            parts.push(format!("{} unfinished", count(None)));
        }
        let sessions = match self.sessions.len() {
            1 => "1 session".to_owned(),
            number => format!("{number} sessions"),
        };
        if parts.is_empty() { sessions } else { format!("{sessions}: {}", parts.join(", ")) }
    }

    /// How much faster than one after another; none where nothing ran.
    pub fn gain(&self) -> Option<f64> {
        (self.run.wall > 0 && self.run.sequential > 0).then(|| self.run.sequential as f64 / self.run.wall as f64)
    }

    /// CPUs that were busy on average, where it was measured.
    pub fn busy(&self) -> Option<f64> {
        self.run.cpu.filter(|_| self.run.wall > 0).map(|cpu| cpu as f64 / self.run.wall as f64)
    }
}

impl SessionFigures {
    /// Whether its outcome makes the run fail; a session cut short by a kill does.
    pub fn failed(&self) -> bool {
        self.outcome.is_none_or(Outcome::is_failure)
    }

    /// The word for its outcome.
    pub fn word(&self) -> &'static str {
        self.outcome.map_or("unfinished", Outcome::word)
    }

    /// CPUs it kept busy on average, where that was measured.
    pub fn busy(&self) -> Option<f64> {
        let (cpu, wall) = (self.cpu?, self.wall.filter(|wall| *wall > 0)?);
        Some(cpu as f64 / wall as f64)
    }

    /// What there is to say beside figures, in short phrases.
    pub fn notes(&self) -> Vec<String> {
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
fn cache(sessions: &[SessionFigures]) -> Option<CacheUse> {
    sessions.iter().filter_map(|session| session.cache.as_ref()).fold(None, |sum, one| {
        let sum: CacheUse = sum.unwrap_or_default();
        Some(CacheUse {
            hits: sum.hits.saturating_add(one.hits),
            misses: sum.misses.saturating_add(one.misses),
            bytes: sum.bytes.saturating_add(one.bytes),
            ms: sum.ms.max(one.ms),
            reason: String::new(),
        })
    })
}

fn figures(session: &RecordedSession, record: &Record, parts: &[HashMap<&str, Past>]) -> SessionFigures {
    let facts = &session.facts;
    let result = session.result.as_ref();
    let attempts = result.map_or(&[][..], |result| result.attempts.as_slice());
    let (start, end) = (attempts.first().map(|first| first.start), attempts.last().map(|last| last.end));
    let over = |name: &str| {
        let needed = record.sessions.iter().find(|other| other.facts.name.as_str() == name)?;
        needed.result.as_ref()?.last().map(|last| last.end)
    };
    let ready = facts.needs.iter().filter_map(|need| over(need.on.as_str())).max().unwrap_or(0);
    let ready = start.map_or(ready, |start| ready.min(start));
    let sum = |figure: fn(&crate::record::Attempt) -> Option<u64>| {
        attempts.iter().map(figure).collect::<Option<Vec<u64>>>().filter(|all| !all.is_empty())
    };
    let past: Vec<Option<Past>> = parts.iter().map(|run| run.get(facts.name.as_str()).copied()).collect();
    SessionFigures {
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
        wall: result.filter(|_| start.is_some()).map(crate::record::SessionResult::wall),
        install: result.and_then(|result| result.install).map(|install| install.ms),
        cache: result.and_then(|result| result.cache.clone()),
        cpu: sum(|attempt| attempt.cpu).map(|all| all.iter().sum()),
        peak_memory: attempts.iter().filter_map(|attempt| attempt.peak_memory).max(),
        usual: facts.usual.or_else(|| usual(&past[..past.len() - 1])),
        critical: false,
        attempts: attempts
            .iter()
            .map(|attempt| AttemptFigures {
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

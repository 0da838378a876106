//! What earlier runs say: each session's part in them, usual times, sessions that change their mind.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::record::{Outcome, RecordedSession, RunRecord};

/// One run of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRun {
    /// Its identifier.
    pub(crate) run: String,
    /// Wall clock at its start.
    pub(crate) time: String,
    /// How long it took, in milliseconds.
    pub(crate) wall: u64,
    /// Noxide's exit code.
    pub(crate) exit: Option<u8>,
    /// Git commit.
    pub(crate) commit: Option<String>,
}

impl PastRun {
    /// What is kept of a record.
    pub(crate) fn from_record(record: &RunRecord) -> Self {
        Self {
            run: record.run_id.clone(),
            time: record.started_at.clone(),
            wall: record.wall_ms,
            exit: record.exit_code,
            commit: record.commit.clone(),
        }
    }
}

/// A session's part in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PastSession {
    /// How it ended; none where the run was killed before.
    pub(crate) outcome: Option<Outcome>,
    /// Wall time in milliseconds; none where it never started.
    pub(crate) wall: Option<u64>,
    /// Passed after a failed attempt.
    pub(crate) flaky: bool,
}

impl PastSession {
    /// The part of every session in a run, by name.
    pub(super) fn by_session(record: &RunRecord) -> HashMap<&str, Self> {
        let part = |session: &RecordedSession| match &session.result {
            None => Self { outcome: None, wall: None, flaky: false },
            Some(result) => Self {
                outcome: Some(result.outcome),
                wall: (!result.attempts.is_empty()).then(|| result.wall_time()),
                flaky: result.flaky,
            },
        };
        record.sessions.iter().map(|session| (session.spec.name.as_str(), part(session))).collect()
    }

    /// Its wall time where it passed.
    pub(crate) fn passing_wall(self) -> Option<u64> {
        self.wall.filter(|_| self.outcome == Some(Outcome::Passed))
    }
}

/// The median of the passes; the lower of two middles.
pub(super) fn usual_wall(past: &[Option<PastSession>]) -> Option<u64> {
    let mut walls: Vec<u64> = past.iter().flatten().filter_map(|past| past.passing_wall()).collect();
    walls.sort_unstable();
    walls.get(walls.len().saturating_sub(1) / 2).copied()
}

/// A session that changes its mind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlakySession {
    /// Which one.
    pub session: String,
    /// Runs it had a part in.
    pub runs: usize,
    /// Runs in which it passed after a failed attempt.
    pub retried: usize,
    /// Commits on which it passed in one run and failed in another.
    pub both: Vec<String>,
}

/// Sessions that passed after a failed attempt, or both passed and failed on one commit; the worst first.
pub(super) fn find_flaky_sessions(runs: &[&RunRecord]) -> Vec<FlakySession> {
    /// Passes and failures by commit.
    type CommitVerdicts<'a> = BTreeMap<&'a str, [bool; 2]>;
    let mut sessions: BTreeMap<&str, (usize, usize, CommitVerdicts<'_>)> = BTreeMap::new();
    for record in runs {
        for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
            let (runs, retried, verdicts) = sessions.entry(result.session.as_str()).or_default();
            *runs += usize::from(!result.attempts.is_empty());
            *retried += usize::from(result.flaky);
            let Some(commit) = &record.commit else { continue };
            let verdict = verdicts.entry(commit).or_default();
            match result.outcome {
                Outcome::Passed => verdict[0] = true,
                // Ended from outside it says nothing of the commit.
                Outcome::Failed | Outcome::TimedOut | Outcome::Crashed => verdict[1] = true,
                _ => {}
            }
        }
    }
    let mut flaky: Vec<FlakySession> = sessions
        .into_iter()
        .map(|(name, (runs, retried, verdicts))| {
            let both = verdicts.iter().filter(|(_, verdict)| **verdict == [true, true]);
            let both = both.map(|(commit, _)| (*commit).to_owned()).collect();
            FlakySession { session: name.to_owned(), runs, retried, both }
        })
        .filter(|flaky| flaky.retried > 0 || !flaky.both.is_empty())
        .collect();
    flaky.sort_by_key(|flaky| std::cmp::Reverse(flaky.retried + flaky.both.len()));
    flaky
}

//! Earlier runs: their sessions, usual times, flaky sessions.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::record::{Outcome, RecordedSession, RunRecord, lower_median};

/// One earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastRun {
    /// Run identifier.
    pub(crate) run: String,
    /// Wall-clock time of the start.
    pub(crate) time: String,
    /// Duration in milliseconds.
    pub(crate) wall: u64,
    /// Exit code of noxide.
    pub(crate) exit: Option<u8>,
    pub(crate) commit: Option<String>,
}

impl PastRun {
    /// Summarizes a record.
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

/// A session in one earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PastSession {
    /// Outcome, or `None` if noxide was killed before the session ended.
    pub(crate) outcome: Option<Outcome>,
    /// Wall time in milliseconds, or `None` if it never started.
    pub(crate) wall: Option<u64>,
    /// Whether it passed after a failed attempt.
    pub(crate) flaky: bool,
    /// Wall time of the passing attempt in milliseconds, or `None` if it did not pass.
    #[serde(skip)]
    passing_wall: Option<u64>,
}

impl PastSession {
    /// Returns all sessions of a run, by name.
    pub(super) fn by_session(record: &RunRecord) -> HashMap<&str, Self> {
        let past_session = |session: &RecordedSession| match &session.result {
            None => Self { outcome: None, wall: None, flaky: false, passing_wall: None },
            Some(result) => Self {
                outcome: Some(result.outcome),
                wall: (!result.attempts.is_empty()).then(|| result.wall_time()),
                flaky: result.flaky,
                passing_wall: result
                    .last_attempt()
                    .filter(|_| result.outcome == Outcome::Passed)
                    .map(|attempt| attempt.end.saturating_sub(attempt.start)),
            },
        };
        record.sessions.iter().map(|session| (session.spec.name.as_str(), past_session(session))).collect()
    }
}

/// Returns the median wall time of the passing attempts, as in [`UsualStats`](crate::record::UsualStats); the lower of two
/// middle values.
pub(super) fn usual_wall(past: &[Option<PastSession>]) -> Option<u64> {
    lower_median(past.iter().flatten().filter_map(|past| past.passing_wall).collect())
}

/// A session that is flaky, or that both passed and failed with the same files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlakySession {
    /// Session name.
    pub session: String,
    /// Number of runs that included it.
    pub runs: usize,
    /// Number of runs in which it passed after a failed attempt.
    pub retried_runs: usize,
    /// Commits on which it passed in one run and failed in another, with the same files in both.
    pub mixed_commits: Vec<String>,
}

/// Returns sessions that passed after a failed attempt, or both passed and failed with the same files, worst first. Runs
/// with uncommitted changes, and of earlier noxides, which did not record the files, say nothing about the second.
pub(super) fn find_flaky_sessions(runs: &[&RunRecord]) -> Vec<FlakySession> {
    /// A commit, passes and failures, by the digest of the files.
    type TreeVerdicts<'a> = BTreeMap<&'a str, (&'a str, [bool; 2])>;
    let mut sessions: BTreeMap<&str, (usize, usize, TreeVerdicts<'_>)> = BTreeMap::new();
    for record in runs {
        for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
            let (runs, retried, verdicts) = sessions.entry(result.session.as_str()).or_default();
            *runs += usize::from(!result.attempts.is_empty());
            *retried += usize::from(result.flaky);
            let (Some(commit), Some(tree)) = (&record.commit, &record.tree) else { continue };
            let (_, verdict) = verdicts.entry(tree).or_insert((commit, [false; 2]));
            match result.outcome {
                Outcome::Passed => verdict[0] = true,
                // An aborted or cancelled session says nothing about the commit.
                Outcome::Failed | Outcome::TimedOut | Outcome::Crashed => verdict[1] = true,
                _ => {}
            }
        }
    }
    let mut flaky: Vec<FlakySession> = sessions
        .into_iter()
        .map(|(name, (runs, retried, verdicts))| {
            let mixed = verdicts.values().filter(|(_, verdict)| *verdict == [true, true]);
            let mixed = mixed.map(|(commit, _)| (*commit).to_owned()).collect();
            FlakySession { session: name.to_owned(), runs, retried_runs: retried, mixed_commits: mixed }
        })
        .filter(|flaky| flaky.retried_runs > 0 || !flaky.mixed_commits.is_empty())
        .collect();
    flaky.sort_by_key(|flaky| std::cmp::Reverse(flaky.retried_runs + flaky.mixed_commits.len()));
    flaky
}

//! Summary of a recorded run, for lists of runs.

use super::run_record::RunRecord;
use super::run_store::RunStore;

/// A recorded run in brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunSummary {
    pub(crate) run_id: String,
    /// Whether noxide is still running it.
    pub(crate) is_active: bool,
    /// Its record in brief; `None` if the run has not ended, or its record cannot be read.
    pub(crate) ended: Option<EndedRun>,
}

/// The record of a run in brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndedRun {
    /// Wall clock at the start, RFC 3339.
    pub(crate) started_at: String,
    pub(crate) wall_ms: u64,
    /// Exit code of noxide; `None` if noxide itself was killed.
    pub(crate) exit_code: Option<u8>,
    /// Cause of an early end.
    pub(crate) interrupt_cause: Option<String>,
    pub(crate) commit: Option<String>,
    /// Number of sessions.
    pub(crate) session_count: usize,
    /// Names of the sessions that neither passed nor were skipped.
    pub(crate) unsuccessful: Vec<String>,
}

impl EndedRun {
    fn from_record(record: RunRecord) -> Self {
        Self {
            unsuccessful: record.unsuccessful_sessions().map(ToString::to_string).collect(),
            started_at: record.started_at,
            wall_ms: record.wall_ms,
            exit_code: record.exit_code,
            interrupt_cause: record.interrupt_cause,
            commit: record.commit,
            session_count: record.sessions.len(),
        }
    }
}

impl RunStore {
    /// Returns the newest runs, finished or not, oldest first and at most `limit`.
    pub(crate) fn newest_summaries(&self, limit: usize) -> Vec<RunSummary> {
        let runs = self.run_ids();
        let newest = &runs[runs.len().saturating_sub(limit)..];
        let summary = |run: &String| RunSummary {
            run_id: run.clone(),
            is_active: self.is_active(run),
            ended: self.read_record(run).ok().map(EndedRun::from_record),
        };
        newest.iter().map(summary).collect()
    }
}

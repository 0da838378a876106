//! Summary of an import.

use serde::Serialize;

use crate::text::pluralize;

/// What an import added to the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImportSummary {
    /// Version of the JSON format.
    pub(crate) version: u32,
    /// Number of runs in the sources.
    pub(crate) runs: usize,
    /// Number of their jobs.
    pub(crate) jobs: usize,
    /// Number of runs that were not imported before.
    pub(crate) added: usize,
    /// Number of entries without a usable time.
    pub(crate) skipped_entries: usize,
    /// Number of all imported runs.
    pub(crate) total_runs: usize,
}

impl ImportSummary {
    /// Returns the summary as a line of text.
    pub(crate) fn to_text(self) -> String {
        let skipped = match self.skipped_entries {
            0 => String::new(),
            some => {
                format!("; skipped {} (unfinished, cancelled, skipped or without a time)", pluralize(some, "entry"))
            }
        };
        let (runs, jobs) = (pluralize(self.runs, "run"), pluralize(self.jobs, "job"));
        format!("read {runs} with {jobs}, {} of them new; {} stored{skipped}\n", self.added, self.total_runs)
    }
}

//! Comparison of two groups of runs: each session and the total, with the significance of the difference.

use serde::Serialize;

use super::statistics::{CONFIDENCE_LEVEL, ComparisonVerdict, MedianInterval, TimeRatio};
use super::table::TextTable;
use crate::record::{ImportedRun, Outcome, RunRecord};
use crate::text::{escape_markdown_cell, format_duration, pluralize};

/// Format version of the document.
pub(crate) const COMPARISON_VERSION: u32 = 2;

/// Runs under one name: a run, a commit, a branch, an import.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunGroup {
    /// Name given by the user.
    pub(crate) name: String,
    /// Description of the group.
    pub(crate) description: String,
    pub(crate) runs: Vec<RunTimings>,
}

/// Times of one run, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunTimings {
    /// Total time, or `None` if unknown or not comparable, as for an interrupted run.
    pub(crate) total_seconds: Option<f64>,
    /// Times of the sessions that passed.
    pub(crate) session_seconds: Vec<(String, f64)>,
}

impl RunTimings {
    /// Extracts the times of a record. The total counts only if every session passed or was skipped: a failed
    /// run may have stopped before its longest session.
    pub(crate) fn from_record(record: &RunRecord) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let results = || record.sessions.iter().filter_map(|session| session.result.as_ref());
        let passed = results().filter(|result| result.outcome == Outcome::Passed);
        Self {
            total_seconds: (record.exit_code == Some(0)).then(|| seconds(record.wall_ms)),
            session_seconds: passed
                .map(|result| (result.session.as_str().to_owned(), seconds(result.wall_time())))
                .collect(),
        }
    }

    /// Returns whether these are the sessions that passed.
    fn has_sessions(&self, names: &[&str]) -> bool {
        self.session_seconds.len() == names.len()
            && self.session_seconds.iter().all(|(session, _)| names.contains(&session.as_str()))
    }

    /// Returns the sum of the times of these sessions, or `None` if one of them did not pass.
    fn sum_sessions(&self, names: &[&str]) -> Option<f64> {
        let time =
            |name: &&str| self.session_seconds.iter().find(|(session, _)| session == name).map(|(_, time)| *time);
        names.iter().map(time).sum()
    }

    /// Extracts the times of an imported run.
    pub(crate) fn from_imported_run(run: &ImportedRun) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let passed = run.jobs.iter().filter(|job| job.passed);
        Self {
            total_seconds: run.wall_ms.filter(|_| run.passed == Some(true)).map(seconds),
            session_seconds: passed.filter_map(|job| Some((job.name.clone(), seconds(job.wall_ms?)))).collect(),
        }
    }
}

/// Comparison of two groups of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RunComparison {
    /// Always `COMPARISON_VERSION`.
    pub(crate) version: u32,
    /// Confidence level of the intervals.
    pub(crate) confidence: f64,
    /// The group named first.
    pub(crate) before: ComparisonSide,
    /// The group named second.
    pub(crate) after: ComparisonSide,
    /// Total times of the runs.
    pub(crate) total: ComparisonRow,
    /// Sessions, by name.
    pub(crate) sessions: Vec<ComparisonRow>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ComparisonSide {
    /// Name given by the user.
    pub(crate) name: String,
    /// Description of the group.
    pub(crate) description: String,
    /// Number of runs.
    pub(crate) run_count: usize,
}

/// One row of a comparison; times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ComparisonRow {
    /// Session name; `total` for the wall times of runs, `common sessions` for the sum of the sessions that both sides
    /// have.
    pub(crate) name: String,
    pub(crate) before: Option<MedianInterval>,
    pub(crate) after: Option<MedianInterval>,
    /// After divided by before.
    pub(crate) ratio: Option<TimeRatio>,
    /// Verdict on that ratio.
    pub(crate) verdict: ComparisonVerdict,
}

impl ComparisonRow {
    fn new(name: &str, before: &[f64], after: &[f64]) -> Self {
        let ratio = TimeRatio::from_independent(before, after);
        let (before, after) = (MedianInterval::from_times(before), MedianInterval::from_times(after));
        // The ratio that is shown is that of the medians beside it.
        let medians = before.zip(after).map(|(before, after)| after.median.max(0.001) / before.median.max(0.001));
        let ratio = ratio.zip(medians).map(|(ratio, medians)| ratio.with_center(medians));
        Self { name: name.to_owned(), before, after, ratio, verdict: ComparisonVerdict::from_ratio(ratio) }
    }

    fn to_cells(&self) -> Vec<String> {
        let median = |interval: Option<MedianInterval>| interval.map(format_median).unwrap_or_default();
        let verdict = match (&self.before, &self.after) {
            (None, None) => "never passed",
            (None, Some(_)) => "passed only after",
            (Some(_), None) => "passed only before",
            _ => self.verdict.label(),
        };
        let ratio = self.ratio.map(TimeRatio::to_text).unwrap_or_default();
        vec![self.name.clone(), median(self.before), median(self.after), ratio, verdict.to_owned()]
    }
}

/// Formats seconds for display.
pub(super) fn format_seconds(seconds: f64) -> String {
    format_duration((seconds.min(1e9) * 1_000.0).round() as u64)
}

/// Formats a median with its interval: `12.3s (11.9s to 12.8s)`.
pub(super) fn format_median(interval: MedianInterval) -> String {
    let median = format_seconds(interval.median);
    match interval.low.zip(interval.high) {
        Some((low, high)) => format!("{median} ({} to {})", format_seconds(low), format_seconds(high)),
        None => median,
    }
}

/// Compares two groups of runs.
pub(crate) fn compare_runs(before: &RunGroup, after: &RunGroup) -> RunComparison {
    let side = |group: &RunGroup| ComparisonSide {
        name: group.name.clone(),
        description: group.description.clone(),
        run_count: group.runs.len(),
    };
    let times = |side: &RunGroup, name: &str| {
        let all = side.runs.iter().flat_map(|run| &run.session_seconds);
        all.filter(|(session, _)| session == name).map(|(_, time)| *time).collect::<Vec<f64>>()
    };
    let all = before.runs.iter().chain(&after.runs).flat_map(|run| &run.session_seconds);
    let mut names: Vec<&str> = all.map(|(session, _)| session.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let rows: Vec<ComparisonRow> =
        names.into_iter().map(|name| ComparisonRow::new(name, &times(before, name), &times(after, name))).collect();
    let is_common = |row: &&ComparisonRow| row.before.is_some() && row.after.is_some();
    let common: Vec<&str> = rows.iter().filter(is_common).map(|row| row.name.as_str()).collect();
    // Wall times of runs with different sessions say nothing about either.
    let has_same_sessions = before.runs.iter().chain(&after.runs).all(|run| run.has_sessions(&common));
    let total_name = if has_same_sessions || common.is_empty() { "total" } else { "common sessions" };
    let totals = |side: &RunGroup| -> Vec<f64> {
        let total = |run: &RunTimings| match total_name {
            "total" => run.total_seconds.filter(|_| has_same_sessions),
            _ => run.sum_sessions(&common),
        };
        side.runs.iter().filter_map(total).collect()
    };
    RunComparison {
        version: COMPARISON_VERSION,
        confidence: CONFIDENCE_LEVEL,
        before: side(before),
        after: side(after),
        total: ComparisonRow::new(total_name, &totals(before), &totals(after)),
        sessions: rows,
    }
}

impl RunComparison {
    /// Returns whether the total or any session is slower.
    pub(crate) fn has_slowdown(&self) -> bool {
        self.sessions.iter().chain([&self.total]).any(|row| row.verdict == ComparisonVerdict::Slower)
    }

    fn build_table(&self) -> TextTable {
        let mut table =
            TextTable::new(&[("session", false), ("before", true), ("after", true), ("ratio", true), ("", false)]);
        for row in self.sessions.iter().chain([&self.total]) {
            table.push_row(row.to_cells());
        }
        table
    }

    fn header_lines(&self) -> [String; 3] {
        let side = |side: &ComparisonSide| {
            let runs = pluralize(side.run_count, "run");
            format!("{}: {runs} ({})", side.name, side.description)
        };
        [
            format!("before: {}", side(&self.before)),
            format!("after: {}", side(&self.after)),
            format!(
                "Medians of passed runs, with intervals of {:.0} %; a ratio below 1 is faster.",
                CONFIDENCE_LEVEL * 100.0
            ),
        ]
    }

    /// Renders the comparison for a terminal.
    pub(crate) fn to_text(&self) -> String {
        format!("{}\n\n{}", self.header_lines().join("\n"), self.build_table().to_text())
    }

    /// Renders the comparison as Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let [before, after, note] = self.header_lines().map(|line| escape_markdown_cell(&line));
        format!(
            "### noxide: before and after\n\n- {before}\n- {after}\n\n{}\n{note}\n",
            self.build_table().to_markdown()
        )
    }
}

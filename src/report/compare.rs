//! Two sets of runs side by side: each session and the whole, with what can be said of the difference.

use serde::Serialize;

use super::statistics::{CONFIDENCE, Ratio, Spread, Verdict};
use super::table::{Table, cell};
use crate::record::{ImportedRun, Outcome, Record, duration};

/// The version of the document.
pub const COMPARISON_VERSION: u32 = 1;

/// Runs under one name: a run, a commit, a branch, an import.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// As it was asked for.
    pub name: String,
    /// What it stands for, in words.
    pub means: String,
    /// Its runs.
    pub runs: Vec<Timings>,
}

/// What a comparison needs of one run: seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timings {
    /// The whole run; none where it is not known or says nothing, such as one that was ended early.
    pub total: Option<f64>,
    /// Sessions that passed.
    pub sessions: Vec<(String, f64)>,
}

impl Timings {
    /// Of a record. The whole counts only where every session passed, was skipped or replayed: a run that failed may
    /// have left out the longest of them.
    pub fn of(record: &Record) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let results = || record.sessions.iter().filter_map(|session| session.result.as_ref());
        let passed = results().filter(|result| result.outcome == Outcome::Passed);
        Self {
            total: (record.exit == Some(0)).then(|| seconds(record.wall)),
            sessions: passed.map(|result| (result.session.as_str().to_owned(), seconds(result.wall()))).collect(),
        }
    }
}

impl Timings {
    /// Of an imported run.
    pub fn imported(run: &ImportedRun) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let passed = run.jobs.iter().filter(|job| job.passed);
        Self {
            total: run.wall.filter(|_| run.passed == Some(true)).map(seconds),
            sessions: passed.filter_map(|job| Some((job.name.clone(), seconds(job.wall?)))).collect(),
        }
    }
}

/// Two sets of runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Always [`COMPARISON_VERSION`].
    pub version: u32,
    /// How sure the intervals are.
    pub confidence: f64,
    /// The side that was named first.
    pub before: Named,
    /// The other.
    pub after: Named,
    /// The whole runs.
    pub total: Row,
    /// Sessions, by name.
    pub sessions: Vec<Row>,
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// As it was asked for.
    pub name: String,
    /// What it stands for.
    pub means: String,
    /// How many runs.
    pub runs: usize,
}

/// One line of a comparison, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The session, or `total`.
    pub name: String,
    /// Before.
    pub before: Option<Spread>,
    /// After.
    pub after: Option<Spread>,
    /// After divided by before.
    pub ratio: Option<Ratio>,
    /// What that shows.
    pub verdict: Verdict,
}

impl Row {
    fn new(name: &str, before: &[f64], after: &[f64]) -> Self {
        let ratio = Ratio::apart(before, after);
        let (before, after) = (Spread::of(before), Spread::of(after));
        Self { name: name.to_owned(), before, after, ratio, verdict: Verdict::of(ratio) }
    }

    fn cells(&self) -> Vec<String> {
        let spread = |spread: Option<Spread>| spread.map(median_words).unwrap_or_default();
        let verdict = match (&self.before, &self.after) {
            (None, None) => "never passed",
            (None, Some(_)) => "new",
            (Some(_), None) => "gone",
            _ => self.verdict.words(),
        };
        let ratio = self.ratio.map(Ratio::words).unwrap_or_default();
        vec![self.name.clone(), spread(self.before), spread(self.after), ratio, verdict.to_owned()]
    }
}

/// Seconds as people read them.
pub(super) fn seconds(seconds: f64) -> String {
    duration((seconds.min(1e9) * 1_000.0).round() as u64)
}

/// A median with its interval: `12.3s (11.9s to 12.8s)`.
pub(super) fn median_words(spread: Spread) -> String {
    let words = seconds;
    match spread.low.zip(spread.high) {
        Some((low, high)) => format!("{} ({} to {})", words(spread.median), words(low), words(high)),
        None => words(spread.median),
    }
}

/// Compares two sets of runs.
pub fn compare(before: &Side, after: &Side) -> Comparison {
    let named = |side: &Side| Named { name: side.name.clone(), means: side.means.clone(), runs: side.runs.len() };
    let totals = |side: &Side| side.runs.iter().filter_map(|run| run.total).collect::<Vec<f64>>();
    let times = |side: &Side, name: &str| {
        let all = side.runs.iter().flat_map(|run| &run.sessions);
        all.filter(|(session, _)| session == name).map(|(_, time)| *time).collect::<Vec<f64>>()
    };
    let all = before.runs.iter().chain(&after.runs).flat_map(|run| &run.sessions);
    let mut names: Vec<&str> = all.map(|(session, _)| session.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Comparison {
        version: COMPARISON_VERSION,
        confidence: CONFIDENCE,
        before: named(before),
        after: named(after),
        total: Row::new("total", &totals(before), &totals(after)),
        sessions: names.into_iter().map(|name| Row::new(name, &times(before, name), &times(after, name))).collect(),
    }
}

impl Comparison {
    /// Whether anything is slower: the whole, or a session.
    pub fn slower(&self) -> bool {
        self.sessions.iter().chain([&self.total]).any(|row| row.verdict == Verdict::Slower)
    }

    fn table(&self) -> Table {
        let mut table =
            Table::new(&[("session", false), ("before", true), ("after", true), ("ratio", true), ("", false)]);
        for row in self.sessions.iter().chain([&self.total]) {
            table.row(row.cells());
        }
        table
    }

    fn lines(&self) -> [String; 3] {
        let side = |side: &Named| {
            let runs = if side.runs == 1 { "1 run".to_owned() } else { format!("{} runs", side.runs) };
            format!("{}: {runs} ({})", side.name, side.means)
        };
        [
            format!("before: {}", side(&self.before)),
            format!("after: {}", side(&self.after)),
            format!("Medians of passes, with intervals of {:.0} %; a ratio below 1 is faster.", CONFIDENCE * 100.0),
        ]
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        format!("{}\n\n{}", self.lines().join("\n"), self.table().text())
    }

    /// For a merge request.
    pub fn markdown(&self) -> String {
        let [before, after, note] = self.lines().map(|line| cell(&line));
        format!("### noxide: before and after\n\n- {before}\n- {after}\n\n{}\n{note}\n", self.table().markdown())
    }
}

//! Slipcover coverage data (JSON): parsing, merging and writing, as `python -m slipcover --merge` does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Coverage of one or more runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlipcoverCoverage {
    meta: Map<String, Value>,
    has_branches: bool,
    files: BTreeMap<String, FileCoverage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct FileCoverage {
    executed_lines: BTreeSet<u64>,
    missing_lines: BTreeSet<u64>,
    executed_branches: BTreeSet<(i64, i64)>,
    missing_branches: BTreeSet<(i64, i64)>,
}

/// Slipcover's document; its summaries are recomputed.
#[derive(Deserialize)]
struct SlipcoverDocument {
    meta: Map<String, Value>,
    files: BTreeMap<String, FileCoverage>,
}

/// Errors merging coverage data.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum CoverageError {
    /// The data has contexts (which test ran a line); slipcover does not merge these either.
    #[error("data with contexts cannot be merged; measure without --show-contexts")]
    HasContexts,
    /// Only one of the two measured branches.
    #[error("some files measure branches and some do not; measure all files the same way")]
    BranchMismatch,
}

impl SlipcoverCoverage {
    /// Parses the data, or returns `None` for other content.
    ///
    /// Paths below `root`, the directory of the measurement, become relative to it, since it differs between runners.
    pub(crate) fn parse(bytes: &[u8], root: Option<&Path>) -> Option<Self> {
        let document: SlipcoverDocument = serde_json::from_slice(bytes).ok()?;
        if document.meta.get("software")?.as_str()? != "slipcover" {
            return None;
        }
        let branches = document.meta.get("branch_coverage").and_then(Value::as_bool).unwrap_or(false);
        let mut coverage = Self { meta: document.meta, has_branches: branches, files: BTreeMap::new() };
        for (name, file) in document.files {
            let relative = root.and_then(|root| Path::new(&name).strip_prefix(root).ok());
            let name = relative.map_or_else(|| name.clone(), |relative| relative.to_string_lossy().into_owned());
            let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
            coverage.files.entry(name).or_default().merge(file);
        }
        Some(coverage)
    }

    /// Adds the coverage of another run.
    ///
    /// # Errors
    /// If the two did not measure the same.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), CoverageError> {
        let contexts = |data: &Self| data.meta.get("show_contexts").and_then(Value::as_bool).unwrap_or(false);
        if contexts(self) || contexts(&other) {
            return Err(CoverageError::HasContexts);
        }
        if self.has_branches != other.has_branches {
            return Err(CoverageError::BranchMismatch);
        }
        for (name, file) in other.files {
            self.files.entry(name).or_default().merge(file);
        }
        Ok(())
    }

    /// Returns the percentage of covered lines and branches; 100 if there is nothing to cover.
    pub(crate) fn percent_covered(&self) -> f64 {
        let (covered, all) = self.files.values().fold((0, 0), |(covered, all), file| {
            let (file_covered, file_total) = file.count_covered(self.has_branches);
            (covered + file_covered, all + file_total)
        });
        coverage_percent(covered, all)
    }

    /// Returns the document as slipcover writes it, with summaries.
    pub(crate) fn to_json(&self) -> Value {
        let mut files = Map::new();
        let mut total = Map::new();
        for (name, file) in &self.files {
            let mut entry = json!({ "executed_lines": file.executed_lines, "missing_lines": file.missing_lines });
            let mut summary = json!({
                "covered_lines": file.executed_lines.len(),
                "missing_lines": file.missing_lines.len(),
            });
            if self.has_branches {
                entry["executed_branches"] = json!(file.executed_branches);
                entry["missing_branches"] = json!(file.missing_branches);
                summary["covered_branches"] = json!(file.executed_branches.len());
                summary["missing_branches"] = json!(file.missing_branches.len());
            }
            for (count, value) in summary.as_object().into_iter().flatten() {
                let known = total.get(count).and_then(Value::as_u64).unwrap_or(0);
                total.insert(count.clone(), json!(known + value.as_u64().unwrap_or(0)));
            }
            let (covered, all) = file.count_covered(self.has_branches);
            summary["percent_covered"] = json!(coverage_percent(covered, all));
            entry["summary"] = summary;
            files.insert(name.clone(), entry);
        }
        total.insert("percent_covered".to_owned(), json!(self.percent_covered()));
        // Rounded as Python does: half to even.
        total.insert(
            "percent_covered_display".to_owned(),
            json!(format!("{}", self.percent_covered().round_ties_even())),
        );
        json!({ "meta": self.meta, "files": files, "summary": total })
    }
}

impl FileCoverage {
    fn merge(&mut self, other: Self) {
        self.executed_lines.extend(other.executed_lines);
        self.missing_lines.extend(other.missing_lines);
        self.executed_branches.extend(other.executed_branches);
        self.missing_branches.extend(other.missing_branches);
        let executed = &self.executed_lines;
        self.missing_lines.retain(|line| !executed.contains(line));
        let executed = &self.executed_branches;
        self.missing_branches.retain(|branch| !executed.contains(branch));
    }

    fn count_covered(&self, branches: bool) -> (usize, usize) {
        let (mut covered, mut missing) = (self.executed_lines.len(), self.missing_lines.len());
        if branches {
            covered += self.executed_branches.len();
            missing += self.missing_branches.len();
        }
        (covered, covered + missing)
    }
}

fn coverage_percent(covered: usize, all: usize) -> f64 {
    if all == 0 { 100.0 } else { 100.0 * covered as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(branches: bool, files: &Value) -> SlipcoverCoverage {
        let meta = json!({ "software": "slipcover", "version": "1.0.17", "branch_coverage": branches });
        let document = json!({ "meta": meta, "files": files, "summary": {} });
        SlipcoverCoverage::parse(document.to_string().as_bytes(), Some(Path::new("/w/1"))).unwrap()
    }

    #[test]
    fn lines_that_any_run_executed_are_covered() {
        let mut all = data(false, &json!({ "/w/1/a.py": { "executed_lines": [1, 2], "missing_lines": [3, 4] } }));
        let more = json!({ "./a.py": { "executed_lines": [3], "missing_lines": [1, 4] }, "b.py": {} });
        all.merge(data(false, &more)).unwrap();
        assert_eq!((all.percent_covered(), all.files.len()), (75.0, 2));
        let document = all.to_json();
        assert_eq!(document["files"]["a.py"]["executed_lines"], json!([1, 2, 3]));
        assert_eq!(document["files"]["b.py"]["summary"]["percent_covered"], json!(100.0));
        assert_eq!(document["summary"]["missing_lines"], json!(1));
        assert_eq!(SlipcoverCoverage::parse(document.to_string().as_bytes(), None).unwrap(), all);
    }

    #[test]
    fn branches_count_where_they_are_measured() {
        let file = json!({ "executed_lines": [1], "missing_lines": [], "executed_branches": [[1, 2]], "missing_branches": [[1, -3]] });
        let mut all = data(true, &json!({ "a.py": file }));
        assert!((all.percent_covered() - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!(all.to_json()["summary"]["percent_covered_display"], json!("67"));
        let lines = data(false, &json!({}));
        assert!(lines.files.is_empty());
        assert_eq!(all.merge(lines), Err(CoverageError::BranchMismatch));
    }

    #[test]
    fn other_documents_are_none_and_contexts_are_refused() {
        assert_eq!(SlipcoverCoverage::parse(b"{\"meta\": {\"software\": \"coverage\"}, \"files\": {}}", None), None);
        assert_eq!(SlipcoverCoverage::parse(b"[]", None), None);
        let mut all = data(false, &json!({}));
        let mut with = all.clone();
        with.meta.insert("show_contexts".to_owned(), json!(true));
        assert_eq!(all.merge(with), Err(CoverageError::HasContexts));
    }
}

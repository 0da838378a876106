//! Slipcover coverage data (JSON): parsing, merging and writing, as `python -m slipcover --merge` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Coverage of one or more runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlipcoverCoverage {
    meta: Map<String, Value>,
    has_branches: bool,
    files: BTreeMap<String, FileCoverage>,
    /// Number of files, lines and branches.
    item_count: usize,
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
    /// Paths below the directory of the measurement, the first of `roots` that contains one, become relative to it, since it
    /// differs between runners.
    pub(crate) fn parse(bytes: &[u8], roots: &[&Path]) -> Option<Self> {
        let document: SlipcoverDocument = serde_json::from_slice(bytes).ok()?;
        if document.meta.get("software")?.as_str()? != "slipcover" {
            return None;
        }
        let branches = document.meta.get("branch_coverage").and_then(Value::as_bool).unwrap_or(false);
        let root = find_root(document.files.keys(), roots);
        let mut coverage = Self { meta: document.meta, has_branches: branches, files: BTreeMap::new(), item_count: 0 };
        for (name, file) in document.files {
            let relative = root.and_then(|root| Path::new(&name).strip_prefix(root).ok());
            let name = relative.map_or_else(|| name.clone(), |relative| relative.to_string_lossy().into_owned());
            let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
            coverage.merge_file(name, file);
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
            self.merge_file(name, file);
        }
        Ok(())
    }

    fn merge_file(&mut self, name: String, file: FileCoverage) {
        let known = self.files.entry(name).or_insert_with(|| {
            self.item_count += 1;
            FileCoverage::default()
        });
        let before = known.item_count();
        known.merge(file);
        self.item_count = self.item_count - before + known.item_count();
    }

    /// Returns the number of files, lines and branches, which determines the memory that the data needs.
    pub(super) fn item_count(&self) -> usize {
        self.item_count
    }

    /// Returns whether no line was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.files.values().all(|file| file.executed_lines.is_empty() && file.missing_lines.is_empty())
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
    /// Adds the lines and branches of another run, in a time that depends on the size of `other` only.
    fn merge(&mut self, other: Self) {
        merge_sets((&mut self.executed_lines, &mut self.missing_lines), other.executed_lines, other.missing_lines);
        let known = (&mut self.executed_branches, &mut self.missing_branches);
        merge_sets(known, other.executed_branches, other.missing_branches);
    }

    fn item_count(&self) -> usize {
        [self.executed_lines.len(), self.missing_lines.len()].iter().sum::<usize>()
            + [self.executed_branches.len(), self.missing_branches.len()].iter().sum::<usize>()
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

/// Adds what was executed and what was missed; what any run executed is not missing.
fn merge_sets<T: Ord>(
    (executed, missing): (&mut BTreeSet<T>, &mut BTreeSet<T>),
    more_executed: BTreeSet<T>,
    more_missing: BTreeSet<T>,
) {
    for item in more_executed {
        missing.remove(&item);
        executed.insert(item);
    }
    missing.extend(more_missing.into_iter().filter(|item| !executed.contains(item)));
}

/// Returns the first of `roots` that contains a file. The root of the file system and relative paths are none.
fn find_root<'a, 'b>(names: impl Iterator<Item = &'b String>, roots: &[&'a Path]) -> Option<&'a Path> {
    let mut positions: HashMap<&[u8], usize> = HashMap::new();
    for (position, root) in roots.iter().enumerate().filter(|(_, root)| root.is_absolute() && root.parent().is_some()) {
        positions.entry(root.as_os_str().as_bytes()).or_insert(position);
    }
    let lengths: BTreeSet<usize> = positions.keys().map(|root| root.len()).collect();
    let mut first: Option<usize> = None;
    for name in names.map(String::as_bytes) {
        let parents = lengths.range(..name.len()).filter(|length| name[**length] == b'/');
        let found = parents.filter_map(|length| positions.get(&name[..*length]).copied());
        first = found.chain(first).min();
    }
    roots.get(first?).copied()
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
        SlipcoverCoverage::parse(document.to_string().as_bytes(), &[Path::new("/"), Path::new("/w/1")]).unwrap()
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
        assert_eq!(
            (all.item_count(), all.is_empty(), data(false, &json!({ "b.py": {} })).is_empty()),
            (6, false, true)
        );
        assert_eq!(SlipcoverCoverage::parse(document.to_string().as_bytes(), &[]).unwrap(), all);
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
        assert_eq!(SlipcoverCoverage::parse(b"{\"meta\": {\"software\": \"coverage\"}, \"files\": {}}", &[]), None);
        assert_eq!(SlipcoverCoverage::parse(b"[]", &[]), None);
        let mut all = data(false, &json!({}));
        let mut with = all.clone();
        with.meta.insert("show_contexts".to_owned(), json!(true));
        assert_eq!(all.merge(with), Err(CoverageError::HasContexts));
    }
}

//! Matrix of a job: its literal axes and the number of jobs.

use super::super::source::Span;
use super::super::yaml::{YamlKind, YamlNode, YamlStyle};
use super::text::SpannedText;

/// Values of one job of a matrix: the path (`x` of `matrix.x`, `x.y` of `matrix.x.y`) and the value of each.
pub(crate) type MatrixCombination = Vec<(String, SpannedText)>;

/// Number of jobs above which the jobs of a matrix are not listed; GitHub allows 256.
const MAX_ENTRIES: usize = 256;

/// A job's `strategy.matrix`.
#[derive(Clone, Debug)]
pub(crate) struct JobMatrix {
    /// Span of the `strategy` key.
    pub(crate) key_span: Span,
    /// Axes and their literal values, including those of `include`.
    pub(crate) axes: Vec<(String, Vec<String>)>,
    /// Number of jobs, if it is known.
    pub(crate) job_count: Option<usize>,
    /// The jobs, if all values are literal.
    pub(crate) entries: Option<Vec<MatrixCombination>>,
    /// Value of `fail-fast`, if set.
    pub(crate) fail_fast: Option<String>,
}

impl JobMatrix {
    /// Parses a `strategy` mapping.
    pub(super) fn from_node(key: &YamlNode, strategy: &YamlNode) -> Option<Self> {
        let matrix = strategy.get("matrix")?;
        let fail_fast = strategy.get("fail-fast").and_then(YamlNode::as_str).map(str::to_owned);
        let mut axes: Vec<(String, Vec<String>)> = Vec::new();
        let mut jobs = (!matrix.entries().is_empty()).then_some(1);
        for (name, values) in matrix.entries() {
            let (Some(name), items) = (name.as_str(), values.items()) else { continue };
            if name == "exclude" {
                continue;
            }
            if values.as_str().is_some() {
                jobs = None;
            }
            if name == "include" {
                jobs = jobs.map(|count| if axes.is_empty() { items.len() } else { count });
                for (name, value) in items.iter().flat_map(YamlNode::entries) {
                    add_axis_node(&mut axes, name.as_str().unwrap_or_default(), value);
                }
                continue;
            }
            jobs = jobs.map(|count: usize| count.saturating_mul(items.len().max(1)));
            for item in items {
                add_axis_node(&mut axes, name, item);
            }
        }
        Some(Self { key_span: key.span, axes, job_count: jobs, entries: list_entries(matrix), fail_fast })
    }

    /// Returns the literal values of `matrix.<axis>`; the axis may be a path such as `task.run`.
    pub(crate) fn axis_values(&self, axis: &str) -> &[String] {
        self.axes.iter().find(|(name, _)| name == axis).map_or(&[], |(_, values)| values)
    }
}

/// Adds the values of a node: of a mapping, one for each path.
fn add_axis_node(axes: &mut Vec<(String, Vec<String>)>, name: &str, node: &YamlNode) {
    for (path, value) in flatten_node(name, node) {
        add_axis_value(axes, &path, Some(&value.value));
    }
}

/// Returns the scalars of a node, each with its path.
fn flatten_node(path: &str, node: &YamlNode) -> MatrixCombination {
    if let Some(text) = SpannedText::from_node(node) {
        return vec![(path.to_owned(), text)];
    }
    let inner = node.entries().iter().filter_map(|(name, value)| Some((name.as_str()?, value)));
    inner.flat_map(|(name, value)| flatten_node(&format!("{path}.{name}"), value)).collect()
}

/// Returns the jobs of a matrix; `None` if a value is an expression, or if there are too many.
fn list_entries(matrix: &YamlNode) -> Option<Vec<MatrixCombination>> {
    let flatten = |node: &YamlNode| -> MatrixCombination {
        let inner = node.entries().iter().filter_map(|(name, value)| Some((name.as_str()?, value)));
        inner.flat_map(|(name, value)| flatten_node(name, value)).collect()
    };
    let list = |name: &str| matrix.get(name).map(YamlNode::items).unwrap_or_default();
    if matrix.entries().is_empty() || matrix.entries().iter().any(|(_, values)| values.as_str().is_some()) {
        return None;
    }
    let axes = matrix.entries().iter().filter_map(|(name, values)| Some((name.as_str()?, values.items())));
    let axes: Vec<(&str, &[YamlNode])> = axes.filter(|(name, _)| !matches!(*name, "include" | "exclude")).collect();
    let mut entries: Vec<MatrixCombination> = if axes.is_empty() { Vec::new() } else { vec![Vec::new()] };
    for (name, items) in &axes {
        let extended = |entry: &MatrixCombination| {
            let entry = entry.clone();
            items.iter().map(move |item| entry.iter().cloned().chain(flatten_node(name, item)).collect())
        };
        entries = entries.iter().flat_map(extended).take(MAX_ENTRIES + 1).collect();
    }
    if has_ambiguous_filters(matrix) {
        return None;
    }
    let has = |entry: &MatrixCombination, (path, value): &(String, SpannedText)| {
        entry.iter().any(|(known, text)| known == path && text.value == value.value)
    };
    entries.retain(|entry| {
        !list("exclude").iter().map(flatten).any(|excluded| excluded.iter().all(|pair| has(entry, pair)))
    });
    let is_axis = |path: &str| axes.iter().any(|(name, _)| path.split('.').next() == Some(name));
    let products = entries.len();
    for included in list("include").iter().map(flatten) {
        let mut is_used = false;
        for entry in entries.iter_mut().take(products) {
            if included.iter().filter(|(path, _)| is_axis(path)).all(|pair| has(entry, pair)) {
                entry.retain(|(path, _)| is_axis(path) || !included.iter().any(|(new, _)| new == path));
                entry.extend(included.iter().filter(|(path, _)| !is_axis(path)).cloned());
                is_used = true;
            }
        }
        if !is_used {
            entries.push(included);
        }
    }
    (entries.len() <= MAX_ENTRIES).then_some(entries)
}

/// Whether a value of `include` or `exclude` has the text of a value of its axis but is written in another style, such as
/// `3.11` for `'3.11'`: whether the forge takes the two as equal is not known.
fn has_ambiguous_filters(matrix: &YamlNode) -> bool {
    let filters = ["include", "exclude"].into_iter().filter_map(|name| matrix.get(name));
    let mut pairs = filters.flat_map(YamlNode::items).flat_map(YamlNode::entries);
    let is_plain = |node: &YamlNode| matches!(node.kind, YamlKind::Scalar(_, YamlStyle::Plain));
    pairs.any(|(name, value)| {
        let axis = name.as_str().and_then(|name| matrix.get(name)).map(YamlNode::items).unwrap_or_default();
        let is_number = value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
        is_number && axis.iter().any(|other| other.as_str() == value.as_str() && is_plain(other) != is_plain(value))
    })
}

fn add_axis_value(axes: &mut Vec<(String, Vec<String>)>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    match axes.iter_mut().find(|(known, _)| known == name) {
        Some((_, values)) if values.iter().any(|known| known == value) => {}
        Some((_, values)) => values.push(value.to_owned()),
        None => axes.push((name.to_owned(), vec![value.to_owned()])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::parse_document;
    use super::*;

    fn matrix(text: &str) -> Option<JobMatrix> {
        let root = parse_document(text).unwrap();
        let (key, value) = root.get_entry("strategy").unwrap();
        JobMatrix::from_node(key, value)
    }

    #[test]
    fn axes_and_job_counts_are_parsed() {
        let m = matrix("strategy:\n  fail-fast: false\n  matrix:\n    os: [a, b]\n    py: ['3.11', '3.12', '3.13']\n    exclude: []\n").unwrap();
        assert_eq!((m.job_count, m.axis_values("py").len(), m.fail_fast.as_deref()), (Some(6), 3, Some("false")));
        assert!(m.axis_values("none").is_empty());
        let m =
            matrix("strategy:\n  matrix:\n    include:\n      - {s: lint, p: 1}\n      - {s: tests, p: 1}\n").unwrap();
        assert_eq!(
            (m.job_count, m.axis_values("s"), m.axis_values("p").len()),
            (Some(2), ["lint".to_owned(), "tests".to_owned()].as_slice(), 1)
        );
        assert_eq!(matrix("strategy:\n  matrix:\n    s: ${{ fromJSON(x) }}\n").unwrap().job_count, None);
        assert_eq!(matrix("strategy:\n  matrix: ${{ fromJSON(x) }}\n").unwrap().job_count, None);
        assert!(matrix("strategy:\n  fail-fast: true\n").is_none());
    }

    #[test]
    fn the_jobs_of_a_matrix_are_listed() {
        let jobs = |text: &str| {
            let entries = matrix(&format!("strategy:\n  matrix: {text}\n")).unwrap().entries?;
            let one = |entry: MatrixCombination| {
                entry.into_iter().map(|(path, text)| format!("{path}={}", text.value)).collect::<Vec<_>>().join(" ")
            };
            Some(entries.into_iter().map(one).collect::<Vec<_>>())
        };
        assert_eq!(jobs("{a: [1, 2], b: [x]}").unwrap(), ["a=1 b=x", "a=2 b=x"]);
        assert_eq!(jobs("{a: [1, 2], b: [x, y], exclude: [{a: 1}, {a: 2, b: y}]}").unwrap(), ["a=2 b=x"]);
        assert_eq!(jobs("{include: [{t: {n: l, run: nox -s l}}, {}]}").unwrap(), ["t.n=l t.run=nox -s l", ""]);
        assert_eq!(
            jobs("{a: [1, 2], include: [{a: 2, c: z}, {c: q}, {a: 3}]}").unwrap(),
            ["a=1 c=q", "a=2 c=q", "a=3"]
        );
        assert_eq!(jobs("{a: ['3.11', '3.12'], exclude: [{a: '3.12'}]}").unwrap(), ["a=3.11"]);
        assert_eq!(jobs("{a: ['3.11', '3.12'], exclude: [{a: 3.12}]}"), None);
        assert_eq!(jobs("{a: '${{ fromJSON(x) }}'}"), None);
        assert_eq!(jobs(&format!("{{a: [{}], b: [{0}]}}", "1, ".repeat(17))), None);
    }
}

//! Matrix of a job: its literal axes and the number of jobs.

use super::super::source::Span;
use super::super::yaml::YamlNode;

/// A job's `strategy.matrix`.
#[derive(Clone, Debug)]
pub(crate) struct JobMatrix {
    /// Span of the `strategy` key.
    pub(crate) key_span: Span,
    /// Axes and their literal values, including those of `include`.
    pub(crate) axes: Vec<(String, Vec<String>)>,
    /// Number of jobs, if it is known.
    pub(crate) job_count: Option<usize>,
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
                    add_axis_value(&mut axes, name.as_str().unwrap_or_default(), value.as_str());
                }
                continue;
            }
            jobs = jobs.map(|count: usize| count.saturating_mul(items.len().max(1)));
            for item in items {
                add_axis_value(&mut axes, name, item.as_str());
            }
        }
        Some(Self { key_span: key.span, axes, job_count: jobs, fail_fast })
    }

    /// Returns the literal values of `matrix.<axis>`.
    pub(crate) fn axis_values(&self, axis: &str) -> &[String] {
        self.axes.iter().find(|(name, _)| name == axis).map_or(&[], |(_, values)| values)
    }
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
}

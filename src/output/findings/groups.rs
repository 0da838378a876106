//! Groups of findings: those of one rule, severity and confidence, in all files or in one.

use crate::audit::finding::{Confidence, Finding};
use crate::text::to_single_line;

/// Findings of one rule with one severity and one confidence; never empty.
pub(super) type FindingGroup<'a> = Vec<&'a Finding>;

/// Groups findings by rule: highest severity first, then by first location.
pub(super) fn group_by_rule(findings: &[Finding]) -> Vec<FindingGroup<'_>> {
    collect_groups(findings, is_same_kind)
}

/// Groups the findings of each file by rule: highest severity first, then by file and first location.
pub(super) fn group_by_rule_and_file(findings: &[Finding]) -> Vec<FindingGroup<'_>> {
    collect_groups(findings, |a, b| is_same_kind(a, b) && a.location.source.path == b.location.source.path)
}

fn collect_groups(findings: &[Finding], belongs: impl Fn(&Finding, &Finding) -> bool) -> Vec<FindingGroup<'_>> {
    let mut groups: Vec<FindingGroup<'_>> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|group| belongs(group[0], finding)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group[0].severity));
    groups
}

fn is_same_kind(a: &Finding, b: &Finding) -> bool {
    a.rule == b.rule && a.severity == b.severity && a.confidence == b.confidence
}

/// Returns the lines of findings, without repeats, in order.
pub(super) fn distinct_lines<'a>(findings: impl IntoIterator<Item = &'a &'a Finding>) -> Vec<usize> {
    let mut lines: Vec<usize> = findings.into_iter().map(|finding| finding.location.start_position().line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Returns lines as text: `line 3`, `lines 3, 46 and 78`.
pub(super) fn describe_lines(lines: &[usize]) -> String {
    let words: Vec<String> = lines.iter().map(usize::to_string).collect();
    match words.as_slice() {
        [one] => format!("line {one}"),
        [first @ .., last] => format!("lines {} and {last}", first.join(", ")),
        [] => String::new(),
    }
}

/// Returns the places of findings by file: `ci.yml:3, 46; release.yml:7`.
pub(super) fn describe_places(findings: &[&Finding]) -> String {
    let mut files: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let path = finding.location.source.path.as_str();
        match files.iter_mut().find(|(known, _)| *known == path) {
            Some((_, members)) => members.push(finding),
            None => files.push((path, vec![finding])),
        }
    }
    let place = |(path, members): &(&str, Vec<&Finding>)| {
        let lines: Vec<String> = distinct_lines(members).iter().map(usize::to_string).collect();
        format!("{}:{}", to_single_line(path), lines.join(", "))
    };
    files.iter().map(place).collect::<Vec<_>>().join("; ")
}

/// Returns the confidence in parentheses, after a space, where it is not high.
pub(super) fn confidence_note(confidence: Confidence) -> String {
    match confidence {
        Confidence::High => String::new(),
        other => format!(" ({} confidence)", other.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_confidence_are_described() {
        assert_eq!(describe_lines(&[3, 9, 12]), "lines 3, 9 and 12");
        assert_eq!((describe_lines(&[4]).as_str(), describe_lines(&[]).as_str()), ("line 4", ""));
        assert_eq!(confidence_note(Confidence::High) + &confidence_note(Confidence::Low), " (low confidence)");
    }
}

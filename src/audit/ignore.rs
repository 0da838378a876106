//! Comments that pass a finding over: `# noxide: ignore[NX101]` on its line or on comment lines right above.

use super::finding::Finding;

const MARK: &str = "noxide: ignore";

/// Whether a comment at the finding's place passes it over.
pub fn ignored(finding: &Finding) -> bool {
    let source = &finding.place.source;
    let first = source.line_of(finding.place.span.start);
    if names(source.line(first), finding) {
        return true;
    }
    let mut above = first;
    while let Some(line) = above.checked_sub(1).map(|line| source.line(line)) {
        if !line.trim_start().starts_with('#') {
            return false;
        }
        if names(line, finding) {
            return true;
        }
        above -= 1;
    }
    false
}

/// Whether a line's comment names the rule, or all rules.
fn names(line: &str, finding: &Finding) -> bool {
    let Some((before, comment)) = line.split_once(MARK) else { return false };
    if !before.contains('#') {
        return false;
    }
    let Some(list) = comment.strip_prefix('[') else { return !comment.starts_with(char::is_alphanumeric) };
    let list = list.split(']').next().unwrap_or_default();
    list.split(',').map(str::trim).any(|name| name.eq_ignore_ascii_case(finding.rule.id) || name == finding.rule.name)
}

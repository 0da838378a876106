//! Comments that pass a finding over: `# noxide: ignore[NX101]` on its line or on comment lines right above.

use super::finding::Finding;

const IGNORE_MARKER: &str = "noxide: ignore";

/// Whether a comment at the finding's place passes it over.
pub(crate) fn is_ignored_by_comment(finding: &Finding) -> bool {
    let source = &finding.location.source;
    let first = source.line_index(finding.location.span.start);
    if has_ignore_comment(source.line_text(first), finding) {
        return true;
    }
    let mut above = first;
    while let Some(line) = above.checked_sub(1).map(|line| source.line_text(line)) {
        if !line.trim_start().starts_with('#') {
            return false;
        }
        if has_ignore_comment(line, finding) {
            return true;
        }
        above -= 1;
    }
    false
}

/// Whether a line's comment names the rule, or all rules.
fn has_ignore_comment(line: &str, finding: &Finding) -> bool {
    let Some((before, comment)) = line.split_once(IGNORE_MARKER) else { return false };
    if !before.contains('#') {
        return false;
    }
    let Some(list) = comment.strip_prefix('[') else { return !comment.starts_with(char::is_alphanumeric) };
    let list = list.split(']').next().unwrap_or_default();
    list.split(',').map(str::trim).any(|name| name.eq_ignore_ascii_case(finding.rule.id) || name == finding.rule.name)
}

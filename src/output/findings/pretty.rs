//! Findings as terminal text with source snippets, one per rule, followed by its other locations.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::counts::FindingCounts;
use super::groups::{confidence_note, describe_places, group_by_rule};
use super::statistics::render_rule_table;
use crate::audit::finding::{Finding, FindingLocation, Severity};
use crate::output::OutputTheme;
use crate::text::to_single_line;

/// Number of related locations shown as snippets.
const MAX_RELATED_SNIPPETS: usize = 3;
/// Number of locations listed in a line.
const MAX_LISTED_LOCATIONS: usize = 12;

/// Renders findings for a terminal, wrapped to `width` columns if given.
pub(crate) fn render_pretty(
    findings: &[Finding],
    counts: FindingCounts,
    theme: OutputTheme,
    width: Option<usize>,
) -> String {
    let decor = if theme.unicode { DecorStyle::Unicode } else { DecorStyle::Ascii };
    let renderer = if theme.color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(decor).term_width(width.unwrap_or(120).max(40));
    let mut text = String::new();
    for group in group_by_rule(findings) {
        text.push_str(&renderer.render(&finding_groups(&group, width)));
        text.push_str("\n\n");
    }
    text.push_str(&render_rule_table(findings));
    text.push_str(&counts.summary_line(findings));
    text.push('\n');
    text
}

fn finding_groups<'a>(group: &[&'a Finding], width: Option<usize>) -> Vec<Group<'a>> {
    let finding = group[0];
    let level = match finding.severity {
        Severity::High => Level::ERROR,
        Severity::Medium | Severity::Low => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let level = level.with_name(finding.severity.as_str());
    let mut first = Group::with_title(level.primary_title(finding.message.as_str()).id(finding.rule.id));
    first = first.element(finding_snippet(finding, &finding.location));
    let related = finding.related.iter().filter(|location| location.source.path != finding.location.source.path);
    let mut other_files: Vec<&FindingLocation> = related.take(MAX_RELATED_SNIPPETS).collect();
    other_files.dedup_by(|a, b| a.source.path == b.source.path && a.start_position().line == b.start_position().line);
    for location in &other_files {
        let annotation = AnnotationKind::Context.span(first_line_span(location)).label(to_single_line(&location.label));
        first = first.element(
            Snippet::source(location.source.text.as_str()).path(location.display_path()).annotation(annotation),
        );
    }
    if group.len() > 1 {
        let others = describe_places(group.get(1..).unwrap_or_default());
        first = first.element(Level::NOTE.message(wrap_message(&format!("also at {others}"), width)));
    }
    let unshown = finding.related.len().saturating_sub(count_related_shown(finding) + other_files.len());
    if unshown > 0 {
        let rest: Vec<String> =
            finding.related.iter().skip(finding.related.len() - unshown).map(format_location).collect();
        first = first.element(Level::NOTE.message(wrap_message(&format!("see also {}", join_locations(&rest)), width)));
    }
    let summary = format!("{} ({}){}", finding.rule.summary, finding.rule.name, confidence_note(finding.confidence));
    first = first.element(Level::NOTE.message(wrap_message(&summary, width)));
    first = first.element(Level::HELP.message(wrap_message(&to_single_line(&finding.advice), width)));
    let mut groups = vec![first];
    if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) {
        let title = to_single_line(&format!("{} ({})", fix.title, fix.applied_by()));
        let title = Level::HELP.secondary_title(title);
        let mut source = Snippet::source(fix.source.text.as_str()).path(to_single_line(&fix.source.path));
        for edit in &fix.edits {
            source = source.patch(Patch::new(edit.span.start..edit.span.end, edit.text.as_str()));
        }
        groups.push(Group::with_title(title).element(source));
    }
    groups
}

/// Returns the number of related locations in the snippet of the finding.
fn count_related_shown(finding: &Finding) -> usize {
    finding
        .related
        .iter()
        .filter(|location| location.source.path == finding.location.source.path)
        .take(MAX_RELATED_SNIPPETS)
        .count()
}

/// Returns the snippet of a finding, with its related locations in the same file.
fn finding_snippet<'a>(
    finding: &'a Finding,
    location: &'a FindingLocation,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let primary = AnnotationKind::Primary.span(first_line_span(location));
    let primary = if location.label.is_empty() { primary } else { primary.label(to_single_line(&location.label)) };
    let mut snippet = Snippet::source(location.source.text.as_str()).path(location.display_path()).annotation(primary);
    for other in
        finding.related.iter().filter(|other| other.source.path == location.source.path).take(MAX_RELATED_SNIPPETS)
    {
        snippet = snippet
            .annotation(AnnotationKind::Context.span(first_line_span(other)).label(to_single_line(&other.label)));
    }
    snippet
}

/// Returns the first line of a location, since underlining a whole step would be hard to read.
fn first_line_span(location: &FindingLocation) -> std::ops::Range<usize> {
    let text = location.source.slice(location.span);
    let line = text.find(['\n', '\r']).unwrap_or(text.len());
    location.span.start..location.span.start + line
}

fn format_location(location: &FindingLocation) -> String {
    let start = location.start_position();
    format!("{}:{}:{}", location.display_path(), start.line, start.column)
}

fn join_locations(locations: &[String]) -> String {
    let listed = locations.iter().take(MAX_LISTED_LOCATIONS).cloned().collect::<Vec<_>>().join(", ");
    if locations.len() > MAX_LISTED_LOCATIONS {
        format!("{listed} and {} more", locations.len() - MAX_LISTED_LOCATIONS)
    } else {
        listed
    }
}

/// Wraps a message to fit to the right of the line numbers; without a width, it stays on one line.
fn wrap_message(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let line_width = width.saturating_sub(16).max(24);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > line_width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wrap_within_the_width() {
        let text = "one two three four five six seven eight nine ten";
        assert_eq!(wrap_message(text, None), text);
        let lines = wrap_message(text, Some(44));
        assert!(lines.lines().count() == 2 && lines.lines().all(|line| line.len() <= 28), "{lines}");
        assert_eq!(lines.replace('\n', " "), text);
    }
}

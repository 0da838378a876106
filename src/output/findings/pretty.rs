//! Findings with their source, as a compiler shows them: one rule at a time, its other places in a line.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::counts::{FindingCounts, group_by_rule};
use crate::audit::finding::{Finding, FindingLocation, Severity};
use crate::output::OutputTheme;

/// The most related places shown with their source.
const MAX_RELATED_SNIPPETS: usize = 3;
/// The most places named in a line.
const MAX_LISTED_LOCATIONS: usize = 12;

/// Text for people, with a line end.
pub(crate) fn render_pretty(
    findings: &[Finding],
    tally: FindingCounts,
    paint: OutputTheme,
    width: Option<usize>,
) -> String {
    let decor = if paint.unicode { DecorStyle::Unicode } else { DecorStyle::Ascii };
    let renderer = if paint.color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(decor).term_width(width.unwrap_or(120).max(40));
    let mut text = String::new();
    for group in group_by_rule(findings) {
        text.push_str(&renderer.render(&finding_groups(&group, width)));
        text.push_str("\n\n");
    }
    text.push_str(&tally.summary_line(findings));
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
    let related = finding.related.iter().filter(|place| place.source.path != finding.location.source.path);
    let mut elsewhere: Vec<&FindingLocation> = related.take(MAX_RELATED_SNIPPETS).collect();
    elsewhere.dedup_by(|a, b| a.source.path == b.source.path && a.start_position().line == b.start_position().line);
    for place in &elsewhere {
        let annotation = AnnotationKind::Context.span(first_line_span(place)).label(place.label.as_str());
        first = first.element(
            Snippet::source(place.source.text.as_str()).path(place.source.path.as_str()).annotation(annotation),
        );
    }
    let others: Vec<String> = group.iter().skip(1).map(|other| format_location(&other.location)).collect();
    if !others.is_empty() {
        first =
            first.element(Level::NOTE.message(wrap_message(&format!("also at {}", join_locations(&others)), width)));
    }
    let unshown = finding.related.len().saturating_sub(count_related_shown(finding) + elsewhere.len());
    if unshown > 0 {
        let rest: Vec<String> =
            finding.related.iter().skip(finding.related.len() - unshown).map(format_location).collect();
        first = first.element(Level::NOTE.message(wrap_message(&format!("see also {}", join_locations(&rest)), width)));
    }
    first = first.element(
        Level::NOTE.message(wrap_message(&format!("{} ({})", finding.rule.summary, finding.rule.name), width)),
    );
    first = first.element(Level::HELP.message(wrap_message(&finding.advice, width)));
    let mut groups = vec![first];
    if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) {
        let how = if fix.safe { "--fix" } else { "--fix --unsafe-fixes" };
        let title = Level::HELP.secondary_title(format!("{} ({how})", fix.title));
        let mut source = Snippet::source(fix.source.text.as_str()).path(fix.source.path.as_str());
        for edit in &fix.edits {
            source = source.patch(Patch::new(edit.span.start..edit.span.end, edit.text.as_str()));
        }
        groups.push(Group::with_title(title).element(source));
    }
    groups
}

/// How many of a finding's related places stand in its own snippet.
fn count_related_shown(finding: &Finding) -> usize {
    finding
        .related
        .iter()
        .filter(|place| place.source.path == finding.location.source.path)
        .take(MAX_RELATED_SNIPPETS)
        .count()
}

/// The finding's place with those related ones that lie in the same file.
fn finding_snippet<'a>(
    finding: &'a Finding,
    place: &'a FindingLocation,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let primary = AnnotationKind::Primary.span(first_line_span(place));
    let primary = if place.label.is_empty() { primary } else { primary.label(place.label.as_str()) };
    let mut snippet = Snippet::source(place.source.text.as_str()).path(place.source.path.as_str()).annotation(primary);
    for other in
        finding.related.iter().filter(|other| other.source.path == place.source.path).take(MAX_RELATED_SNIPPETS)
    {
        snippet = snippet.annotation(AnnotationKind::Context.span(first_line_span(other)).label(other.label.as_str()));
    }
    snippet
}

/// A place's bytes, cut to its first line: a whole step underlined would be noise.
fn first_line_span(place: &FindingLocation) -> std::ops::Range<usize> {
    let text = place.source.slice(place.span);
    let line = text.find(['\n', '\r']).unwrap_or(text.len());
    place.span.start..place.span.start + line
}

fn format_location(place: &FindingLocation) -> String {
    let start = place.start_position();
    format!("{}:{}:{}", place.source.path, start.line, start.column)
}

fn join_locations(places: &[String]) -> String {
    let named = places.iter().take(MAX_LISTED_LOCATIONS).cloned().collect::<Vec<_>>().join(", ");
    if places.len() > MAX_LISTED_LOCATIONS {
        format!("{named} and {} more", places.len() - MAX_LISTED_LOCATIONS)
    } else {
        named
    }
}

/// A message in lines that fit beside the gutter; a pipe gets it in one.
fn wrap_message(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let room = width.saturating_sub(16).max(24);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > room {
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
    fn words_fit_beside_the_gutter() {
        let text = "one two three four five six seven eight nine ten";
        assert_eq!(wrap_message(text, None), text);
        let lines = wrap_message(text, Some(44));
        assert!(lines.lines().count() == 2 && lines.lines().all(|line| line.len() <= 28), "{lines}");
        assert_eq!(lines.replace('\n', " "), text);
    }
}

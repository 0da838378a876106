//! `noxide run --dry-run`: what would run, in which order, beside what.

use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Value, json};

use super::OutputTheme;
use super::listed_session::{describe_constraints, describe_need_origin};
use super::theme::TextStyle;
use crate::record::SessionSpec;
use crate::text::{format_duration, pluralize};

/// A session with its place in a simulated run, in milliseconds from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedSession<'a> {
    /// As planned.
    pub(crate) facts: &'a SessionSpec,
    /// When it would start.
    pub(crate) start_ms: u64,
    /// When it would be over.
    pub(crate) end_ms: u64,
}

/// The plan for people. Times are shown where every session has been seen before; else only the order.
pub(crate) fn render_plan_text(sessions: &[SimulatedSession<'_>], slots: usize, paint: OutputTheme) -> String {
    let sorted = sort_by_start(sessions);
    let known = sorted.iter().all(|session| session.facts.usual.is_some());
    let name = sorted.iter().map(|session| measure_text_width(session.facts.name.as_str())).max().unwrap_or(0).min(40);
    let slots = pluralize(slots, "slot");
    let count = pluralize(sorted.len(), "session");
    let mut text = paint.style_text(TextStyle::Bold, &format!("would run {count} on {slots}, in this order"));
    text.push('\n');
    for session in sorted {
        let at = if known { format!("{:>8}  ", format_duration(session.start_ms)) } else { "  ".to_owned() };
        let mut line = paint.style_text(TextStyle::Dim, &at);
        line.push_str(&pad_str(session.facts.name.as_str(), name, Alignment::Left, None));
        if known {
            line.push_str(&format!("  ~{:<7}", format_duration(session.end_ms.saturating_sub(session.start_ms))));
        }
        let needs =
            session.facts.needs.iter().map(|need| format!("{} ({})", need.on, describe_need_origin(&need.origin)));
        let needs: Vec<String> = needs.collect();
        if !needs.is_empty() {
            line.push_str(&format!("  after {}", needs.join(", ")));
        }
        let limits = describe_constraints(session.facts);
        if !limits.is_empty() {
            line.push_str(&paint.style_text(TextStyle::Dim, &format!("  [{}]", limits.join(", "))));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(end) = sessions.iter().map(|session| session.end_ms).max().filter(|_| known) {
        text.push_str(&format!("about {} in all\n", format_duration(end)));
    }
    text
}

/// The plan for programs.
pub(crate) fn render_plan_json(sessions: &[SimulatedSession<'_>], slots: usize) -> Value {
    let rows = sort_by_start(sessions).into_iter().map(|session| {
        let mut row = serde_json::to_value(session.facts).unwrap_or_default();
        row["start"] = json!(session.start_ms);
        row["end"] = json!(session.end_ms);
        row
    });
    json!({ "version": 1, "slots": slots, "sessions": rows.collect::<Vec<_>>() })
}

fn sort_by_start<'a, 'b>(sessions: &'b [SimulatedSession<'a>]) -> Vec<&'b SimulatedSession<'a>> {
    let mut sorted: Vec<&SimulatedSession<'_>> = sessions.iter().collect();
    sorted.sort_by_key(|session| session.start_ms);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{session_facts, session_facts_with_usual};

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn a_plan_says_when_what_starts_and_after_what() {
        let tests = SessionSpec { locks: vec!["db".to_owned()], ..session_facts_with_usual("unit_tests", 40_000, &[]) };
        let report = session_facts_with_usual("coverage_report", 2_000, &["unit_tests"]);
        let planned = [
            SimulatedSession { facts: &report, start_ms: 40_000, end_ms: 42_000 },
            SimulatedSession { facts: &tests, start_ms: 0, end_ms: 40_000 },
        ];
        insta::assert_snapshot!(render_plan_text(&planned, 2, PLAIN), @r"
        would run 2 sessions on 2 slots, in this order
             0ms  unit_tests       ~40.0s    [lock db]
           40.0s  coverage_report  ~2.0s     after unit_tests (requires)
        about 42.0s in all
        ");
        let value = render_plan_json(&planned, 2);
        assert_eq!((&value["version"], &value["slots"]), (&json!(1), &json!(2)));
        assert_eq!(
            (&value["sessions"][1]["name"], &value["sessions"][1]["start"]),
            (&json!("coverage_report"), &json!(40_000))
        );
    }

    #[test]
    fn without_history_only_the_order_is_told() {
        let facts = session_facts("lint");
        let text = render_plan_text(&[SimulatedSession { facts: &facts, start_ms: 0, end_ms: 1 }], 1, PLAIN);
        insta::assert_snapshot!(text, @r"
        would run 1 session on 1 slot, in this order
          lint
        ");
    }
}

//! `noxide run --dry-run`: what would run, in which order, beside what.

use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Value, json};

use super::listed::{limits, origin};
use super::paint::Tone;
use super::{Paint, duration};
use crate::record::SessionFacts;

/// A session with its place in a simulated run, in milliseconds from its start.
#[derive(Clone, Copy, Debug)]
pub struct PlannedSession<'a> {
    /// As planned.
    pub facts: &'a SessionFacts,
    /// When it would start.
    pub start: u64,
    /// When it would be over.
    pub end: u64,
}

/// The plan for people. Times are shown where every session has been seen before; else only the order.
pub fn plan_text(sessions: &[PlannedSession<'_>], slots: usize, paint: Paint) -> String {
    let sorted = in_order(sessions);
    let known = sorted.iter().all(|session| session.facts.usual.is_some());
    let name = sorted.iter().map(|session| measure_text_width(session.facts.name.as_str())).max().unwrap_or(0).min(40);
    let slots = if slots == 1 { "1 slot".to_owned() } else { format!("{slots} slots") };
    let count = if sorted.len() == 1 { "1 session".to_owned() } else { format!("{} sessions", sorted.len()) };
    let mut text = paint.tone(Tone::Strong, &format!("would run {count} on {slots}, in this order"));
    text.push('\n');
    for session in sorted {
        let at = if known { format!("{:>8}  ", duration::duration(session.start)) } else { "  ".to_owned() };
        let mut line = paint.tone(Tone::Dim, &at);
        line.push_str(&pad_str(session.facts.name.as_str(), name, Alignment::Left, None));
        if known {
            line.push_str(&format!("  ~{:<7}", duration::duration(session.end.saturating_sub(session.start))));
        }
        let needs = session.facts.needs.iter().map(|need| format!("{} ({})", need.on, origin(&need.origin)));
        let needs: Vec<String> = needs.collect();
        if !needs.is_empty() {
            line.push_str(&format!("  after {}", needs.join(", ")));
        }
        let limits = limits(session.facts);
        if !limits.is_empty() {
            line.push_str(&paint.tone(Tone::Dim, &format!("  [{}]", limits.join(", "))));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(end) = sessions.iter().map(|session| session.end).max().filter(|_| known) {
        text.push_str(&format!("about {} in all\n", duration::duration(end)));
    }
    text
}

/// The plan for programs.
pub fn plan_json(sessions: &[PlannedSession<'_>], slots: usize) -> Value {
    let rows = in_order(sessions).into_iter().map(|session| {
        let mut row = serde_json::to_value(session.facts).unwrap_or_default();
        row["start"] = json!(session.start);
        row["end"] = json!(session.end);
        row
    });
    json!({ "version": 1, "slots": slots, "sessions": rows.collect::<Vec<_>>() })
}

fn in_order<'a, 'b>(sessions: &'b [PlannedSession<'a>]) -> Vec<&'b PlannedSession<'a>> {
    let mut sorted: Vec<&PlannedSession<'_>> = sessions.iter().collect();
    sorted.sort_by_key(|session| session.start);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{session, usual};

    const PLAIN: Paint = Paint { color: false, unicode: true };

    #[test]
    fn a_plan_says_when_what_starts_and_after_what() {
        let tests = SessionFacts { locks: vec!["db".to_owned()], ..usual("unit_tests", 40_000, &[]) };
        let report = usual("coverage_report", 2_000, &["unit_tests"]);
        let planned = [
            PlannedSession { facts: &report, start: 40_000, end: 42_000 },
            PlannedSession { facts: &tests, start: 0, end: 40_000 },
        ];
        insta::assert_snapshot!(plan_text(&planned, 2, PLAIN), @r"
        would run 2 sessions on 2 slots, in this order
             0ms  unit_tests       ~40.0s    [lock db]
           40.0s  coverage_report  ~2.0s     after unit_tests (requires)
        about 42.0s in all
        ");
        let value = plan_json(&planned, 2);
        assert_eq!((&value["version"], &value["slots"]), (&json!(1), &json!(2)));
        assert_eq!(
            (&value["sessions"][1]["name"], &value["sessions"][1]["start"]),
            (&json!("coverage_report"), &json!(40_000))
        );
    }

    #[test]
    fn without_history_only_the_order_is_told() {
        let facts = session("lint");
        let text = plan_text(&[PlannedSession { facts: &facts, start: 0, end: 1 }], 1, PLAIN);
        insta::assert_snapshot!(text, @r"
        would run 1 session on 1 slot, in this order
          lint
        ");
    }
}

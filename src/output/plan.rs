//! Output of `noxide run --dry-run`: the sessions in start order, with simulated times.

use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Value, json};

use super::OutputTheme;
use super::list::{describe_constraints, describe_need_origin};
use super::theme::TextStyle;
use crate::record::SessionSpec;
use crate::text::{format_duration, pluralize};

/// A session of a simulated run; times are milliseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedSession<'a> {
    /// The session as planned.
    pub(crate) spec: &'a SessionSpec,
    /// Simulated start.
    pub(crate) start_ms: u64,
    /// Simulated end.
    pub(crate) end_ms: u64,
}

/// Renders the plan for people. Times are shown only if the usual times of all sessions are known.
pub(crate) fn render_plan_text(sessions: &[SimulatedSession<'_>], slots: usize, theme: OutputTheme) -> String {
    let sorted = sort_by_start(sessions);
    let all_known = sorted.iter().all(|session| session.spec.usual_ms.is_some());
    let name_width =
        sorted.iter().map(|session| measure_text_width(&session.spec.name.display_name())).max().unwrap_or(0).min(40);
    let slots = pluralize(slots, "slot");
    let count = pluralize(sorted.len(), "session");
    let mut text = theme.style_text(TextStyle::Bold, &format!("would run {count} on {slots}, in this order:"));
    text.push('\n');
    for session in sorted {
        let start = if all_known { format!("{:>8}  ", format_duration(session.start_ms)) } else { "  ".to_owned() };
        let mut line = theme.style_text(TextStyle::Dim, &start);
        line.push_str(&pad_str(&session.spec.name.display_name(), name_width, Alignment::Left, None));
        if all_known {
            line.push_str(&format!("  ~{:<7}", format_duration(session.end_ms.saturating_sub(session.start_ms))));
        }
        let needs =
            session.spec.needs.iter().map(|need| format!("{} ({})", need.session, describe_need_origin(&need.origin)));
        let needs: Vec<String> = needs.collect();
        if !needs.is_empty() {
            line.push_str(&format!("  after {}", needs.join(", ")));
        }
        let limits = describe_constraints(session.spec);
        if !limits.is_empty() {
            line.push_str(&theme.style_text(TextStyle::Dim, &format!("  [{}]", limits.join(", "))));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(end) = sessions.iter().map(|session| session.end_ms).max().filter(|_| all_known) {
        text.push_str(&format!("about {} in total\n", format_duration(end)));
    }
    text
}

/// Renders the plan as JSON.
pub(crate) fn render_plan_json(sessions: &[SimulatedSession<'_>], slots: usize) -> Value {
    let rows = sort_by_start(sessions).into_iter().map(|session| {
        let mut row = serde_json::to_value(session.spec).unwrap_or_default();
        row["start_ms"] = json!(session.start_ms);
        row["end_ms"] = json!(session.end_ms);
        row
    });
    json!({ "version": 2, "slots": slots, "sessions": rows.collect::<Vec<_>>() })
}

fn sort_by_start<'a, 'b>(sessions: &'b [SimulatedSession<'a>]) -> Vec<&'b SimulatedSession<'a>> {
    let mut sorted: Vec<&SimulatedSession<'_>> = sessions.iter().collect();
    sorted.sort_by_key(|session| session.start_ms);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{session_spec, session_spec_with_usual};

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn a_plan_has_starts_and_needs() {
        let tests = SessionSpec { locks: vec!["db".to_owned()], ..session_spec_with_usual("unit_tests", 40_000, &[]) };
        let report = session_spec_with_usual("coverage_report", 2_000, &["unit_tests"]);
        let planned = [
            SimulatedSession { spec: &report, start_ms: 40_000, end_ms: 42_000 },
            SimulatedSession { spec: &tests, start_ms: 0, end_ms: 40_000 },
        ];
        insta::assert_snapshot!(render_plan_text(&planned, 2, PLAIN), @r"
        would run 2 sessions on 2 slots, in this order:
             0ms  unit_tests       ~40.0s    [lock db]
           40.0s  coverage_report  ~2.0s     after unit_tests (requires)
        about 42.0s in total
        ");
        let value = render_plan_json(&planned, 2);
        assert_eq!((&value["version"], &value["slots"]), (&json!(2), &json!(2)));
        assert_eq!(
            (&value["sessions"][1]["name"], &value["sessions"][1]["start_ms"]),
            (&json!("coverage_report"), &json!(40_000))
        );
    }

    #[test]
    fn without_history_only_the_order_is_shown() {
        let spec = session_spec("lint");
        let text = render_plan_text(&[SimulatedSession { spec: &spec, start_ms: 0, end_ms: 1 }], 1, PLAIN);
        insta::assert_snapshot!(text, @r"
        would run 1 session on 1 slot, in this order:
          lint
        ");
    }
}

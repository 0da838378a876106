//! `--dry-run`: what a run would do, in the order its sessions would be started.

use serde_json::{Value, json};

use super::{ListedSession, Paint, graph_text};
use crate::record::{RunFacts, SessionFacts};

/// The plan for people: `sessions` in the order they would be started where nothing holds them back.
pub fn plan_text(sessions: &[SessionFacts], slots: usize, paint: Paint) -> String {
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let heading = format!("{} on {}, in this order:\n\n", plural(sessions.len(), "session"), plural(slots, "slot"));
    let listed: Vec<ListedSession> = sessions
        .iter()
        .map(|facts| ListedSession { facts: facts.clone(), selected: true, tags: Vec::new(), python: None })
        .collect();
    heading + &graph_text(&listed, paint)
}

/// The plan for programs.
pub fn plan_json(facts: &RunFacts) -> Value {
    json!({
        "version": 1,
        "dry_run": true,
        "root": facts.root.to_string_lossy(),
        "slots": facts.slots,
        "commit": facts.commit,
        "sessions": facts.sessions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{Story, usual};

    #[test]
    fn a_plan_says_what_comes_after_what() {
        let sessions = [usual("unit_tests", 40_000, &[]), usual("coverage", 2_000, &["unit_tests"])];
        let text = plan_text(&sessions, 1, Paint { color: false, unicode: true });
        insta::assert_snapshot!(text, @r"
        2 sessions on 1 slot, in this order:

        unit_tests  ~40.0s
        coverage     ~2.0s  ← unit_tests (requires)

        longest chain: unit_tests → coverage (~42.0s)
        ");
        let state = Story::of(sessions.to_vec()).state();
        let value = plan_json(state.facts().unwrap());
        assert_eq!((&value["slots"], &value["sessions"][1]["name"]), (&json!(2), &json!("coverage")));
    }
}

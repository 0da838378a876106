//! One line about one session: that it started, that it ended, and how.

use console::{Alignment, measure_text_width, pad_str};

use super::theme::TextStyle;
use super::{OutputTheme, RunState};
use crate::record::{AttemptResult, Outcome, SessionResult, SessionSpec};
use crate::text::{format_duration, sanitize_line};

/// Names are padded to at most this many columns.
const MAX_NAME_WIDTH: usize = 36;
/// The longest of the outcomes' words.
const OUTCOME_WIDTH: usize = 9;

/// The word for how a session ended; a flaky pass has its own.
pub(crate) fn outcome_word(result: &SessionResult) -> &'static str {
    if result.flaky && result.outcome == Outcome::Passed { "flaky" } else { result.outcome.as_str() }
}

/// All that is to be said of a session's end beside its word: reason, attempts, processes left behind.
pub(crate) fn result_notes(result: &SessionResult) -> Vec<String> {
    let mut notes = Vec::new();
    if !result.reason.is_empty() {
        notes.push(to_single_line(&result.reason));
    }
    match result.attempts.len() {
        0 | 1 => {}
        count if result.flaky => notes.push(format!("passed on attempt {count}")),
        count => notes.push(format!("{count} attempts")),
    }
    if result.attempts.iter().any(|attempt| attempt.leaky) {
        notes.push("left a process behind".to_owned());
    }
    notes
}

/// A text without line ends and control sequences.
pub(crate) fn to_single_line(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| sanitize_line(line.as_bytes(), false).trim().to_owned()).collect();
    lines.join(" ").trim().to_owned()
}

/// How wide the names of a run's sessions are, within reason.
pub(crate) fn session_name_width(state: &RunState) -> usize {
    let widths = state.sessions().iter().map(|view| measure_text_width(view.facts.name.as_str()));
    widths.max().unwrap_or(0).min(MAX_NAME_WIDTH)
}

/// Lines about sessions, their columns aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRows {
    theme: OutputTheme,
    name_width: usize,
    /// Columns of the screen; lines that do not fit give up their alignment.
    terminal_width: Option<usize>,
}

impl SessionRows {
    pub(crate) fn for_run(state: &RunState, paint: OutputTheme, width: Option<usize>) -> Self {
        Self { theme: paint, name_width: session_name_width(state), terminal_width: width }
    }

    fn format_row(self, mark: &str, word: &str, tone: TextStyle, name: &str, rest: &str) -> String {
        let padded = pad_str(name, self.name_width, Alignment::Left, None);
        let plain = sanitize_line(rest.as_bytes(), false);
        let taken = 2 + OUTCOME_WIDTH + 1 + measure_text_width(&padded) + 2 + measure_text_width(&plain);
        if self.terminal_width.is_some_and(|width| taken >= width) {
            let word = self.theme.style_text(tone, &format!("{mark} {word}"));
            return format!("{word} {name}  {}", rest.trim_start()).trim_end().to_owned();
        }
        let word =
            self.theme.style_text(tone, &format!("{mark} {}", pad_str(word, OUTCOME_WIDTH, Alignment::Left, None)));
        format!("{word} {padded}  {rest}").trim_end().to_owned()
    }

    /// A session's process started.
    pub(crate) fn started_row(self, facts: &SessionSpec, attempt: u32) -> String {
        let mut rest = facts.usual.map_or_else(String::new, |usual| format!("usually {}", format_duration(usual)));
        if attempt > 1 {
            rest = format!("attempt {attempt}");
        }
        let rest = self.theme.style_text(TextStyle::Dim, &rest);
        self.format_row(self.theme.pick_glyph("▸", ">"), "started", TextStyle::Dim, facts.name.as_str(), &rest)
    }

    /// A session joined the run while it went on.
    pub(crate) fn added_row(self, name: &str, by: &str) -> String {
        self.format_row(self.theme.pick_glyph("▸", ">"), "added", TextStyle::Dim, name, &format!("by {by}"))
    }

    /// An attempt failed and another follows.
    pub(crate) fn retried_row(self, name: &str, attempt: &AttemptResult, delay: u64) -> String {
        let reason = to_single_line(&attempt.reason);
        let again = if delay == 0 { "now".to_owned() } else { format!("in {}", format_duration(delay)) };
        let rest = format!(
            "{:>7}  attempt {} {}{}; again {again}",
            format_duration(attempt.end.saturating_sub(attempt.start)),
            attempt.number,
            attempt.outcome,
            if reason.is_empty() { String::new() } else { format!(" ({reason})") },
        );
        self.format_row(self.theme.pick_glyph("↺", "~"), "retry", TextStyle::Warning, name, &rest)
    }

    /// A session is over.
    pub(crate) fn finished_row(self, result: &SessionResult) -> String {
        let time = if result.attempts.is_empty() { String::new() } else { format_duration(result.wall_time()) };
        let notes = result_notes(result).join(self.theme.separator());
        let tone = TextStyle::for_outcome(result.outcome, result.flaky);
        let rest = format!("{time:>7}  {notes}");
        self.format_row(
            self.theme.outcome_mark(result.outcome),
            outcome_word(result),
            tone,
            result.session.as_str(),
            &rest,
        )
    }
}

/// The title of a session's block: `lint passed in 3.2s`, `types failed in 8.1s: exit code 1`.
pub(crate) fn result_title(result: &SessionResult) -> String {
    let mut title = format!("{} {}", result.session, outcome_word(result));
    if !result.attempts.is_empty() {
        title.push_str(&format!(" in {}", format_duration(result.wall_time())));
    }
    let notes = result_notes(result).join(", ");
    if !notes.is_empty() {
        title.push_str(": ");
        title.push_str(&notes);
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_facts_with_usual};

    #[test]
    fn lines_stand_in_columns_and_say_all() {
        let mut story = RunEventBuilder::from_sessions(vec![
            session_facts_with_usual("lint", 3_400, &[]),
            session_facts_with_usual("tests-3.12(db='pg')", 90_000, &[]),
        ]);
        let tests = "tests-3.12(db='pg')";
        story.start_session(0, "lint").finish_session(3_200, "lint", Outcome::Passed, "");
        story.start_session(10, tests).retry_session(60_000, tests, "exit code 1", 500);
        story.start_session(60_600, tests).mark_leaky(tests).finish_session(70_000, tests, Outcome::Passed, "");
        story.finish_session(70_100, "docs", Outcome::Aborted, "lint\n did not\x1b[31m pass");
        story.start_session(70_200, "types").retry_session(70_300, "types", "exit code 1", 0);
        story.start_session(70_300, "types").finish_session(70_400, "types", Outcome::Failed, "exit code 2");
        let state = story.run_state();
        let rows = SessionRows::for_run(&state, OutputTheme { color: false, unicode: true }, None);
        let mut lines =
            vec![rows.started_row(&state.sessions()[0].facts, 1), rows.started_row(&state.sessions()[1].facts, 2)];
        lines.push(rows.added_row("docs", "tests"));
        let attempt = &state.session_results().nth(1).unwrap().1.attempts[0];
        lines.push(rows.retried_row(tests, attempt, 500));
        lines.push(rows.retried_row("lint", &AttemptResult { reason: String::new(), ..attempt.clone() }, 0));
        lines.extend(state.session_results().map(|(_, result)| rows.finished_row(result)));
        lines.extend(state.session_results().map(|(_, result)| result_title(result)));
        let narrow = SessionRows { terminal_width: Some(40), ..rows };
        lines.extend(state.session_results().map(|(_, result)| narrow.finished_row(result)));
        insta::assert_snapshot!(lines.join("\n"), @r"
        ▸ started   lint                 usually 3.4s
        ▸ started   tests-3.12(db='pg')  attempt 2
        ▸ added     docs                 by tests
        ↺ retry     tests-3.12(db='pg')   1m 00s  attempt 1 failed (exit code 1); again in 500ms
        ↺ retry     lint                  1m 00s  attempt 1 failed; again now
        ✓ passed    lint                    3.2s
        ✓ flaky     tests-3.12(db='pg')   1m 10s  passed on attempt 2 · left a process behind
        ○ aborted   docs                          lint did not pass
        ✗ failed    types                  200ms  exit code 2 · 2 attempts
        lint passed in 3.2s
        tests-3.12(db='pg') flaky in 1m 10s: passed on attempt 2, left a process behind
        docs aborted: lint did not pass
        types failed in 200ms: exit code 2, 2 attempts
        ✓ passed lint  3.2s
        ✓ flaky tests-3.12(db='pg')  1m 10s  passed on attempt 2 · left a process behind
        ○ aborted docs  lint did not pass
        ✗ failed types  200ms  exit code 2 · 2 attempts
        ");
    }
}

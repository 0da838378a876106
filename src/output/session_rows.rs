//! Session rows: started, added, retried, finished, and running sessions on request.

use std::borrow::Cow;
use std::path::Path;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::theme::TextStyle;
use super::waiting_reason::waiting_sessions;
use super::{OutputTheme, RunState};
use crate::record::{AttemptResult, Outcome, SessionResult, SessionSpec, log_reader};
use crate::text::{format_duration, format_whole_seconds, sanitize_line, to_single_line};

/// Log lines shown per running session.
const RUNNING_TAIL_LINES: usize = 4;
/// Waiting sessions that are listed with their reason.
const MAX_WAITING_ROWS: usize = 10;
/// Maximum padding of session names.
const MAX_NAME_WIDTH: usize = 36;
/// How much of the end of a shortened text is kept: ` failed with exit code -11 (SIGSEGV)`.
const MAX_TAIL_WIDTH: usize = 36;
/// Minimum width of what follows the name of a session; with less, rows are not aligned.
const MIN_REST_WIDTH: usize = 24;
/// Width of the longest outcome word.
pub(crate) const OUTCOME_WIDTH: usize = 9;

/// Returns the word for the result of a session; a flaky pass is `flaky`.
pub(crate) fn outcome_word(result: &SessionResult) -> &'static str {
    if result.flaky && result.outcome == Outcome::Passed { "flaky" } else { result.outcome.as_str() }
}

/// Returns notes on the result of a session: reason, attempts, processes left running.
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
        notes.push("left processes running".to_owned());
    }
    notes
}

/// Cuts the middle out of a plain text that is too wide: the end of a reason has the exit code.
pub(crate) fn shorten_middle(text: &str, max_width: usize, theme: OutputTheme) -> Cow<'_, str> {
    let ellipsis_width = measure_text_width(theme.ellipsis());
    let tail_width = (max_width / 2).min(MAX_TAIL_WIDTH);
    if measure_text_width(text) <= max_width || max_width <= 2 * ellipsis_width {
        return truncate_str(text, max_width, theme.ellipsis());
    }
    let (mut start, mut used_width) = (text.len(), 0);
    for (at, c) in text.char_indices().rev() {
        used_width += measure_text_width(&text[at..at + c.len_utf8()]);
        if used_width > tail_width {
            break;
        }
        start = at;
    }
    // Whole words, if there are any.
    start += text[start..].find(' ').unwrap_or(0);
    let tail = &text[start..];
    let head = truncate_str(text, max_width - measure_text_width(tail), theme.ellipsis());
    Cow::Owned(format!("{head}{tail}"))
}

/// Returns the column width of session names.
pub(crate) fn session_name_width(state: &RunState) -> usize {
    state.widest_name().min(MAX_NAME_WIDTH)
}

/// Formatter of session rows, aligned in columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionRows {
    theme: OutputTheme,
    name_width: usize,
    /// Columns of the terminal; in narrow ones, rows that do not fit are not aligned.
    terminal_width: Option<usize>,
}

impl SessionRows {
    pub(crate) fn for_run(state: &RunState, theme: OutputTheme, width: Option<usize>) -> Self {
        Self { theme, name_width: session_name_width(state), terminal_width: width }
    }

    fn format_row(self, mark: &str, word: &str, style: TextStyle, name: &str, rest: &str) -> String {
        let padded = pad_str(name, self.name_width, Alignment::Left, None);
        let plain = sanitize_line(rest.as_bytes(), false);
        let head_width = 2 + OUTCOME_WIDTH + 1 + measure_text_width(&padded) + 2;
        let room = self.terminal_width.map(|width| width.saturating_sub(head_width + 1));
        // On a terminal a long reason would wrap; log and record have it in full.
        let rest = match room.filter(|room| measure_text_width(&plain) > *room) {
            Some(room) if room < MIN_REST_WIDTH => {
                let word = self.theme.style_text(style, &format!("{mark} {word}"));
                return format!("{word} {name}  {}", rest.trim_start()).trim_end().to_owned();
            }
            Some(room) => shorten_middle(&plain, room, self.theme).into_owned(),
            None => rest.to_owned(),
        };
        let word =
            self.theme.style_text(style, &format!("{mark} {}", pad_str(word, OUTCOME_WIDTH, Alignment::Left, None)));
        format!("{word} {padded}  {rest}").trim_end().to_owned()
    }

    /// Returns the row of a session that started.
    pub(crate) fn started_row(self, spec: &SessionSpec, attempt: u32) -> String {
        let mut rest = spec.usual_ms.map_or_else(String::new, |usual| format!("usually {}", format_duration(usual)));
        if attempt > 1 {
            rest = format!("attempt {attempt}");
        }
        let rest = self.theme.style_text(TextStyle::Dim, &rest);
        self.format_row(self.theme.pick_glyph("▸", ">"), "started", TextStyle::Dim, &spec.name.display_name(), &rest)
    }

    /// Returns the row of a session added during the run.
    pub(crate) fn added_row(self, name: &str, by: &str) -> String {
        self.format_row(self.theme.pick_glyph("▸", ">"), "added", TextStyle::Dim, name, &format!("by {by}"))
    }

    /// Returns the row of an attempt that failed and is retried.
    pub(crate) fn retried_row(self, name: &str, attempt: &AttemptResult, delay: u64) -> String {
        let reason = to_single_line(&attempt.reason);
        let when = if delay == 0 { "now".to_owned() } else { format!("in {}", format_duration(delay)) };
        let rest = format!(
            "{:>7}  attempt {} {}{}; retrying {when}",
            format_duration(attempt.end.saturating_sub(attempt.start)),
            attempt.number,
            attempt.outcome,
            if reason.is_empty() { String::new() } else { format!(" ({reason})") },
        );
        self.format_row(self.theme.pick_glyph("↺", "~"), "retry", TextStyle::Warning, name, &rest)
    }

    /// Returns the row of a failed session whose result waits for another one.
    pub(crate) fn held_row(self, name: &str, attempt: &AttemptResult, waits_for: &str) -> String {
        let reason = to_single_line(&attempt.reason);
        let rest = format!(
            "{:>7}  {}{}; its result waits for {waits_for}",
            format_duration(attempt.end.saturating_sub(attempt.start)),
            attempt.outcome,
            if reason.is_empty() { String::new() } else { format!(" ({reason})") },
        );
        self.format_row(self.theme.pick_glyph("↺", "~"), "held", TextStyle::Warning, name, &rest)
    }

    /// Returns the row of a finished session.
    pub(crate) fn finished_row(self, result: &SessionResult) -> String {
        let time = if result.attempts.is_empty() { String::new() } else { format_duration(result.wall_time()) };
        let notes = result_notes(result).join(self.theme.separator());
        let style = TextStyle::for_outcome(result.outcome, result.flaky);
        let rest = format!("{time:>7}  {notes}");
        self.format_row(
            self.theme.outcome_mark(result.outcome),
            outcome_word(result),
            style,
            &result.session.display_name(),
            &rest,
        )
    }
}

/// Returns the title of a session's log: `lint passed in 3.2s`, `types failed in 8.1s: exit code 1`.
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

/// Renders the running sessions with the last lines of each.
pub(crate) fn render_running_sessions(state: &RunState, run_dir: &Path, theme: OutputTheme) -> String {
    let running = state.running_sessions();
    let counts = state.status_counts();
    let mut text = format!(
        "{} after {}: {} running, {} done, {} failed, {} waiting",
        theme.pick_glyph("▸", ">"),
        format_whole_seconds(state.elapsed_ms()),
        running.len(),
        counts.done,
        counts.failed,
        counts.waiting,
    );
    let waiting = waiting_sessions(state);
    for (spec, attempt) in running {
        let usual = spec.usual_ms.map(|usual| format!(" of ~{}", format_whole_seconds(usual))).unwrap_or_default();
        let elapsed = format_whole_seconds(state.elapsed_ms().saturating_sub(attempt.started_at));
        text.push_str(&format!(
            "\n  {} {elapsed}{usual}",
            theme.style_text(TextStyle::Bold, &spec.name.display_name())
        ));
        let tail = log_reader::read_log_tail(&run_dir.join(&attempt.log_path), u64::MAX, RUNNING_TAIL_LINES)
            .unwrap_or_default();
        for line in tail.lines {
            text.push_str(&format!("\n    {}", sanitize_line(&line, theme.color)));
        }
    }
    for (spec, reason) in waiting.iter().take(MAX_WAITING_ROWS) {
        let name = theme.style_text(TextStyle::Bold, &spec.name.display_name());
        text.push_str(&format!("\n  {name} {reason}"));
    }
    if let Some(more) = waiting.len().checked_sub(MAX_WAITING_ROWS).filter(|more| *more > 0) {
        text.push_str(&format!("\n  {} {more} more waiting", theme.ellipsis()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};

    #[test]
    fn the_exit_code_of_a_long_command_stays_visible() {
        let theme = OutputTheme { color: false, unicode: true };
        let shorten = |text: &'static str, width: usize| shorten_middle(text, width, theme).into_owned();
        let reason = "Command sh -c 'a long script with many words' failed with exit code 3";
        assert_eq!(shorten(reason, 69), reason);
        assert_eq!(shorten(reason, 40), "Command sh -c 'a long … with exit code 3");
        assert_eq!(shorten(reason, 60), "Command sh -c 'a long script with m… failed with exit code 3");
        for width in 1..80 {
            assert!(measure_text_width(&shorten("漢字 is wide: 漢字漢字漢字漢字漢字漢字", width)) <= width, "{width}");
        }
    }

    #[test]
    fn rows_are_aligned_and_complete() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_400, &[]),
            session_spec_with_usual("tests-3.12(db='pg')", 90_000, &[]),
        ]);
        let tests = "tests-3.12(db='pg')";
        builder.start_session(0, "lint").finish_session(3_200, "lint", Outcome::Passed, "");
        builder.start_session(10, tests).retry_session(60_000, tests, "exit code 1", 500);
        builder.start_session(60_600, tests).mark_leaky(tests).finish_session(70_000, tests, Outcome::Passed, "");
        builder.finish_session(70_100, "docs", Outcome::Aborted, "lint\n did not\x1b[31m pass");
        builder.start_session(70_200, "types").retry_session(70_300, "types", "exit code 1", 0);
        builder.start_session(70_300, "types").finish_session(70_400, "types", Outcome::Failed, "exit code 2");
        let state = builder.run_state();
        let rows = SessionRows::for_run(&state, OutputTheme { color: false, unicode: true }, None);
        let mut lines =
            vec![rows.started_row(&state.sessions()[0].spec, 1), rows.started_row(&state.sessions()[1].spec, 2)];
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
        ↺ retry     tests-3.12(db='pg')   1m 00s  attempt 1 failed (exit code 1); retrying in 500ms
        ↺ retry     lint                  1m 00s  attempt 1 failed; retrying now
        ✓ passed    lint                    3.2s
        ✓ flaky     tests-3.12(db='pg')   1m 10s  passed on attempt 2 · left processes running
        ○ aborted   docs                          lint did not pass
        ✗ failed    types                  200ms  exit code 2 · 2 attempts
        lint passed in 3.2s
        tests-3.12(db='pg') flaky in 1m 10s: passed on attempt 2, left processes running
        docs aborted: lint did not pass
        types failed in 200ms: exit code 2, 2 attempts
        ✓ passed lint  3.2s
        ✓ flaky tests-3.12(db='pg')  1m 10s  passed on attempt 2 · left processes running
        ○ aborted docs  lint did not pass
        ✗ failed types  200ms  exit code 2 · 2 attempts
        ");
    }

    #[test]
    fn running_sessions_are_shown_with_their_last_lines() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("tests", 40_000, &[]),
            session_spec("docs"),
            session_spec("lint"),
        ]);
        builder.start_session(0, "tests").start_session(500, "docs");
        builder.append_output(9_000, "tests", b"1\n2\n3\n4\n\x1b[31m5\x1b[0m\x1b[2K\n").add_notice(12_000, "tick");
        let text = render_running_sessions(
            &builder.run_state(),
            builder.run_dir(),
            OutputTheme { color: false, unicode: true },
        );
        insta::assert_snapshot!(text, @r"
        ▸ after 12s: 2 running, 0 done, 0 failed, 1 waiting
          tests 12s of ~40s
            2
            3
            4
            5
          docs 11s
          lint waits for a slot
        ");
    }
}

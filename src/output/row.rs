//! One line about one session: that it started, that it ended, and how.

use console::{Alignment, measure_text_width, pad_str};

use super::paint::Tone;
use super::{Paint, RunState, duration};
use crate::record::{Attempt, Outcome, SessionFacts, SessionResult};

/// Names are padded to at most this many columns.
const WIDEST_NAME: usize = 36;
/// The longest of the outcomes' words.
const WORD: usize = 9;

/// The word for how a session ended; a flaky pass has its own.
pub(crate) fn word(result: &SessionResult) -> &'static str {
    if result.flaky && result.outcome == Outcome::Passed { "flaky" } else { result.outcome.word() }
}

/// All that is to be said of a session's end beside its word: reason, attempts, processes left behind.
pub(crate) fn notes(result: &SessionResult) -> Vec<String> {
    let mut notes = Vec::new();
    if !result.reason.is_empty() {
        notes.push(one_line(&result.reason));
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
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| super::clean::clean_line(line.as_bytes(), false).trim().to_owned()).collect();
    lines.join(" ").trim().to_owned()
}

/// How wide the names of a run's sessions are, within reason.
pub(crate) fn name_width(state: &RunState) -> usize {
    let widths = state.sessions().iter().map(|view| measure_text_width(view.facts.name.as_str()));
    widths.max().unwrap_or(0).min(WIDEST_NAME)
}

/// Lines about sessions, their columns aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    paint: Paint,
    name_width: usize,
    /// Columns of the screen; lines that do not fit give up their alignment.
    width: Option<usize>,
}

impl Rows {
    pub(crate) fn of(state: &RunState, paint: Paint, width: Option<usize>) -> Self {
        Self { paint, name_width: name_width(state), width }
    }

    fn row(self, mark: &str, word: &str, tone: Tone, name: &str, rest: &str) -> String {
        let padded = pad_str(name, self.name_width, Alignment::Left, None);
        let plain = super::clean::clean_line(rest.as_bytes(), false);
        let taken = 2 + WORD + 1 + measure_text_width(&padded) + 2 + measure_text_width(&plain);
        if self.width.is_some_and(|width| taken >= width) {
            let word = self.paint.tone(tone, &format!("{mark} {word}"));
            return format!("{word} {name}  {}", rest.trim_start()).trim_end().to_owned();
        }
        let word = self.paint.tone(tone, &format!("{mark} {}", pad_str(word, WORD, Alignment::Left, None)));
        format!("{word} {padded}  {rest}").trim_end().to_owned()
    }

    /// A session's process started.
    pub(crate) fn started(self, facts: &SessionFacts, attempt: u32) -> String {
        let mut rest = facts.usual.map_or_else(String::new, |usual| format!("usually {}", duration::duration(usual)));
        if attempt > 1 {
            rest = format!("attempt {attempt}");
        }
        let rest = self.paint.tone(Tone::Dim, &rest);
        self.row(self.paint.pick("▸", ">"), "started", Tone::Dim, facts.name.as_str(), &rest)
    }

    /// A session joined the run while it went on.
    pub(crate) fn added(self, name: &str, by: &str) -> String {
        self.row(self.paint.pick("▸", ">"), "added", Tone::Dim, name, &format!("by {by}"))
    }

    /// An attempt failed and another follows.
    pub(crate) fn retried(self, name: &str, attempt: &Attempt, delay: u64) -> String {
        let reason = one_line(&attempt.reason);
        let again = if delay == 0 { "now".to_owned() } else { format!("in {}", duration::duration(delay)) };
        let rest = format!(
            "{:>7}  attempt {} {}{}; again {again}",
            duration::duration(attempt.end.saturating_sub(attempt.start)),
            attempt.number,
            attempt.outcome,
            if reason.is_empty() { String::new() } else { format!(" ({reason})") },
        );
        self.row(self.paint.pick("↺", "~"), "retry", Tone::Warn, name, &rest)
    }

    /// A session is over.
    pub(crate) fn finished(self, result: &SessionResult) -> String {
        let time = if result.attempts.is_empty() { String::new() } else { duration::duration(result.wall()) };
        let notes = notes(result).join(self.paint.dot());
        let tone = Tone::of(result.outcome, result.flaky);
        let rest = format!("{time:>7}  {notes}");
        self.row(self.paint.mark(result.outcome), word(result), tone, result.session.as_str(), &rest)
    }
}

/// The title of a session's block: `lint passed in 3.2s`, `types failed in 8.1s: exit code 1`.
pub(crate) fn title(result: &SessionResult) -> String {
    let mut title = format!("{} {}", result.session, word(result));
    if !result.attempts.is_empty() {
        title.push_str(&format!(" in {}", duration::duration(result.wall())));
    }
    let notes = notes(result).join(", ");
    if !notes.is_empty() {
        title.push_str(": ");
        title.push_str(&notes);
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{Story, usual};

    #[test]
    fn lines_stand_in_columns_and_say_all() {
        let mut story = Story::of(vec![usual("lint", 3_400, &[]), usual("tests-3.12(db='pg')", 90_000, &[])]);
        let tests = "tests-3.12(db='pg')";
        story.start(0, "lint").finish(3_200, "lint", Outcome::Passed, "");
        story.start(10, tests).retry(60_000, tests, "exit code 1", 500);
        story.start(60_600, tests).leaky(tests).finish(70_000, tests, Outcome::Passed, "");
        story.finish(70_100, "docs", Outcome::Aborted, "lint\n did not\x1b[31m pass");
        story.start(70_200, "types").retry(70_300, "types", "exit code 1", 0);
        story.start(70_300, "types").finish(70_400, "types", Outcome::Failed, "exit code 2");
        let state = story.state();
        let rows = Rows::of(&state, Paint { color: false, unicode: true }, None);
        let mut lines = vec![rows.started(&state.sessions()[0].facts, 1), rows.started(&state.sessions()[1].facts, 2)];
        lines.push(rows.added("docs", "tests"));
        let attempt = &state.results().nth(1).unwrap().1.attempts[0];
        lines.push(rows.retried(tests, attempt, 500));
        lines.push(rows.retried("lint", &Attempt { reason: String::new(), ..attempt.clone() }, 0));
        lines.extend(state.results().map(|(_, result)| rows.finished(result)));
        lines.extend(state.results().map(|(_, result)| title(result)));
        let narrow = Rows { width: Some(40), ..rows };
        lines.extend(state.results().map(|(_, result)| narrow.finished(result)));
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

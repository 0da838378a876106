//! Rendering of the board: rows of active and waiting sessions, progress of a restore, counts, time left. Pure: the same state gives the same lines.

use std::collections::HashMap;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::cache_progress;
use super::remaining_time::estimate_remaining;
use super::run_state::{SessionStatus, SessionView};
use super::session_rows::{OUTCOME_WIDTH, session_name_width, shorten_middle};
use super::theme::TextStyle;
use super::waiting_reason::blocked_sessions;
use super::{OutputTheme, RunState};
use crate::project::SessionName;
use crate::record::{SessionSpec, describe_interrupt};
use crate::text::format_whole_seconds;

/// Narrower rows have only a name and a time.
const COMPACT_WIDTH: usize = 44;
/// Minimum width for the usual time. In narrower rows the last line of output is worth more.
const MIN_WIDTH_FOR_USUAL: usize = 76;
/// Minimum width for a progress bar.
const MIN_WIDTH_FOR_BAR: usize = 92;
/// Width of the time of a finished session.
const TIME_WIDTH: usize = 7;
/// Maximum number of rows of sessions that wait although slots are free.
const MAX_BLOCKED_ROWS: usize = 3;
/// Width of the progress bar.
const BAR_WIDTH: usize = 8;
/// Duration of one spinner frame.
const SPINNER_INTERVAL_MS: u64 = 120;

/// Input of the board.
pub(crate) struct BoardView<'a> {
    /// State of the run.
    pub(crate) run_state: &'a RunState,
    /// Last output line of each running session, sanitized.
    pub(crate) last_lines: &'a HashMap<SessionName, String>,
    /// Colors and glyphs.
    pub(crate) theme: OutputTheme,
}

/// Renders the board at time `now` (milliseconds): fewer than `height` lines, each narrower than `width`.
pub(crate) fn render_board(board: &BoardView<'_>, width: usize, height: usize, now: u64) -> Vec<String> {
    let max_width = width.saturating_sub(1);
    let height = height.saturating_sub(1).max(1);
    let mut active: Vec<&SessionView> = board
        .run_state
        .sessions()
        .iter()
        .filter(|view| !matches!(view.status, SessionStatus::Waiting | SessionStatus::Done(_)))
        .collect();
    active.sort_by_key(|view| match &view.status {
        SessionStatus::Running(running) => running.started_at,
        _ => u64::MAX,
    });
    let shown = if active.len() < height { active.len() } else { height.saturating_sub(2) };
    let columns = BoardColumns::for_sessions(board.run_state, &active[..shown], max_width, now);
    let mut lines: Vec<String> =
        active[..shown].iter().map(|view| render_row(board, view, columns, max_width, now)).collect();
    let room = height.saturating_sub(lines.len() + 2).min(MAX_BLOCKED_ROWS);
    let blocked = blocked_sessions(board.run_state);
    let blocked = blocked.iter().take(if max_width < COMPACT_WIDTH { 0 } else { room });
    lines.extend(blocked.map(|(spec, reason)| render_blocked_row(board.theme, spec, reason, columns, max_width)));
    if shown < active.len() && height > 1 {
        let more = format!("  {} and {} more", board.theme.ellipsis(), active.len() - shown);
        lines.push(board.theme.style_text(TextStyle::Dim, &truncate_text(board.theme, &more, max_width)));
    }
    if let Some(progress) = board.run_state.restore_progress().filter(|_| lines.len() + 1 < height) {
        lines.push(format!(
            "  {}",
            cache_progress::restore_progress_line(progress, board.theme, max_width.saturating_sub(2))
        ));
    }
    lines.push(render_counts(board, max_width, now));
    lines
}

/// Columns of the rows; names are in the same column as those of finished sessions.
#[derive(Clone, Copy)]
struct BoardColumns {
    /// Whether rows have the word for their state.
    has_word: bool,
    name_width: usize,
    time_width: usize,
    has_bar: bool,
}

impl BoardColumns {
    fn for_sessions(state: &RunState, active: &[&SessionView], max_width: usize, now: u64) -> Self {
        let time = active.iter().map(|view| measure_text_width(&session_time(view, max_width, now))).max().unwrap_or(0);
        let has_word = max_width >= COMPACT_WIDTH;
        let max_name_width = if has_word { max_width / 3 } else { max_width.saturating_sub(time + 6) };
        Self {
            has_word,
            name_width: session_name_width(state).min(max_name_width.max(4)),
            time_width: time,
            has_bar: max_width >= MIN_WIDTH_FOR_BAR && active.iter().any(|view| view.spec.usual_ms.is_some()),
        }
    }

    /// Returns mark, word and name of a row, and its width.
    fn row_head(self, theme: OutputTheme, (mark, word, style): (&str, &str, TextStyle), name: &str) -> (String, usize) {
        let name = pad_str(name, self.name_width, Alignment::Left, Some(theme.ellipsis()));
        if self.has_word {
            let word = format!("{mark} {}", pad_str(word, OUTCOME_WIDTH, Alignment::Left, None));
            (format!("{} {name}", theme.style_text(style, &word)), 3 + OUTCOME_WIDTH + self.name_width)
        } else {
            (format!("  {} {name}", theme.style_text(style, mark)), 4 + self.name_width)
        }
    }
}

/// Returns `  12s / ~40s`, or `  12s` if the usual time is unknown or the terminal is narrow. The time is aligned with
/// that of finished sessions.
fn session_time(view: &SessionView, max_width: usize, now: u64) -> String {
    let is_wide = max_width >= COMPACT_WIDTH;
    let align = |time: String| if is_wide { format!("{time:>TIME_WIDTH$}") } else { time };
    match &view.status {
        SessionStatus::Running(running) => {
            let elapsed = align(format_whole_seconds(now.saturating_sub(running.started_at)));
            match view.spec.usual_ms {
                Some(usual) if max_width >= MIN_WIDTH_FOR_USUAL => {
                    format!("{elapsed} / ~{}", format_whole_seconds(usual.max(1_000)))
                }
                _ => elapsed,
            }
        }
        SessionStatus::AwaitingRetry { retry_at, .. } => {
            align(format!("in {}", format_whole_seconds(retry_at.saturating_sub(now) + 999)))
        }
        SessionStatus::Waiting | SessionStatus::Held { .. } | SessionStatus::Done(_) => String::new(),
    }
}

/// Returns mark, word and style of a state.
fn status_mark(board: &BoardView<'_>, view: &SessionView, now: u64) -> (&'static str, &'static str, TextStyle) {
    let retry_mark = board.theme.pick_glyph("↺", "~");
    match &view.status {
        SessionStatus::Held { .. } => (retry_mark, "held", TextStyle::Warning),
        SessionStatus::AwaitingRetry { .. } => (retry_mark, "retry", TextStyle::Warning),
        _ => (spinner_frame(board.theme, now), "running", TextStyle::Accent),
    }
}

fn render_row(board: &BoardView<'_>, view: &SessionView, columns: BoardColumns, max_width: usize, now: u64) -> String {
    let theme = board.theme;
    let name = view.spec.name.display_name();
    let time = session_time(view, max_width, now);
    let elapsed = match &view.status {
        SessionStatus::Running(running) => Some(now.saturating_sub(running.started_at)),
        _ => None,
    };
    let late =
        view.spec.usual_ms.zip(elapsed).is_some_and(|(usual, elapsed)| elapsed > usual.saturating_mul(3) / 2 + 1_000);
    let padded = pad_str(&time, columns.time_width, Alignment::Left, None);
    let padded = if late { theme.style_text(TextStyle::Warning, &padded) } else { padded.into_owned() };
    let (head, head_width) = columns.row_head(theme, status_mark(board, view, now), &name);
    let mut used_width = head_width + 2 + columns.time_width;
    let mut line = format!("{head}  {padded}");
    if columns.has_bar {
        line.push_str("  ");
        let usual = view.spec.usual_ms.filter(|_| elapsed.is_some());
        line.push_str(&session_progress_bar(theme, elapsed.unwrap_or(0), usual));
        used_width += 2 + BAR_WIDTH;
    }
    let status = status_text(board, view);
    let status_width = max_width.saturating_sub(used_width + 2);
    if status_width >= 8 && !status.is_empty() {
        line.push_str("  ");
        line.push_str(&theme.style_text(TextStyle::Dim, &shorten_middle(&status, status_width, theme)));
    }
    if used_width > max_width {
        let name = pad_str(&name, columns.name_width, Alignment::Left, Some(theme.ellipsis()));
        truncate_text(OutputTheme { color: false, ..theme }, &format!("  {name} {}", time.trim()), max_width)
    } else {
        line.trim_end().to_owned()
    }
}

/// Renders the row of a session that could run on a free slot, but for a lock or an exclusive session.
fn render_blocked_row(
    theme: OutputTheme,
    spec: &SessionSpec,
    reason: &str,
    columns: BoardColumns,
    max_width: usize,
) -> String {
    let mark = (theme.pick_glyph("·", "."), "waiting", TextStyle::Dim);
    let (head, head_width) = columns.row_head(theme, mark, &spec.name.display_name());
    let reason = shorten_middle(reason, max_width.saturating_sub(head_width + 2), theme);
    format!("{head}  {}", theme.style_text(TextStyle::Dim, &reason))
}

fn status_text(board: &BoardView<'_>, view: &SessionView) -> String {
    let last_line = board.last_lines.get(&view.spec.name).map(String::as_str).unwrap_or_default();
    match &view.status {
        SessionStatus::AwaitingRetry { attempt, .. } => format!("failed, retrying (attempt {attempt})"),
        SessionStatus::Held { waits_for } => format!("failed; its result waits for {waits_for}"),
        SessionStatus::Running(running) if running.attempt > 1 => {
            format!(
                "attempt {}{}{last_line}",
                running.attempt,
                if last_line.is_empty() { "" } else { board.theme.separator() }
            )
        }
        _ => last_line.to_owned(),
    }
}

fn spinner_frame(theme: OutputTheme, now: u64) -> &'static str {
    const UNICODE_FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const ASCII_FRAMES: [&str; 4] = ["-", "\\", "|", "/"];
    let frame = now / SPINNER_INTERVAL_MS;
    if theme.unicode { UNICODE_FRAMES[(frame % 10) as usize] } else { ASCII_FRAMES[(frame % 4) as usize] }
}

/// Progress bar of a session by its usual time; never full before the session ends.
fn session_progress_bar(theme: OutputTheme, elapsed: u64, usual: Option<u64>) -> String {
    let Some(usual) = usual.filter(|usual| *usual > 0) else {
        return " ".repeat(BAR_WIDTH);
    };
    let filled =
        usize::try_from(elapsed.saturating_mul(BAR_WIDTH as u64) / usual).unwrap_or(BAR_WIDTH).min(BAR_WIDTH - 1);
    let (on, off) = (theme.pick_glyph("━", "="), theme.pick_glyph("─", "."));
    format!(
        "{}{}",
        theme.style_text(TextStyle::Accent, &on.repeat(filled)),
        theme.style_text(TextStyle::Dim, &off.repeat(BAR_WIDTH - filled))
    )
}

/// Returns `34s · 3 running · 5 done · 2 failed · 4 waiting · about 28s left`, without the last parts if they do not fit.
fn render_counts(board: &BoardView<'_>, max_width: usize, now: u64) -> String {
    let (theme, counts) = (board.theme, board.run_state.status_counts());
    let mut parts = vec![(TextStyle::Bold, format_whole_seconds(now))];
    let by_status = [
        (TextStyle::Accent, counts.running, "running"),
        (TextStyle::Success, counts.done, "done"),
        (TextStyle::Failure, counts.failed, "failed"),
        (TextStyle::Dim, counts.waiting, "waiting"),
    ];
    parts.extend(
        by_status
            .into_iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(style, count, word)| (style, format!("{count} {word}"))),
    );
    if let Some(cause) = board.run_state.interrupt_cause() {
        parts.push((TextStyle::Warning, format!("stopping, {}", describe_interrupt(cause))));
    } else if let Some(left) = estimate_remaining(board.run_state).filter(|left| left.ms >= 1_000) {
        let about = if left.is_partial { "at least" } else { "about" };
        parts.push((TextStyle::Dim, format!("{about} {} left", format_whole_seconds(left.ms))));
    }
    let separator = theme.separator();
    let used_width = |parts: &[(TextStyle, String)]| {
        let text_width: usize = parts.iter().map(|(_, text)| measure_text_width(text)).sum();
        2 + text_width + measure_text_width(separator) * parts.len().saturating_sub(1)
    };
    while parts.len() > 1 && used_width(&parts) > max_width {
        parts.pop();
    }
    // Names of failed sessions, whose own rows may be far above.
    let room = max_width.saturating_sub(used_width(&parts));
    if let Some((_, text)) = parts.iter_mut().find(|(style, _)| *style == TextStyle::Failure) {
        text.push_str(&failed_names(board, room));
    }
    let texts: Vec<String> = parts
        .iter()
        .map(|(style, text)| theme.style_text(*style, &truncate_text(theme, text, max_width.saturating_sub(2))))
        .collect();
    format!("  {}", texts.join(separator))
}

/// Returns ` (lint, docs, 3 more)`: the names of as many failed sessions as there is room for, or nothing.
fn failed_names(board: &BoardView<'_>, room: usize) -> String {
    let is_failure = |view: &&SessionView| match &view.status {
        SessionStatus::Done(result) => result.outcome.is_failure(),
        _ => false,
    };
    let failed: Vec<String> = board
        .run_state
        .sessions()
        .iter()
        .filter(is_failure)
        .map(|view| view.spec.name.display_name().into_owned())
        .collect();
    let with_names = |count: usize| {
        let more = failed.len() - count;
        let rest = (more > 0).then(|| format!("{more} more"));
        format!(" ({})", failed[..count].iter().cloned().chain(rest).collect::<Vec<_>>().join(", "))
    };
    let texts = (1..=failed.len()).rev().map(with_names);
    texts.into_iter().find(|text| measure_text_width(text) <= room).unwrap_or_default()
}

fn truncate_text(theme: OutputTheme, text: &str, max_width: usize) -> String {
    let mark = if max_width > measure_text_width(theme.ellipsis()) { theme.ellipsis() } else { "" };
    truncate_str(text, max_width, mark).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};
    use crate::record::Outcome;
    use crate::text::sanitize_line;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    fn sample_run() -> RunEventBuilder {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_000, &[]),
            session_spec_with_usual("unit_tests", 40_000, &[]),
            session_spec("docs"),
            session_spec_with_usual("integration_tests-3.12(db='postgres')", 90_000, &[]),
            session_spec_with_usual("coverage_report", 2_000, &["unit_tests"]),
        ]);
        builder.start_session(0, "lint").start_session(0, "unit_tests").finish_session(
            3_000,
            "lint",
            Outcome::Failed,
            "exit code 1",
        );
        builder.start_session(3_000, "integration_tests-3.12(db='postgres')").start_session(4_000, "docs");
        builder.add_notice(20_000, "tick");
        builder
    }

    fn render(builder: &RunEventBuilder, width: usize, height: usize, theme: OutputTheme) -> String {
        draw(&builder.run_state(), width, height, theme)
    }

    fn draw(state: &RunState, width: usize, height: usize, theme: OutputTheme) -> String {
        let lines = [
            ("unit_tests", "tests/unit/test_parcel.py::test_weight_is_positive_and_finite PASSED [ 45%]"),
            ("docs", "読み込み中… reading sources"),
        ];
        let last_lines = lines.map(|(name, line)| (SessionName::from(name), line.to_owned())).into();
        render_board(&BoardView { run_state: state, last_lines: &last_lines, theme }, width, height, 20_000).join("\n")
    }

    #[test]
    fn rows_adapt_to_the_width() {
        insta::assert_snapshot!(render(&sample_run(), 120, 40, PLAIN), @r"
        ⠦ running   unit_tests                                20s / ~40s     ━━━━────  tests/unit/test_parcel.py… PASSED [ 45%]
        ⠦ running   integration_tests-3.12(db='postgres…      17s / ~1m 30s  ━───────
        ⠦ running   docs                                      16s                      読み込み中… reading sources
          20s · 3 running · 1 failed (lint) · 1 waiting · at least 1m 13s left
        ");
        insta::assert_snapshot!(render(&sample_run(), 80, 24, PLAIN), @r"
        ⠦ running   unit_tests                      20s / ~40s     tests/unit/t… [ 45%]
        ⠦ running   integration_tests-3.12(db…      17s / ~1m 30s
        ⠦ running   docs                            16s            読み込み中…… sources
          20s · 3 running · 1 failed (lint) · 1 waiting · at least 1m 13s left
        ");
        insta::assert_snapshot!(render(&sample_run(), 60, 24, PLAIN), @r"
        ⠦ running   unit_tests               20s  tests/uni… [ 45%]
        ⠦ running   integration_tests-…      17s
        ⠦ running   docs                     16s  読み込み… sources
          20s · 3 running · 1 failed (lint) · 1 waiting
        ");
        insta::assert_snapshot!(render(&sample_run(), 40, 12, OutputTheme { color: false, unicode: false }), @r"
        | unit_tests                      20s
        | integration_tests-3.12(db='...  17s
        | docs                            16s
        20s, 3 running, 1 failed, 1 waiting
        ");
        insta::assert_snapshot!(render(&sample_run(), 20, 12, PLAIN), @r"
        ⠦ unit_tests  20s
        ⠦ integrati…  17s
        ⠦ docs        16s
        20s · 3 running
        ");
    }

    #[test]
    fn the_board_fits_every_terminal_size() {
        let state = sample_run().run_state();
        for width in 0..130 {
            for height in 0..8 {
                let rendered = draw(&state, width, height, PLAIN);
                assert!(rendered.lines().count() <= height.saturating_sub(1).max(1), "{width}x{height}");
                for line in rendered.lines() {
                    assert!(measure_text_width(line) < width.max(3), "{width}x{height}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_folded() {
        let names: Vec<String> = (0..30).map(|n| format!("tests-{n}")).collect();
        let mut builder = RunEventBuilder::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        names.iter().for_each(|name| {
            builder.start_session(1, name);
        });
        insta::assert_snapshot!(render(&builder, 60, 6, PLAIN), @r"
        ⠦ running   tests-0       19s
        ⠦ running   tests-1       19s
        ⠦ running   tests-2       19s
          … and 27 more
          20s · 30 running
        ");
    }

    #[test]
    fn retries_and_interruptions_are_shown() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("tests", 1_000, &[]),
            session_spec_with_usual("docs", 500, &[]),
        ]);
        builder.start_session(0, "tests").start_session(0, "docs").retry_session(10, "docs", "exit code 1", 22_500);
        builder
            .retry_session(15_000, "tests", "exit code 1", 0)
            .start_session(15_000, "tests")
            .interrupt_run(16_000, "SIGINT");
        insta::assert_snapshot!(render(&builder, 80, 24, PLAIN), @r"
        ⠦ running   tests       5s / ~1s  attempt 2
        ↺ retry     docs     in 3s        failed, retrying (attempt 2)
          20s · 2 running · stopping, interrupted (Ctrl-C)
        ");
    }

    #[test]
    fn colors_do_not_change_the_text() {
        let colored = render(&sample_run(), 100, 24, OutputTheme { color: true, unicode: true });
        let plain = render(&sample_run(), 100, 24, PLAIN);
        assert_ne!(colored, plain);
        for (colored, plain) in colored.lines().zip(plain.lines()) {
            assert_eq!(sanitize_line(colored.as_bytes(), false).trim_end(), plain.trim_end());
        }
    }
}

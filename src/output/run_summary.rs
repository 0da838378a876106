//! Summary of a run: the table of sessions and the totals.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::session_rows::{outcome_word, result_notes, shorten_middle};
use super::theme::TextStyle;
use super::{OutputTheme, RunState};
use crate::record::{Outcome, SessionResult, SessionSpec, describe_interrupt};
use crate::text::{format_delta, format_duration, format_size, pluralize, sanitize_line};

/// Maximum width of the column of names; where the terminal does not limit rows, longer names exceed it.
const MAX_NAME_WIDTH: usize = 60;
/// With more sessions than this, the table omits sessions that passed without notes.
const MAX_COMPLETE_ROWS: usize = 40;
/// Width of the list of sessions that were not started, where no terminal limits it.
const MAX_UNSTARTED_WIDTH: usize = 200;
/// Notes that have fewer columns than this get their own line.
const MIN_NOTES_WIDTH: usize = 24;

/// Counts sessions by outcome, in display order; flaky passes are counted separately.
pub(crate) fn outcome_counts(state: &RunState) -> Vec<(&'static str, Outcome, usize)> {
    let count = |matches: &dyn Fn(&SessionResult) -> bool| {
        state.session_results().filter(|(_, result)| matches(result)).count()
    };
    let flaky = count(&|result| outcome_word(result) == "flaky");
    let mut counts = vec![
        ("passed", Outcome::Passed, state.count_with_outcome(Outcome::Passed) - flaky),
        ("flaky", Outcome::Passed, flaky),
    ];
    for outcome in
        [Outcome::Failed, Outcome::TimedOut, Outcome::Crashed, Outcome::Cancelled, Outcome::Aborted, Outcome::Skipped]
    {
        counts.push((outcome.as_str(), outcome, state.count_with_outcome(outcome)));
    }
    counts.retain(|(_, _, count)| *count > 0);
    counts
}

/// Returns the sum of the wall times of all attempts, in milliseconds.
pub(crate) fn session_total_ms(state: &RunState) -> u64 {
    let attempts = state.session_results().flat_map(|(_, result)| &result.attempts);
    attempts.fold(0, |sum, attempt| sum + attempt.end.saturating_sub(attempt.start))
}

/// Returns the totals in one sentence: `11 sessions: 9 passed, 1 failed, 1 skipped in 37.2s (sum of sessions 56.1s, 1.5×)`.
pub(crate) fn totals_sentence(state: &RunState, theme: OutputTheme, width: Option<usize>) -> String {
    let all = state.sessions().len();
    let mut parts: Vec<String> = outcome_counts(state)
        .into_iter()
        .map(|(word, outcome, count)| {
            theme.style_text(TextStyle::for_outcome(outcome, word == "flaky"), &format!("{count} {word}"))
        })
        .collect();
    let finished = state.session_results().count();
    if finished < all {
        parts.push(theme.style_text(TextStyle::Warning, &format!("{} unfinished", all - finished)));
    }
    if parts.is_empty() {
        parts.push("nothing was run".to_owned());
    }
    let mut text = format!(
        "{} {} in {}",
        theme.style_text(TextStyle::Bold, &format!("{}:", pluralize(all, "session"))),
        parts.join(", "),
        format_duration(state.elapsed_ms()),
    );
    let session_total = session_total_ms(state);
    let cause = state.interrupt_cause().map(|cause| format!(", {}", describe_interrupt(cause))).unwrap_or_default();
    if let Some(gain) = format_speedup(session_total, state.elapsed_ms()) {
        // The factor of a run that was stopped says nothing.
        let gain = match state.interrupt_cause() {
            None => format!(", {gain}{}", theme.pick_glyph("×", "x")),
            Some(_) => String::new(),
        };
        let speedup = format!(" (sum of sessions {}{gain})", format_duration(session_total));
        let plain = sanitize_line(text.as_bytes(), false) + &speedup + &cause;
        if width.is_none_or(|width| measure_text_width(&plain) < width) {
            text.push_str(&theme.style_text(TextStyle::Dim, &speedup));
        }
    }
    text + &theme.style_text(TextStyle::Warning, &cause)
}

/// Returns the speedup over running one by one, such as `1.5`; `None` if there is none.
pub(crate) fn format_speedup(session_total: u64, wall: u64) -> Option<String> {
    let tenths = (session_total * 10 + wall / 2).checked_div(wall)?;
    (tenths > 10).then(|| format!("{}.{}", tenths / 10, tenths % 10))
}

/// One session of the summary table.
struct SummaryRow {
    style: TextStyle,
    outcome: String,
    name: String,
    figures: [String; 4],
    notes: String,
    is_unremarkable: bool,
}

impl SummaryRow {
    fn for_session(spec: &SessionSpec, result: &SessionResult, theme: OutputTheme) -> Self {
        let ran = !result.attempts.is_empty();
        let wall = result.wall_time();
        let cell = |figure: Option<u64>, format: &dyn Fn(u64) -> String| figure.map(format).unwrap_or_default();
        let cpu: Option<u64> = result.attempts.iter().map(|attempt| attempt.cpu_ms).sum();
        let memory = result.attempts.iter().filter_map(|attempt| attempt.peak_memory).max();
        Self {
            style: TextStyle::for_outcome(result.outcome, result.flaky),
            outcome: format!("{} {}", theme.outcome_mark(result.outcome), outcome_word(result)),
            name: result.session.to_string(),
            figures: [
                if ran { format_duration(wall) } else { String::new() },
                cell(spec.usual_ms.filter(|_| ran), &|usual| format_delta(wall, usual, theme.unicode)),
                cell(cpu.filter(|_| ran), &format_duration),
                cell(memory, &format_size),
            ],
            notes: result_notes(result).join(theme.separator()),
            is_unremarkable: result.outcome == Outcome::Passed && result_notes(result).is_empty(),
        }
    }
}

/// Renders a row per session: outcome, name, time, difference to usual, CPU, memory, notes; columns that do not fit are
/// left out.
pub(crate) fn summary_table(state: &RunState, theme: OutputTheme, width: Option<usize>, all: bool) -> Vec<String> {
    let unstarted: Vec<String> = state
        .session_results()
        .filter(|(_, result)| !all && is_unstarted(state, result))
        .map(|(_, result)| result.session.to_string())
        .collect();
    let joins_unstarted = unstarted.len() > 1;
    let mut lines: Vec<SummaryRow> = state
        .session_results()
        .filter(|(_, result)| !(joins_unstarted && is_unstarted(state, result)))
        .map(|(spec, result)| SummaryRow::for_session(spec, result, theme))
        .collect();
    let mut omitted = 0;
    if lines.len() > MAX_COMPLETE_ROWS && !all {
        let before = lines.len();
        lines.retain(|line| !line.is_unremarkable);
        omitted = before - lines.len();
    }
    let mut rows = Vec::new();
    if !lines.is_empty() {
        layout_rows(&lines, theme, width, &mut rows);
    }
    if omitted > 0 {
        let text = format!("  {} {omitted} more passed", theme.ellipsis());
        rows.push(theme.style_text(TextStyle::Dim, &text));
    }
    if joins_unstarted {
        let mark = theme.outcome_mark(Outcome::Aborted);
        let text = format!("{mark} {} not started: {}", unstarted.len(), unstarted.join(", "));
        let max_width = width.unwrap_or(MAX_UNSTARTED_WIDTH).saturating_sub(1);
        rows.push(theme.style_text(TextStyle::Warning, &truncate_str(&text, max_width, theme.ellipsis())));
    }
    rows
}

/// Returns whether a session was not started because the run was interrupted.
pub(crate) fn is_unstarted(state: &RunState, result: &SessionResult) -> bool {
    state.interrupt_cause().is_some() && result.outcome == Outcome::Aborted && result.attempts.is_empty()
}

fn layout_rows(lines: &[SummaryRow], theme: OutputTheme, width: Option<usize>, rows: &mut Vec<String>) {
    const COLUMN_HEADINGS: [&str; 4] = ["time", "vs usual", "cpu", "memory"];
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(measure_text_width).max().unwrap_or(0);
    let outcome_width = widest(&mut lines.iter().map(|line| line.outcome.as_str())).max(7);
    let mut name_width = widest(&mut lines.iter().map(|line| line.name.as_str())).clamp(7, MAX_NAME_WIDTH);
    let mut columns: Vec<(usize, usize)> = (0..COLUMN_HEADINGS.len())
        .map(|at| (at, widest(&mut lines.iter().map(|line| line.figures[at].as_str()))))
        .filter(|(_, column_width)| *column_width > 0)
        .map(|(at, column_width)| (at, column_width.max(COLUMN_HEADINGS[at].len())))
        .collect();
    let max_width = width.map_or(usize::MAX, |width| width.saturating_sub(1));
    let used_width = |name_width: usize, columns: &[(usize, usize)]| {
        outcome_width + 2 + name_width + columns.iter().map(|(_, column_width)| column_width + 2).sum::<usize>()
    };
    // The time is the last column to be dropped.
    while columns.len() > 1 && used_width(name_width, &columns) > max_width {
        columns.pop();
    }
    name_width -= used_width(name_width, &columns).saturating_sub(max_width).min(name_width.saturating_sub(8));
    let notes_width = max_width.saturating_sub(used_width(name_width, &columns) + 2);

    let mut header = format!(
        "{}  {}",
        pad_str("", outcome_width, Alignment::Left, None),
        pad_str("session", name_width, Alignment::Left, None)
    );
    for (at, column_width) in &columns {
        header.push_str(&format!("  {}", pad_str(COLUMN_HEADINGS[*at], *column_width, Alignment::Right, None)));
    }
    rows.push(theme.style_text(TextStyle::Dim, truncate_str(header.trim_end(), max_width, theme.ellipsis()).as_ref()));
    for line in lines {
        let mut row =
            theme.style_text(line.style, pad_str(&line.outcome, outcome_width, Alignment::Left, None).as_ref());
        row.push_str("  ");
        row.push_str(&pad_str(&line.name, name_width, Alignment::Left, width.map(|_| theme.ellipsis())));
        for (at, column_width) in &columns {
            let cell = pad_str(&line.figures[*at], *column_width, Alignment::Right, None).into_owned();
            row.push_str("  ");
            row.push_str(&if *at == 0 { cell } else { theme.style_text(TextStyle::Dim, &cell) });
        }
        let notes_fit = notes_width >= MIN_NOTES_WIDTH || measure_text_width(&line.notes) <= notes_width;
        if !line.notes.is_empty() && notes_fit {
            row.push_str("  ");
            row.push_str(&shorten_middle(&line.notes, notes_width, theme));
        }
        rows.push(row.trim_end().to_owned());
        if !line.notes.is_empty() && !notes_fit {
            let indent = outcome_width.min(4);
            let note = shorten_middle(&line.notes, max_width.saturating_sub(indent), theme).into_owned();
            rows.push(format!("{}{note}", " ".repeat(indent)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec_with_usual};

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    fn sample_run() -> RunEventBuilder {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_400, &[]),
            session_spec_with_usual("unit_tests", 40_000, &[]),
            session_spec_with_usual("tests-3.12(db='postgres')", 9_000, &[]),
            session_spec_with_usual("docs", 2_000, &[]),
            session_spec_with_usual("tests-3.9", 2_000, &[]),
            session_spec_with_usual("coverage_report", 2_000, &[]),
        ]);
        builder.start_session(0, "lint").finish_session(3_200, "lint", Outcome::Passed, "");
        builder.start_session(0, "unit_tests").retry_session(9_000, "unit_tests", "exit code 1", 0);
        builder.start_session(9_000, "unit_tests").mark_leaky("unit_tests").finish_session(
            56_000,
            "unit_tests",
            Outcome::Passed,
            "",
        );
        let pg = "tests-3.12(db='postgres')";
        builder.start_session(3_300, pg).finish_session(
            12_345,
            pg,
            Outcome::Failed,
            "command pytest -x failed with exit code 1",
        );
        builder.start_session(12_346, "docs").finish_session(14_345, "docs", Outcome::Cancelled, "");
        builder.finish_session(12_346, "tests-3.9", Outcome::Skipped, "Python interpreter 3.9 not found");
        builder.finish_session(56_000, "coverage_report", Outcome::Aborted, "tests-3.12(db='postgres') did not pass");
        builder.finish_run(56_100, 1);
        builder
    }

    #[test]
    fn a_wide_table_has_all_columns() {
        insta::assert_snapshot!(summary_table(&sample_run().run_state(), PLAIN, Some(140), false).join("\n"), @r"
                     session                     time  vs usual   cpu  memory
        ✓ passed     lint                        3.2s     −0.2s  1.5s  64 MiB
        ✓ flaky      unit_tests                 56.0s    +16.0s  3.0s  64 MiB  passed on attempt 2 · left processes running
        ✗ failed     tests-3.12(db='postgres')   9.0s       ±0s  1.5s  64 MiB  command pytest -x failed with exit code 1
        ■ cancelled  docs                        2.0s       ±0s  1.5s  64 MiB
        – skipped    tests-3.9                                                 Python interpreter 3.9 not found
        ○ aborted    coverage_report                                           tests-3.12(db='postgres') did not pass
        ");
    }

    #[test]
    fn a_narrow_table_drops_columns_and_never_wraps() {
        let state = sample_run().run_state();
        insta::assert_snapshot!(summary_table(&state, PLAIN, Some(80), false).join("\n"), @r"
                     session                     time  vs usual   cpu  memory
        ✓ passed     lint                        3.2s     −0.2s  1.5s  64 MiB
        ✓ flaky      unit_tests                 56.0s    +16.0s  3.0s  64 MiB
            passed on attempt 2 · left processes running
        ✗ failed     tests-3.12(db='postgres')   9.0s       ±0s  1.5s  64 MiB
            command pytest -x failed with exit code 1
        ■ cancelled  docs                        2.0s       ±0s  1.5s  64 MiB
        – skipped    tests-3.9
            Python interpreter 3.9 not found
        ○ aborted    coverage_report
            tests-3.12(db='postgres') did not pass
        ");
        insta::assert_snapshot!(summary_table(&state, OutputTheme { color: false, unicode: false }, Some(40), false).join("\n"), @r"
                     session               time
        + passed     lint                  3.2s
        + flaky      unit_tests           56.0s
            passed on attempt 2, lef... running
        x failed     tests-3.12(db='p...   9.0s
            command pytest ... with exit code 1
        ! cancelled  docs                  2.0s
        - skipped    tests-3.9
            Python interpreter 3.9 not found
        o aborted    coverage_report
            tests-3.12(db='post... did not pass
        ");
        for width in 1..150 {
            for row in summary_table(&state, PLAIN, Some(width), false) {
                assert!(measure_text_width(&row) < width.max(32), "{width}: {row}");
            }
        }
    }

    #[test]
    fn skipped_and_flaky_are_not_counted_as_passed() {
        assert_eq!(
            totals_sentence(&sample_run().run_state(), PLAIN, None),
            "6 sessions: 1 passed, 1 flaky, 1 failed, 1 cancelled, 1 aborted, 1 skipped in 56.1s (sum of sessions 1m 10s, 1.3×)"
        );
        assert!(totals_sentence(&sample_run().run_state(), PLAIN, Some(80)).ends_with("1 skipped in 56.1s"));
        let mut builder = RunEventBuilder::new(&["a", "b"]);
        builder
            .start_session(0, "a")
            .interrupt_run(5, "SIGINT")
            .finish_session(10, "a", Outcome::Cancelled, "")
            .finish_run(10, 130);
        assert_eq!(
            totals_sentence(&builder.run_state(), PLAIN, None),
            "2 sessions: 1 cancelled, 1 unfinished in 10ms, interrupted (Ctrl-C)"
        );
        assert_eq!(
            totals_sentence(&RunEventBuilder::new(&[]).run_state(), PLAIN, None),
            "0 sessions: nothing was run in 0ms"
        );
        assert_eq!(format_speedup(100, 0), None);
        assert_eq!(format_speedup(300, 100).as_deref(), Some("3.0"));
    }

    #[test]
    fn a_long_table_omits_plain_passes() {
        let names: Vec<String> = (0..500).map(|n| format!("s{n}")).collect();
        let mut builder = RunEventBuilder::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for name in &names {
            let outcome = if name == "s77" { Outcome::Failed } else { Outcome::Passed };
            builder.start_session(1, name).finish_session(
                9,
                name,
                outcome,
                if name == "s77" { "exit code 3" } else { "" },
            );
        }
        let state = builder.run_state();
        let rows = summary_table(&state, PLAIN, Some(80), false);
        assert_eq!(rows.len(), 3);
        assert!(rows[1].contains("s77") && rows[2] == "  … 499 more passed");
        assert_eq!(summary_table(&state, PLAIN, None, true).len(), 501);
    }

    #[test]
    fn colors_do_not_change_the_columns() {
        let state = sample_run().run_state();
        let colored = summary_table(&state, OutputTheme { color: true, unicode: true }, Some(100), false);
        let plain = summary_table(&state, PLAIN, Some(100), false);
        for (colored, plain) in colored.iter().zip(plain) {
            assert_eq!(sanitize_line(colored.as_bytes(), false).trim_end(), plain);
        }
    }
}

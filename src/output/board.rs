//! The board as lines of text: a row a running session, counts, time left. Pure: the same state gives the same picture.

use std::collections::HashMap;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::duration::rough;
use super::paint::Tone;
use super::remaining::remaining;
use super::state::{SessionView, Status};
use super::transfer;
use super::{Paint, RunState};
use crate::project::SessionName;

/// Below this many columns a row is a name and a time.
const NARROW: usize = 44;
/// From this many columns on there is room for a bar.
const WIDE: usize = 76;
/// Cells of the bar.
const BAR: usize = 8;
/// Milliseconds a spinner's picture stands.
const SPIN: u64 = 120;

/// What the board is drawn from.
pub struct BoardState<'a> {
    /// The run.
    pub run: &'a RunState,
    /// The last line of each running session's output, safe to show.
    pub last_lines: &'a HashMap<SessionName, String>,
    /// Colours and marks.
    pub paint: Paint,
}

/// Draws the board: at most `height` lines, none wider than `width` less one.
pub fn frame(board: &BoardState<'_>, width: usize, height: usize, now: u64) -> Vec<String> {
    let room = width.saturating_sub(1);
    let height = height.saturating_sub(1).max(1);
    let mut active: Vec<&SessionView> = board
        .run
        .sessions()
        .iter()
        .filter(|view| matches!(view.status, Status::Running(_) | Status::Between { .. }))
        .collect();
    active.sort_by_key(|view| match &view.status {
        Status::Running(running) => running.since,
        _ => u64::MAX,
    });
    let shown = if active.len() < height { active.len() } else { height.saturating_sub(2) };
    let columns = Columns::of(&active[..shown], room, now);
    let mut lines: Vec<String> = active[..shown].iter().map(|view| row(board, view, columns, room, now)).collect();
    if shown < active.len() && height > 1 {
        let more = format!("  {} and {} more running", board.paint.ellipsis(), active.len() - shown);
        lines.push(board.paint.tone(Tone::Dim, &cut(board.paint, &more, room)));
    }
    if let Some(done) = board.run.restoring().filter(|_| lines.len() + 1 < height) {
        lines.push(format!("  {}", transfer::portion(done, board.paint, room.saturating_sub(2))));
    }
    lines.push(counts(board, room, now));
    lines
}

#[derive(Clone, Copy)]
struct Columns {
    name: usize,
    time: usize,
    bar: bool,
}

impl Columns {
    fn of(active: &[&SessionView], room: usize, now: u64) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let name = widest(&mut active.iter().map(|view| measure_text_width(view.facts.name.as_str())));
        let time = widest(&mut active.iter().map(|view| measure_text_width(&time(view, room, now))));
        let most = if room < NARROW { room.saturating_sub(time + 6) } else { room / 3 };
        let bar = room >= WIDE && active.iter().any(|view| view.facts.usual.is_some());
        Self { name: name.min(most.max(4)), time, bar }
    }
}

/// `12s / ~40s`, or `12s` where nothing is known or room is short.
fn time(view: &SessionView, room: usize, now: u64) -> String {
    match &view.status {
        Status::Running(running) => {
            let elapsed = rough(now.saturating_sub(running.since));
            match view.facts.usual {
                Some(usual) if room >= NARROW => format!("{elapsed} / ~{}", rough(usual.max(1_000))),
                _ => elapsed,
            }
        }
        Status::Between { until, .. } => format!("in {}", rough(until.saturating_sub(now) + 999)),
        Status::Waiting | Status::Done(_) => String::new(),
    }
}

fn row(board: &BoardState<'_>, view: &SessionView, columns: Columns, room: usize, now: u64) -> String {
    let paint = board.paint;
    let name = pad_str(view.facts.name.as_str(), columns.name, Alignment::Left, Some(paint.ellipsis()));
    let time = time(view, room, now);
    let elapsed = match &view.status {
        Status::Running(running) => now.saturating_sub(running.since),
        _ => 0,
    };
    let late = view.facts.usual.is_some_and(|usual| elapsed > usual.saturating_mul(3) / 2 + 1_000);
    let padded = pad_str(&time, columns.time, Alignment::Right, None);
    let padded = if late { paint.tone(Tone::Warn, &padded) } else { padded.into_owned() };
    let head = format!("  {} {name}  ", paint.tone(Tone::Accent, spinner(paint, now)));
    let mut taken = 6 + columns.name + columns.time;
    let mut line = format!("{head}{padded}");
    if columns.bar {
        line.push_str("  ");
        line.push_str(&bar(paint, elapsed, view.facts.usual));
        taken += 2 + BAR;
    }
    let said = last_words(board, view);
    let left = room.saturating_sub(taken + 2);
    if left >= 8 && !said.is_empty() {
        line.push_str("  ");
        line.push_str(&paint.tone(Tone::Dim, &cut(paint, &said, left)));
    }
    if taken > room {
        cut(Paint { color: false, ..paint }, &format!("  {name} {time}"), room)
    } else {
        line.trim_end().to_owned()
    }
}

fn last_words(board: &BoardState<'_>, view: &SessionView) -> String {
    let said = board.last_lines.get(&view.facts.name).map(String::as_str).unwrap_or_default();
    match &view.status {
        Status::Between { attempt, .. } => format!("failed; attempt {attempt} follows"),
        Status::Running(running) if running.attempt > 1 => {
            format!("attempt {}{}{said}", running.attempt, if said.is_empty() { "" } else { board.paint.dot() })
        }
        _ => said.to_owned(),
    }
}

fn spinner(paint: Paint, now: u64) -> &'static str {
    const NICE: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const PLAIN: [&str; 4] = ["-", "\\", "|", "/"];
    let turn = now / SPIN;
    if paint.unicode { NICE[(turn % 10) as usize] } else { PLAIN[(turn % 4) as usize] }
}

/// How far a session is by its usual time; never full before it is over.
fn bar(paint: Paint, elapsed: u64, usual: Option<u64>) -> String {
    let Some(usual) = usual.filter(|usual| *usual > 0) else {
        return " ".repeat(BAR);
    };
    let full = usize::try_from(elapsed.saturating_mul(BAR as u64) / usual).unwrap_or(BAR).min(BAR - 1);
    let (on, off) = (paint.pick("━", "="), paint.pick("─", "."));
    format!("{}{}", paint.tone(Tone::Accent, &on.repeat(full)), paint.tone(Tone::Dim, &off.repeat(BAR - full)))
}

/// `34s · 3 running · 5 done · 2 failed · 4 waiting · about 28s left`, as much of it as there is room for.
fn counts(board: &BoardState<'_>, room: usize, now: u64) -> String {
    let (paint, counts) = (board.paint, board.run.counts());
    let mut parts = vec![(Tone::Strong, rough(now))];
    let named = [
        (Tone::Accent, counts.running, "running"),
        (Tone::Good, counts.done, "done"),
        (Tone::Bad, counts.failed, "failed"),
        (Tone::Dim, counts.waiting, "waiting"),
    ];
    parts.extend(
        named
            .into_iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(tone, count, word)| (tone, format!("{count} {word}"))),
    );
    if let Some(cause) = board.run.interrupted() {
        parts.push((Tone::Warn, format!("ending ({cause})")));
    } else if let Some(left) = remaining(board.run).filter(|left| left.ms >= 1_000) {
        let about = if left.at_least { "at least" } else { "about" };
        parts.push((Tone::Dim, format!("{about} {} left", rough(left.ms))));
    }
    let dot = paint.dot();
    let taken = |parts: &[(Tone, String)]| {
        let words: usize = parts.iter().map(|(_, text)| measure_text_width(text)).sum();
        2 + words + measure_text_width(dot) * parts.len().saturating_sub(1)
    };
    while parts.len() > 1 && taken(&parts) > room {
        parts.pop();
    }
    let texts: Vec<String> =
        parts.iter().map(|(tone, text)| paint.tone(*tone, &cut(paint, text, room.saturating_sub(2)))).collect();
    format!("  {}", texts.join(dot))
}

fn cut(paint: Paint, text: &str, room: usize) -> String {
    let mark = if room > measure_text_width(paint.ellipsis()) { paint.ellipsis() } else { "" };
    truncate_str(text, room, mark).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{Story, session, usual};
    use crate::record::Outcome;

    const PLAIN: Paint = Paint { color: false, unicode: true };

    fn story() -> Story {
        let mut story = Story::of(vec![
            usual("lint", 3_000, &[]),
            usual("unit_tests", 40_000, &[]),
            session("docs"),
            usual("integration_tests-3.12(db='postgres')", 90_000, &[]),
            usual("coverage_report", 2_000, &["unit_tests"]),
        ]);
        story.start(0, "lint").start(0, "unit_tests").finish(3_000, "lint", Outcome::Failed, "exit code 1");
        story.start(3_000, "integration_tests-3.12(db='postgres')").start(4_000, "docs");
        story.notice(20_000, "tick");
        story
    }

    fn picture(story: &Story, width: usize, height: usize, paint: Paint) -> String {
        draw(&story.state(), width, height, paint)
    }

    fn draw(state: &RunState, width: usize, height: usize, paint: Paint) -> String {
        let lines = [
            ("unit_tests", "tests/unit/test_parcel.py::test_weight_is_positive_and_finite PASSED [ 45%]"),
            ("docs", "読み込み中… reading sources"),
        ];
        let last_lines = lines.map(|(name, line)| (SessionName::from(name), line.to_owned())).into();
        frame(&BoardState { run: state, last_lines: &last_lines, paint }, width, height, 20_000).join("\n")
    }

    #[test]
    fn wide_usual_and_narrow() {
        insta::assert_snapshot!(picture(&story(), 120, 40, PLAIN), @r"
        ⠦ unit_tests                                20s / ~40s  ━━━━────  tests/unit/test_parcel.py::test_weight_is_positive…
        ⠦ integration_tests-3.12(db='postgres')  17s / ~1m 30s  ━───────
        ⠦ docs                                             16s            読み込み中… reading sources
        20s · 3 running · 1 failed · 1 waiting · at least 1m 13s left
        ");
        insta::assert_snapshot!(picture(&story(), 80, 24, PLAIN), @r"
        ⠦ unit_tests                     20s / ~40s  ━━━━────  tests/unit/test_parce…
        ⠦ integration_tests-3.12(db…  17s / ~1m 30s  ━───────
        ⠦ docs                                  16s            読み込み中… reading s…
        20s · 3 running · 1 failed · 1 waiting · at least 1m 13s left
        ");
        insta::assert_snapshot!(picture(&story(), 60, 24, PLAIN), @r"
        ⠦ unit_tests              20s / ~40s  tests/unit/test_pa…
        ⠦ integration_tests-…  17s / ~1m 30s
        ⠦ docs                           16s  読み込み中… readin…
        20s · 3 running · 1 failed · 1 waiting
        ");
        insta::assert_snapshot!(picture(&story(), 40, 12, Paint { color: false, unicode: false }), @r"
        | unit_tests                      20s
        | integration_tests-3.12(db='...  17s
        | docs                            16s
        20s, 3 running, 1 failed, 1 waiting
        ");
        insta::assert_snapshot!(picture(&story(), 20, 12, PLAIN), @r"
        ⠦ unit_tests  20s
        ⠦ integrati…  17s
        ⠦ docs        16s
        20s · 3 running
        ");
    }

    #[test]
    fn no_width_or_height_is_overrun() {
        let state = story().state();
        for width in 0..130 {
            for height in 0..8 {
                let picture = draw(&state, width, height, PLAIN);
                assert!(picture.lines().count() <= height.saturating_sub(1).max(1), "{width}x{height}");
                for line in picture.lines() {
                    assert!(measure_text_width(line) < width.max(3), "{width}x{height}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn more_rows_than_the_screen_has_are_folded() {
        let names: Vec<String> = (0..30).map(|n| format!("tests-{n}")).collect();
        let mut story = Story::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        names.iter().for_each(|name| {
            story.start(1, name);
        });
        insta::assert_snapshot!(picture(&story, 60, 6, PLAIN), @r"
        ⠦ tests-0  19s
        ⠦ tests-1  19s
        ⠦ tests-2  19s
        … and 27 more running
        20s · 30 running
        ");
    }

    #[test]
    fn retries_and_an_ending_run_are_told() {
        let mut story = Story::of(vec![usual("tests", 1_000, &[]), usual("docs", 500, &[])]);
        story.start(0, "tests").start(0, "docs").retry(10, "docs", "exit code 1", 22_500);
        story.retry(15_000, "tests", "exit code 1", 0).start(15_000, "tests").interrupt(16_000, "SIGINT");
        insta::assert_snapshot!(picture(&story, 80, 24, PLAIN), @r"
        ⠦ tests  5s / ~1s  ━━━━━━━─  attempt 2
        ⠦ docs      in 3s  ────────  failed; attempt 2 follows
        20s · 2 running · ending (SIGINT)
        ");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let colored = picture(&story(), 100, 24, Paint { color: true, unicode: true });
        let plain = picture(&story(), 100, 24, PLAIN);
        assert_ne!(colored, plain);
        for (colored, plain) in colored.lines().zip(plain.lines()) {
            assert_eq!(crate::output::clean::clean_line(colored.as_bytes(), false).trim_end(), plain.trim_end());
        }
    }
}

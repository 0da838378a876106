//! List of recorded runs, as text and JSON.

use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Value, json};

use super::OutputTheme;
use super::theme::TextStyle;
use crate::record::{EndedRun, RunSummary, describe_interrupt};
use crate::text::{format_duration, pluralize, to_single_line};

/// Names of failed sessions that a row lists.
const MAX_NAMES: usize = 3;

/// Renders one row for each run: identifier, start, duration, commit, result.
pub(crate) fn render_run_list(runs: &[RunSummary], theme: OutputTheme) -> String {
    let rows: Vec<[String; 4]> = runs.iter().map(row_cells).collect();
    let headings = ["run", "started", "time", "commit"];
    let widths: Vec<usize> = (0..headings.len())
        .map(|at| rows.iter().map(|row| measure_text_width(&row[at])).max().unwrap_or(0).max(headings[at].len()))
        .collect();
    let line = |cells: [&str; 4], result: &str| {
        let alignments = [Alignment::Left, Alignment::Left, Alignment::Right, Alignment::Left];
        let padded = (0..cells.len()).map(|at| pad_str(cells[at], widths[at], alignments[at], None).into_owned());
        let line = format!("{}  {result}", padded.collect::<Vec<_>>().join("  "));
        format!("{}\n", line.trim_end())
    };
    let mut text = theme.style_text(TextStyle::Dim, line(headings, "result").trim_end());
    text.push('\n');
    for (run, row) in runs.iter().zip(&rows) {
        text.push_str(&line(row.each_ref().map(String::as_str), &describe_result(run, theme)));
    }
    text
}

fn row_cells(run: &RunSummary) -> [String; 4] {
    let cell = |cell: &dyn Fn(&EndedRun) -> String| run.ended.as_ref().map(cell).unwrap_or_default();
    [
        run.run_id.clone(),
        cell(&|ended| ended.started_at.get(..16).unwrap_or(&ended.started_at).replace('T', " ")),
        cell(&|ended| format_duration(ended.wall_ms)),
        cell(&|ended| to_single_line(ended.commit.as_deref().and_then(|commit| commit.get(..8)).unwrap_or_default())),
    ]
}

/// Describes the result: `passed, 11 sessions`, `2 of 11 did not pass: lint, docs`, `running`.
fn describe_result(run: &RunSummary, theme: OutputTheme) -> String {
    let Some(ended) = &run.ended else {
        return if run.is_active { theme.style_text(TextStyle::Accent, "running") } else { "no record".to_owned() };
    };
    let cause = ended.interrupt_cause.as_deref().map(describe_interrupt);
    let (style, mut text) = match ended.unsuccessful.as_slice() {
        [] => (TextStyle::Success, format!("passed, {}", pluralize(ended.session_count, "session"))),
        names => {
            let listed = names[..names.len().min(MAX_NAMES)].join(", ");
            let more = names.len().checked_sub(MAX_NAMES).filter(|more| *more > 0);
            let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
            let count = names.len();
            (TextStyle::Failure, format!("{count} of {} did not pass: {listed}{more}", ended.session_count))
        }
    };
    if let Some(cause) = cause {
        text.push_str(&format!(" ({cause})"));
    }
    theme.style_text(style, &text)
}

/// Returns the list as a document.
pub(crate) fn run_list_json(runs: &[RunSummary]) -> Value {
    let entry = |run: &RunSummary| {
        let ended = run.ended.as_ref();
        json!({
            "run": run.run_id,
            "running": run.is_active,
            "started_at": ended.map(|ended| &ended.started_at),
            "wall_ms": ended.map(|ended| ended.wall_ms),
            "exit_code": ended.and_then(|ended| ended.exit_code),
            "interrupt_cause": ended.and_then(|ended| ended.interrupt_cause.as_ref()),
            "commit": ended.and_then(|ended| ended.commit.as_ref()),
            "sessions": ended.map(|ended| ended.session_count),
            "unsuccessful": ended.map(|ended| &ended.unsuccessful),
        })
    };
    json!({ "version": 1, "runs": runs.iter().map(entry).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, unsuccessful: &[&str], exit_code: Option<u8>, cause: Option<&str>) -> RunSummary {
        let ended = EndedRun {
            started_at: "2026-11-23T05:25:00+00:00".to_owned(),
            wall_ms: 12_345,
            exit_code,
            interrupt_cause: cause.map(str::to_owned),
            commit: exit_code.map(|_| "0011223344556677".to_owned()),
            session_count: 11,
            unsuccessful: unsuccessful.iter().map(|name| (*name).to_owned()).collect(),
        };
        RunSummary { run_id: id.to_owned(), is_active: false, ended: Some(ended) }
    }

    #[test]
    fn each_run_has_a_row() {
        let mut runs = vec![
            run("20261123-052500.118-7f3a9c", &[], Some(0), None),
            run("20261123-052600.000-7f3a9c", &["lint", "docs", "types", "tests"], Some(130), Some("SIGINT")),
            run("20261123-052700.000-7f3a9c", &["lint"], None, Some("killed")),
        ];
        runs.push(RunSummary { run_id: "20261123-052800.000-7f3a9c".to_owned(), is_active: true, ended: None });
        let text = render_run_list(&runs, OutputTheme { color: false, unicode: true });
        insta::assert_snapshot!(text, @r"
        run                         started            time  commit    result
        20261123-052500.118-7f3a9c  2026-11-23 05:25  12.3s  00112233  passed, 11 sessions
        20261123-052600.000-7f3a9c  2026-11-23 05:25  12.3s  00112233  4 of 11 did not pass: lint, docs, types and 1 more (interrupted (Ctrl-C))
        20261123-052700.000-7f3a9c  2026-11-23 05:25  12.3s            1 of 11 did not pass: lint (noxide was killed)
        20261123-052800.000-7f3a9c                                     running
        ");
        let document = run_list_json(&runs);
        assert_eq!((&document["version"], &document["runs"][1]["unsuccessful"][3]), (&1.into(), &"tests".into()));
        assert_eq!((&document["runs"][3]["running"], &document["runs"][3]["wall_ms"]), (&true.into(), &Value::Null));
    }
}

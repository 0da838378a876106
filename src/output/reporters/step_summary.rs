//! Step-summary reporter: the run as Markdown, in the file that a forge shows as the step summary.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::output::options::{OutputOptions, OutputStreams};
use crate::output::run_summary::totals_sentence;
use crate::output::session_rows::{outcome_word, result_notes};
use crate::output::theme::OutputTheme;
use crate::output::{EventReporter, RunState};
use crate::record::{EventKind, RunEvent, SessionResult, log_reader};
use crate::text::{escape_markdown_cell, fenced_block, format_duration, sanitize_line};

/// Log lines per failed session.
const LOG_TAIL_LINES: usize = 40;
/// Maximum size of all logs: forges reject summaries over 1 MiB.
const MAX_LOG_BYTES: usize = 200 * 1024;

/// Appends a Markdown table to the step summary.
pub(crate) struct StepSummaryReporter {
    path: PathBuf,
    theme: OutputTheme,
    state: RunState,
    run_dir: PathBuf,
    written: bool,
}

impl StepSummaryReporter {
    /// Opens the reporter if the forge has a step summary.
    pub(crate) fn open(options: &OutputOptions, _: &mut OutputStreams) -> Option<Box<dyn EventReporter>> {
        let path = options.step_summary.clone()?;
        Some(Box::new(Self::new(path, options.theme)))
    }

    /// Creates a reporter that appends to a file.
    pub(crate) fn new(path: PathBuf, theme: OutputTheme) -> Self {
        let theme = OutputTheme { color: false, ..theme };
        Self { path, theme, state: RunState::default(), run_dir: PathBuf::new(), written: false }
    }

    fn append_summary(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.written, true) {
            return Ok(());
        }
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(render_markdown(&self.state, &self.run_dir, self.theme).as_bytes())
    }
}

impl EventReporter for StepSummaryReporter {
    fn on_event(&mut self, event: &RunEvent, run_dir: &Path) -> io::Result<()> {
        if self.run_dir != run_dir {
            self.run_dir = run_dir.to_path_buf();
        }
        self.state.apply_event(event);
        if matches!(event.kind, EventKind::RunFinished { .. }) { self.append_summary() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.state.run_metadata().is_some() { self.append_summary() } else { Ok(()) }
    }
}

fn render_markdown(state: &RunState, run_dir: &Path, theme: OutputTheme) -> String {
    let mut text = format!("### noxide\n\n{}\n\n", escape_markdown_cell(&totals_sentence(state, theme, None)));
    text.push_str("| session | outcome | time | usual | cpu | notes |\n|:--|:--|--:|--:|--:|:--|\n");
    for (spec, result) in state.session_results() {
        let cpu: Option<u64> = result.attempts.iter().map(|attempt| attempt.cpu_ms).sum();
        let ran = !result.attempts.is_empty();
        let time = |ms: Option<u64>| ms.filter(|_| ran).map(format_duration).unwrap_or_default();
        text.push_str(&format!(
            "| {} | {} {} | {} | {} | {} | {} |\n",
            escape_markdown_cell(&result.session.display_name()),
            theme.outcome_mark(result.outcome),
            outcome_word(result),
            time(Some(result.wall_time())),
            spec.usual_ms.map(format_duration).unwrap_or_default(),
            time(cpu),
            escape_markdown_cell(&result_notes(result).join(theme.separator())),
        ));
    }
    let mut remaining_bytes = MAX_LOG_BYTES;
    for (_, result) in state.session_results().filter(|(_, result)| result.outcome.is_failure()) {
        let block = failed_log_details(result, run_dir);
        if block.len() <= remaining_bytes {
            remaining_bytes -= block.len();
            text.push_str(&block);
        }
    }
    text.push('\n');
    text
}

/// Renders the end of a failed session's log as a collapsed block.
fn failed_log_details(result: &SessionResult, run_dir: &Path) -> String {
    let Some(last) = result.last_attempt() else {
        return String::new();
    };
    let tail = log_reader::read_log_tail(&run_dir.join(&last.log), last.log_bytes, LOG_TAIL_LINES).unwrap_or_default();
    let lines: Vec<String> = tail.lines.iter().map(|line| sanitize_line(line, false)).collect();
    if lines.is_empty() {
        return String::new();
    }
    let name = escape_markdown_cell(&result.session.display_name());
    let block = fenced_block(&lines.join("\n"));
    format!("\n<details><summary>{name}: last lines</summary>\n\n{block}\n</details>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec_with_usual};
    use crate::record::Outcome;

    #[test]
    fn the_summary_has_a_table_and_logs_of_failures() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_400, &[]),
            session_spec_with_usual("docs|<&b>", 100, &[]),
        ]);
        builder.start_session(1, "lint").write_log("lint", b"one\n```\ntwo\n");
        builder.finish_session(3_001, "lint", Outcome::Failed, "exit `1`").finish_session(
            3_002,
            "docs|<&b>",
            Outcome::Skipped,
            "no\npython",
        );
        builder.finish_run(3_003, 1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.md");
        builder.feed_reporter(&mut StepSummaryReporter::new(path.clone(), OutputTheme { color: true, unicode: true }));
        insta::assert_snapshot!(fs_err::read_to_string(&path).unwrap(), @r"
        ### noxide

        2 sessions: 1 failed, 1 skipped in 3.0s

        | session | outcome | time | usual | cpu | notes |
        |:--|:--|--:|--:|--:|:--|
        | lint | ✗ failed | 3.0s | 3.4s | 1.5s | exit \`1\` |
        | docs\|&lt;&amp;b&gt; | – skipped |  | 100ms |  | no python |

        <details><summary>lint: last lines</summary>

        ````text
        one
        ```
        two
        ````

        </details>
        ");
        let mut early = RunEventBuilder::new(&["lint"]);
        early
            .start_session(1, "lint")
            .write_log("lint", b"")
            .finish_session(2, "lint", Outcome::Failed, "")
            .finish_session(3, "docs", Outcome::Aborted, "");
        early.feed_reporter(&mut StepSummaryReporter::new(path.clone(), OutputTheme { color: false, unicode: true }));
        let text = fs_err::read_to_string(&path).unwrap();
        assert_eq!(text.matches("### noxide").count(), 2, "appended, not replaced");
        assert_eq!(text.matches("<details>").count(), 1);
    }

    #[test]
    fn a_summary_that_cannot_be_written_is_an_error() {
        let mut reporter = StepSummaryReporter::new(
            PathBuf::from("/no/such/directory/summary"),
            OutputTheme { color: false, unicode: true },
        );
        let builder = RunEventBuilder::new(&[]);
        reporter.on_event(&builder.events[0], builder.run_dir()).unwrap();
        assert!(reporter.finish().is_err());
        assert!(reporter.finish().is_ok(), "once");
    }
}

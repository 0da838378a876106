//! The run as Markdown, in the file that a forge shows as the step's summary.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::output::paint::Paint;
use crate::output::row::{notes, word};
use crate::output::summary::totals;
use crate::output::{Reporter, RunState, clean, duration, log};
use crate::record::{Event, Fact, SessionResult};

/// Lines of a failed session's log in the summary.
const LINES: usize = 40;
/// Logs beyond so many bytes are left out: forges refuse summaries over 1 MiB.
const ROOM: usize = 200 * 1024;

/// Appends a Markdown table to the step's summary.
pub struct StepSummary {
    path: PathBuf,
    paint: Paint,
    state: RunState,
    folder: PathBuf,
    written: bool,
}

impl StepSummary {
    /// A reporter that appends to this file.
    pub fn new(path: PathBuf, paint: Paint) -> Self {
        let paint = Paint { color: false, ..paint };
        Self { path, paint, state: RunState::default(), folder: PathBuf::new(), written: false }
    }

    fn write(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.written, true) {
            return Ok(());
        }
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(markdown(&self.state, &self.folder, self.paint).as_bytes())
    }
}

impl Reporter for StepSummary {
    fn event(&mut self, event: &Event, folder: &Path) -> io::Result<()> {
        if self.folder != folder {
            self.folder = folder.to_path_buf();
        }
        self.state.apply(event);
        if matches!(event.fact, Fact::RunFinished { .. }) { self.write() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.state.facts().is_some() { self.write() } else { Ok(()) }
    }
}

fn markdown(state: &RunState, folder: &Path, paint: Paint) -> String {
    let mut text = format!("### noxide\n\n{}\n\n", cell(&totals(state, paint, None)));
    text.push_str("| session | outcome | time | usual | cpu | notes |\n|:--|:--|--:|--:|--:|:--|\n");
    for (facts, result) in state.results() {
        let cpu: Option<u64> = result.attempts.iter().map(|attempt| attempt.cpu).sum();
        let ran = !result.attempts.is_empty();
        let time = |ms: Option<u64>| ms.filter(|_| ran).map(duration::duration).unwrap_or_default();
        text.push_str(&format!(
            "| {} | {} {} | {} | {} | {} | {} |\n",
            cell(result.session.as_str()),
            paint.mark(result.outcome),
            word(result),
            time(Some(result.wall())),
            facts.usual.map(duration::duration).unwrap_or_default(),
            time(cpu),
            cell(&notes(result).join(paint.dot())),
        ));
    }
    let mut room = ROOM;
    for (_, result) in state.results().filter(|(_, result)| result.outcome.is_failure()) {
        let block = details(result, folder);
        if block.len() <= room {
            room -= block.len();
            text.push_str(&block);
        }
    }
    text.push('\n');
    text
}

/// The end of a failed session's log, folded.
fn details(result: &SessionResult, folder: &Path) -> String {
    let Some(last) = result.last() else {
        return String::new();
    };
    let tail = log::tail(&folder.join(&last.log), last.log_bytes, LINES).unwrap_or_default();
    let lines: Vec<String> = tail.lines.iter().map(|line| clean::clean_line(line, false)).collect();
    if lines.is_empty() {
        return String::new();
    }
    let body = lines.join("\n");
    let mut fence = "```".to_owned();
    while body.contains(&fence) {
        fence.push('`');
    }
    let name = cell(result.session.as_str());
    format!("\n<details><summary>{name}: last lines</summary>\n\n{fence}text\n{body}\n{fence}\n\n</details>\n")
}

/// Text that cannot leave its cell or become markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{Story, usual};
    use crate::record::Outcome;

    #[test]
    fn a_table_and_the_logs_of_failures() {
        let mut story = Story::of(vec![usual("lint", 3_400, &[]), usual("docs|<&b>", 100, &[])]);
        story.start(1, "lint").write("lint", b"one\n```\ntwo\n");
        story.finish(3_001, "lint", Outcome::Failed, "exit `1`").finish(
            3_002,
            "docs|<&b>",
            Outcome::Skipped,
            "no\npython",
        );
        story.over(3_003, 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        story.feed(&mut StepSummary::new(path.clone(), Paint { color: true, unicode: true }));
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
        let mut early = Story::new(&["lint"]);
        early.start(1, "lint").write("lint", b"").finish(2, "lint", Outcome::Failed, "").finish(
            3,
            "docs",
            Outcome::Aborted,
            "",
        );
        early.feed(&mut StepSummary::new(path.clone(), Paint { color: false, unicode: true }));
        let text = fs_err::read_to_string(&path).unwrap();
        assert_eq!(text.matches("### noxide").count(), 2, "appended, not replaced");
        assert_eq!(text.matches("<details>").count(), 1);
    }

    #[test]
    fn a_summary_that_cannot_be_written_is_told() {
        let mut reporter =
            StepSummary::new(PathBuf::from("/no/such/folder/summary"), Paint { color: false, unicode: true });
        let story = Story::new(&[]);
        reporter.event(&story.events[0], story.folder()).unwrap();
        assert!(reporter.finish().is_err());
        assert!(reporter.finish().is_ok(), "once");
    }
}

//! Status of running sessions on request (a key press, SIGUSR1): elapsed time and last output lines.

use std::path::Path;

use super::theme::TextStyle;
use super::{OutputTheme, RunState, log_reader};
use crate::text::{format_whole_seconds, sanitize_line};

/// Log lines shown per running session.
const LOG_TAIL_LINES: usize = 4;

/// Renders the running sessions with the last lines of each.
pub(crate) fn render_running_sessions(state: &RunState, folder: &Path, theme: OutputTheme) -> String {
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
    for (facts, run) in running {
        let usual = facts.usual_ms.map(|usual| format!(" of ~{}", format_whole_seconds(usual))).unwrap_or_default();
        let elapsed = format_whole_seconds(state.elapsed_ms().saturating_sub(run.started_at));
        text.push_str(&format!("\n  {} {elapsed}{usual}", theme.style_text(TextStyle::Bold, facts.name.as_str())));
        let tail = log_reader::read_log_tail(&folder.join(&run.log_path), u64::MAX, LOG_TAIL_LINES).unwrap_or_default();
        for line in tail.lines {
            text.push_str(&format!("\n    {}", sanitize_line(&line, theme.color)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_facts, session_facts_with_usual};

    #[test]
    fn running_sessions_are_shown_with_their_last_lines() {
        let mut story = RunEventBuilder::from_sessions(vec![
            session_facts_with_usual("tests", 40_000, &[]),
            session_facts("docs"),
            session_facts("lint"),
        ]);
        story.start_session(0, "tests").start_session(500, "docs");
        story.append_output(9_000, "tests", b"1\n2\n3\n4\n\x1b[31m5\x1b[0m\x1b[2K\n").add_notice(12_000, "tick");
        let text = render_running_sessions(
            &story.run_state(),
            story.run_folder(),
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
        ");
    }
}

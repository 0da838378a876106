//! What runs right now, for somebody who asks: sessions, for how long, and what they last said.

use std::path::Path;

use super::theme::TextStyle;
use super::{OutputTheme, RunState, log_reader};
use crate::text::{format_whole_seconds, sanitize_line};

/// Lines of output shown of each running session.
const LOG_TAIL_LINES: usize = 4;

/// What runs now, with the last lines of each, as text to print.
pub(crate) fn render_running_sessions(state: &RunState, folder: &Path, paint: OutputTheme) -> String {
    let running = state.running_sessions();
    let counts = state.status_counts();
    let mut text = format!(
        "{} after {}: {} running, {} done, {} failed, {} waiting",
        paint.pick_glyph("▸", ">"),
        format_whole_seconds(state.elapsed_ms()),
        running.len(),
        counts.done,
        counts.failed,
        counts.waiting,
    );
    for (facts, run) in running {
        let usual = facts.usual.map(|usual| format!(" of ~{}", format_whole_seconds(usual))).unwrap_or_default();
        let for_ = format_whole_seconds(state.elapsed_ms().saturating_sub(run.started_at));
        text.push_str(&format!("\n  {} {for_}{usual}", paint.style_text(TextStyle::Bold, facts.name.as_str())));
        let said = log_reader::read_log_tail(&folder.join(&run.log_path), u64::MAX, LOG_TAIL_LINES).unwrap_or_default();
        for line in said.lines {
            text.push_str(&format!("\n    {}", sanitize_line(&line, paint.color)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_facts, session_facts_with_usual};

    #[test]
    fn each_running_session_with_its_last_lines() {
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

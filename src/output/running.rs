//! What runs right now, for somebody who asks: sessions, for how long, and what they last said.

use std::path::Path;

use super::duration::rough;
use super::paint::Tone;
use super::{Paint, RunState, clean, log};

/// Lines of output shown of each running session.
const LINES: usize = 4;

/// What runs now, with the last lines of each, as text to print.
pub fn snapshot_running(state: &RunState, folder: &Path, paint: Paint) -> String {
    let running = state.running();
    let counts = state.counts();
    let mut text = format!(
        "{} after {}: {} running, {} done, {} failed, {} waiting",
        paint.pick("▸", ">"),
        rough(state.now()),
        running.len(),
        counts.done,
        counts.failed,
        counts.waiting,
    );
    for (facts, run) in running {
        let usual = facts.usual.map(|usual| format!(" of ~{}", rough(usual))).unwrap_or_default();
        let for_ = rough(state.now().saturating_sub(run.since));
        text.push_str(&format!("\n  {} {for_}{usual}", paint.tone(Tone::Strong, facts.name.as_str())));
        let said = log::tail(&folder.join(&run.log), u64::MAX, LINES).unwrap_or_default();
        for line in said.lines {
            text.push_str(&format!("\n    {}", clean::clean_line(&line, paint.color)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::story::{Story, session, usual};

    #[test]
    fn each_running_session_with_its_last_lines() {
        let mut story = Story::of(vec![usual("tests", 40_000, &[]), session("docs"), session("lint")]);
        story.start(0, "tests").start(500, "docs");
        story.grew(9_000, "tests", b"1\n2\n3\n4\n\x1b[31m5\x1b[0m\x1b[2K\n").notice(12_000, "tick");
        let text = snapshot_running(&story.state(), story.folder(), Paint { color: false, unicode: true });
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

//! Progress bar of cache operations: entries, bytes and rate; on a terminal only, erased at the end.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::OutputTheme;
use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
use crate::output::theme::TextStyle;
use crate::record::RestoreProgress;
use crate::text::format_size;

/// Minimum time between redraws.
const REDRAW_INTERVAL: Duration = Duration::from_millis(80);
/// Operations that finish earlier show no bar.
const SHOW_DELAY: Duration = Duration::from_millis(200);
/// Width of the bar.
const BAR_WIDTH: usize = 24;

/// Draws the progress of a cache operation.
pub(crate) struct CacheProgressBar {
    theme: OutputTheme,
    width: usize,
    state: Mutex<CacheProgressState>,
}

struct CacheProgressState {
    writer: Box<dyn Write + Send>,
    phase: CachePhase,
    total: WorkAmount,
    done: WorkAmount,
    started_at: Instant,
    last_drawn_at: Option<Instant>,
}

impl CacheProgressBar {
    /// Creates a bar for a terminal with `width` columns.
    pub(crate) fn new(out: Box<dyn Write + Send>, theme: OutputTheme, width: usize) -> Self {
        let (total, done) = (WorkAmount::default(), WorkAmount::default());
        let state = CacheProgressState {
            writer: out,
            phase: CachePhase::Restore,
            total,
            done,
            started_at: Instant::now(),
            last_drawn_at: None,
        };
        Self { theme, width, state: Mutex::new(state) }
    }

    fn lock_state(&self) -> MutexGuard<'_, CacheProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressReporter for CacheProgressBar {
    fn start_phase(&self, phase: CachePhase, total: WorkAmount) {
        let mut state = self.lock_state();
        (state.phase, state.total, state.done) = (phase, total, WorkAmount::default());
        (state.started_at, state.last_drawn_at) = (Instant::now(), None);
    }

    fn advance(&self, amount: WorkAmount) {
        let mut state = self.lock_state();
        state.done += amount;
        let since = state.last_drawn_at.map_or_else(|| state.started_at.elapsed(), |drawn| drawn.elapsed());
        if since >= if state.last_drawn_at.is_some() { REDRAW_INTERVAL } else { SHOW_DELAY } {
            let line =
                progress_line(state.phase, state.total, state.done, state.started_at.elapsed(), self.theme, self.width);
            // A closed terminal is no error.
            let _ = write!(state.writer, "\r\x1b[2K{line}").and_then(|()| state.writer.flush());
            state.last_drawn_at = Some(Instant::now());
        }
    }

    fn finish_phase(&self) {
        let mut state = self.lock_state();
        if state.last_drawn_at.take().is_some() {
            let _ = write!(state.writer, "\r\x1b[2K").and_then(|()| state.writer.flush());
        }
    }
}

/// Renders the progress of a restore during a run.
pub(super) fn restore_progress_line(progress: RestoreProgress, theme: OutputTheme, width: usize) -> String {
    let RestoreProgress { packages, files, bytes, total_packages, total_files, total_bytes, elapsed_ms } = progress;
    let done = WorkAmount { entries: packages, files, bytes };
    let total = WorkAmount { entries: total_packages, files: total_files, bytes: total_bytes };
    progress_line(CachePhase::Restore, total, done, Duration::from_millis(elapsed_ms), theme, width)
}

/// Renders phase, bar and figures, truncated to `width`.
fn progress_line(
    phase: CachePhase,
    total: WorkAmount,
    done: WorkAmount,
    elapsed: Duration,
    theme: OutputTheme,
    width: usize,
) -> String {
    let fraction = |done: u64, total: u64| if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
    let completed =
        if total.bytes > 0 { fraction(done.bytes, total.bytes) } else { fraction(done.entries, total.entries) };
    let filled_width = (completed * BAR_WIDTH as f64).round() as usize;
    let (filled, empty) =
        (theme.pick_glyph("━", "#").repeat(filled_width), theme.pick_glyph("─", ".").repeat(BAR_WIDTH - filled_width));
    let bytes = if total.bytes > 0 {
        format!("{} of {}", format_size(done.bytes), format_size(total.bytes))
    } else {
        format_size(done.bytes)
    };
    let rate = done.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let text = format!(
        "{}/{} entries{dot}{} files{dot}{bytes}{dot}{}/s",
        done.entries.min(total.entries),
        total.entries,
        done.files,
        format_size(rate as u64),
        dot = theme.separator(),
    );
    let text_width = width.saturating_sub(phase.as_str().len() + BAR_WIDTH + 3);
    let text = console::truncate_str(&text, text_width, theme.ellipsis());
    format!(
        "{} {}{} {text}",
        phase.as_str(),
        theme.style_text(TextStyle::Accent, &filled),
        theme.style_text(TextStyle::Dim, &empty)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn the_line_has_entries_files_bytes_and_rate() {
        let total = WorkAmount { entries: 171, files: 36_253, bytes: 605_000_000 };
        let done = WorkAmount { entries: 171, files: 18_000, bytes: 302_500_000 };
        let line = progress_line(CachePhase::Restore, total, done, Duration::from_millis(500), PLAIN, 100);
        assert_eq!(
            line,
            "restore ━━━━━━━━━━━━──────────── 171/171 entries · 18000 files · 288 MiB of 577 MiB · 577 MiB/s"
        );
        assert_eq!(
            console::measure_text_width(&progress_line(CachePhase::Restore, total, done, Duration::ZERO, PLAIN, 60)),
            59
        );
        let counted = WorkAmount { entries: 4, ..WorkAmount::default() };
        let half = WorkAmount { entries: 2, files: 9, bytes: 2_048 };
        let ascii = OutputTheme { color: false, unicode: false };
        assert_eq!(
            progress_line(CachePhase::Save, counted, half, Duration::from_secs(1), ascii, 100),
            "save ############............ 2/4 entries, 9 files, 2.0 KiB, 2.0 KiB/s"
        );
        assert!(
            progress_line(CachePhase::Prune, WorkAmount::default(), WorkAmount::default(), Duration::ZERO, PLAIN, 10)
                .starts_with("prune")
        );
    }

    #[test]
    fn the_bar_is_drawn_after_a_delay_and_erased_at_the_end() {
        let captured = Capture::default();
        let bar = CacheProgressBar::new(Box::new(captured.clone()), PLAIN, 80);
        bar.start_phase(CachePhase::Verify, WorkAmount { entries: 1, files: 1, bytes: 10 });
        bar.advance(WorkAmount::default());
        bar.finish_phase();
        assert!(captured.text().is_empty(), "no bar for a quick operation");
        bar.start_phase(CachePhase::Verify, WorkAmount { entries: 1, files: 1, bytes: 10 });
        bar.lock_state().started_at = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        bar.advance(WorkAmount { entries: 1, files: 1, bytes: 5 });
        bar.advance(WorkAmount::default());
        bar.finish_phase();
        let text = captured.text();
        assert_eq!(text.matches("verify").count(), 1, "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"));
    }
}

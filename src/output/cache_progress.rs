//! A bar for work on the cache: entries, bytes and rate, on a terminal only and gone at the end.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::OutputTheme;
use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
use crate::output::theme::TextStyle;
use crate::record::RestoreProgress;
use crate::text::format_size;

/// Drawn at most so often.
const REDRAW_INTERVAL: Duration = Duration::from_millis(80);
/// Work that is done sooner shows no bar.
const SHOW_DELAY: Duration = Duration::from_millis(200);
/// Columns of the bar itself.
const BAR_WIDTH: usize = 24;

/// Draws how far work on the cache has come.
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
    /// One that draws to a terminal of so many columns.
    pub(crate) fn new(out: Box<dyn Write + Send>, paint: OutputTheme, width: usize) -> Self {
        let (total, done) = (WorkAmount::default(), WorkAmount::default());
        let state = CacheProgressState {
            writer: out,
            phase: CachePhase::Restore,
            total,
            done,
            started_at: Instant::now(),
            last_drawn_at: None,
        };
        Self { theme: paint, width, state: Mutex::new(state) }
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

    fn advance(&self, more: WorkAmount) {
        let mut state = self.lock_state();
        state.done += more;
        let since = state.last_drawn_at.map_or_else(|| state.started_at.elapsed(), |drawn| drawn.elapsed());
        if since >= if state.last_drawn_at.is_some() { REDRAW_INTERVAL } else { SHOW_DELAY } {
            let line =
                progress_line(state.phase, state.total, state.done, state.started_at.elapsed(), self.theme, self.width);
            // A terminal that is gone is no reason to fail.
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

/// How far a restore of a run has come, as the same line.
pub(super) fn restore_progress_line(portion: RestoreProgress, paint: OutputTheme, width: usize) -> String {
    let RestoreProgress { packages, files, bytes, all_packages, all_files, all_bytes, ms } = portion;
    let done = WorkAmount { entries: packages, files, bytes };
    let total = WorkAmount { entries: all_packages, files: all_files, bytes: all_bytes };
    progress_line(CachePhase::Restore, total, done, Duration::from_millis(ms), paint, width)
}

/// The line: as much of it as the columns hold.
fn progress_line(
    phase: CachePhase,
    total: WorkAmount,
    done: WorkAmount,
    elapsed: Duration,
    paint: OutputTheme,
    width: usize,
) -> String {
    let part = |done: u64, total: u64| if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
    let share = if total.bytes > 0 { part(done.bytes, total.bytes) } else { part(done.entries, total.entries) };
    let full = (share * BAR_WIDTH as f64).round() as usize;
    let (filled, empty) =
        (paint.pick_glyph("━", "#").repeat(full), paint.pick_glyph("─", ".").repeat(BAR_WIDTH - full));
    let bytes = if total.bytes > 0 {
        format!("{} of {}", format_size(done.bytes), format_size(total.bytes))
    } else {
        format_size(done.bytes)
    };
    let rate = done.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let told = format!(
        "{}/{} entries{dot}{} files{dot}{bytes}{dot}{}/s",
        done.entries.min(total.entries),
        total.entries,
        done.files,
        format_size(rate as u64),
        dot = paint.separator(),
    );
    let room = width.saturating_sub(phase.as_str().len() + BAR_WIDTH + 3);
    let told = console::truncate_str(&told, room, paint.ellipsis());
    format!(
        "{} {}{} {told}",
        phase.as_str(),
        paint.style_text(TextStyle::Accent, &filled),
        paint.style_text(TextStyle::Dim, &empty)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: OutputTheme = OutputTheme { color: false, unicode: true };

    #[test]
    fn entries_files_bytes_and_rate() {
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
    fn drawn_when_it_takes_long_and_cleared_at_the_end() {
        #[derive(Clone, Default)]
        struct Kept(std::sync::Arc<Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let bar = CacheProgressBar::new(Box::new(kept.clone()), PLAIN, 80);
        bar.start_phase(CachePhase::Verify, WorkAmount { entries: 1, files: 1, bytes: 10 });
        bar.advance(WorkAmount::default());
        bar.finish_phase();
        assert!(kept.0.lock().unwrap().is_empty(), "nothing for what is quick");
        bar.start_phase(CachePhase::Verify, WorkAmount { entries: 1, files: 1, bytes: 10 });
        bar.lock_state().started_at = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        bar.advance(WorkAmount { entries: 1, files: 1, bytes: 5 });
        bar.advance(WorkAmount::default());
        bar.finish_phase();
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("verify").count(), 1, "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"));
    }
}

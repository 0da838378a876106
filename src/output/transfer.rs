//! A bar for work on the cache: entries, bytes and rate, on a terminal only and gone at the end.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Paint, size};
use crate::cache::{Amount, Phase, Progress};
use crate::output::paint::Tone;
use crate::record::Portion;

/// Drawn at most so often.
const EVERY: Duration = Duration::from_millis(80);
/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(200);
/// Columns of the bar itself.
const WIDTH: usize = 24;

/// Draws how far work on the cache has come.
pub struct TransferBar {
    paint: Paint,
    width: usize,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    phase: Phase,
    total: Amount,
    done: Amount,
    begun: Instant,
    drawn: Option<Instant>,
}

impl TransferBar {
    /// One that draws to a terminal of so many columns.
    pub fn new(out: Box<dyn Write + Send>, paint: Paint, width: usize) -> Self {
        let (total, done) = (Amount::default(), Amount::default());
        let state = State { out, phase: Phase::Restore, total, done, begun: Instant::now(), drawn: None };
        Self { paint, width, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for TransferBar {
    fn begin(&self, phase: Phase, total: Amount) {
        let mut state = self.state();
        (state.phase, state.total, state.done) = (phase, total, Amount::default());
        (state.begun, state.drawn) = (Instant::now(), None);
    }

    fn advance(&self, more: Amount) {
        let mut state = self.state();
        state.done += more;
        let since = state.drawn.map_or_else(|| state.begun.elapsed(), |drawn| drawn.elapsed());
        if since >= if state.drawn.is_some() { EVERY } else { PATIENCE } {
            let line = bar(state.phase, state.total, state.done, state.begun.elapsed(), self.paint, self.width);
            // A terminal that is gone is no reason to fail.
            let _ = write!(state.out, "\r\x1b[2K{line}").and_then(|()| state.out.flush());
            state.drawn = Some(Instant::now());
        }
    }

    fn end(&self) {
        let mut state = self.state();
        if state.drawn.take().is_some() {
            let _ = write!(state.out, "\r\x1b[2K").and_then(|()| state.out.flush());
        }
    }
}

/// How far a restore of a run has come, as the same line.
pub(super) fn portion(portion: Portion, paint: Paint, width: usize) -> String {
    let Portion { packages, files, bytes, all_packages, all_files, all_bytes, ms } = portion;
    let done = Amount { entries: packages, files, bytes };
    let total = Amount { entries: all_packages, files: all_files, bytes: all_bytes };
    bar(Phase::Restore, total, done, Duration::from_millis(ms), paint, width)
}

/// The line: as much of it as the columns hold.
fn bar(phase: Phase, total: Amount, done: Amount, elapsed: Duration, paint: Paint, width: usize) -> String {
    let part = |done: u64, total: u64| if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
    let share = if total.bytes > 0 { part(done.bytes, total.bytes) } else { part(done.entries, total.entries) };
    let full = (share * WIDTH as f64).round() as usize;
    let (filled, empty) = (paint.pick("━", "#").repeat(full), paint.pick("─", ".").repeat(WIDTH - full));
    let bytes =
        if total.bytes > 0 { format!("{} of {}", size(done.bytes), size(total.bytes)) } else { size(done.bytes) };
    let rate = done.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let told = format!(
        "{}/{} entries{dot}{} files{dot}{bytes}{dot}{}/s",
        done.entries.min(total.entries),
        total.entries,
        done.files,
        size(rate as u64),
        dot = paint.dot(),
    );
    let room = width.saturating_sub(phase.as_str().len() + WIDTH + 3);
    let told = console::truncate_str(&told, room, paint.ellipsis());
    format!("{} {}{} {told}", phase.as_str(), paint.tone(Tone::Accent, &filled), paint.tone(Tone::Dim, &empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { color: false, unicode: true };

    #[test]
    fn entries_files_bytes_and_rate() {
        let total = Amount { entries: 171, files: 36_253, bytes: 605_000_000 };
        let done = Amount { entries: 171, files: 18_000, bytes: 302_500_000 };
        let line = bar(Phase::Restore, total, done, Duration::from_millis(500), PLAIN, 100);
        assert_eq!(
            line,
            "restore ━━━━━━━━━━━━──────────── 171/171 entries · 18000 files · 288 MiB of 577 MiB · 577 MiB/s"
        );
        assert_eq!(console::measure_text_width(&bar(Phase::Restore, total, done, Duration::ZERO, PLAIN, 60)), 59);
        let counted = Amount { entries: 4, ..Amount::default() };
        let half = Amount { entries: 2, files: 9, bytes: 2_048 };
        let ascii = Paint { color: false, unicode: false };
        assert_eq!(
            bar(Phase::Save, counted, half, Duration::from_secs(1), ascii, 100),
            "save ############............ 2/4 entries, 9 files, 2.0 KiB, 2.0 KiB/s"
        );
        assert!(
            bar(Phase::Prune, Amount::default(), Amount::default(), Duration::ZERO, PLAIN, 10).starts_with("prune")
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
        let bar = TransferBar::new(Box::new(kept.clone()), PLAIN, 80);
        bar.begin(Phase::Verify, Amount { entries: 1, files: 1, bytes: 10 });
        bar.advance(Amount::default());
        bar.end();
        assert!(kept.0.lock().unwrap().is_empty(), "nothing for what is quick");
        bar.begin(Phase::Verify, Amount { entries: 1, files: 1, bytes: 10 });
        bar.state().begun = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        bar.advance(Amount { entries: 1, files: 1, bytes: 5 });
        bar.advance(Amount::default());
        bar.end();
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("verify").count(), 1, "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"));
    }
}

//! Ends of the logs of failed sessions, limited in size so that a page stays small.

use std::path::Path;

use super::text::FailedLogTail;
use crate::record::{RunRecord, log_tail_text};

/// Lines of a failed session's log.
const MAX_LOG_LINES: usize = 200;
/// Characters of a line.
const MAX_LINE_CHARS: usize = 1_000;
/// Bytes of all logs together.
const MAX_LOG_BYTES: usize = 192 * 1024;

/// Bytes that are left for the logs of failed sessions.
#[derive(Debug)]
struct LogTailBudget {
    remaining_bytes: usize,
}

impl Default for LogTailBudget {
    fn default() -> Self {
        Self { remaining_bytes: MAX_LOG_BYTES }
    }
}

impl LogTailBudget {
    /// Shortens the lines of a log to the remaining size: long lines at their end, the log at its beginning.
    fn shorten(&mut self, lines: Vec<String>) -> Vec<String> {
        let mut lines: Vec<String> =
            lines.into_iter().map(|line| line.chars().take(MAX_LINE_CHARS).collect()).collect();
        let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        while size(&lines) > self.remaining_bytes && !lines.is_empty() {
            lines.drain(..lines.len().div_ceil(2));
        }
        self.remaining_bytes -= size(&lines);
        lines
    }
}

/// Reads the ends of the logs of failed sessions; colors are kept.
pub(crate) fn read_failed_log_tails(record: &RunRecord, run_dir: &Path) -> Vec<FailedLogTail> {
    let mut budget = LogTailBudget::default();
    let mut tails = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last_attempt().filter(|_| result.outcome.is_failure()) else { continue };
        let tail = log_tail_text(&run_dir.join(&last.log), last.log_bytes, MAX_LOG_LINES, true);
        let Ok((lines, omitted_note)) = tail else { continue };
        let lines = budget.shorten(lines);
        tails.push(FailedLogTail { session: result.session.as_str().to_owned(), lines, omitted_note });
    }
    tails
}

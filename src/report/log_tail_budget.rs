//! Limit of the size of quoted logs, so that a page stays small.

/// Characters of a line.
const MAX_LINE_CHARS: usize = 1_000;
/// Bytes of all logs together.
const MAX_LOG_BYTES: usize = 192 * 1024;

/// Bytes that are left for the logs of failed sessions.
#[derive(Debug)]
pub(crate) struct LogTailBudget {
    remaining_bytes: usize,
}

impl Default for LogTailBudget {
    fn default() -> Self {
        Self { remaining_bytes: MAX_LOG_BYTES }
    }
}

impl LogTailBudget {
    /// Shortens the lines of a log to the remaining size: long lines at their end, the log at its beginning.
    pub(crate) fn shorten(&mut self, lines: Vec<String>) -> Vec<String> {
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

//! Timeout context: running commands and last output line of an attempt, for the error message.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::process::{ProcessTree, SecretRedactor};
use crate::text::{last_visible_line, shorten_text};

/// Maximum number of commands to list.
const MAX_COMMANDS: usize = 3;
/// Longest command or output line, in characters.
const MAX_TEXT_CHARS: usize = 100;
/// Size of the end of the log that is searched for the last line.
const LOG_TAIL_BYTES: u64 = 4096;

/// Describes what an attempt is doing, without secrets, as the end of a sentence; empty if unknown.
pub(super) fn describe_activity(tree: Option<&ProcessTree>, log: &Path, redactor: &SecretRedactor) -> String {
    let commands = tree.map_or_else(Vec::new, ProcessTree::leaf_commands);
    let more = commands.len().saturating_sub(MAX_COMMANDS);
    // A secret is no longer found once its blanks are collapsed.
    let masked = commands.iter().take(MAX_COMMANDS).map(|command| redactor.redact_text(command));
    let lines = masked.map(|command| command.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut named: Vec<String> = lines.map(|line| shorten_text(&line, MAX_TEXT_CHARS)).collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let mut text = String::new();
    if !named.is_empty() {
        text.push_str(&format!("; running: {}", named.join(", ")));
    }
    if let Some(line) = last_log_line(log) {
        text.push_str(&format!("; last output: {}", shorten_text(&line, MAX_TEXT_CHARS)));
    }
    text
}

/// Returns the last line of a log that is not blank.
fn last_log_line(log: &Path) -> Option<String> {
    let mut file = fs_err::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    last_visible_line(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_last_that_is_not_blank() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        assert_eq!(last_log_line(&log), None);
        fs_err::write(&log, "\x1b[0m\n \r\n").unwrap();
        assert_eq!(last_log_line(&log), None);
        fs_err::write(&log, format!("{}one\n 10%\r \x1b[31m20%\x1b[0m\x07\n\n", "x".repeat(9_000))).unwrap();
        assert_eq!(last_log_line(&log).as_deref(), Some("20%"));
    }
}

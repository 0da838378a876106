//! What an attempt was at when its time was over: the programs that ran, and the last line they printed.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::attempt::RunningAttempt;
use crate::text::{last_visible_line, shorten_text};

/// How many programs are named.
const MAX_COMMANDS: usize = 3;
/// How long a program's words, or a line, may be in characters.
const MAX_TEXT_CHARS: usize = 100;
/// How far back the last line is looked for.
const LOG_TAIL_BYTES: u64 = 4096;

/// What an attempt is at, as the end of a sentence; empty where nothing is known.
pub(super) fn timeout_context(running: &RunningAttempt, folder: &Path) -> String {
    let commands = running.process_tree().map_or_else(Vec::new, |tree| tree.leaf_commands());
    let more = commands.len().saturating_sub(MAX_COMMANDS);
    let mut named: Vec<String> =
        commands.iter().take(MAX_COMMANDS).map(|command| shorten_text(command, MAX_TEXT_CHARS)).collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let mut text = String::new();
    if !named.is_empty() {
        text.push_str(&format!("; it ran {}", named.join(", ")));
    }
    if let Some(line) = last_log_line(&folder.join(&running.log_path)) {
        text.push_str(&format!("; it said last: {}", shorten_text(&line, MAX_TEXT_CHARS)));
    }
    text
}

/// The last line of a log with anything to read in it.
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
    fn the_last_line_is_the_last_with_something_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        assert_eq!(last_log_line(&log), None);
        fs_err::write(&log, "\x1b[0m\n \r\n").unwrap();
        assert_eq!(last_log_line(&log), None);
        fs_err::write(&log, format!("{}one\n 10%\r \x1b[31m20%\x1b[0m\x07\n\n", "x".repeat(9_000))).unwrap();
        assert_eq!(last_log_line(&log).as_deref(), Some("20%"));
    }
}

//! Reading session logs from disk: ranges in bounded chunks, lines of bounded length, the last lines of a log.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::record::open_run_file;
use crate::text::{format_size, pluralize, sanitize_line};

const READ_CHUNK_SIZE: usize = 64 * 1024;
/// A longer line is split into pieces.
const MAX_LINE_LENGTH: usize = 64 * 1024;
/// Maximum size of a tail.
const MAX_TAIL_BYTES: u64 = 512 * 1024;
/// In larger logs, the omitted bytes are reported instead of the omitted lines.
const MAX_LINE_COUNT_BYTES: u64 = 64 * 1024 * 1024;

/// Splits a stream of bytes into lines, buffering an incomplete last line.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    partial_line: Vec<u8>,
}

impl LineSplitter {
    /// Adds bytes and passes every completed line, without its `\n`, to `on_line`.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        on_line: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.partial_line.is_empty() {
                on_line(&bytes[..end])?;
            } else {
                self.partial_line.extend_from_slice(&bytes[..end]);
                on_line(&self.partial_line)?;
                self.partial_line.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial_line.extend_from_slice(bytes);
        if self.partial_line.len() >= MAX_LINE_LENGTH {
            let cut = utf8_cut_index(&self.partial_line);
            on_line(&self.partial_line[..cut])?;
            self.partial_line.drain(..cut);
        }
        Ok(())
    }

    /// Passes the incomplete last line to `on_line`, at the end of the stream.
    pub(crate) fn finish(&mut self, on_line: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if !self.partial_line.is_empty() {
            on_line(&self.partial_line)?;
            self.partial_line.clear();
        }
        Ok(())
    }
}

/// Returns the index at which to split so that no UTF-8 character is cut.
fn utf8_cut_index(bytes: &[u8]) -> usize {
    let continuation_bytes = bytes.iter().rev().take(4).position(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    let start = bytes.len() - 1 - continuation_bytes;
    let length = match bytes[start] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    };
    if continuation_bytes + 1 < length && start > 0 { start } else { bytes.len() }
}

/// Reads bytes `from..to` of a log in chunks and returns the offset reached, which is smaller if the log is shorter.
pub(crate) fn read_log_range(
    path: &Path,
    from: u64,
    to: u64,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut offset = from;
    if from >= to {
        return Ok(offset);
    }
    let mut file = open_run_file(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut buffer = vec![0; READ_CHUNK_SIZE.min(usize::try_from(to - from).unwrap_or(READ_CHUNK_SIZE))];
    while offset < to {
        let chunk_len = buffer.len().min(usize::try_from(to - offset).unwrap_or(READ_CHUNK_SIZE));
        let read = file.read(&mut buffer[..chunk_len])?;
        if read == 0 {
            break;
        }
        sink(&buffer[..read])?;
        offset += read as u64;
    }
    Ok(offset)
}

/// The last lines of a log and the amount omitted above them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogTail {
    pub(crate) lines: Vec<Vec<u8>>,
    /// Amount omitted above the lines.
    pub(crate) omitted: OmittedLog,
}

/// Amount of a log omitted above a tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OmittedLog {
    /// Nothing: the tail is the complete log.
    #[default]
    Nothing,
    /// A number of lines.
    Lines(usize),
    /// A number of bytes, in a log too large to count its lines.
    Bytes(u64),
}

/// Reads the last `lines` lines of the first `bytes` bytes of a log.
pub(crate) fn read_log_tail(path: &Path, bytes: u64, lines: usize) -> io::Result<LogTail> {
    let end = bytes.min(fs_err::metadata(path)?.len());
    let start = end.saturating_sub(MAX_TAIL_BYTES);
    let mut text = Vec::new();
    read_log_range(path, start, end, &mut |chunk| {
        text.extend_from_slice(chunk);
        Ok(())
    })?;
    let body = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut tail: Vec<Vec<u8>> = body.rsplit(|byte| *byte == b'\n').take(lines).map(<[u8]>::to_vec).collect();
    tail.reverse();
    if body.is_empty() {
        tail.clear();
    }
    let shown: usize = tail.iter().map(|line| line.len() + 1).sum();
    let tail_offset = start + (body.len() + 1).saturating_sub(shown) as u64;
    let omitted = match tail_offset {
        0 => OmittedLog::Nothing,
        _ if tail.is_empty() => OmittedLog::Nothing,
        _ if end > MAX_LINE_COUNT_BYTES => OmittedLog::Bytes(tail_offset),
        _ => OmittedLog::Lines(count_lines(path, tail_offset)?),
    };
    Ok(LogTail { lines: tail, omitted })
}

/// Returns the last lines of the first `bytes` bytes of a log as text, and a note on what is omitted above.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn log_tail_text(
    path: &Path,
    bytes: u64,
    lines: usize,
    keep_colors: bool,
) -> io::Result<(Vec<String>, String)> {
    let tail = read_log_tail(path, bytes, lines)?;
    let above = match tail.omitted {
        OmittedLog::Nothing => String::new(),
        OmittedLog::Lines(count) => format!("{} above", pluralize(count, "line")),
        OmittedLog::Bytes(count) => format!("{} above", format_size(count)),
    };
    Ok((tail.lines.iter().map(|line| sanitize_line(line, keep_colors)).collect(), above))
}

fn count_lines(path: &Path, to: u64) -> io::Result<usize> {
    let mut count = 0;
    let mut last = b'\n';
    read_log_range(path, 0, to, &mut |chunk| {
        count += chunk.iter().filter(|byte| **byte == b'\n').count();
        last = chunk.last().copied().unwrap_or(last);
        Ok(())
    })?;
    Ok(count + usize::from(last != b'\n'))
}

/// Reads the last 4 KiB of the first `bytes` bytes of a log, usually enough for its last line.
pub(crate) fn read_last_bytes(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    read_log_range(path, bytes.saturating_sub(4_096), bytes, &mut |chunk| {
        text.extend_from_slice(chunk);
        Ok(())
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err::File;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), content).unwrap();
        file
    }

    fn tail_of(content: &[u8], lines: usize) -> (Vec<String>, OmittedLog) {
        let file = file(content);
        let tail = read_log_tail(file.path(), u64::MAX, lines).unwrap();
        (tail.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect(), tail.omitted)
    }

    #[test]
    fn lines_are_joined_across_chunks() {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for piece in ["on", "e\ntw", "o\n\nthr", "ee"] {
            splitter
                .push(piece.as_bytes(), &mut |line| {
                    lines.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                })
                .unwrap();
        }
        splitter
            .finish(&mut |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                Ok(())
            })
            .unwrap();
        assert_eq!(lines, ["one", "two", "", "three"]);
    }

    #[test]
    fn a_line_without_end_is_split_between_characters() {
        let mut splitter = LineSplitter::default();
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let text = format!("x{}", "é".repeat(MAX_LINE_LENGTH / 2));
        splitter
            .push(&text.as_bytes()[..MAX_LINE_LENGTH], &mut |line| {
                pieces.push(line.to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(pieces.len(), 1);
        assert!(std::str::from_utf8(&pieces[0]).is_ok());
        assert_eq!(splitter.partial_line.len(), 1);
        assert_eq!(utf8_cut_index(b"ab"), 2);
        assert_eq!(utf8_cut_index("a€".as_bytes()), 4);
        assert_eq!(utf8_cut_index(&"a€".as_bytes()[..3]), 1);
        assert_eq!(utf8_cut_index(b"\x80\x80\x80\x80\x80"), 5);
        assert_eq!(utf8_cut_index("a😀".as_bytes()), 5);
        assert_eq!(utf8_cut_index(&"a😀".as_bytes()[..4]), 1);
    }

    #[test]
    fn ranges_are_exact_and_end_with_the_file() {
        let file = file(b"0123456789");
        let read = |from, to| {
            let mut got = Vec::new();
            let at = read_log_range(file.path(), from, to, &mut |chunk| {
                got.extend_from_slice(chunk);
                Ok(())
            })
            .unwrap();
            (String::from_utf8(got).unwrap(), at)
        };
        assert_eq!(read(2, 5), ("234".to_owned(), 5));
        assert_eq!(read(8, 99), ("89".to_owned(), 10));
        assert_eq!(read(5, 5), (String::new(), 5));
        assert!(read_log_range(Path::new("no-such-log"), 0, 1, &mut |_| Ok(())).is_err());
    }

    #[test]
    fn tails_count_the_lines_above() {
        let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert_eq!(tail_of(b"a\nb\nc\n", 2), (owned(&["b", "c"]), OmittedLog::Lines(1)));
        assert_eq!(tail_of(b"a\nb\nc", 2), (owned(&["b", "c"]), OmittedLog::Lines(1)));
        assert_eq!(tail_of(b"a\nb", 5), (owned(&["a", "b"]), OmittedLog::Nothing));
        assert_eq!(tail_of(b"a\nb\n", 2), (owned(&["a", "b"]), OmittedLog::Nothing));
        assert_eq!(tail_of(b"", 5), (owned(&[]), OmittedLog::Nothing));
        assert_eq!(tail_of(b"\n", 5), (owned(&[]), OmittedLog::Nothing));
    }

    #[test]
    fn a_tail_is_bounded() {
        let content = "y".repeat(MAX_TAIL_BYTES as usize + 10) + "\nend\n";
        let (lines, above) = tail_of(content.as_bytes(), 200);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "end");
        assert_eq!(above, OmittedLog::Lines(1), "the truncated line counts as one omitted line");
    }

    #[test]
    fn the_bytes_above_a_tail_of_a_huge_log_are_counted() {
        let file = file(b"");
        let handle = File::options().write(true).open(file.path()).unwrap();
        handle.set_len(MAX_LINE_COUNT_BYTES + 10).unwrap();
        let tail = read_log_tail(file.path(), u64::MAX, 1).unwrap();
        assert!(matches!(tail.omitted, OmittedLog::Bytes(_)));
        assert_eq!(read_last_bytes(file.path(), MAX_LINE_COUNT_BYTES + 10).unwrap().len(), 4_096);
    }
}

//! Terminal output as plain text: control sequences stripped, overwritten progress bars reduced to their last state.

/// Converts a line of output to text that is safe to print.
///
/// Invalid UTF-8 is replaced, control sequences are stripped (except colors with `keep_colors`), and only the last
/// segment of a line overwritten by `\r` is returned.
pub(crate) fn sanitize_line(bytes: &[u8], keep_colors: bool) -> String {
    let segment = last_written_segment(bytes);
    strip_sequences(&String::from_utf8_lossy(segment), keep_colors)
}

/// Joins a text of unknown origin (a name, a path, a message) to one line that is safe in every output: without control
/// sequences and control characters, and never a workflow command.
pub(crate) fn to_single_line(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| sanitize_line(line.as_bytes(), false).trim().to_owned()).collect();
    let line: String = lines.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    break_commands(line.trim())
}

/// Breaks what a runner of Actions would read as a workflow command: `::` at the start of a line, `##[` anywhere in it.
pub(crate) fn break_commands(line: &str) -> String {
    let start = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(start);
    let rest = rest.strip_prefix("::").map_or_else(|| rest.to_owned(), |rest| format!(": :{rest}"));
    format!("{indent}{}", rest.replace("##[", "## ["))
}

/// Makes a JSON document safe to print where a runner or a terminal reads: `##[`, control characters and those that change
/// the direction of text can only be in a string, where an escape has the same meaning.
pub(crate) fn escape_json_document(document: &str) -> String {
    let document = document.replace("##[", "#\\u0023[");
    if !document.contains(is_escaped_in_json) {
        return document;
    }
    let escape = |c: char| if is_escaped_in_json(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    document.chars().map(escape).collect()
}

/// Matches the control characters that JSON allows in strings as they are.
fn is_escaped_in_json(c: char) -> bool {
    c >= '\u{7f}' && is_control_char(c)
}

/// Quotes a path that has control characters, quotation marks or backslashes as Git does, so that it is one line: for the
/// head of a diff, which other programs read.
pub(crate) fn quote_path(path: &str) -> String {
    let is_quoted = |c: char| is_control_char(c) || matches!(c, '"' | '\\');
    if !path.contains(is_quoted) {
        return path.to_owned();
    }
    let escape = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '"' | '\\' => format!("\\{c}"),
        c if is_control_char(c) => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        c => c.to_string(),
    };
    format!("\"{}\"", path.chars().map(escape).collect::<String>())
}

/// Makes lines of unknown origin safe to print, each on its own: without control sequences except colors, and never a
/// workflow command.
pub(crate) fn to_safe_lines(text: &str) -> String {
    let safe_line = |line: &str| {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        break_commands(&strip_sequences(content, true)) + end
    };
    text.split_inclusive('\n').map(safe_line).collect()
}

/// Returns the last line that is not blank, as plain text without tabs.
pub(crate) fn last_visible_line(bytes: &[u8]) -> Option<String> {
    bytes
        .rsplit(|byte| matches!(byte, b'\n' | b'\r'))
        .map(|line| strip_control_sequences(&String::from_utf8_lossy(line)).replace('\t', " ").trim().to_owned())
        .find(|line| !line.is_empty())
}

/// Strips colors and all other control sequences except tabs.
pub(crate) fn strip_control_sequences(text: &str) -> String {
    strip_sequences(text, false)
}

/// Returns the last segment between carriage returns, which is about what a terminal shows of the line.
fn last_written_segment(bytes: &[u8]) -> &[u8] {
    let mut end = bytes;
    while let [rest @ .., b'\n' | b'\r'] = end {
        end = rest;
    }
    end.rsplit(|byte| *byte == b'\r').find(|segment| !segment.is_empty()).unwrap_or_default()
}

fn strip_sequences(text: &str, keep_colors: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut colored = false;
    let mut rest = text;
    while let Some(at) = rest.find(is_control_char) {
        clean.push_str(&rest[..at]);
        let (sequence, after) = split_control_sequence(&rest[at..]);
        if sequence == "\t" {
            clean.push('\t');
        } else if keep_colors && is_color_sequence(sequence) {
            clean.push_str(sequence);
            colored = !matches!(sequence, "\x1b[m" | "\x1b[0m");
        }
        rest = after;
    }
    clean.push_str(rest);
    if colored {
        clean.push_str("\x1b[0m");
    }
    clean
}

/// Returns the parts of a line that are shown: all but control sequences. Its line end is one of them.
pub(crate) fn visible_ranges(line: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(gap) = line[at..].find(|c| is_control_char(c) && !matches!(c, '\n' | '\r' | '\t')) {
        ranges.push(start..at + gap);
        let (sequence, _) = split_control_sequence(&line[at + gap..]);
        at += gap + sequence.strip_suffix('\n').unwrap_or(sequence).len();
        start = at;
    }
    ranges.push(start..line.len());
    ranges
}

/// Matches C0 and C1 controls, DEL, and characters that change the direction of text.
fn is_control_char(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn is_color_sequence(sequence: &str) -> bool {
    sequence
        .strip_prefix("\x1b[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|middle| middle.chars().all(|c| c.is_ascii_digit() || matches!(c, ';' | ':')))
}

/// Splits a control character, with the sequence it opens, from the text after it.
fn split_control_sequence(text: &str) -> (&str, &str) {
    let mut chars = text.char_indices();
    let opener = chars.next().map(|(_, c)| c);
    let end = match opener {
        Some('\x1b') => match chars.next() {
            Some((_, '[')) => control_sequence_end(text, 2),
            Some((_, ']' | 'P' | 'X' | '^' | '_')) => control_string_end(text, 2),
            Some((at, ' '..='/')) => text[at..]
                .char_indices()
                .find(|(_, c)| !matches!(c, ' '..='/'))
                .map_or(text.len(), |(gap, c)| at + gap + c.len_utf8()),
            Some((at, c)) if c.is_ascii() && !c.is_control() => at + c.len_utf8(),
            _ => 1,
        },
        Some(c @ '\u{9b}') => control_sequence_end(text, c.len_utf8()),
        Some(c @ ('\u{9d}' | '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}')) => control_string_end(text, c.len_utf8()),
        Some(c) => c.len_utf8(),
        None => 0,
    };
    text.split_at(end)
}

/// Returns the end of a control sequence (`ESC [ 31 m`): after its final byte, or before a character that is not part of one.
fn control_sequence_end(text: &str, from: usize) -> usize {
    for (gap, c) in text[from..].char_indices() {
        match c {
            '\x20'..='\x3f' => {}
            '\x40'..='\x7e' => return from + gap + 1,
            _ => return from + gap,
        }
    }
    text.len()
}

/// Returns the end of a control string (a title, a link): after its terminator, or the end of the line.
fn control_string_end(text: &str, from: usize) -> usize {
    for (gap, c) in text[from..].char_indices() {
        let at = from + gap;
        match c {
            '\x07' | '\u{9c}' => return at + c.len_utf8(),
            '\x1b' => return if text[at + 1..].starts_with('\\') { at + 2 } else { at },
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        sanitize_line(text.as_bytes(), false)
    }

    #[test]
    fn a_text_becomes_one_line_without_control_characters() {
        assert_eq!(to_single_line("\n  \x1b[31mred\x1b[0m\tb\nc\n"), "red b c");
        assert_eq!(to_single_line("\n ::add-path::/x\n::b ##[add-path]/y"), ": :add-path::/x ::b ## [add-path]/y");
        assert_eq!(break_commands("  ::x::"), "  : :x::");
        assert_eq!(escape_json_document(r###"{"a": "##[x]"}"###), r###"{"a": "#\u0023[x]"}"###);
        assert_eq!(escape_json_document("{\"é\": \"\u{9b}2J\u{202e}\"}\n"), "{\"é\": \"\\u009b2J\\u202e\"}\n");
        assert_eq!(quote_path("a/b c.yml"), "a/b c.yml");
        assert_eq!(quote_path("a/x\n--- \"\\\t\u{9b}é"), r#""a/x\n--- \"\\\t\302\233é""#);
        assert_eq!(to_safe_lines("\x1b[31mred\x1b[0m\x1b[2J\r\n::x\n\n"), "\x1b[31mred\x1b[0m\n: :x\n\n");
        assert!(!to_single_line("a\x07\u{85}\u{9b}2Jb\r\n").chars().any(char::is_control));
    }

    #[test]
    fn control_sequences_of_all_kinds_are_stripped() {
        assert_eq!(plain("\x1b[31mred\x1b[0m text"), "red text");
        assert_eq!(plain("\x1b[2J\x1b[1;1Hhome"), "home");
        assert_eq!(plain("\x1b[?25lhidden\x1b[?25h"), "hidden");
        assert_eq!(plain("\x1b]0;title\x07text"), "text");
        assert_eq!(plain("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"), "link");
        assert_eq!(plain("\x1bPdevice\x1b\\x"), "x");
        assert_eq!(plain("\x1b(Bcharset \x1bcreset \x1b=keypad"), "charset reset keypad");
        assert_eq!(plain("a\x08\x07\x7fb\0c\u{9b}31md\u{9d}t\u{9c}e"), "abcde");
        assert_eq!(plain("never \x1b]0;ends"), "never ");
        assert_eq!(plain("cut \x1b[31"), "cut ");
        assert_eq!(plain("cut \x1b"), "cut ");
        assert_eq!(plain("cut \x1b("), "cut ");
        assert_eq!(plain("odd \x1b[3é1m"), "odd é1m");
        assert_eq!(plain("odd \x1b]0;t\x1b[31mx"), "odd x");
        assert_eq!(plain("tabs\tstay"), "tabs\tstay");
        assert_eq!(plain("\u{202e}gnp.exe"), "gnp.exe");
    }

    #[test]
    fn colors_are_preserved_on_request_and_reset() {
        let colored = |text: &str| sanitize_line(text.as_bytes(), true);
        assert_eq!(colored("\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(colored("\x1b[31mopen"), "\x1b[31mopen\x1b[0m");
        assert_eq!(colored("\x1b[2Kx\x1b[3A\x1b[38:5:1my\x1b[m"), "x\x1b[38:5:1my\x1b[m");
        assert_eq!(colored("\x1b[>4;1mx"), "x");
    }

    #[test]
    fn a_progress_bar_is_reduced_to_its_last_state() {
        assert_eq!(plain("10%\r20%\r100%\r\n"), "100%");
        assert_eq!(plain("\r\n"), "");
        assert_eq!(sanitize_line(b"caf\xe9 \xff", false), "caf\u{fffd} \u{fffd}");
    }

    #[test]
    fn the_last_line_that_is_not_blank() {
        assert_eq!(last_visible_line(b"one\ntwo\n\n   \n").as_deref(), Some("two"));
        assert_eq!(last_visible_line(b"10%\r20%").as_deref(), Some("20%"));
        assert_eq!(last_visible_line(b"a\tb").as_deref(), Some("a b"));
        assert_eq!(last_visible_line(b"text\n\x1b[0m\n").as_deref(), Some("text"));
        assert_eq!(last_visible_line(b"\n\r\n"), None);
        assert_eq!(last_visible_line(b""), None);
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_remains(bytes: Vec<u8>) {
            let line = sanitize_line(&bytes, false);
            proptest::prop_assert!(!line.chars().any(|c| is_control_char(c) && c != '\t'));
        }

        #[test]
        fn with_colors_only_color_sequences_remain(text in "[\x1b\\[\\]0-9;mAHPé\r\x07\\\\ ]{0,40}") {
            let line = sanitize_line(text.as_bytes(), true);
            for part in line.split('\x1b').skip(1) {
                let end = part.find('m').unwrap();
                proptest::prop_assert!(part.starts_with('[') && part[1..end].chars().all(|c| c.is_ascii_digit() || c == ';'));
            }
        }
    }
}

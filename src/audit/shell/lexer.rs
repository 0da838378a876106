//! Shell lexer: a script into words and operators.

use super::super::source::Span;
use super::command::ShellWord;

/// A token of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShellToken {
    Word(ShellWord),
    /// One of `CONTROL_OPERATORS`.
    Operator(&'static str),
    Newline,
    /// `>` or `>>` (also `2>`, `&>`); the next word is the file.
    RedirectOutput,
    /// `<` or `<<<`; the next word is the file or the text.
    RedirectInput,
    /// A here-document; its body is skipped.
    Heredoc,
}

/// Splits a script into tokens. Never fails: unknown syntax becomes words.
pub(super) fn tokenize_script(text: &str) -> Vec<ShellToken> {
    let mut lexer =
        ShellLexer { text, bytes: text.as_bytes(), offset: 0, tokens: Vec::new(), pending_heredocs: Vec::new() };
    lexer.scan_tokens();
    lexer.tokens
}

struct ShellLexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    offset: usize,
    tokens: Vec<ShellToken>,
    /// Delimiters of the here-documents that start at the next line.
    pending_heredocs: Vec<String>,
}

const CONTROL_OPERATORS: [&str; 9] = [";;", "&&", "||", "|&", "|", "&", ";", "(", ")"];

impl<'a> ShellLexer<'a> {
    fn scan_tokens(&mut self) {
        while let Some(&byte) = self.bytes.get(self.offset) {
            match byte {
                b'\n' => {
                    self.offset += 1;
                    self.tokens.push(ShellToken::Newline);
                    self.skip_heredocs();
                }
                b' ' | b'\t' | b'\r' => self.offset += 1,
                b'\\' if self.remaining_text().starts_with("\\\n") => self.offset += 2,
                b'\\' if self.remaining_text().starts_with("\\\r\n") => self.offset += 3,
                b'#' => self.offset += self.remaining_text().find('\n').unwrap_or(self.remaining_text().len()),
                _ if self.scan_redirect() || self.scan_operator() => {}
                _ => self.scan_word(),
            }
        }
    }

    fn remaining_text(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.pending_heredocs) {
            while self.offset < self.bytes.len() {
                let line = self.remaining_text().lines().next().unwrap_or_default().to_owned();
                self.offset +=
                    self.remaining_text().find('\n').map_or(self.remaining_text().len(), |length| length + 1);
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    fn scan_redirect(&mut self) -> bool {
        let rest = self.remaining_text();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest.get(digits..).unwrap_or_default();
        let after = after.strip_prefix('&').filter(|rest| digits == 0 && rest.starts_with('>')).unwrap_or(after);
        if let Some(tail) = after.strip_prefix("<<<") {
            self.offset += rest.len() - tail.len();
            self.tokens.push(ShellToken::RedirectInput);
        } else if let Some(tail) = after.strip_prefix("<<") {
            let tail = tail.strip_prefix('-').unwrap_or(tail).trim_start_matches(' ');
            let name = tail.split(|c: char| c.is_whitespace() || matches!(c, '|' | ';' | '&' | '>' | ')')).next();
            let name = name.unwrap_or_default();
            self.offset += rest.len() - tail.len() + name.len();
            let end = name.trim_matches(['\'', '"', '\\']).to_owned();
            self.pending_heredocs.push(end);
            self.tokens.push(ShellToken::Heredoc);
        } else if let Some(tail) = after.strip_prefix('>') {
            let tail = tail.trim_start_matches(['>', '|']);
            let merged =
                tail.strip_prefix('&').map(|tail| tail.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-'));
            self.offset += rest.len() - merged.unwrap_or(tail).len();
            if merged.is_none() {
                self.tokens.push(ShellToken::RedirectOutput);
            }
        } else if let Some(tail) = after.strip_prefix('<') {
            self.offset += rest.len() - tail.len();
            self.tokens.push(ShellToken::RedirectInput);
        } else {
            return false;
        }
        true
    }

    fn scan_operator(&mut self) -> bool {
        let found = CONTROL_OPERATORS.into_iter().find(|operator| self.remaining_text().starts_with(operator));
        if let Some(operator) = found {
            self.offset += operator.len();
            self.tokens.push(ShellToken::Operator(operator));
        }
        found.is_some()
    }

    fn scan_word(&mut self) {
        let start = self.offset;
        let mut text = String::new();
        while let Some(c) = self.remaining_text().chars().next() {
            let rest = self.remaining_text();
            if rest.starts_with("${{") {
                let length = rest.find("}}").map_or(rest.len(), |end| end + 2);
                self.copy_bytes(length, &mut text);
            } else if rest.starts_with("$(") {
                let length = substitution_len(rest);
                self.copy_bytes(length, &mut text);
            } else if rest.starts_with("${") {
                let length = rest.find('}').map_or(rest.len(), |end| end + 1);
                self.copy_bytes(length, &mut text);
            } else if c == '\'' {
                let inner = rest.get(1..).unwrap_or_default();
                let length = inner.find('\'').unwrap_or(inner.len());
                text.push_str(inner.get(..length).unwrap_or_default());
                self.offset += (length + 2).min(rest.len());
            } else if c == '"' {
                let length = copy_double_quoted(rest, &mut text);
                self.offset += length;
            } else if rest.starts_with("\\\n") {
                break;
            } else if c == '\\' {
                self.offset += 1;
                let next = self.remaining_text().chars().next().map_or(0, char::len_utf8);
                self.copy_bytes(next, &mut text);
            } else if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')') {
                break;
            } else {
                self.copy_bytes(c.len_utf8(), &mut text);
            }
        }
        if self.offset == start {
            self.offset += self.remaining_text().chars().next().map_or(1, char::len_utf8);
            return;
        }
        self.tokens.push(ShellToken::Word(ShellWord { text, span: Span::new(start, self.offset) }));
    }

    fn copy_bytes(&mut self, length: usize, output: &mut String) {
        output.push_str(self.remaining_text().get(..length).unwrap_or_default());
        self.offset += length;
    }
}

/// Returns the length of a `$(…)`, including nested ones; parentheses within quotes do not count.
fn substitution_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut in_quotes, mut at) = (0usize, false, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => in_quotes = !in_quotes,
            b'\'' if !in_quotes => {
                // A quote that is never closed quotes nothing.
                at += text.get(at + 1..).and_then(|rest| rest.find('\'')).map_or(0, |length| length + 1);
            }
            b'(' if !in_quotes => depth += 1,
            b')' if !in_quotes => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Copies the text within double quotes and returns the length including the quotes.
fn copy_double_quoted(text: &str, output: &mut String) -> usize {
    let mut escaped = false;
    let mut skipped_to = 0;
    for (at, c) in text.char_indices().skip(1) {
        if at < skipped_to {
            output.push(c);
            continue;
        }
        match c {
            '$' if !escaped && text.get(at..).is_some_and(|rest| rest.starts_with("$(")) => {
                // Quotes within a substitution are its own.
                skipped_to = at + substitution_len(text.get(at..).unwrap_or_default());
                output.push(c);
            }
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => {
                escaped = false;
                output.push(c);
            }
        }
    }
    text.len()
}

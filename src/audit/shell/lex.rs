//! Cuts a script into words and operators.

use super::super::span::Span;
use super::command::Word;

/// A piece of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word.
    Word(Word),
    /// `;`, `;;`, `&&`, `||`, `|`, `&`, `(`, `)`.
    Operator(&'static str),
    /// The end of a line.
    Line,
    /// `>` or `>>` (also `2>`, `&>`), the file being the next word.
    Output,
    /// `<`, the file being the next word.
    Input,
    /// A here-document, its body left out.
    Heredoc,
}

/// Cuts a script; never fails: what is not understood becomes words.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::new(), heredocs: Vec::new() };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// Ends of the here-documents whose bodies start at the next line.
    heredocs: Vec<String>,
}

const OPERATORS: [&str; 8] = [";;", "&&", "||", "|", "&", ";", "(", ")"];

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.tokens.push(Token::Line);
                    self.skip_heredocs();
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if self.rest().starts_with("\\\n") => self.at += 2,
                b'\\' if self.rest().starts_with("\\\r\n") => self.at += 3,
                b'#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ if self.redirect() || self.operator() => {}
                _ => self.word(),
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while self.at < self.bytes.len() {
                let line = self.rest().lines().next().unwrap_or_default().to_owned();
                self.at += self.rest().find('\n').map_or(self.rest().len(), |length| length + 1);
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    fn redirect(&mut self) -> bool {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest.get(digits..).unwrap_or_default();
        let after = after.strip_prefix('&').filter(|rest| digits == 0 && rest.starts_with('>')).unwrap_or(after);
        if let Some(tail) = after.strip_prefix("<<<") {
            self.at += rest.len() - tail.len();
            self.tokens.push(Token::Input);
        } else if let Some(tail) = after.strip_prefix("<<") {
            let tail = tail.strip_prefix('-').unwrap_or(tail).trim_start_matches(' ');
            let name = tail.split(|c: char| c.is_whitespace() || matches!(c, '|' | ';' | '&' | '>' | ')')).next();
            let name = name.unwrap_or_default();
            self.at += rest.len() - tail.len() + name.len();
            let end = name.trim_matches(['\'', '"', '\\']).to_owned();
            self.heredocs.push(end);
            self.tokens.push(Token::Heredoc);
        } else if let Some(tail) = after.strip_prefix('>') {
            let tail = tail.trim_start_matches(['>', '|']);
            let merged =
                tail.strip_prefix('&').map(|tail| tail.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-'));
            self.at += rest.len() - merged.unwrap_or(tail).len();
            if merged.is_none() {
                self.tokens.push(Token::Output);
            }
        } else if let Some(tail) = after.strip_prefix('<') {
            self.at += rest.len() - tail.len();
            self.tokens.push(Token::Input);
        } else {
            return false;
        }
        true
    }

    fn operator(&mut self) -> bool {
        let found = OPERATORS.into_iter().find(|operator| self.rest().starts_with(operator));
        if let Some(operator) = found {
            self.at += operator.len();
            self.tokens.push(Token::Operator(operator));
        }
        found.is_some()
    }

    fn word(&mut self) {
        let start = self.at;
        let mut text = String::new();
        while let Some(c) = self.rest().chars().next() {
            let rest = self.rest();
            if rest.starts_with("${{") {
                let length = rest.find("}}").map_or(rest.len(), |end| end + 2);
                self.copy(length, &mut text);
            } else if rest.starts_with("$(") {
                let length = substitution(rest);
                self.copy(length, &mut text);
            } else if rest.starts_with("${") {
                let length = rest.find('}').map_or(rest.len(), |end| end + 1);
                self.copy(length, &mut text);
            } else if c == '\'' {
                let inner = rest.get(1..).unwrap_or_default();
                let length = inner.find('\'').unwrap_or(inner.len());
                text.push_str(inner.get(..length).unwrap_or_default());
                self.at += (length + 2).min(rest.len());
            } else if c == '"' {
                let length = double_quoted(rest, &mut text);
                self.at += length;
            } else if rest.starts_with("\\\n") {
                break;
            } else if c == '\\' {
                self.at += 1;
                let next = self.rest().chars().next().map_or(0, char::len_utf8);
                self.copy(next, &mut text);
            } else if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')') {
                break;
            } else {
                self.copy(c.len_utf8(), &mut text);
            }
        }
        if self.at == start {
            self.at += self.rest().chars().next().map_or(1, char::len_utf8);
            return;
        }
        self.tokens.push(Token::Word(Word { text, span: Span::new(start, self.at) }));
    }

    fn copy(&mut self, length: usize, into: &mut String) {
        into.push_str(self.rest().get(..length).unwrap_or_default());
        self.at += length;
    }
}

/// The length of a `$(…)`, inner ones included.
fn substitution(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Copies what is inside double quotes and gives the length with them.
fn double_quoted(text: &str, into: &mut String) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => {
                escaped = false;
                into.push(c);
            }
        }
    }
    text.len()
}

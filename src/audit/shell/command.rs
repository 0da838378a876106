//! One command of a script.

use super::super::span::Span;

/// A word after quotes are taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its text; `${{ … }}` and `$x` stay as written.
    pub text: String,
    /// Its range in the script, quotes included.
    pub span: Span,
}

/// What stands between a command and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joiner {
    /// A line ending or `;`.
    Then,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
    /// `&`: the one before runs beside it.
    Beside,
}

/// A `for` loop around a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The variable.
    pub variable: String,
    /// What it goes through.
    pub values: Vec<Word>,
    /// From `for` to the end of its values.
    pub head: Span,
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words, the program first; never empty.
    pub words: Vec<Word>,
    /// Assignments before the program (`A=1 program`).
    pub assigns: Vec<(String, String)>,
    /// From its first word to its last.
    pub span: Span,
    /// How it is joined to the command before.
    pub joiner: Joiner,
    /// Files its output is redirected to.
    pub outputs: Vec<Word>,
    /// The innermost loop around it.
    pub around: Option<Loop>,
    /// Whether a condition (`if`, `while`, `case`) is around it or before it.
    pub conditional: bool,
    /// Whether a here-document feeds it.
    pub heredoc: bool,
}

impl Command {
    /// The program, without its folder.
    pub fn program(&self) -> &str {
        let text = self.words.first().map_or("", |word| word.text.as_str());
        text.rsplit('/').next().unwrap_or(text)
    }

    /// Whether its words start so; the program is compared without its folder.
    pub fn starts(&self, words: &[&str]) -> bool {
        let Some((program, rest)) = words.split_first() else { return true };
        self.program() == *program
            && self.words.len() > rest.len()
            && self.words.iter().skip(1).zip(rest).all(|(word, expected)| word.text == *expected)
    }

    /// Whether it has that word.
    pub fn has(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    /// The words as one line.
    pub fn line(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

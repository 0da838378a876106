//! One command of a script.

use super::super::source::Span;

/// A word after quotes are taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellWord {
    /// Its text; `${{ … }}` and `$x` stay as written.
    pub text: String,
    /// Its range in the script, quotes included.
    pub span: Span,
}

/// What stands between a command and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlOperator {
    /// A line ending or `;`.
    Sequence,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
    /// `&`: the one before runs beside it.
    Background,
}

/// A `for` loop around a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForLoop {
    /// The variable.
    pub(crate) variable: String,
    /// What it goes through.
    pub(crate) values: Vec<ShellWord>,
    /// From `for` to the end of its values.
    pub(crate) header_span: Span,
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// Its words, the program first; never empty.
    pub words: Vec<ShellWord>,
    /// Assignments before the program (`A=1 program`).
    pub assignments: Vec<(String, String)>,
    /// From its first word to its last.
    pub span: Span,
    /// How it is joined to the command before.
    pub preceding_operator: ControlOperator,
    /// Files its output is redirected to.
    pub output_files: Vec<ShellWord>,
    /// The innermost loop around it.
    pub enclosing_loop: Option<ForLoop>,
    /// Whether a condition (`if`, `while`, `case`) is around it or before it.
    pub is_conditional: bool,
    /// Whether a here-document feeds it.
    pub has_heredoc: bool,
}

impl ShellCommand {
    /// The program, without its folder.
    pub(crate) fn program_name(&self) -> &str {
        let text = self.words.first().map_or("", |word| word.text.as_str());
        text.rsplit('/').next().unwrap_or(text)
    }

    /// Whether its words start so; the program is compared without its folder.
    pub(crate) fn starts_with(&self, words: &[&str]) -> bool {
        let Some((program, rest)) = words.split_first() else { return true };
        self.program_name() == *program
            && self.words.len() > rest.len()
            && self.words.iter().skip(1).zip(rest).all(|(word, expected)| word.text == *expected)
    }

    /// Whether it has that word.
    pub(crate) fn has_word(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    /// The words as one line.
    pub(crate) fn command_line(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

//! Command of a shell script, with its words and context.

use std::sync::Arc;

use super::super::source::Span;
use super::command_prefix::count_prefix_words;

/// A word without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellWord {
    /// Text; `${{ … }}` and `$x` are not expanded.
    pub text: String,
    /// Span in the script, including quotes.
    pub span: Span,
}

/// Operator between a command and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlOperator {
    /// Line ending or `;`.
    Sequence,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|` or `|&`.
    Pipe,
    /// `&`: the command before runs in the background.
    Background,
}

/// A `for` loop around a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForLoop {
    /// Loop variable.
    pub(crate) variable: String,
    /// Values of the variable.
    pub(crate) values: Vec<ShellWord>,
    /// Span from `for` to the last value.
    pub(crate) header_span: Span,
}

/// A command of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// Words, starting with the program; never empty.
    pub words: Vec<ShellWord>,
    /// Variables set for the command (`A=1 program`, `env A=1 program`).
    pub assignments: Vec<(String, String)>,
    /// Span from the first to the last word.
    pub span: Span,
    /// Operator before the command.
    pub preceding_operator: ControlOperator,
    /// Files that its output is redirected to.
    pub output_files: Vec<ShellWord>,
    /// Innermost `for` loop around it.
    pub enclosing_loop: Option<Arc<ForLoop>>,
    /// Whether it is within an `if`, `while` or `case`.
    pub is_conditional: bool,
    /// Whether its input is a here-document, or it reads the output of another command as a file (`<(…)`).
    pub has_heredoc: bool,
}

impl ShellCommand {
    /// Returns the words from the program on that the prefix (`sudo`, `env`, `timeout` and the like) starts.
    pub(crate) fn words_after_prefix(&self) -> &[ShellWord] {
        let texts: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        self.words.get(count_prefix_words(&texts)..).unwrap_or_default()
    }

    /// Returns the program without its directory.
    pub(crate) fn program_name(&self) -> &str {
        let text = self.words.first().map_or("", |word| word.text.as_str());
        text.rsplit('/').next().unwrap_or(text)
    }

    pub(crate) fn has_word(&self, text: &str) -> bool {
        self.words.iter().any(|word| word.text == text)
    }

    /// Returns the words as one line.
    pub(crate) fn command_line(&self) -> String {
        self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

//! Standard output and standard error of a command: colors, terminal, CI, and everything printed outside a run.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::best_effort_writer::BestEffortWriter;
use super::cache_progress::CacheProgressBar;
use super::diagnostic::{Diagnostic, errors_document};
use super::options::{
    ActionsContext, ActionsForge, OutputOptions, OutputStreams, SessionOutputStyle, TerminalSizeQuery,
};
use super::theme::OutputTheme;
use super::workflow_command::{AllowedCommands, CommandGuard};
use crate::cache::{NoProgress, ProgressReporter};
use crate::record::random_u64;
use crate::text::{escape_json_document, escape_markdown_cell, sanitize_line, to_safe_lines, to_single_line};

/// The streams that a command prints to.
#[derive(Clone, Debug)]
pub(crate) struct OutputContext {
    /// Colors and glyphs on standard output.
    pub(crate) stdout_theme: OutputTheme,
    /// Colors and glyphs on standard error.
    pub(crate) stderr_theme: OutputTheme,
    /// Whether standard output is a terminal.
    pub(crate) stdout_is_terminal: bool,
    verbose: u8,
    quiet: u8,
    uses_stderr: bool,
}

impl OutputContext {
    /// Inspects streams and environment; `should_color` decides by whether a stream is a terminal, and its `TERM`.
    pub(crate) fn detect(should_color: &dyn Fn(bool, Option<&str>) -> bool, verbose: u8, quiet: u8) -> Self {
        let term = std::env::var("TERM").ok();
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let unicode = allows_unicode(&|name| std::env::var(name).ok());
        Self {
            stdout_theme: OutputTheme { color: should_color(stdout, term.as_deref()), unicode },
            stderr_theme: OutputTheme { color: should_color(stderr, term.as_deref()), unicode },
            stdout_is_terminal: stdout,
            verbose,
            quiet,
            uses_stderr: false,
        }
    }

    /// Returns a copy that shows runs on standard error, because standard output is reserved for data.
    pub(crate) fn redirected_to_stderr(&self) -> Self {
        Self {
            stdout_theme: self.stderr_theme,
            stdout_is_terminal: std::io::stderr().is_terminal(),
            uses_stderr: true,
            ..self.clone()
        }
    }

    /// Returns whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Returns whether `-q` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet > 0
    }

    /// Returns the width of the terminal that is standard output, if it is one.
    pub(crate) fn stdout_width(&self) -> Option<usize> {
        terminal_size().map(|(columns, _)| usize::from(columns)).filter(|_| self.stdout_is_terminal)
    }

    /// Prints text for people to standard output.
    pub(crate) fn print(&self, text: &str) {
        print_stdout(&to_safe_lines(&self.stdout_theme.replace_signs(text)));
    }

    /// Prints text of files or logs to standard output: unchanged to a pipe or file, or safe to read by a runner or on a
    /// terminal.
    pub(crate) fn print_untrusted(&self, text: &str) {
        let forge = ActionsForge::from_env_vars(|name| std::env::var(name).ok());
        let is_shown = forge.is_some() || self.stdout_is_terminal;
        print_stdout(&if is_shown { to_safe_lines(text) } else { text.to_owned() });
    }

    /// Prints a document for programs to standard output, JSON with an escape for what a runner would read as a command,
    /// others unchanged: whoever renders one escapes what it contains.
    pub(crate) fn print_document(&self, text: &str) {
        if text.starts_with(['{', '[']) {
            return print_stdout(&escape_json_document(text));
        }
        print_stdout(text);
    }

    /// Returns a guard that prevents a runner, if there is one, from reading lines of logs as commands.
    pub(super) fn command_guard(&self) -> CommandGuard {
        let forge = ActionsForge::from_env_vars(|name| std::env::var(name).ok());
        CommandGuard::new(forge.map(|_| random_stop_token()))
    }

    /// Prints a document to standard output.
    pub(crate) fn print_json(&self, document: &Value) {
        print_stdout(&escape_json_document(&format!("{document:#}\n")));
    }

    /// Prints lines to standard error.
    pub(crate) fn print_to_stderr(&self, text: &str) {
        print_stderr(&to_safe_lines(&self.stderr_theme.replace_signs(text)));
    }

    /// Prints a note to standard error.
    pub(crate) fn note(&self, text: &str) {
        print_stderr(&format!("note: {}", to_single_line(&self.stderr_theme.replace_signs(text))));
    }

    /// Prints a warning to standard error.
    pub(crate) fn warn(&self, text: &str) {
        print_stderr(&format!("warning: {}", to_single_line(&self.stderr_theme.replace_signs(text))));
    }

    /// Prints a message to standard error, unless `-q` was given.
    pub(crate) fn status(&self, text: &str) {
        if !self.is_quiet() {
            print_stderr(&to_safe_lines(&self.stderr_theme.replace_signs(text)));
        }
    }

    /// Asks a question on the terminal; without one, the answer is yes.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
            return true;
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = stdin.read_line(&mut answer);
        read.is_ok() && matches!(&*answer.trim().to_lowercase(), "y" | "yes")
    }

    /// Prints what the noxfile printed while it was loaded to standard error, unless `-q` was given: standard output
    /// may be reserved for data.
    pub(crate) fn print_noxfile_output(&self, text: &str) {
        if self.is_quiet() || text.is_empty() {
            return;
        }
        let mut guard = self.command_guard();
        let mut writer = BestEffortWriter::new(Box::new(std::io::stderr()));
        for line in text.lines() {
            let line = sanitize_line(line.as_bytes(), self.stderr_theme.color);
            guard.write_output_line(&mut writer, &line, AllowedCommands::AnnotationsAndMasks).ok();
        }
        guard.resume_commands(&mut writer).and_then(|()| writer.flush()).ok();
    }

    /// Prints errors: as text to standard error, or as a document to standard output. `redact` masks secrets: an exception
    /// of a noxfile may contain arguments of commands.
    pub(crate) fn print_diagnostics(&self, diagnostics: &[Diagnostic], json: bool, redact: &dyn Fn(&str) -> String) {
        let diagnostics: Vec<Diagnostic> =
            diagnostics.iter().cloned().map(|diagnostic| diagnostic.map_texts(redact)).collect();
        if json {
            return self.print_json(&errors_document(&diagnostics));
        }
        let width = terminal_size().map(|(columns, _)| usize::from(columns));
        let texts: Vec<String> =
            diagnostics.iter().map(|diagnostic| diagnostic.render(self.stderr_theme, width)).collect();
        self.print_to_stderr(texts.join("\n").trim_end());
    }

    /// Returns a progress bar if standard error is a terminal, otherwise a reporter that prints nothing.
    pub(crate) fn transfer_progress(&self) -> Box<dyn ProgressReporter> {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        if !std::io::stderr().is_terminal() || is_dumb || self.is_quiet() {
            return Box::new(NoProgress);
        }
        let width = terminal_size().map_or(80, |(columns, _)| usize::from(columns));
        Box::new(CacheProgressBar::new(Box::new(std::io::stderr()), self.stderr_theme, width))
    }

    /// Appends lines to the forge's step summary, if there is one.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub(crate) fn append_step_summary(&self, lines: &[String]) -> std::io::Result<()> {
        let Some(path) = step_summary_path() else { return Ok(()) };
        let list: String = lines.iter().map(|line| format!("- {}\n", escape_markdown_cell(line))).collect();
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("\n{list}").as_bytes())
    }

    /// Returns the output options of a run that goes on (`is_live`) or was recorded, perhaps by another runner.
    pub(crate) fn output_options(&self, style: Option<SessionOutputStyle>, json: bool, is_live: bool) -> OutputOptions {
        let forge = ActionsForge::from_env_vars(|name| std::env::var(name).ok());
        let is_ci = forge.is_some() || is_ci();
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_terminal = if json { std::io::stderr().is_terminal() } else { self.stdout_is_terminal };
        OutputOptions {
            style: style.unwrap_or_default(),
            is_interactive: is_terminal && !is_dumb && !is_ci,
            theme: if json { self.stderr_theme } else { self.stdout_theme },
            is_ci,
            actions: forge.map(|forge| ActionsContext { forge, stop_token: random_stop_token(), is_live }),
            verbose: self.verbose,
            quiet: self.quiet,
            json,
            step_summary: step_summary_path(),
        }
    }

    /// Returns the streams of the process; `events` is the stream of `--events`.
    pub(crate) fn open_streams(&self, events: Option<Box<dyn Write + Send>>) -> OutputStreams {
        let stdout: Box<dyn Write + Send> =
            if self.uses_stderr { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
        OutputStreams { stdout, stderr: Box::new(std::io::stderr()), terminal_size: terminal_size_query(), events }
    }
}

/// Prints an error of the command line, or the help or version that was asked for. An argument may be a text of unknown
/// origin, such as an input of a workflow. `redact` masks secrets: an input may contain one.
pub(crate) fn print_command_line_error(
    error: &clap::Error,
    should_color: &dyn Fn(bool, Option<&str>) -> bool,
    redact: &dyn Fn(&str) -> String,
) {
    if !error.use_stderr() {
        // A closed stream is not an error.
        let _ = error.print();
        return;
    }
    let term = std::env::var("TERM").ok();
    let text = error.render();
    let has_color = should_color(std::io::stderr().is_terminal(), term.as_deref());
    let text = if has_color { text.ansi().to_string() } else { text.to_string() };
    print_stderr(to_safe_lines(&redact(&text)).trim_end());
}

/// Returns a token that no session can know.
fn random_stop_token() -> String {
    format!("noxide-{:016x}{:016x}", random_u64(), random_u64())
}

fn step_summary_path() -> Option<PathBuf> {
    std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn terminal_size_query() -> TerminalSizeQuery {
    Arc::new(|| terminal_size().map(|(columns, rows)| (usize::from(columns), usize::from(rows))))
}

/// Returns columns and rows of the terminal that is standard output or standard error.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()))
        .ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Returns whether noxide runs in CI: every forge sets `CI`.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// Returns whether glyphs beyond ASCII may be printed: not on a dumb terminal, and not if the locale has another
/// encoding than UTF-8. Without a locale, as in many containers, they may.
fn allows_unicode(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let get = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get).map(|locale| locale.to_lowercase());
    let is_utf8 = |locale: String| locale.contains("utf-8") || locale.contains("utf8");
    get("TERM").is_none_or(|term| term != "dumb") && locale.is_none_or(is_utf8)
}

/// Prints text to standard output; a closed stream is not an error.
fn print_stdout(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints a line to standard error; a closed stream is not an error.
fn print_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_ascii_without_utf8_and_on_dumb_terminals() {
        let allows = |variables: &[(&str, &str)]| {
            allows_unicode(&|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(allows(&[]) && allows(&[("LANG", "en_US.UTF-8")]) && allows(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!allows(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]) && !allows(&[("LANG", "POSIX")]));
        assert!(!allows(&[("TERM", "dumb")]) && allows(&[("TERM", "xterm")]));
    }
}

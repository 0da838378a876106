//! What noxide writes to: colours, terminals, forges; found out once.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::args::GlobalArgs;
use crate::config::ColorMode;
use crate::output::{
    ActionsContext, ActionsForge, OutputOptions, OutputStreams, OutputTheme, SessionOutputStyle, TerminalSizeQuery,
};
use crate::run::OutputStyle;

/// What noxide writes to.
#[derive(Clone, Debug)]
pub(super) struct OutputContext {
    /// Colours and marks on the standard output.
    pub(super) stdout_styles: OutputTheme,
    /// Colours and marks on the error stream.
    pub(super) stderr_styles: OutputTheme,
    /// Whether the standard output is a terminal.
    pub(super) stdout_is_terminal: bool,
    verbose: u8,
    quiet: u8,
    uses_stderr: bool,
}

impl OutputContext {
    /// Looks at the streams, the variables and the flags.
    pub(super) fn new(global: &GlobalArgs) -> Self {
        let choice = ColorMode::from_environment(global.color, &|name| std::env::var(name).ok());
        let term = std::env::var("TERM").ok();
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let unicode = is_unicode_locale();
        Self {
            stdout_styles: OutputTheme { color: choice.should_color(out, term.as_deref()), unicode },
            stderr_styles: OutputTheme { color: choice.should_color(err, term.as_deref()), unicode },
            stdout_is_terminal: out,
            verbose: global.verbose,
            quiet: global.quiet,
            uses_stderr: false,
        }
    }

    /// The same, with what people see of a run on the error stream: the standard output is for something else.
    pub(super) fn redirected_to_stderr(&self) -> Self {
        Self {
            stdout_styles: self.stderr_styles,
            stdout_is_terminal: std::io::stderr().is_terminal(),
            uses_stderr: true,
            ..self.clone()
        }
    }

    /// Whether more should be said.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether nothing but errors is wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet > 0
    }

    /// How a run is shown here.
    pub(super) fn output_options(&self, style: Option<OutputStyle>, json: bool, token: &str) -> OutputOptions {
        let forge = ActionsForge::from_env_vars(|name| std::env::var(name).ok());
        let ci = forge.is_some() || is_ci();
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let terminal = if json { std::io::stderr().is_terminal() } else { self.stdout_is_terminal };
        OutputOptions {
            style: match style {
                None | Some(OutputStyle::Grouped) => SessionOutputStyle::Grouped,
                Some(OutputStyle::Stream) => SessionOutputStyle::Stream,
                Some(OutputStyle::Labelled) => SessionOutputStyle::Labelled,
                Some(OutputStyle::Quiet) => SessionOutputStyle::Quiet,
            },
            is_interactive: terminal && !dumb && !ci,
            theme: if json { self.stderr_styles } else { self.stdout_styles },
            is_ci: ci,
            actions: forge.map(|forge| ActionsContext { forge, stop_token: token.to_owned() }),
            verbose: self.verbose,
            quiet: self.quiet,
            json,
            step_summary: std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// The process's own streams.
    pub(super) fn open_streams(&self, events: Option<Box<dyn std::io::Write + Send>>) -> OutputStreams {
        let out: Box<dyn std::io::Write + Send> =
            if self.uses_stderr { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
        OutputStreams { stdout: out, stderr: Box::new(std::io::stderr()), terminal_size: terminal_size_query(), events }
    }
}

fn terminal_size_query() -> TerminalSizeQuery {
    Arc::new(|| terminal_size().map(|(columns, rows)| (usize::from(columns), usize::from(rows))))
}

/// Columns and rows of the terminal that is the standard output or the error stream.
pub(super) fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()))
        .ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Whether this runs for a forge, as every forge says.
pub(super) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// Whether the locale can show marks and boxes; one that says nothing is taken to.
fn is_unicode_locale() -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    said.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8") || locale == "c" || locale == "posix"
    })
}

/// Text on the error stream; a stream that is closed is no reason to fail.
pub(super) fn print_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

//! What noxide writes to: colours, terminals, forges; found out once.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::args::Global;
use crate::config::Colour;
use crate::output::{Actions, Forge, OutputOptions, Paint, Size, Streams, Style};
use crate::run::OutputStyle;

/// What noxide writes to.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    /// Colours and marks on the standard output.
    pub(super) out: Paint,
    /// Colours and marks on the error stream.
    pub(super) err: Paint,
    /// Whether the standard output is a terminal.
    pub(super) terminal: bool,
    verbose: u8,
    quiet: u8,
    aside: bool,
}

impl Screen {
    /// Looks at the streams, the variables and the flags.
    pub(super) fn new(global: &Global) -> Self {
        let choice = Colour::choose(global.color, &|name| std::env::var(name).ok());
        let term = std::env::var("TERM").ok();
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let unicode = speaks_unicode();
        Self {
            out: Paint { color: choice.colours(out, term.as_deref()), unicode },
            err: Paint { color: choice.colours(err, term.as_deref()), unicode },
            terminal: out,
            verbose: global.verbose,
            quiet: global.quiet,
            aside: false,
        }
    }

    /// The same, with what people see of a run on the error stream: the standard output is for something else.
    pub(super) fn aside(&self) -> Self {
        Self { out: self.err, terminal: std::io::stderr().is_terminal(), aside: true, ..self.clone() }
    }

    /// Whether more should be said.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether nothing but errors is wanted.
    pub(super) fn silent(&self) -> bool {
        self.quiet > 0
    }

    /// How a run is shown here.
    pub(super) fn output(&self, style: Option<OutputStyle>, json: bool, token: &str) -> OutputOptions {
        let forge = Forge::from_variables(|name| std::env::var(name).ok());
        let ci = forge.is_some() || is_ci();
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let terminal = if json { std::io::stderr().is_terminal() } else { self.terminal };
        OutputOptions {
            style: match style {
                None | Some(OutputStyle::Grouped) => Style::Grouped,
                Some(OutputStyle::Stream) => Style::Stream,
                Some(OutputStyle::Labelled) => Style::Labelled,
                Some(OutputStyle::Quiet) => Style::Quiet,
            },
            board: terminal && !dumb && !ci,
            paint: if json { self.err } else { self.out },
            ci,
            actions: forge.map(|forge| Actions { forge, stop_token: token.to_owned() }),
            verbose: self.verbose,
            quiet: self.quiet,
            json,
            step_summary: std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// The process's own streams.
    pub(super) fn streams(&self, events: Option<Box<dyn std::io::Write + Send>>) -> Streams {
        let out: Box<dyn std::io::Write + Send> =
            if self.aside { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
        Streams { out, err: Box::new(std::io::stderr()), size: size_of_terminal(), events }
    }
}

fn size_of_terminal() -> Size {
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
fn speaks_unicode() -> bool {
    let said =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    said.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8") || locale == "c" || locale == "posix"
    })
}

/// Text on the error stream; a stream that is closed is no reason to fail.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

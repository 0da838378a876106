//! Output options: style of session output, theme, forge, and output streams.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::OutputTheme;

/// Style in which a reporter shows the output of sessions; flags and settings are read as `run::OutputStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionOutputStyle {
    /// A session's log as one block when it ends.
    #[default]
    Grouped,
    /// Lines as they are printed, without a name.
    Stream,
    /// Lines as they are printed, each prefixed with the session's name.
    Labelled,
    /// Only failures and the summary.
    Quiet,
}

/// The forge whose Actions runner reads the output, which decides the workflow commands that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionsForge {
    /// GitHub Actions: groups, annotations, step summary.
    GitHub,
    /// Forgejo Actions: groups; annotations are shown as plain text.
    Forgejo,
    /// Gitea Actions: as Forgejo Actions.
    Gitea,
}

impl ActionsForge {
    /// Detects the forge by the variables its runner sets. Forgejo and Gitea also set `GITHUB_ACTIONS`, so they are
    /// checked first.
    pub(crate) fn from_env_vars(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "false");
        if set("FORGEJO_ACTIONS") {
            Some(Self::Forgejo)
        } else if set("GITEA_ACTIONS") {
            Some(Self::Gitea)
        } else if set("GITHUB_ACTIONS") {
            Some(Self::GitHub)
        } else {
            None
        }
    }

    /// Returns whether `::error file=…::` becomes an annotation at the line.
    pub(crate) fn can_annotate(self) -> bool {
        matches!(self, Self::GitHub)
    }
}

/// The forge of this run, and the token that prevents session logs from being read as workflow commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionsContext {
    /// The forge that runs this job.
    pub forge: ActionsForge,
    /// Token that ends a `::stop-commands::` section; sessions must not be able to guess it.
    pub stop_token: String,
    /// Whether the sessions run now and here; commands in the logs of others never reach the runner.
    pub is_live: bool,
}

/// Options of all output of a run.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// Style of session output; see `OutputOptions::effective_style`.
    pub style: SessionOutputStyle,
    /// Whether the stream is a terminal that can be redrawn: not dumb, not in CI.
    pub is_interactive: bool,
    /// Colors and glyphs.
    pub theme: OutputTheme,
    /// Whether this is CI of any kind: logs of all sessions are printed, and a heartbeat line after long silence even with `-q`.
    pub is_ci: bool,
    /// Forge and stop token, in CI on a known forge.
    pub actions: Option<ActionsContext>,
    /// Number of `-v`.
    pub verbose: u8,
    /// Number of `-q`.
    pub quiet: u8,
    /// `--format json`: one document on standard output; everything else goes to standard error.
    pub json: bool,
    /// File that the forge shows as the step summary.
    pub step_summary: Option<PathBuf>,
}

impl OutputOptions {
    /// Returns the options of a pipe: no board, no colors, no CI.
    pub fn plain() -> Self {
        Self {
            style: SessionOutputStyle::Grouped,
            is_interactive: false,
            theme: OutputTheme { color: false, unicode: true },
            is_ci: false,
            actions: None,
            verbose: 0,
            quiet: 0,
            json: false,
            step_summary: None,
        }
    }

    /// Returns the style in effect: `-q` makes any style quiet.
    pub(crate) fn effective_style(&self) -> SessionOutputStyle {
        if self.quiet > 0 { SessionOutputStyle::Quiet } else { self.style }
    }

    /// Returns whether the board is shown instead of lines.
    pub(crate) fn uses_board(&self) -> bool {
        self.is_interactive && self.effective_style() == SessionOutputStyle::Grouped
    }

    /// Returns whether logs of passed sessions are also shown.
    pub(crate) fn should_show_passed(&self) -> bool {
        self.effective_style() == SessionOutputStyle::Grouped && (self.is_ci || self.verbose > 0)
    }
}

/// Returns columns and rows of the terminal; called for each redraw.
pub type TerminalSizeQuery = Arc<dyn Fn() -> Option<(usize, usize)> + Send + Sync>;

/// The streams that reporters write to.
pub struct OutputStreams {
    /// Standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Standard error.
    pub stderr: Box<dyn Write + Send>,
    /// Size of the terminal, if there is one.
    pub terminal_size: TerminalSizeQuery,
    /// Stream of JSON lines: `--events`.
    pub events: Option<Box<dyn Write + Send>>,
}

impl OutputStreams {
    /// Takes standard output and leaves a sink.
    pub(crate) fn take_stdout(&mut self) -> Box<dyn Write + Send> {
        std::mem::replace(&mut self.stdout, Box::new(std::io::sink()))
    }

    /// Takes the stream for people: standard output, or standard error if standard output is for a JSON document.
    pub(crate) fn take_human_stream(&mut self, options: &OutputOptions) -> Box<dyn Write + Send> {
        if options.json { std::mem::replace(&mut self.stderr, Box::new(std::io::sink())) } else { self.take_stdout() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgejo_and_gitea_are_distinguished_from_github() {
        let forge = |names: &'static [&str]| {
            ActionsForge::from_env_vars(|name| names.contains(&name).then(|| "true".to_owned()))
        };
        assert_eq!(forge(&["GITHUB_ACTIONS", "FORGEJO_ACTIONS"]), Some(ActionsForge::Forgejo));
        assert_eq!(forge(&["GITHUB_ACTIONS", "GITEA_ACTIONS"]), Some(ActionsForge::Gitea));
        assert_eq!(forge(&["GITHUB_ACTIONS"]), Some(ActionsForge::GitHub));
        assert_eq!(forge(&["CI"]), None);
        assert_eq!(ActionsForge::from_env_vars(|_| Some("false".to_owned())), None);
        assert!(ActionsForge::GitHub.can_annotate() && !ActionsForge::Gitea.can_annotate());
    }

    #[test]
    fn quiet_overrides_the_style() {
        let options =
            OutputOptions { quiet: 1, verbose: 1, style: SessionOutputStyle::Stream, ..OutputOptions::plain() };
        assert_eq!(options.effective_style(), SessionOutputStyle::Quiet);
        assert!(!options.should_show_passed());
        assert!(OutputOptions { is_ci: true, ..OutputOptions::plain() }.should_show_passed());
    }
}

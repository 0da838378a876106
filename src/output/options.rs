//! What a caller chooses about output: style, colours, forge, and the streams themselves.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::OutputTheme;

/// How sessions' output is shown while they run: `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionOutputStyle {
    /// A session's log as one block when it ends.
    #[default]
    Grouped,
    /// Lines as they come, without a name.
    Stream,
    /// Lines as they come, each behind its session's name.
    Labelled,
    /// Only failures and the summary.
    Quiet,
}

impl SessionOutputStyle {
    /// The words `--output` takes.
    pub(crate) const NAMES: [&'static str; 4] = ["grouped", "stream", "labelled", "quiet"];
}

impl FromStr for SessionOutputStyle {
    type Err = UnknownOutputStyle;

    fn from_str(word: &str) -> Result<Self, UnknownOutputStyle> {
        match word {
            "grouped" => Ok(Self::Grouped),
            "stream" => Ok(Self::Stream),
            "labelled" => Ok(Self::Labelled),
            "quiet" => Ok(Self::Quiet),
            _ => Err(UnknownOutputStyle(word.to_owned())),
        }
    }
}

/// A word that names no style.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown output style `{0}`: one of {words}", words = SessionOutputStyle::NAMES.join(", "))]
pub struct UnknownOutputStyle(String);

/// The forge whose runner reads our output, with its dialect of workflow commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionsForge {
    /// GitHub Actions: folds, annotations, step summary.
    GitHub,
    /// Forgejo Actions: folds; annotations pass as plain text.
    Forgejo,
    /// Gitea Actions: as Forgejo.
    Gitea,
}

impl ActionsForge {
    /// The forge by the variables its runner sets. Forgejo and Gitea set `GITHUB_ACTIONS` too, so they come first.
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

    /// Whether `::error file=…::` becomes a mark beside the line in its review.
    pub(crate) fn can_annotate(self) -> bool {
        matches!(self, Self::GitHub)
    }
}

/// The forge we run on, and what keeps sessions' logs from being read as commands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionsContext {
    /// Which forge.
    pub forge: ActionsForge,
    /// What ends a stretch of log that must not be read as commands; sessions must not be able to guess it.
    pub stop_token: String,
}

/// A caller's choice about all output of a run.
#[derive(Clone, Debug)]
pub struct OutputOptions {
    /// How sessions' output is shown.
    pub style: SessionOutputStyle,
    /// Whether the stream is a terminal that can be drawn on: not dumb, not in CI.
    pub is_interactive: bool,
    /// Colours and marks.
    pub theme: OutputTheme,
    /// Whether this is CI of any kind: logs of all sessions are printed, and silence is broken.
    pub is_ci: bool,
    /// The forge whose workflow commands are understood.
    pub actions: Option<ActionsContext>,
    /// `-v`, counted.
    pub verbose: u8,
    /// `-q`, counted.
    pub quiet: u8,
    /// `--format json`: one document on the standard output; all else goes to the error stream.
    pub json: bool,
    /// The file that the forge shows as the step's summary.
    pub step_summary: Option<PathBuf>,
}

impl OutputOptions {
    /// No board, no colours, no CI: what a pipe gets.
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

    /// The style in force: `-q` makes any style quiet.
    pub(crate) fn effective_style(&self) -> SessionOutputStyle {
        if self.quiet > 0 { SessionOutputStyle::Quiet } else { self.style }
    }

    /// Whether the logs of sessions that passed are shown too.
    pub(crate) fn should_show_passed(&self) -> bool {
        self.effective_style() == SessionOutputStyle::Grouped && (self.is_ci || self.verbose > 0)
    }
}

/// Columns and rows of the terminal, asked anew for each drawing.
pub type TerminalSizeQuery = Arc<dyn Fn() -> Option<(usize, usize)> + Send + Sync>;

/// Where output goes.
pub struct OutputStreams {
    /// The standard output.
    pub stdout: Box<dyn Write + Send>,
    /// The error stream.
    pub stderr: Box<dyn Write + Send>,
    /// Size of the terminal that people look at, where there is one.
    pub terminal_size: TerminalSizeQuery,
    /// Where `--events` wants JSON lines.
    pub events: Option<Box<dyn Write + Send>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_a_style_and_no_other_does() {
        assert!(SessionOutputStyle::NAMES.iter().all(|word| word.parse::<SessionOutputStyle>().is_ok()));
        assert_eq!("quiet".parse(), Ok(SessionOutputStyle::Quiet));
        let error = "loud".parse::<SessionOutputStyle>().unwrap_err();
        assert_eq!(error.to_string(), "unknown output style `loud`: one of grouped, stream, labelled, quiet");
    }

    #[test]
    fn forgejo_and_gitea_are_not_taken_for_github() {
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
    fn quiet_wins_over_style() {
        let options =
            OutputOptions { quiet: 1, verbose: 1, style: SessionOutputStyle::Stream, ..OutputOptions::plain() };
        assert_eq!(options.effective_style(), SessionOutputStyle::Quiet);
        assert!(!options.should_show_passed());
        assert!(OutputOptions { is_ci: true, ..OutputOptions::plain() }.should_show_passed());
    }
}

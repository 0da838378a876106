//! Why a command could not do its work, and the exit code that says so.

use std::path::PathBuf;

use super::settings_diagnostics::settings_diagnostics;
use crate::cache::StoreError;
use crate::cache::uv::UvError;
use crate::config::SettingsError;
use crate::output::{Diagnostic, DiagnosticFrame};
use crate::project::lock::{ConstraintsError, UvLockError};
use crate::project::{HostError, InterpreterError, LoadFailure, LoadStage, NoxError};
use crate::run::GraphError;
use crate::run::process::SignalEvent;
use crate::text::closest_matches;
use crate::trace::TraceError;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Settings are wrong, all of it told at once.
    #[error("settings are wrong")]
    Settings(Vec<SettingsError>),
    /// There is no nox.
    #[error(transparent)]
    Nox(#[from] NoxError),
    /// The noxfile could not be loaded, or nox refused its arguments.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Needs form a circle.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no uv, or it does not say what it is asked.
    #[error(transparent)]
    Uv(#[from] UvError),
    /// uv.lock cannot be read.
    #[error(transparent)]
    Lock(#[from] UvLockError),
    /// The interpreter does not say what it is.
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    /// A folder named by `-C` is none.
    #[error("cannot work in {}: {source}", path.display())]
    WorkingDirectory {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A signal came before anything was run.
    #[error("{} came while the noxfile was loaded: nothing was run", SignalEvent::signal_name(*.0))]
    Interrupted(i32),
    /// The command line asks for what there is not.
    #[error("{0}")]
    Usage(String),
    /// What was to be imported cannot be read.
    #[error("{0}")]
    Import(String),
    /// A command of a bench failed.
    #[error("{0}")]
    BenchCommand(String),
    /// A signal came during a bench.
    #[error("{} came: the bench is not over", SignalEvent::signal_name(*.0))]
    BenchInterrupted(i32),
    /// No past run goes by that name.
    #[error("{0}")]
    InvalidInput(String),
    /// Nothing can be traced here.
    #[error("sessions cannot be traced: {0}")]
    Trace(#[from] TraceError),
    /// Installs cannot be held to the lock.
    #[error(transparent)]
    Constraints(#[from] ConstraintsError),
    /// The cache fails, and must not.
    #[error("the cache cannot be used: {0}")]
    Cache(String),
    /// There is no uv.
    #[error("{0}")]
    UvNotFound(String),
    /// A file or the system refused.
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code: 2 for what the caller said, 3 for what the machine or the noxfile lacks, more for a signal.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::Graph(_)
            | Self::WorkingDirectory { .. }
            | Self::InvalidInput(_)
            | Self::Usage(_) => 2,
            Self::Constraints(ConstraintsError::NoLock(_)) => 2,
            Self::Nox(NoxError::NotNox(_)) => 2, // what --nox named, not what the machine lacks
            Self::Host(HostError::Load(failure)) => match failure.stage {
                LoadStage::Options | LoadStage::Select => 2,
                LoadStage::Nox | LoadStage::Noxfile => 3,
            },
            Self::Nox(_) | Self::Host(_) | Self::Io { .. } | Self::Constraints(_) | Self::UvNotFound(_) => 3,
            Self::Trace(_) => 3,
            Self::Import(_) => 3,
            Self::BenchCommand(_) => 1,
            Self::Store(_) | Self::Uv(_) | Self::Lock(_) | Self::Interpreter(_) => 3,
            Self::Cache(_) => 3,
            Self::Interrupted(signal) | Self::BenchInterrupted(signal) => SignalEvent::exit_code(*signal),
        }
    }

    /// What is shown of it.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut diagnostic = match self {
            Self::Settings(errors) => return settings_diagnostics(errors),
            Self::Host(error) => load_error_diagnostic(error),
            other => Diagnostic::from_error(other),
        };
        for hint in self.hints() {
            diagnostic = diagnostic.with_help(hint);
        }
        vec![diagnostic]
    }

    /// What to do about it, where we know.
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Nox(NoxError::NotNox(_)) => vec!["name a nox command or a Python that has nox".to_owned()],
            Self::Nox(_) => vec!["install nox, or name one by --nox or NOXIDE_NOX".to_owned()],
            Self::Host(HostError::LoadTimeout { .. }) => vec!["give it more time by --load-timeout".to_owned()],
            Self::Host(HostError::Load(failure)) if failure.stage == LoadStage::Select => {
                suggest_session_names(failure)
            }
            Self::BenchCommand(_) => vec!["--ignore-failure goes on all the same".to_owned()],
            Self::Lock(_) => vec!["`uv lock` makes one; --all restores without".to_owned()],
            Self::Constraints(ConstraintsError::NoLock(_)) => {
                vec!["make one by `uv lock`, or run without --locked".to_owned()]
            }
            Self::UvNotFound(_) => vec!["install uv".to_owned()],
            Self::Graph(_) => vec!["drop one of these needs".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// How many of the last lines that a noxfile printed are shown when it does not load.
const MAX_OUTPUT_LINES: usize = 12;

/// A noxfile that does not load: its exception, the user's own frames, and the last it printed.
fn load_error_diagnostic(error: &HostError) -> Diagnostic {
    let mut diagnostic = Diagnostic::from_error(error);
    if let HostError::Load(failure) = error
        && let Some(exception) = &failure.exception
        && !failure.message.contains(exception)
    {
        diagnostic = diagnostic.with_cause(exception);
    }
    // What nox logged is the message already; a noxfile's own words may tell more.
    let message = error.to_string();
    let said = error.output().lines().filter(|line| !message.contains(line.trim_start_matches("nox > ")));
    let said: Vec<&str> = said.collect();
    let last = &said[said.len().saturating_sub(MAX_OUTPUT_LINES)..];
    let shows_output = error.frames().is_empty() && !last.is_empty();
    if shows_output {
        diagnostic = diagnostic.with_cause(format!("it printed last:\n{}", last.join("\n")));
    }
    diagnostic.with_traceback(error.frames().iter().map(|frame| DiagnosticFrame {
        file: frame.file.display().to_string(),
        line: frame.line as usize,
        function: frame.function.clone(),
        code: frame.text.clone(),
    }))
}

/// For each word of nox's complaint that is no session, the nearest that is.
fn suggest_session_names(failure: &LoadFailure) -> Vec<String> {
    let words = failure.message.rsplit(": ").next().unwrap_or_default().split([',', ' ']);
    let known: Vec<&str> = failure.names.iter().map(String::as_str).collect();
    let mut hints: Vec<String> = words
        .map(str::trim)
        .filter(|word| !word.is_empty() && !known.contains(word))
        .filter_map(|word| closest_matches(word, known.iter().copied()).first().map(|near| (word, *near)))
        .map(|(word, near)| format!("did you mean `{near}` instead of `{word}`?"))
        .collect();
    if hints.is_empty() && !known.is_empty() {
        hints.push("`noxide list` shows all sessions".to_owned());
    }
    hints
}

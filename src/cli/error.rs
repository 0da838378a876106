//! Errors of subcommands, with their exit codes and hints.

use super::exit_code::ExitCode;
use crate::audit::baseline::BaselineError;
use crate::audit::job_gate::GateError;
use crate::audit::project_files::DiscoverError;
use crate::audit::starter_workflow::StarterWorkflowError;
use crate::cache::{NotInLockFileError, StoreError};
use crate::config::{ApplyEditsError, SettingsError};
use crate::output::{Diagnostic, DiagnosticFrame, SourceExcerpt};
use crate::project::dependencies::{ConstraintsError, UvLockError};
use crate::project::{HostError, InterpreterError, LoadStage, NoxError};
use crate::provision::{ProvisionError, UvCacheError};
use crate::record::RunLookupError;
use crate::report::bench::BenchSetupError;
use crate::report::{CombineCoverageError, ComparisonTargetError, CoverageDataError, ImportSourceError};
use crate::run::process::SignalEvent;
use crate::run::{GraphError, PrepareError, RunStartError};
use crate::trace::TraceError;
use std::io;
use std::path::PathBuf;

/// Why a command failed; errors of other modules are described where they are defined.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Settings are invalid; all errors at once.
    #[error("the settings are invalid")]
    Settings(Vec<SettingsError>),
    #[error(transparent)]
    SettingsEdit(ApplyEditsError),
    /// The command line is contradictory or incomplete.
    #[error("{0}")]
    Usage(String),
    /// The directory of `-C` cannot be used.
    #[error("cannot change to {}: {source}", path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    #[error(transparent)]
    Nox(#[from] NoxError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    RunLookup(#[from] RunLookupError),
    #[error(transparent)]
    Comparison(#[from] ComparisonTargetError),
    #[error(transparent)]
    Coverage(#[from] CombineCoverageError),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Workflows(#[from] DiscoverError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error(transparent)]
    StarterWorkflow(#[from] StarterWorkflowError),
    /// It is unknown what a workflow can install noxide from.
    #[error("{0}")]
    NoInstallSource(String),
    /// No audit rule has that ID or name.
    #[error("unknown rule `{name}`")]
    UnknownRule {
        /// The name.
        name: String,
        /// A rule with a similar name.
        hint: Option<String>,
    },
    #[error(transparent)]
    NotInLock(#[from] NotInLockFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    UvCache(#[from] UvCacheError),
    #[error(transparent)]
    LockFile(#[from] UvLockError),
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    #[error(transparent)]
    Constraints(#[from] ConstraintsError),
    /// The cache cannot be used, although it is required.
    #[error("the cache cannot be used: {0}")]
    Provision(#[from] ProvisionError),
    /// The kernel does not allow tracing.
    #[error("sessions cannot be traced: {0}")]
    Trace(#[from] TraceError),
    #[error(transparent)]
    Import(#[from] ImportSourceError),
    #[error(transparent)]
    BenchSetup(#[from] BenchSetupError),
    /// A benchmarked command failed.
    #[error("{0}")]
    BenchCommand(String),
    /// A signal arrived.
    #[error("interrupted ({}) {during}", SignalEvent::describe(*.signal))]
    Interrupted {
        /// The signal.
        signal: i32,
        /// What was interrupted, and the consequence.
        during: &'static str,
    },
    /// A file, process or system operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// The error.
        source: io::Error,
    },
}

/// Adds context to an I/O error.
pub(super) trait ErrorContext<T> {
    /// Turns the error into a [`CliError`]; `context` says what failed, such as `cannot write the report`.
    fn context(self, context: impl Into<String>) -> Result<T, CliError>;
}

impl<T> ErrorContext<T> for io::Result<T> {
    fn context(self, context: impl Into<String>) -> Result<T, CliError> {
        self.map_err(|source| CliError::Io { context: context.into(), source })
    }
}

impl From<ApplyEditsError> for CliError {
    fn from(error: ApplyEditsError) -> Self {
        match error {
            ApplyEditsError::Invalid(errors) => Self::Settings(errors),
            other => Self::SettingsEdit(other),
        }
    }
}

impl From<PrepareError> for CliError {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Graph(error) => error.into(),
            PrepareError::Constraints(error) => error.into(),
            PrepareError::Provision(error) => error.into(),
        }
    }
}

impl From<RunStartError> for CliError {
    fn from(error: RunStartError) -> Self {
        Self::Io { context: error.action.to_owned(), source: error.source }
    }
}

impl CliError {
    /// Returns the exit code.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_)
            | Self::Usage(_)
            | Self::WorkingDirectory { .. }
            | Self::Graph(_)
            | Self::RunLookup(_)
            | Self::Comparison(_)
            | Self::Coverage(CombineCoverageError::Data(_))
            | Self::Gate(_)
            | Self::StarterWorkflow(StarterWorkflowError::Exists(_))
            | Self::UnknownRule { .. }
            | Self::Workflows(DiscoverError::SeveralProjects(..))
            | Self::NoInstallSource(_)
            | Self::BenchSetup(BenchSetupError::Delimiters { .. } | BenchSetupError::NotUtf8(_))
            | Self::NotInLock(_)
            | Self::Constraints(ConstraintsError::NoLockFile(_))
            | Self::Nox(NoxError::NotNox(_)) => ExitCode::USAGE,
            Self::Host(HostError::Load(failure)) if failure.selects_nothing() => ExitCode::NOTHING_SELECTED,
            Self::Host(HostError::Load(failure)) => match failure.stage {
                LoadStage::Options | LoadStage::Selection => ExitCode::USAGE,
                LoadStage::Nox | LoadStage::Noxfile => ExitCode::UNAVAILABLE,
            },
            Self::Workflows(DiscoverError::NoWorkflows(_)) => ExitCode::NOTHING_SELECTED,
            Self::BenchCommand(_) => ExitCode::FAILURE,
            Self::Interrupted { signal, .. } => ExitCode::from_signal(*signal),
            // What noxide needs cannot be used.
            _ => ExitCode::UNAVAILABLE,
        }
    }

    /// Returns the diagnostics to print.
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

    /// Returns hints on how to fix the error.
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Nox(NoxError::NotNox(_)) => "pass a nox command, or a Python that has nox installed",
            Self::Nox(_) => "install nox, or pass one with --nox or NOXIDE_NOX",
            Self::Host(HostError::LoadTimeout { .. }) => "allow more time with --load-timeout",
            Self::Host(HostError::Load(failure)) => return failure.hints(),
            Self::Coverage(CombineCoverageError::Data(CoverageDataError::NoData)) => {
                "name the data files in `artifacts` of the sessions that write them"
            }
            Self::Coverage(CombineCoverageError::NoCoveragePy) => "install coverage",
            Self::Coverage(CombineCoverageError::CoveragePy { .. }) => {
                "set `relative_files = true` in [tool.coverage.run] if runners have different directories"
            }
            Self::BenchCommand(_) => "continue after failures with --ignore-failure",
            Self::LockFile(_) => "create uv.lock again with `uv lock`, or restore everything with --all",
            Self::Constraints(ConstraintsError::NoLockFile(_)) => "create one with `uv lock`, or run without --locked",
            Self::Constraints(ConstraintsError::UvNotFound) | Self::UvCache(UvCacheError::NotFound) => "install uv",
            Self::NoInstallSource(_) => {
                "say what workflows install, with --install or `install` in [tool.noxide]: `noxide==VERSION`, the URL or path \
                 of a wheel, `git+URL@COMMIT`, `uses: ACTION@VERSION` or `image: IMAGE`"
            }
            Self::Graph(_) => "remove one of these dependencies between sessions",
            Self::UnknownRule { hint, .. } => return hint.iter().cloned().collect(),
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// Returns the diagnostic of a noxfile that does not load: its exception, the user's own frames, its last output.
fn load_error_diagnostic(error: &HostError) -> Diagnostic {
    let mut diagnostic = Diagnostic::from_error(error);
    if let HostError::Load(failure) = error
        && let Some(exception) = &failure.exception
        && !failure.message.contains(exception)
    {
        diagnostic = diagnostic.with_cause(exception);
    }
    let last = error.last_output_lines();
    if error.frames().is_empty() && !last.is_empty() {
        diagnostic = diagnostic.with_cause(format!("last output:\n{}", last.join("\n")));
    }
    diagnostic.with_traceback(error.frames().iter().map(|frame| DiagnosticFrame {
        file: frame.file.display().to_string(),
        line: frame.line as usize,
        function: frame.function.clone(),
        code: frame.text.clone(),
    }))
}

/// Returns one diagnostic per settings error, with its line in the file.
pub fn settings_diagnostics(errors: &[SettingsError]) -> Vec<Diagnostic> {
    errors.iter().map(settings_diagnostic).collect()
}

fn settings_diagnostic(error: &SettingsError) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(error.message());
    if let Some(location) = error.location() {
        diagnostic = diagnostic.with_excerpt(SourceExcerpt {
            path: location.source.name.clone(),
            source: location.source.text.clone(),
            span: location.span.clone(),
            label: String::new(),
        });
    }
    match error.hint() {
        Some(hint) => diagnostic.with_help(hint),
        None => diagnostic,
    }
}

//! What is known of a noxfile's sessions: the form in which its reader tells it.

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NoxfileModel {
    pub(super) options: Vec<NoxOption>,
    pub(super) variables: Vec<EnvAssignment>,
    pub(super) thresholds: Vec<CoverageThreshold>,
    pub(super) workers: Vec<CpuCountFunction>,
    pub(super) sessions: Vec<NoxfileSession>,
}

/// Line, column, end line, end column: lines from 1, columns in bytes from 0.
pub(super) type AstRange = [usize; 4];

/// `nox.options.<name> = …`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NoxOption {
    /// Its name.
    pub(crate) name: String,
    /// Its value as text.
    pub(crate) value: String,
    /// Its values where it is a list.
    pub(crate) values: Vec<String>,
    pub(super) place: AstRange,
}

/// An environment variable that the noxfile sets for all sessions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct EnvAssignment {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: String,
    pub(super) place: AstRange,
}

/// A coverage threshold.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CoverageThreshold {
    /// Its value.
    pub(crate) value: f64,
    pub(super) place: AstRange,
}

/// A function that takes the machine's CPU count for its workers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CpuCountFunction {
    /// The variable that overrides it.
    pub(crate) variable: Option<String>,
    pub(super) place: AstRange,
    pub(super) used: Vec<usize>,
}

/// One thing a session does: `install`, `run`, `call` of a function of the file.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct SessionAction {
    /// The method's name.
    pub(crate) kind: String,
    /// Its arguments as text.
    pub(crate) args: Vec<String>,
    /// Exit codes taken as success, where given.
    pub(crate) accepts: Vec<String>,
    pub(super) place: AstRange,
}

/// A session as the file says.
#[derive(Clone, Debug, Deserialize)]
pub struct NoxfileSession {
    /// Its name, without Python and parameters.
    pub name: String,
    pub(super) place: AstRange,
    pub(super) body: [usize; 2],
    /// `reuse_venv=True`.
    pub reuse: bool,
    /// Its `venv_backend`.
    pub backend: Option<String>,
    /// Whether `default=False` is not said.
    pub default: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Sessions it needs.
    pub requires: Vec<String>,
    /// Whether it uses `session.posargs`.
    pub posargs: bool,
    /// Variables it sets for its commands.
    pub environment: Vec<String>,
    /// What it does, in order.
    pub steps: Vec<SessionAction>,
    /// The name of its first parameter.
    pub parameter: String,
    /// Whether one name of it may stand for several interpreters or parameters.
    pub many: bool,
    /// The statements of its body, in order.
    pub statements: Vec<SessionStatement>,
}

/// A statement of a session's body.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStatement {
    pub(super) place: AstRange,
    /// Its text, written in one way.
    pub text: String,
    /// The session's method that it calls, where it is such a call; `call` where it hands the session on.
    pub kind: String,
    /// The call's arguments: text and place.
    pub args: Vec<(String, AstRange)>,
    /// Its named arguments: name and place.
    pub keywords: Vec<(String, AstRange)>,
}

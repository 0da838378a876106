//! Places in settings files, and what is wrong there.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::parse::ValueParseError;

/// A settings file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsSource {
    /// Its name for people: `pyproject.toml`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A stretch of a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsLocation {
    /// The file.
    pub source: Arc<SettingsSource>,
    /// The bytes meant.
    pub span: Range<usize>,
}

impl SettingsLocation {
    /// Line of its first byte, from 1.
    pub fn line(&self) -> usize {
        self.text_before().matches('\n').count() + 1
    }

    /// Column of its first character, from 1.
    pub fn column(&self) -> usize {
        self.text_before().rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// The text meant.
    pub fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// File and line, such as `pyproject.toml:41`.
    pub(crate) fn file_and_line(&self) -> String {
        format!("{}:{}", self.source.name, self.line())
    }

    fn text_before(&self) -> &str {
        self.source.text.get(..self.span.start).unwrap_or_default()
    }
}

impl fmt::Display for SettingsLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line(), self.column())
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedValue<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) location: SettingsLocation,
}

/// What is wrong with settings.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// Something in a file.
    #[error("{location}: {problem}")]
    InFile {
        /// Where.
        location: SettingsLocation,
        /// What.
        problem: SettingsProblem,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// An environment variable.
    #[error("{name}={value}: {problem}")]
    InVariable {
        /// Its name.
        name: String,
        /// Its value, as far as it is text.
        value: String,
        /// What is wrong with it.
        problem: ValueParseError,
    },
    /// Settings in two files, and no telling which counts.
    #[error("settings stand in both {file} and {table} ([tool.noxide]): keep one of them")]
    TwoFiles {
        /// The file of its own, `noxide.toml`.
        file: String,
        /// The table in `pyproject.toml`, with its line.
        table: String,
    },
    /// A file that is there but cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// What can be wrong in a settings file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsProblem {
    /// No TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key nobody knows.
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    /// A value of another kind.
    #[error("`{key}` takes {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it takes.
        expected: Cow<'static, str>,
        /// What it got.
        found: &'static str,
    },
    /// A value of the right kind that will not do.
    #[error("`{key}`: {reason}")]
    InvalidValue {
        /// The key.
        key: String,
        /// Why not.
        reason: ValueParseError,
    },
    /// A table without a key that it must have.
    #[error("`{table}` lacks `{key}`")]
    MissingKey {
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
    },
    /// A name that is no session's.
    #[error("no session is called `{0}`")]
    UnknownSession(String),
    /// A name that is no rule's.
    #[error("no rule is called `{0}`")]
    UnknownRule(String),
    /// A glob that fits no session.
    #[error("no session fits `{0}`")]
    UnmatchedGlob(String),
}

impl SettingsError {
    /// The place in a file, where there is one.
    pub fn location(&self) -> Option<&SettingsLocation> {
        match self {
            Self::InFile { location: spot, .. } => Some(spot),
            Self::InVariable { .. } | Self::TwoFiles { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> String {
        match self {
            Self::InFile { problem: wrong, .. } => wrong.to_string(),
            other => other.to_string(),
        }
    }

    /// What may have been meant, as a phrase that can follow the message.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::InFile { hint, .. } => hint.as_deref(),
            Self::InVariable { .. } | Self::TwoFiles { .. } | Self::Unreadable { .. } => None,
        }
    }
}

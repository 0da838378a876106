//! Errors in settings, with their location in the file.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::parse::ValueParseError;

/// A settings file.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsSource {
    /// Name for messages, such as `pyproject.toml`.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// Content of the file.
    pub text: String,
}

impl SettingsSource {
    /// Returns whether the file is a link out of the project, or to the files of Git: its lines are not shown.
    pub(super) fn leads_outside(&self) -> bool {
        if !self.path.is_symlink() {
            return false;
        }
        let root = self.path.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (Ok(target), Ok(root)) = (fs_err::canonicalize(&self.path), fs_err::canonicalize(root)) else {
            return true;
        };
        !target.strip_prefix(root).is_ok_and(|below| below.components().all(|part| part.as_os_str() != ".git"))
    }
}

/// A range of bytes in a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsLocation {
    /// The file.
    pub source: Arc<SettingsSource>,
    /// The byte range.
    pub span: Range<usize>,
}

impl SettingsLocation {
    /// Returns the line of the first byte, from 1.
    pub fn line(&self) -> usize {
        self.text_before().matches('\n').count() + 1
    }

    /// Returns the column of the first character, from 1.
    pub fn column(&self) -> usize {
        self.text_before().rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// Returns the text of the range.
    pub fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// Returns file and line, such as `pyproject.toml:41`.
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

/// A value with its location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedValue<T> {
    pub(crate) value: T,
    pub(crate) location: SettingsLocation,
}

/// What is wrong with an invalid settings file that is a link out of the project: nothing of it is shown.
pub(super) const OUTSIDE_SETTINGS_PROBLEM: &str = "is a link out of the project, and the settings there are invalid";

/// An error in the settings.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// An error in a file.
    #[error("{location}: {problem}")]
    InFile {
        /// The location.
        location: SettingsLocation,
        /// The problem.
        problem: SettingsProblem,
        /// A suggestion.
        hint: Option<String>,
    },
    /// An invalid environment variable.
    #[error("{name}={value}: {problem}")]
    InVariable {
        /// Its name.
        name: String,
        /// Its value, lossily decoded.
        value: String,
        /// The problem.
        problem: ValueParseError,
    },
    /// Settings in two files.
    #[error("both {file} and {table} ([tool.noxide]) contain settings; remove one of them")]
    TwoFiles {
        /// The file `noxide.toml`.
        file: String,
        /// The table in `pyproject.toml`, with its line.
        table: String,
    },
    /// More errors than are shown.
    #[error("{file} has {count} more errors, which are not shown")]
    More {
        /// Name of the file.
        file: String,
        /// Number of the others.
        count: usize,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
}

/// A problem in a settings file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsProblem {
    /// Invalid TOML.
    #[error("{0}")]
    Syntax(String),
    /// An unknown key.
    #[error("unknown key `{0}`")]
    UnknownKey(String),
    /// A value of the wrong type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// The expected type.
        expected: Cow<'static, str>,
        /// The actual type.
        found: &'static str,
    },
    /// An invalid value of the right type.
    #[error("`{key}`: {reason}")]
    InvalidValue {
        /// The key.
        key: String,
        /// Why it is invalid.
        reason: ValueParseError,
    },
    /// A missing key.
    #[error("`{table}` has no `{key}`; add it")]
    MissingKey {
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
    },
    /// An unknown session.
    #[error("unknown session `{0}`")]
    UnknownSession(String),
    /// An unknown audit rule.
    #[error("unknown rule `{0}`")]
    UnknownRule(String),
    /// A glob that matches no session.
    #[error("`{0}` matches no session")]
    UnmatchedGlob(String),
}

impl SettingsError {
    /// Returns the location in a file of the project, if the error is in one.
    pub fn location(&self) -> Option<&SettingsLocation> {
        match self {
            Self::InFile { location, .. } => Some(location).filter(|location| !location.source.leads_outside()),
            Self::InVariable { .. } | Self::TwoFiles { .. } | Self::More { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// Returns the message without the location.
    pub fn message(&self) -> String {
        match self {
            // The problem may quote the file, which may be any file of this user.
            Self::InFile { location, .. } if location.source.leads_outside() => {
                format!("{} {OUTSIDE_SETTINGS_PROBLEM}", location.source.name)
            }
            Self::InFile { problem, .. } => problem.to_string(),
            other => other.to_string(),
        }
    }

    /// Returns a suggestion.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::InFile { location, hint, .. } => hint.as_deref().filter(|_| !location.source.leads_outside()),
            Self::InVariable { .. } | Self::TwoFiles { .. } | Self::More { .. } | Self::Unreadable { .. } => None,
        }
    }
}

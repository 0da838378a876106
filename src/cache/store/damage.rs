//! Kinds of damage, and the damaged paths of an entry.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use super::entry_id::EntryId;
use crate::text::to_single_line;

/// What is wrong with a path in an entry, or with the entry itself.
#[derive(Clone, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// A listed path does not exist.
    #[error("missing")]
    Missing,
    /// An existing path is not listed.
    #[error("not listed")]
    Unlisted,
    /// The bytes differ from the listed digest.
    #[error("content differs from the list of files")]
    ContentMismatch,
    /// The size differs from the listed size.
    #[error("{found} bytes instead of {listed}")]
    SizeMismatch {
        /// Size in the list of files, in bytes.
        listed: u64,
        /// Size of the file, in bytes.
        found: u64,
    },
    /// The file is executable and should not be, or the other way round.
    #[error("permissions differ from the list of files")]
    PermissionMismatch,
    /// A device, pipe or socket, or a file where a directory is listed, and so on.
    #[error("wrong file type")]
    FileTypeMismatch,
    /// The file belongs to another user than the store, who can change it.
    #[error("belongs to another user")]
    ForeignOwner,
    /// The setuid, setgid or sticky bit is set.
    #[error("setuid, setgid or sticky bit is set")]
    SpecialMode,
    /// The target of a symbolic link is outside the entry.
    #[error("symbolic link out of the entry, to {0}")]
    EscapingSymlink(String),
    /// The path is outside the entry, or not a valid path.
    #[error("not a path inside the entry")]
    InvalidPath,
    /// The path occurs more than once.
    #[error("listed twice")]
    DuplicatePath,
    /// The entry exceeds a limit.
    #[error("more than {limit} {unit}")]
    TooLarge {
        /// The maximum.
        limit: u64,
        /// What is counted: `bytes` or `files`.
        unit: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The `RECORD` of the wheel is missing or malformed.
    #[error("unusable RECORD: {0}")]
    InvalidWheelRecord(String),
    /// A file in a bytecode entry is not bytecode in the stored form.
    #[error("not unchecked-hash bytecode of a module in a package")]
    InvalidBytecode,
    /// The metadata of the entry are missing, truncated, or belong to another entry.
    #[error("invalid metadata: {0}")]
    InvalidMeta(String),
}

impl Damage {
    /// Returns whether the cause may be the system (a full disk, missing permissions) instead of a damaged file.
    pub(crate) fn is_io_error(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl From<std::io::Error> for Damage {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// A path of an entry and what is wrong with it. Displayed without the entry: `path: damage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDamage {
    /// The damaged entry.
    pub entry: EntryId,
    /// Display name, such as `numpy 2.4.5`; empty if it cannot be read.
    pub name: String,
    /// Path inside the entry; empty for the entry itself.
    pub path: String,
    /// What is wrong.
    pub damage: Damage,
}

impl fmt::Display for EntryDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", to_single_line(&self.path))?;
        }
        // Targets of links come from another machine too.
        f.write_str(&to_single_line(&self.damage.to_string()))
    }
}

impl Serialize for EntryDamage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = serializer.serialize_struct("EntryDamage", 4)?;
        row.serialize_field("entry", &self.entry.to_string())?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("path", &self.path)?;
        row.serialize_field("problem", &self.damage.to_string())?;
        row.end()
    }
}

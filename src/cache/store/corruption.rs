//! What can be wrong with a file or an entry, in words.

use serde::Serialize;
use thiserror::Error;

use super::entry_id::EntryId;

/// What is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Corruption {
    /// It is listed and not there.
    #[error("missing")]
    Missing,
    /// It is there and not listed.
    #[error("not listed")]
    Unlisted,
    /// Its bytes are others.
    #[error("other content than listed")]
    ContentMismatch,
    /// Its length is another.
    #[error("{found} bytes instead of {listed}")]
    SizeMismatch {
        /// As listed.
        listed: u64,
        /// As found.
        found: u64,
    },
    /// It may be run and should not, or the other way round.
    #[error("other permissions than listed")]
    PermissionMismatch,
    /// It is neither file nor folder nor link: a device, a pipe, a socket; or another of these than listed.
    #[error("not the kind of file it should be")]
    FileTypeMismatch,
    /// It would run with another's rights.
    #[error("setuid, setgid or sticky")]
    SpecialMode,
    /// It leads out of its entry.
    #[error("a link out of its entry, to {0}")]
    EscapingSymlink(String),
    /// A path that leads out of its entry, or is none.
    #[error("no path inside an entry")]
    InvalidPath,
    /// The same path twice.
    #[error("listed twice")]
    DuplicatePath,
    /// More than an entry may hold.
    #[error("more than {limit} {unit}")]
    TooLarge {
        /// The most there may be.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The wheel's own `RECORD` is missing or no RECORD.
    #[error("no usable RECORD: {0}")]
    InvalidRecord(String),
    /// It is among bytecode and is none, or not of the form that is kept.
    #[error("no bytecode of a package's module, in unchecked-hash form")]
    InvalidBytecode,
    /// The entry's facts are missing, torn, or speak of another entry.
    #[error("no usable facts: {0}")]
    InvalidMeta(String),
}

impl Corruption {
    /// Whether it may be the system that refused (a full disk, missing rights) and not the file that is at fault.
    pub(crate) fn is_io_error(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl From<std::io::Error> for Corruption {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// One fault of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryDamage {
    /// The entry.
    pub entry: EntryId,
    /// Its name for people: `numpy 2.4.5`; empty where even that is lost.
    pub name: String,
    /// The file in it; empty for the entry as a whole.
    pub path: String,
    /// What is wrong.
    pub corruption: Corruption,
}

impl Serialize for EntryDamage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = serializer.serialize_struct("EntryDamage", 4)?;
        row.serialize_field("entry", &self.entry.to_string())?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("path", &self.path)?;
        row.serialize_field("problem", &self.corruption.to_string())?;
        row.end()
    }
}

//! What can be wrong with a file or an entry, in words.

use serde::Serialize;
use thiserror::Error;

use super::id::EntryId;

/// What is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// It is listed and not there.
    #[error("missing")]
    Missing,
    /// It is there and not listed.
    #[error("not listed")]
    Unlisted,
    /// Its bytes are others.
    #[error("other content than listed")]
    Content,
    /// Its length is another.
    #[error("{found} bytes instead of {listed}")]
    Size {
        /// As listed.
        listed: u64,
        /// As found.
        found: u64,
    },
    /// It may be run and should not, or the other way round.
    #[error("other permissions than listed")]
    Permissions,
    /// It is neither file nor folder nor link: a device, a pipe, a socket; or another of these than listed.
    #[error("not the kind of file it should be")]
    FileKind,
    /// It would run with another's rights.
    #[error("setuid, setgid or sticky")]
    Special,
    /// It leads out of its entry.
    #[error("a link out of its entry, to {0}")]
    OutwardLink(String),
    /// A path that leads out of its entry, or is none.
    #[error("no path inside an entry")]
    Path,
    /// The same path twice.
    #[error("listed twice")]
    Twice,
    /// More than an entry may hold.
    #[error("more than {limit} {of}")]
    TooLarge {
        /// The most there may be.
        limit: u64,
        /// Of what.
        of: &'static str,
    },
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The wheel's own `RECORD` is missing or no RECORD.
    #[error("no usable RECORD: {0}")]
    Record(String),
    /// It is among bytecode and is none, or not of the form that is kept.
    #[error("no bytecode of a package's module, in unchecked-hash form")]
    Bytecode,
    /// The entry's facts are missing, torn, or speak of another entry.
    #[error("no usable facts: {0}")]
    Facts(String),
}

impl Wrong {
    /// Whether it may be the system that refused (a full disk, missing rights) and not the file that is at fault.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// One fault of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The entry.
    pub entry: EntryId,
    /// Its name for people: `numpy 2.4.5`; empty where even that is lost.
    pub name: String,
    /// The file in it; empty for the entry as a whole.
    pub path: String,
    /// What is wrong.
    pub wrong: Wrong,
}

impl Serialize for Damage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = serializer.serialize_struct("Damage", 4)?;
        row.serialize_field("entry", &self.entry.to_string())?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("path", &self.path)?;
        row.serialize_field("wrong", &self.wrong.to_string())?;
        row.end()
    }
}

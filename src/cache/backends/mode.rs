//! `ACTIONS_CACHE_MODE`: what a token of the forge lets a run do.

use crate::cache::backend::BackendError;

/// What a run may do with the forge's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read and write; also where nobody says.
    All,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Neither.
    None,
}

impl Mode {
    /// Reads the variable; a word that is unknown permits all, as with the official client.
    pub fn parse(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "read" => Self::Read,
            "write-only" => Self::Write,
            _ => Self::All,
        }
    }

    /// Whether it may read.
    pub fn reads(self) -> bool {
        matches!(self, Self::All | Self::Read)
    }

    /// Whether it may write.
    pub fn writes(self) -> bool {
        matches!(self, Self::All | Self::Write)
    }

    pub(super) fn check_read(self) -> Result<(), BackendError> {
        if self.reads() { Ok(()) } else { Err(BackendError::Mode("ACTIONS_CACHE_MODE lets nothing be read")) }
    }

    pub(super) fn check_write(self) -> Result<(), BackendError> {
        if self.writes() { Ok(()) } else { Err(BackendError::Mode("ACTIONS_CACHE_MODE lets nothing be written")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_official_client() {
        for (word, reads, writes) in [
            ("", true, true),
            ("odd", true, true),
            (" Read\n", true, false),
            ("write", true, true),
            ("WRITE-ONLY", false, true),
            ("none", false, false),
        ] {
            let mode = Mode::parse(word);
            assert_eq!((mode.reads(), mode.writes()), (reads, writes), "{word}");
            assert_eq!((mode.check_read().is_ok(), mode.check_write().is_ok()), (reads, writes), "{word}");
        }
    }
}

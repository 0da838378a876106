//! What a request sends: bytes, or part of a file, read by place so that several may be sent from one at once.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// Part of a file.
    File {
        /// The file.
        file: &'a File,
        /// The first byte.
        from: u64,
        /// How many.
        len: u64,
    },
}

impl Payload<'_> {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader of it.
    pub fn reader(&self) -> impl Read + '_ {
        Part::of(*self)
    }

    /// A part of it.
    pub fn part(&self, from: u64, len: u64) -> Payload<'_> {
        match self {
            Self::None => Payload::None,
            Self::Bytes(bytes) => {
                let end = (from + len).min(bytes.len() as u64);
                Payload::Bytes(&bytes[from.min(end) as usize..end as usize])
            }
            Self::File { file, from: start, .. } => Payload::File { file, from: start + from, len },
        }
    }
}

/// A payload as it is read; files by place, so that several may be sent from one at once.
pub(super) struct Part<'a> {
    payload: Payload<'a>,
    at: u64,
    /// Why its file could not be read.
    pub(super) broken: Option<io::Error>,
}

impl<'a> Part<'a> {
    /// A payload from its beginning.
    pub(super) fn of(payload: Payload<'a>) -> Self {
        Self { payload, at: 0, broken: None }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.payload.len() - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let read = match self.payload {
            Payload::None => Ok(0),
            Payload::Bytes(bytes) => {
                let at = self.at as usize;
                buffer[..room].copy_from_slice(&bytes[at..at + room]);
                Ok(room)
            }
            Payload::File { file, from, .. } => file.read_at(&mut buffer[..room], from + self.at),
        };
        match read {
            Ok(read) => {
                self.at += read as u64;
                Ok(read)
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.broken = Some(error);
                Err(told)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_in_parts() {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let whole = Payload::File { file: &file, from: 2, len: 6 };
        for (payload, want) in [(whole.part(1, 3), "345"), (Payload::Bytes(b"abcdef").part(4, 9), "ef")] {
            let mut text = String::new();
            Part::of(payload).read_to_string(&mut text).unwrap();
            assert_eq!(text, want);
        }
        assert!(Payload::None.is_empty() && Payload::None.part(0, 1).is_empty());
    }
}

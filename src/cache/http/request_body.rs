//! What a request sends: bytes, or part of a file, read by place so that several may be sent from one at once.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum RequestBody<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// Part of a file.
    File {
        /// The file.
        file: &'a File,
        /// The first byte.
        offset: u64,
        /// How many.
        len: u64,
    },
}

impl<'a> RequestBody<'a> {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
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
    pub(crate) fn into_reader(self) -> impl Read + 'a {
        BodyReader::new(self)
    }

    /// A part of it.
    pub(crate) fn slice_range(&self, from: u64, len: u64) -> RequestBody<'_> {
        match self {
            Self::None => RequestBody::None,
            Self::Bytes(bytes) => {
                let end = (from + len).min(bytes.len() as u64);
                RequestBody::Bytes(&bytes[from.min(end) as usize..end as usize])
            }
            Self::File { file, offset: start, .. } => RequestBody::File { file, offset: start + from, len },
        }
    }
}

/// A payload as it is read; files by place, so that several may be sent from one at once.
pub(super) struct BodyReader<'a> {
    body: RequestBody<'a>,
    position: u64,
    /// Why its file could not be read.
    pub(super) read_error: Option<io::Error>,
}

impl<'a> BodyReader<'a> {
    /// A payload from its beginning.
    pub(super) fn new(payload: RequestBody<'a>) -> Self {
        Self { body: payload, position: 0, read_error: None }
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.body.len() - self.position).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let read = match self.body {
            RequestBody::None => Ok(0),
            RequestBody::Bytes(bytes) => {
                let at = self.position as usize;
                buffer[..room].copy_from_slice(&bytes[at..at + room]);
                Ok(room)
            }
            RequestBody::File { file, offset: from, .. } => file.read_at(&mut buffer[..room], from + self.position),
        };
        match read {
            Ok(read) => {
                self.position += read as u64;
                Ok(read)
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.read_error = Some(error);
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
        let whole = RequestBody::File { file: &file, offset: 2, len: 6 };
        for (payload, want) in
            [(whole.slice_range(1, 3), "345"), (RequestBody::Bytes(b"abcdef").slice_range(4, 9), "ef")]
        {
            let mut text = String::new();
            BodyReader::new(payload).read_to_string(&mut text).unwrap();
            assert_eq!(text, want);
        }
        assert!(RequestBody::None.is_empty() && RequestBody::None.slice_range(0, 1).is_empty());
    }
}

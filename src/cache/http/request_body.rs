//! Request bodies: bytes, or part of a file, which several requests can read concurrently.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub enum RequestBody<'a> {
    /// No body.
    None,
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A range of a file.
    File {
        /// The file.
        file: &'a File,
        /// Offset of the first byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
}

impl<'a> RequestBody<'a> {
    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a reader of the body.
    pub(crate) fn into_reader(self) -> impl Read + 'a {
        BodyReader::new(self)
    }

    /// Returns a range of the body.
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

/// A reader of a body. Files are read at explicit offsets, so that several requests can share one.
pub(super) struct BodyReader<'a> {
    body: RequestBody<'a>,
    position: u64,
    /// The error of reading the file.
    pub(super) read_error: Option<io::Error>,
}

impl<'a> BodyReader<'a> {
    /// Starts at the beginning of a body.
    pub(super) fn new(body: RequestBody<'a>) -> Self {
        Self { body, position: 0, read_error: None }
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let remaining = usize::try_from(self.body.len() - self.position).unwrap_or(usize::MAX);
        let limit = buffer.len().min(remaining);
        let read = match self.body {
            RequestBody::None => Ok(0),
            RequestBody::Bytes(bytes) => {
                let start = self.position as usize;
                buffer[..limit].copy_from_slice(&bytes[start..start + limit]);
                Ok(limit)
            }
            RequestBody::File { file, offset: from, .. } => file.read_at(&mut buffer[..limit], from + self.position),
        };
        match read {
            Ok(read) => {
                self.position += read as u64;
                Ok(read)
            }
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.read_error = Some(error);
                Err(copy)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_can_be_sliced() {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file_body = RequestBody::File { file: &file, offset: 2, len: 6 };
        for (body, expected) in
            [(file_body.slice_range(1, 3), "345"), (RequestBody::Bytes(b"abcdef").slice_range(4, 9), "ef")]
        {
            let mut text = String::new();
            BodyReader::new(body).read_to_string(&mut text).unwrap();
            assert_eq!(text, expected);
        }
        assert!(RequestBody::None.is_empty() && RequestBody::None.slice_range(0, 1).is_empty());
    }
}

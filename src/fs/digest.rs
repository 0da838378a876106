//! Digests of files: SHA-256, by which wheels name theirs, and BLAKE3 for what noxide names itself.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::Digest;

use super::stat::FileStat;
use crate::text::encode_hex;

/// How much of a file is read at once: large enough for few calls, small enough for the processor's cache.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// The digest of bytes.
    pub fn hash_bytes(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// Reads what `RECORD` writes: base64 for URLs, without padding.
    pub(crate) fn from_base64_url(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(33);
        let (mut held, mut bits) = (0_u32, 0);
        for byte in text.trim_end_matches('=').bytes() {
            held = held << 6 | u32::from(base64_value(byte)?);
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            }
        }
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a sign of [`BASE64_URL_ALPHABET`] stands for.
fn base64_value(sign: u8) -> Option<u8> {
    match sign {
        b'A'..=b'Z' => Some(sign - b'A'),
        b'a'..=b'z' => Some(sign - b'a' + 26),
        b'0'..=b'9' => Some(sign - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

const BASE64_URL_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes in base64 for URLs, without padding.
pub fn encode_base64_url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let held = group.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(BASE64_URL_ALPHABET[(held >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// The BLAKE3 digest of bytes, as hexadecimal digits.
pub(crate) fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The digest and length of a file, which must not be a link.
///
/// # Errors
/// When it cannot be opened or read, or is a link.
pub fn sha256_file(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let (mut file, stamp) = open_no_follow(path)?;
    sha256_open_file(&mut file, stamp)
}

/// Opens a file to read it, and says what it is: never what a link leads to, and without waiting for a pipe's writer.
///
/// # Errors
/// When it cannot be opened, or is a link.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<(File, FileStat)> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let stamp = FileStat::from(&file.metadata()?);
    Ok((file, stamp))
}

thread_local! {
    /// Files are many and small: a buffer for each would be cleared for each, ten times what is read into it.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER_BYTES]);
}

/// The digest and length of a file that was opened as `stamp` says.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn sha256_open_file(file: &mut File, stamp: FileStat) -> io::Result<(Sha256Digest, u64)> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut hasher = sha2::Sha256::new();
        let mut length = 0;
        loop {
            let read = match file.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..read]);
            length += read as u64;
            // Of a regular file less is read than asked for only at its end: that saves the call that finds nothing.
            if read == 0 || (read < buffer.len() && length == stamp.size) {
                return Ok((Sha256Digest(hasher.finalize().into()), length));
            }
        }
    })
}

/// Copies all that can be read to a file; gives the digest and length of it.
///
/// # Errors
/// When either refuses.
pub(crate) fn copy_with_sha256(from: &mut dyn Read, to: &mut File) -> io::Result<(Sha256Digest, u64)> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut hasher = sha2::Sha256::new();
        let mut length = 0;
        loop {
            let read = from.read(buffer)?;
            if read == 0 {
                return Ok((Sha256Digest(hasher.finalize().into()), length));
            }
            hasher.update(&buffer[..read]);
            to.write_all(&buffer[..read])?;
            length += read as u64;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_and_read() {
        let empty = Sha256Digest::hash_bytes(b"");
        assert_eq!(empty.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Sha256Digest::from_hex(&empty.to_string()), Some(empty));
        assert_eq!(encode_base64_url(&empty.0), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(Sha256Digest::from_base64_url(&encode_base64_url(&empty.0)), Some(empty));
        assert_eq!(format!("{empty:?}"), empty.to_string());
        assert_eq!(
            [encode_base64_url(b"M"), encode_base64_url(b"Ma"), encode_base64_url(b"Man")],
            ["TQ", "TWE", "TWFu"]
        );
        for wrong in ["", "e3", &"g".repeat(64)] {
            assert_eq!(Sha256Digest::from_hex(wrong), None);
            assert_eq!(Sha256Digest::from_base64_url(wrong), None);
        }
        assert_eq!(Sha256Digest::from_base64_url("*"), None);
        for sign in 0..=u8::MAX {
            let place = BASE64_URL_ALPHABET.iter().position(|known| *known == sign);
            assert_eq!(base64_value(sign).map(usize::from), place, "{sign}");
        }
    }

    #[test]
    fn of_a_file_but_not_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs_err::write(&path, vec![7; READ_BUFFER_BYTES + 1]).unwrap();
        assert_eq!(
            sha256_file(&path).unwrap(),
            (Sha256Digest::hash_bytes(&vec![7; READ_BUFFER_BYTES + 1]), READ_BUFFER_BYTES as u64 + 1)
        );
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(sha256_file(&folder.path().join("link")).is_err());
        assert!(sha256_file(folder.path()).is_err());
    }
}

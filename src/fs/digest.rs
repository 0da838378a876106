//! Digests and their text forms: SHA-256 as used by wheels, BLAKE3 for noxide's own data.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::Digest;

use super::stat::FileStat;
use crate::text::encode_hex;

/// Size of a read: large enough for few system calls, small enough for the CPU cache.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// Computes the digest of `bytes`.
    pub fn hash_bytes(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Parses 64 hexadecimal digits.
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

    /// Parses URL-safe base64 without padding, the form used in `RECORD`.
    pub(crate) fn from_base64_url(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(33);
        let (mut accumulator, mut bits) = (0_u32, 0);
        for byte in text.trim_end_matches('=').bytes() {
            accumulator = accumulator << 6 | u32::from(base64_value(byte)?);
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(accumulator >> bits & 0xff).ok()?);
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

/// Returns the value of a character of [`BASE64_URL_ALPHABET`].
fn base64_value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

const BASE64_URL_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes bytes as URL-safe base64 without padding.
pub fn encode_base64_url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let accumulator = group.iter().fold(0_u32, |accumulator, byte| accumulator << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for position in 0..=group.len() {
            text.push(char::from(BASE64_URL_ALPHABET[(accumulator >> (18 - 6 * position) & 63) as usize]));
        }
    }
    text
}

/// Computes the BLAKE3 digest of bytes, as hexadecimal digits.
pub(crate) fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Computes the digest and length of a file, which must not be a symbolic link.
///
/// # Errors
/// If the file cannot be opened or read, or is a symbolic link.
pub fn sha256_file(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let (mut file, stat) = open_no_follow(path)?;
    sha256_open_file(&mut file, stat)
}

/// Opens a file for reading without following a symbolic link or waiting for the writer of a pipe.
///
/// # Errors
/// If the file cannot be opened, or is a symbolic link.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<(File, FileStat)> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let stat = FileStat::from(&file.metadata()?);
    Ok((file, stat))
}

thread_local! {
    /// Most files are small: zeroing a new buffer for each would write ten times what is read into it.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER_BYTES]);
}

/// Computes the digest and length of an open file; `stat` must be the result of opening it.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn sha256_open_file(file: &mut File, stat: FileStat) -> io::Result<(Sha256Digest, u64)> {
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
            // A short read of a regular file is at its end: this saves one call that reads nothing.
            if read == 0 || (read < buffer.len() && length == stat.size) {
                return Ok((Sha256Digest(hasher.finalize().into()), length));
            }
        }
    })
}

/// Copies a reader to a file and returns the digest and length of what was copied.
///
/// # Errors
/// If reading or writing fails.
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
    fn digests_round_trip_through_hex_and_base64() {
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
        for invalid in ["", "e3", &"g".repeat(64)] {
            assert_eq!(Sha256Digest::from_hex(invalid), None);
            assert_eq!(Sha256Digest::from_base64_url(invalid), None);
        }
        assert_eq!(Sha256Digest::from_base64_url("*"), None);
        for character in 0..=u8::MAX {
            let position = BASE64_URL_ALPHABET.iter().position(|known| *known == character);
            assert_eq!(base64_value(character).map(usize::from), position, "{character}");
        }
    }

    #[test]
    fn a_file_is_hashed_but_a_symlink_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs_err::write(&path, vec![7; READ_BUFFER_BYTES + 1]).unwrap();
        assert_eq!(
            sha256_file(&path).unwrap(),
            (Sha256Digest::hash_bytes(&vec![7; READ_BUFFER_BYTES + 1]), READ_BUFFER_BYTES as u64 + 1)
        );
        std::os::unix::fs::symlink(&path, directory.path().join("link")).unwrap();
        assert!(sha256_file(&directory.path().join("link")).is_err());
        assert!(sha256_file(directory.path()).is_err());
    }
}

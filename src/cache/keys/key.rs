//! Inputs of cache keys, and the cache keys made of them.

use super::inputs::KeyInput;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Version of the inputs: changing the inputs changes all keys.
pub(crate) const KEY_INPUTS_VERSION: u32 = 2;

/// The inputs that determine what a session installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInputs {
    /// Version of the inputs.
    pub(crate) version: u32,
    /// Friendly name of the session in nox.
    pub(crate) session: String,
    /// The inputs, sorted and without duplicates.
    pub(crate) inputs: Vec<KeyInput>,
}

impl KeyInputs {
    /// Sorts the inputs and removes duplicates.
    pub fn new(session: &str, mut inputs: Vec<KeyInput>) -> Self {
        inputs.sort();
        inputs.dedup();
        Self { version: KEY_INPUTS_VERSION, session: session.to_owned(), inputs }
    }

    /// Computes the digest of the inputs: 32 hexadecimal digits. The name of the session is not included, because
    /// sessions with equal inputs install the same packages.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.version.to_le_bytes());
        for input in &self.inputs {
            for part in [input.kind.as_str(), &input.name, &input.value] {
                // Each part is preceded by its length, so that part boundaries affect the digest.
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Maximum length of a key in the caches of CI services.
const MAX_KEY_LEN: usize = 512;
/// Maximum length of one part of a key.
const MAX_PART_LEN: usize = 60;

/// The parts of a key before the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheKeyParts {
    /// Repository, or name of the project.
    pub(crate) project: String,
    /// Operating system.
    pub(crate) os: String,
    /// Architecture.
    pub(crate) arch: String,
    /// C library.
    pub(crate) libc: String,
    /// Tags of the interpreters, such as `cpython-311`.
    pub(crate) pythons: Vec<String>,
    /// `uv` with its version, or `pip` if there is no uv.
    pub(crate) tool: String,
}

/// A cache key: a prefix of project, platform, C library, interpreters, uv version and sessions, and a digest of all inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheKey {
    prefix: String,
    digest: String,
}

impl CacheKey {
    /// Computes the key of a set of sessions, independent of their order.
    pub(crate) fn new(parts: &CacheKeyParts, key_inputs: &[KeyInputs]) -> Self {
        let mut digests_by_session: Vec<(&str, String)> =
            key_inputs.iter().map(|key_inputs| (&*key_inputs.session, key_inputs.digest())).collect();
        digests_by_session.sort();
        let mut hasher = blake3::Hasher::new();
        for (session, digest) in &digests_by_session {
            hasher.update(&(session.len() as u64).to_le_bytes()).update(session.as_bytes()).update(digest.as_bytes());
        }
        // The digest of a single session is that of its inputs, equal for sessions that install the same.
        let digest = match digests_by_session.as_slice() {
            [(_, only)] => only.clone(),
            _ => hasher.finalize().to_hex()[..32].to_owned(),
        };
        let names: Vec<&str> = digests_by_session.iter().map(|(session, _)| *session).collect();
        let session_part = match names.as_slice() {
            [only] => (*only).to_owned(),
            several => {
                let digest = blake3::hash(several.join("\n").as_bytes()).to_hex();
                format!("{}sessions-{}", several.len(), &digest[..8])
            }
        };
        let mut pythons = parts.pythons.clone();
        pythons.sort();
        pythons.dedup();
        let parts = [
            "nx2",
            &parts.project,
            &parts.os,
            &parts.arch,
            &parts.libc,
            &pythons.join("."),
            &parts.tool,
            &session_part,
        ];
        let result: Vec<String> =
            parts.iter().map(|part| sanitize_part(part)).filter(|part| !part.is_empty()).collect();
        let mut prefix = result.join("-");
        prefix.truncate(MAX_KEY_LEN - 34);
        Self { prefix: format!("{prefix}-"), digest }
    }

    /// Returns the prefix: the parts and the sessions, which do not depend on locked versions.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.digest)
    }
}

/// Converts text to a part of a key: lower case, with other characters than letters, digits, `.` and `_` replaced.
pub(super) fn sanitize_part(text: &str) -> String {
    let mut result = String::new();
    for character in text.to_lowercase().chars() {
        let is_allowed = character.is_ascii_alphanumeric() || "._".contains(character);
        if is_allowed || !result.ends_with('-') {
            result.push(if is_allowed { character } else { '-' });
        }
    }
    result.truncate(MAX_PART_LEN);
    result.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::keys::{KeyInput, KeyInputKind};

    fn key_inputs(session: &str, value: &str) -> KeyInputs {
        let input = KeyInput { kind: KeyInputKind::LockedPackage, name: "ruff".to_owned(), value: value.to_owned() };
        KeyInputs::new(session, vec![input.clone(), input])
    }

    fn parts() -> CacheKeyParts {
        CacheKeyParts {
            project: "Acme/Parcel, Book".to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            libc: "glibc-2.36".to_owned(),
            pythons: vec!["cpython-313".to_owned(), "cpython-311".to_owned(), "cpython-313".to_owned()],
            tool: "uv0.13.9".to_owned(),
        }
    }

    #[test]
    fn a_key_is_one_line_that_all_caches_accept() {
        let key = CacheKey::new(&parts(), &[key_inputs("lint", "1")]);
        let start = "nx2-acme-parcel-book-linux-x86_64-glibc-2.36-cpython-311.cpython-313-uv0.13.9-lint-";
        assert_eq!(key.prefix(), start);
        assert_eq!(key.to_string(), format!("{start}{}", key_inputs("x", "1").digest()), "{key}");
        assert_eq!(key.digest.len(), 32);
        let long = CacheKeyParts { project: "x".repeat(900), ..parts() };
        let many: Vec<KeyInputs> = (0..90).map(|n| key_inputs(&format!("Tests({n}, 'ü')"), "1")).collect();
        let key = CacheKey::new(&long, &many).to_string();
        assert!(key.len() <= MAX_KEY_LEN && key == key.to_lowercase() && !key.contains(','), "{key}");
        assert!(key.is_ascii() && key.contains("90sessions-"));
    }

    #[test]
    fn the_digest_depends_on_the_inputs_and_nothing_else() {
        let key_digest = |key_inputs: &[KeyInputs]| CacheKey::new(&parts(), key_inputs).digest.to_owned();
        assert_ne!(key_digest(&[key_inputs("lint", "1")]), key_digest(&[key_inputs("lint", "2")]));
        assert_eq!(
            key_digest(&[key_inputs("lint", "1")]),
            key_digest(&[key_inputs("format", "1")]),
            "equal inputs, equal packages"
        );
        let (a, b) = (key_inputs("a", "1"), key_inputs("b", "2"));
        assert_eq!(key_digest(&[a.clone(), b.clone()]), key_digest(&[b.clone(), a.clone()]));
        assert_ne!(key_digest(&[a, b]), key_digest(&[key_inputs("a", "2"), key_inputs("b", "1")]));
    }
}

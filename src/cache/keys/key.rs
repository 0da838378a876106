//! Dependency fingerprints, and the cache keys made of them.

use super::inputs::KeyInput;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the recipe: another one names other facts, and its keys are others too.
pub(crate) const FINGERPRINT_VERSION: u32 = 2;

/// The facts that a key is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyFingerprint {
    /// The version of the recipe.
    pub(crate) version: u32,
    /// The session, by nox's friendly name.
    pub(crate) session: String,
    /// The facts, sorted and each once.
    pub(crate) inputs: Vec<KeyInput>,
}

impl DependencyFingerprint {
    /// A recipe of these facts.
    pub fn new(session: &str, mut facts: Vec<KeyInput>) -> Self {
        facts.sort();
        facts.dedup();
        Self { version: FINGERPRINT_VERSION, session: session.to_owned(), inputs: facts }
    }

    /// The digest of its facts: 32 hexadecimal digits. The session's name does not count: equal facts, equal packages.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.version.to_le_bytes());
        for fact in &self.inputs {
            for part in [fact.kind.as_str(), &fact.name, &fact.value] {
                // With its length, so that no two texts run together.
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// The longest key that the caches of forges take.
const MAX_KEY_LEN: usize = 512;
/// The longest part of it.
const MAX_PART_LEN: usize = 60;

/// What stands before the digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheKeyParts {
    /// The repository, or the project's name.
    pub(crate) project: String,
    /// Operating system.
    pub(crate) os: String,
    /// Architecture.
    pub(crate) arch: String,
    /// C library.
    pub(crate) libc: String,
    /// Tags of the interpreters.
    pub(crate) pythons: Vec<String>,
    /// Version of uv, or the name of the backend.
    pub(crate) tool: String,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheKey {
    prefix: String,
    digest: String,
}

impl CacheKey {
    /// The key of some sessions together, whatever their order.
    pub(crate) fn new(parts: &CacheKeyParts, recipes: &[DependencyFingerprint]) -> Self {
        let mut named: Vec<(&str, String)> = recipes.iter().map(|recipe| (&*recipe.session, recipe.digest())).collect();
        named.sort();
        let mut hasher = blake3::Hasher::new();
        for (session, digest) in &named {
            hasher.update(&(session.len() as u64).to_le_bytes()).update(session.as_bytes()).update(digest.as_bytes());
        }
        // One session's key is its recipe's digest: sessions that install the same are told by it.
        let digest = match named.as_slice() {
            [(_, only)] => only.clone(),
            _ => hasher.finalize().to_hex()[..32].to_owned(),
        };
        let names: Vec<&str> = named.iter().map(|(session, _)| *session).collect();
        let scope = match names.as_slice() {
            [only] => (*only).to_owned(),
            several => {
                let digest = blake3::hash(several.join("\n").as_bytes()).to_hex();
                format!("{}sessions-{}", several.len(), &digest[..8])
            }
        };
        let mut pythons = parts.pythons.clone();
        pythons.sort();
        pythons.dedup();
        let parts =
            ["nx2", &parts.project, &parts.os, &parts.arch, &parts.libc, &pythons.join("."), &parts.tool, &scope];
        let plain: Vec<String> = parts.iter().map(|part| sanitize_part(part)).filter(|part| !part.is_empty()).collect();
        let mut prefix = plain.join("-");
        prefix.truncate(MAX_KEY_LEN - 34);
        Self { prefix: format!("{prefix}-"), digest }
    }

    /// What the keys of other states of the same sessions begin with too.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.digest)
    }
}

/// A part of a key: lower case, letters, digits, `.`, `_` and `-` alone.
pub(super) fn sanitize_part(text: &str) -> String {
    let mut plain = String::new();
    for sign in text.to_lowercase().chars() {
        let kept = sign.is_ascii_alphanumeric() || "._".contains(sign);
        if kept || !plain.ends_with('-') {
            plain.push(if kept { sign } else { '-' });
        }
    }
    plain.truncate(MAX_PART_LEN);
    plain.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::keys::{KeyInput, KeyInputKind};

    fn recipe(session: &str, value: &str) -> DependencyFingerprint {
        let fact = KeyInput { kind: KeyInputKind::LockedPackage, name: "ruff".to_owned(), value: value.to_owned() };
        DependencyFingerprint::new(session, vec![fact.clone(), fact])
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
    fn a_key_is_one_line_that_all_caches_take() {
        let key = CacheKey::new(&parts(), &[recipe("lint", "1")]);
        let start = "nx2-acme-parcel-book-linux-x86_64-glibc-2.36-cpython-311.cpython-313-uv0.13.9-lint-";
        assert_eq!(key.prefix(), start);
        assert_eq!(key.to_string(), format!("{start}{}", recipe("x", "1").digest()), "{key}");
        assert_eq!(key.digest.len(), 32);
        let long = CacheKeyParts { project: "x".repeat(900), ..parts() };
        let many: Vec<DependencyFingerprint> = (0..90).map(|n| recipe(&format!("Tests({n}, 'ü')"), "1")).collect();
        let key = CacheKey::new(&long, &many).to_string();
        assert!(key.len() <= MAX_KEY_LEN && key == key.to_lowercase() && !key.contains(','), "{key}");
        assert!(key.is_ascii() && key.contains("90sessions-"));
    }

    #[test]
    fn the_digest_tells_states_apart_and_nothing_else() {
        let of = |recipes: &[DependencyFingerprint]| CacheKey::new(&parts(), recipes).digest.to_owned();
        assert_ne!(of(&[recipe("lint", "1")]), of(&[recipe("lint", "2")]));
        assert_eq!(of(&[recipe("lint", "1")]), of(&[recipe("format", "1")]), "equal facts, equal packages");
        let (a, b) = (recipe("a", "1"), recipe("b", "2"));
        assert_eq!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
        assert_ne!(of(&[a, b]), of(&[recipe("a", "2"), recipe("b", "1")]));
    }
}

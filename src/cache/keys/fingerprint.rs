//! The recipe of a key: which facts count, in one form.

use serde::{Deserialize, Serialize};

use super::inputs::KeyInput;

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

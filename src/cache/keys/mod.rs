//! Keys of what sessions install: facts, the recipe that names those that count, the key made of them, entries kept.

mod fingerprint;
mod inputs;
mod key;
mod key_index;
mod requested_installs;

pub use fingerprint::DependencyFingerprint;
pub use inputs::{KeyContext, KeyInput, KeyInputKind};
pub(crate) use key::CacheKey;
pub use key::CacheKeyParts;
pub use key_index::KeyInputChange;
pub(crate) use key_index::{InstalledPackage, KeyIndex, StoredKey};

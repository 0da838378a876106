//! Keys of what sessions install: facts, the recipe that names those that count, the key made of them, entries kept.

mod inputs;
mod key;
mod key_index;
mod requested_installs;

pub use inputs::{KeyContext, KeyInput, KeyInputKind};
pub(crate) use key::CacheKey;
pub use key::{CacheKeyParts, DependencyFingerprint};
pub use key_index::KeyInputChange;
pub(crate) use key_index::{InstalledPackage, KeyIndex, StoredKey};

//! Keys of what sessions install: facts, the recipe that names those that count, the key made of them, entries kept.

mod fingerprint;
mod inputs;
mod key;
mod key_index;
mod requested_installs;

pub use fingerprint::{DependencyFingerprint, FINGERPRINT_VERSION};
pub use inputs::{KeyContext, KeyInput, KeyInputKind};
pub use key::{CacheKey, CacheKeyParts};
pub use key_index::{InstalledPackage, KeyIndex, KeyIndexError, KeyInputChange, StoredKey};
pub use requested_installs::{RequestedInstalls, parse_installs};

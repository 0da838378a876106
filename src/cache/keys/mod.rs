//! Cache keys: the inputs that determine what a session installs, and an index of past keys.

mod inputs;
mod key;
mod key_index;
mod requested_installs;

pub use inputs::{KeyContext, KeyInput, KeyInputKind};
pub(crate) use key::CacheKey;
pub use key::{CacheKeyParts, KeyInputs};
pub use key_index::KeyInputChange;
pub(crate) use key_index::{InstalledPackage, KeyIndex, StoredKeyInputs};

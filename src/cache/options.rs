//! Options of the store.

use std::path::PathBuf;
use std::time::Duration;

/// Options of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Directory of the store; `None` disables the store.
    pub dir: Option<PathBuf>,
    /// Size limit in bytes, enforced by pruning.
    pub max_size: u64,
    /// Age limit for unused entries, enforced by pruning.
    pub max_unused: Duration,
    /// Size limit of one entry in bytes; larger entries are refused.
    pub max_entry_size: u64,
    /// Further directories to store, such as a tool's own downloads.
    pub directories: Vec<PathBuf>,
    /// Whether to store and restore bytecode. Python does not notice when the source of restored bytecode changes.
    pub bytecode: bool,
    /// Identifier of the signing key of the remote cache, if there is one: its runs have a store of their own below `dir`, so
    /// that nothing from a run without the key is used or uploaded.
    pub signer: Option<String>,
    /// Whether the project has a `noxide.sums`: its runs have a store of their own below `dir`, so that a run with the
    /// file uses nothing that a run without it restored from a remote cache, or built from such entries.
    pub has_checksums: bool,
}

impl StoreOptions {
    /// Default of `max_size`: 20 GB.
    pub(crate) const DEFAULT_MAX_SIZE: u64 = 20_000_000_000;
    /// Default of `max_unused`: 60 days.
    pub(crate) const DEFAULT_MAX_UNUSED: Duration = Duration::from_secs(60 * 24 * 3_600);
    /// Default of `max_entry_size`: 16 GB, twice the size of the largest known wheels.
    pub(crate) const DEFAULT_MAX_ENTRY_SIZE: u64 = 16_000_000_000;
    /// Maximum number of files in an entry.
    pub(crate) const MAX_ENTRY_FILES: usize = 1_000_000;

    /// Returns the identifier of a signing key, from which nobody can compute the key.
    pub fn signer_id(key: &str) -> String {
        let key = blake3::derive_key("noxide 2026 stores of runs with a signing key", key.as_bytes());
        blake3::Hash::from(key).to_hex()[..16].to_owned()
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            dir: None,
            max_size: Self::DEFAULT_MAX_SIZE,
            max_unused: Self::DEFAULT_MAX_UNUSED,
            max_entry_size: Self::DEFAULT_MAX_ENTRY_SIZE,
            directories: Vec::new(),
            bytecode: false,
            signer: None,
            has_checksums: false,
        }
    }
}

//! What a caller chooses of the store.

use std::path::PathBuf;
use std::time::Duration;

/// Options of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// The store's folder; without one the store is off.
    pub dir: Option<PathBuf>,
    /// Bytes that a prune leaves at most.
    pub max_size: u64,
    /// A prune removes what was not used for so long.
    pub max_unused: Duration,
    /// The most that one entry may hold, in bytes; more is refused.
    pub max_entry_size: u64,
    /// Further folders to keep, such as a tool's own downloads.
    pub folders: Vec<PathBuf>,
    /// Whether bytecode is kept and put beside its sources. Python does not look whether such a source was changed since.
    pub bytecode: bool,
}

impl CacheOptions {
    /// 20 GB.
    pub(crate) const DEFAULT_MAX_SIZE: u64 = 20_000_000_000;
    /// Sixty days.
    pub(crate) const DEFAULT_MAX_UNUSED: Duration = Duration::from_secs(60 * 24 * 3_600);
    /// 16 GB: twice the largest wheels there are.
    pub(crate) const DEFAULT_MAX_ENTRY_SIZE: u64 = 16_000_000_000;
    /// The most files that one entry may hold.
    pub(crate) const MAX_ENTRY_FILES: usize = 1_000_000;
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            dir: None,
            max_size: Self::DEFAULT_MAX_SIZE,
            max_unused: Self::DEFAULT_MAX_UNUSED,
            max_entry_size: Self::DEFAULT_MAX_ENTRY_SIZE,
            folders: Vec::new(),
            bytecode: false,
        }
    }
}

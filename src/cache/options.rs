//! What a caller chooses of the store.

use std::ffi::OsString;
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
    pub max_entry: u64,
    /// Further folders to keep, such as a tool's own downloads.
    pub folders: Vec<PathBuf>,
}

impl CacheOptions {
    /// 20 GB.
    pub const MAX_SIZE: u64 = 20_000_000_000;
    /// Sixty days.
    pub const MAX_UNUSED: Duration = Duration::from_secs(60 * 24 * 3_600);
    /// 16 GB: twice the largest wheels there are.
    pub const MAX_ENTRY: u64 = 16_000_000_000;
    /// The most files that one entry may hold.
    pub const MAX_FILES: usize = 1_000_000;

    /// Where the store lies when nobody says so: `noxide` in the user's folder for caches.
    pub fn default_dir(variables: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let absolute = |name: &str| variables(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        caches.map(|caches| caches.join("noxide"))
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            dir: None,
            max_size: Self::MAX_SIZE,
            max_unused: Self::MAX_UNUSED,
            max_entry: Self::MAX_ENTRY,
            folders: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_folder_for_caches() {
        let with = |xdg: &'static str, home: &'static str| {
            CacheOptions::default_dir(&move |name| {
                let value = if name == "HOME" { home } else { xdg };
                (!value.is_empty()).then(|| value.into())
            })
        };
        assert_eq!(with("/x", "/h"), Some("/x/noxide".into()));
        assert_eq!(with("relative", "/h"), Some("/h/.cache/noxide".into()));
        assert_eq!(with("", ""), None);
    }
}

//! Directories of settings and of the user's cache.

use std::path::{Path, PathBuf};

/// Returns the directory whose settings apply: that of the noxfile.
pub(crate) fn settings_root(noxfile: Option<&Path>) -> PathBuf {
    let directory = noxfile.and_then(Path::parent).filter(|directory| !directory.as_os_str().is_empty());
    directory.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns the user's cache directory, shared between projects.
pub(crate) fn user_cache_dir() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("NOXIDE_CACHE_DIR").or_else(|| {
        if cfg!(target_os = "macos") {
            return variable("HOME").map(|home| home.join("Library/Caches/noxide"));
        }
        let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("noxide"))
    })
}

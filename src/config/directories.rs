//! Directories of settings and of the user's cache.

use std::path::{Path, PathBuf};

use crate::fs::may_belong_to_others;

/// Returns the directory whose settings apply: that of the noxfile.
pub(crate) fn settings_root(noxfile: Option<&Path>) -> PathBuf {
    let directory = noxfile.and_then(Path::parent).filter(|directory| !directory.as_os_str().is_empty());
    directory.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns the user's cache directory, shared between projects; `None` if another user may have created it or a directory
/// above it, since programs and packages in it are executed.
pub(crate) fn user_cache_dir() -> Option<PathBuf> {
    let existing = |cache: &PathBuf| cache.ancestors().find(|path| path.exists()).map(Path::to_path_buf);
    configured_cache_dir().filter(|cache| !existing(cache).is_some_and(|path| may_belong_to_others(&path)))
}

fn configured_cache_dir() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("NOXIDE_CACHE_DIR").or_else(|| {
        if cfg!(target_os = "macos") {
            return variable("HOME").map(|home| home.join("Library/Caches/noxide"));
        }
        let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("noxide"))
    })
}

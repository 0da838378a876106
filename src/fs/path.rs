//! Paths that others wrote: which of them stay inside a folder.

use std::path::{Component, Path};

/// The longest path that is taken from others, in bytes: what Linux takes.
const MAX_PATH_LEN: usize = 4_095;

/// The path, if it is relative, plain (`a/b`: no `.`, no `..`, nothing empty) and no longer than systems take.
pub(crate) fn safe_relative_path(text: &str) -> Option<&Path> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() < 256;
    let fits = text.len() <= MAX_PATH_LEN && !text.contains('\0') && text.split('/').all(plain);
    fits.then_some(Path::new(text))
}

/// Whether a link at `place` (itself inside a root, not below a link) leads to somewhere inside the same root.
///
/// `..` may only stand first: after another link it would mean another folder than it says.
pub(crate) fn is_symlink_contained(place: &Path, target: &Path) -> bool {
    let mut depth = place.components().count().saturating_sub(1);
    let mut begun = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => begun = true,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 && !begun => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_taken() {
        for good in ["a", "a/b.py", "..a/b..", "a b", "ä"] {
            assert_eq!(safe_relative_path(good), Some(Path::new(good)));
        }
        let long = "a/".repeat(3_000) + "a";
        for wrong in ["", "/a", "../a", "a/../b", "a//b", "./a", "a/", "a\0b", &long, &"a".repeat(256)] {
            assert_eq!(safe_relative_path(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn links_are_followed_on_paper() {
        let inside = |place: &str, target: &str| is_symlink_contained(Path::new(place), Path::new(target));
        assert!(inside("lib64", "lib"));
        assert!(inside("a/b/c", "../../d") && inside("a/b", "./c"));
        assert!(!inside("a", "b/../c"), "b may be a link");
        assert!(!inside("a", "../b") && !inside("a/b", "../../c") && !inside("a", "/etc/passwd") && !inside("a", ""));
    }
}

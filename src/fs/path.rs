//! Validation of untrusted paths: whether they stay inside a directory.

use std::path::{Component, Path};

/// Maximum length of an untrusted path in bytes: the limit of Linux.
const MAX_PATH_LEN: usize = 4_095;

/// Maximum number of components of an untrusted path: deeper trees exhaust the open files of programs that walk them.
const MAX_PATH_DEPTH: usize = 128;

/// Returns the path if it is relative, has no `.`, `..` or empty components, and is neither too long nor too deep.
pub(crate) fn safe_relative_path(text: &str) -> Option<&Path> {
    let is_plain_name = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() < 256;
    let is_limited = text.len() <= MAX_PATH_LEN && text.matches('/').count() < MAX_PATH_DEPTH;
    let is_safe = is_limited && !text.contains('\0') && text.split('/').all(is_plain_name);
    is_safe.then_some(Path::new(text))
}

/// Returns whether a path is relative and all its components are names.
pub(crate) fn is_contained_path(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Returns whether a link at `path` (inside a root, not below a link) points to a path inside the same root.
///
/// `..` is allowed only at the beginning: after another link it would refer to another directory.
pub(crate) fn is_symlink_contained(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut has_name = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => has_name = true,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 && !has_name => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_accepted() {
        for good in ["a", "a/b.py", "..a/b..", "a b", "ä"] {
            assert_eq!(safe_relative_path(good), Some(Path::new(good)));
        }
        let (long, deep) = ("abcde/".repeat(120) + &"a".repeat(4_000), "a/".repeat(128) + "a");
        for invalid in ["", "/a", "../a", "a/../b", "a//b", "./a", "a/", "a\0b", &long, &deep, &"a".repeat(256)] {
            assert_eq!(safe_relative_path(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn link_targets_are_checked_without_following_them() {
        let is_inside = |path: &str, target: &str| is_symlink_contained(Path::new(path), Path::new(target));
        assert!(is_inside("lib64", "lib"));
        assert!(is_inside("a/b/c", "../../d") && is_inside("a/b", "./c"));
        assert!(!is_inside("a", "b/../c"), "b may be a link");
        assert!(
            !is_inside("a", "../b")
                && !is_inside("a/b", "../../c")
                && !is_inside("a", "/etc/passwd")
                && !is_inside("a", "")
        );
    }
}

//! What a session that lists folders means by it: a look through the whole tree, or a choice of some files. Pure.

use super::access::Accesses;

/// What Git ignores, among the paths that sessions made.
pub type Ignored<'a> = &'a dyn Fn(&str) -> bool;

/// The folder of a path, as paths are kept.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(if path.starts_with('/') { "/" } else { "." }, |(folder, _)| folder)
}

/// Whether a session's walk over the whole tree only comes by a path that Git ignores: it lists the folder, may ask what
/// is there, and opens nothing. So do scanners that look through all and take what is not ignored (semgrep).
pub(super) fn walks_past(user: &Accesses, path: &str, ignored: Ignored<'_>) -> bool {
    let folder = folder_of(path);
    let lists = |folder: &str| user.listed.contains(folder);
    let opened = |other: &&String| folder_of(other) == folder && !user.asked.contains(*other);
    lists(".") && lists(folder) && ignored(path) && !user.read.iter().any(|other| opened(&other))
}

/// Whether a folder lies in the project, so that Git's word counts.
pub(super) fn folder_is_ours(folder: &str) -> bool {
    !folder.starts_with('/')
}

/// Whether a session that listed a folder with this path in it went for others there and left this alone; one that did
/// go for it is known by the file itself.
pub(super) fn is_selective(user: &Accesses, folder: &str) -> bool {
    let within = |above: &str, other: &str| other.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    let in_folder = |other: &str| if folder == "." { !other.starts_with('/') } else { within(folder, other) };
    let mut touched = user.read.iter().chain(user.effects.keys()).map(String::as_str);
    touched.any(in_folder)
}

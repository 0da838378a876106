//! What a session that lists folders means by it: a look through the whole tree, or a choice of some files. Pure.

use super::session_accesses::SessionAccesses;

/// What is known of the project's tree beside what sessions did.
#[derive(Clone, Copy)]
pub(crate) struct ProjectTree<'a> {
    /// What Git ignores, among the paths that sessions made.
    pub(crate) is_ignored: &'a dyn Fn(&str) -> bool,
    /// The folders right below the root that a walk over all of it comes through: neither hidden nor ignored.
    pub(crate) top_level_folders: &'a [String],
}

impl ProjectTree<'_> {
    /// Whether Git ignores a path that a session made.
    pub(super) fn is_ignored(&self, path: &str) -> bool {
        (self.is_ignored)(path)
    }
}

/// The folder of a path, as paths are kept.
pub(super) fn parent_folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(if path.starts_with('/') { "/" } else { "." }, |(folder, _)| folder)
}

/// Whether a session's walk over the whole tree only comes by a path that Git ignores: it lists the folder, may ask what
/// is there, and opens nothing but what it writes itself. So do scanners that look through all and take what is not ignored
/// (semgrep); make, which asks what is there too, lists only where its rules lead it. Or comes by one process's own data and asks what it is: so does pytest, where it collects from the project's root.
pub(super) fn is_only_scanned(user: &SessionAccesses, path: &str, tree: ProjectTree<'_>) -> bool {
    let folder = parent_folder(path);
    let lists = |folder: &str| user.listed.contains(folder);
    if lists(folder) && user.asked.contains(path) && is_process_coverage_file(path) {
        return true;
    }
    let own = |other: &str| user.asked.contains(other) || user.effects.contains_key(other);
    let opens = |other: &String| parent_folder(other) == folder && !own(other);
    let walks = lists(".") && tree.top_level_folders.iter().all(|folder| lists(folder));
    walks && lists(folder) && tree.is_ignored(path) && !user.read.iter().any(opens)
}

/// Whether a file has a name that coverage made up for the data of one process (`.coverage.HOST.pid123.XyR4t…`): nobody
/// can mean it who has not found it in a list, and who wants it opens it. `coverage/data.py`, `filename_suffix`.
fn is_process_coverage_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_process = |part: &str| {
        part.strip_prefix("pid")
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|sign| sign.is_ascii_digit()))
    };
    let parts: Vec<&str> = name.split('.').collect();
    parts.windows(2).any(|pair| is_process(pair[0]) && pair[1].starts_with('X') && pair[1].len() > 5)
}

/// Whether a folder lies in the project, so that Git's word counts.
pub(super) fn is_project_folder(folder: &str) -> bool {
    !folder.starts_with('/')
}

/// Whether a session that listed a folder with this path in it went for others there and left this alone; one that did
/// go for it is known by the file itself.
pub(super) fn is_selective_listing(user: &SessionAccesses, folder: &str) -> bool {
    let within = |above: &str, other: &str| other.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    let in_folder = |other: &str| if folder == "." { !other.starts_with('/') } else { within(folder, other) };
    let mut touched = user.read.iter().chain(user.effects.keys()).map(String::as_str);
    touched.any(in_folder)
}

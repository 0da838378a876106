//! Conflicts: accesses of two sessions to the same path that must not happen concurrently.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::session_accesses::{ConflictFreeFiles, EffectKind, PathEffect, SessionAccesses, parent_directory};
use super::tree_scan::{ProjectTree, is_only_scanned, is_project_directory, is_selective_listing};

/// Kind of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both sessions change the path.
    WriteWrite,
    /// Both sessions change the path and one deletes it, or one removes a directory in which the other uses the path.
    CreateDelete,
    /// One session reads what the other changes.
    ReadWrite,
    /// One session lists a directory in which the other creates or deletes an entry.
    ListCreate,
    /// One session looks up a path that does not exist and that the other creates.
    AbsentCreate,
    /// Both sessions use the same port or socket, and at least one binds it.
    SameAddress,
}

impl ConflictKind {
    /// Returns the kind as shown to users.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WriteWrite => "write–write",
            Self::CreateDelete => "create–delete",
            Self::ReadWrite => "read–write",
            Self::ListCreate => "list–create",
            Self::AbsentCreate => "absent–create",
            Self::SameAddress => "same address",
        }
    }
}

/// Which of two sessions change the path that they conflict on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictWriter {
    /// Only the first session, and the second depends on the path.
    First,
    /// Only the second session, and the first depends on the path.
    Second,
    /// Both sessions, or they use one port or socket.
    Both,
}

impl ConflictWriter {
    /// Returns the session that alone changes the path: the first or the second.
    fn only(is_first: bool) -> Self {
        if is_first { Self::First } else { Self::Second }
    }
}

/// When the accesses of two sessions were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceTiming {
    /// One after the other, the first session first.
    Sequential,
    /// At the same time, or in the other order. Then each trace may contain effects of the other session: a file
    /// with equal content at the end of both may have had other content in between, and a directory may have been listed
    /// before the other session changed it.
    Overlapping,
}

/// One conflict between two sessions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccessConflict {
    /// The path, port or socket; `a = b` if the sessions used one file by two names.
    pub path: String,
    /// Kind of the conflict.
    pub kind: ConflictKind,
    /// What the first session does, such as `deletes and creates (sqlite3)`.
    pub first: String,
    /// What the second session does.
    pub second: String,
    /// Which session changes the path.
    pub writer: ConflictWriter,
    /// Whether the second session reads or looks up what the first creates.
    pub second_reads_output: bool,
}

impl AccessConflict {
    /// Returns whether both sessions change the path.
    pub(crate) fn both_change(&self) -> bool {
        self.writer == ConflictWriter::Both
    }
}

/// Returns the conflicts of two sessions, `first` being earlier in nox's order: one per path, sorted by path.
pub(crate) fn find_conflicts(
    first: &SessionAccesses,
    second: &SessionAccesses,
    tree: ProjectTree<'_>,
    timing: TraceTiming,
) -> Vec<AccessConflict> {
    let only_reads = |accesses: &SessionAccesses| accesses.changes.is_empty() && accesses.bound.is_empty();
    if only_reads(first) && only_reads(second) {
        return Vec::new();
    }
    let mut found = BTreeMap::new();
    let one = SessionSide::new(first, second, tree, timing);
    let other = SessionSide::new(second, first, tree, timing);
    add_write_conflicts(&one, &other, &mut found);
    add_read_conflicts(&one, &other, true, tree, &mut found);
    add_read_conflicts(&other, &one, false, tree, &mut found);
    add_listing_conflicts(&one, &other, true, tree, &mut found);
    add_listing_conflicts(&other, &one, false, tree, &mut found);
    add_address_conflicts(first, second, &mut found);
    let guarded = mutex_guarded_paths(first, second);
    let separate: Vec<&ConflictFreeFiles> = first.conflict_free.intersection(&second.conflict_free).collect();
    let is_separate = |path: &str| separate.iter().any(|files| files.contains(path));
    let is_conflict =
        |conflict: &AccessConflict| !is_guarded_path(&conflict.path, &guarded) && !is_separate(&conflict.path);
    found.into_values().filter(is_conflict).collect()
}

type ConflictsByPath = BTreeMap<String, AccessConflict>;

/// One of the two sessions; its accesses are keyed by file, because a file may have several names.
struct SessionSide<'a> {
    accesses: &'a SessionAccesses,
    other_accesses: &'a SessionAccesses,
    timing: TraceTiming,
    effects: BTreeMap<&'a str, (&'a str, &'a PathEffect)>,
    reads: BTreeMap<&'a str, &'a str>,
}

impl<'a> SessionSide<'a> {
    fn new(
        accesses: &'a SessionAccesses,
        other: &'a SessionAccesses,
        tree: ProjectTree<'_>,
        timing: TraceTiming,
    ) -> Self {
        let mut side =
            Self { accesses, other_accesses: other, timing, effects: BTreeMap::new(), reads: BTreeMap::new() };
        for (path, effect) in &accesses.changes {
            side.effects.insert(side.file_identity(path), (path, effect));
        }
        // A program that walks the whole tree does not depend on ignored files: see tree_scan.rs.
        for path in accesses.read.iter().filter(|path| !is_only_scanned(accesses, path, tree)) {
            side.reads.insert(side.file_identity(path), path);
        }
        side
    }

    /// Returns `device:inode` of a file with several names, otherwise its path.
    fn file_identity(&self, path: &'a str) -> &'a str {
        let alias = self.accesses.hard_links.get(path).or_else(|| self.other_accesses.hard_links.get(path));
        alias.map_or(path, String::as_str)
    }
}

fn describe_effect(effect: &PathEffect) -> String {
    if effect.program.is_empty() {
        effect.kind.verb().to_owned()
    } else {
        format!("{} ({})", effect.kind.verb(), effect.program)
    }
}

/// Returns whether a path is that of a file (`X.lock`, `X.lck` or `lock`) that programs use as a mutex: they create it, and delete it again.
fn is_mutex_file(path: &str) -> bool {
    path.ends_with(".lock") || path.ends_with(".lck") || path.ends_with("/lock")
}

fn add_write_conflicts<'a>(one: &SessionSide<'a>, other: &SessionSide<'a>, found: &mut ConflictsByPath) {
    for (key, (path, effect)) in &one.effects {
        let Some((other_path, second)) = other.effects.get(key) else { continue };
        let kinds = [effect.kind, second.kind];
        let removes = |kind: &EffectKind| {
            matches!(
                kind,
                EffectKind::Deleted
                    | EffectKind::Replaced
                    | EffectKind::CreatedAndDeleted
                    | EffectKind::DirectoryDeleted
            )
        };
        let is_harmless = match kinds {
            // Both create the directory, as with `exist_ok`; removed contents are checked separately.
            [
                EffectKind::DirectoryCreated | EffectKind::DirectoryReplaced,
                EffectKind::DirectoryCreated | EffectKind::DirectoryReplaced,
            ] => true,
            [EffectKind::CreatedAndDeleted, EffectKind::CreatedAndDeleted] => is_mutex_file(path),
            _ if kinds.iter().any(removes) => false,
            // Both sessions leave the same bytes: the order does not matter. If they overlapped, both digests may have been
            // taken after one write; equality is certain only if one session found the bytes that the other left.
            _ => {
                let is_certain = one.timing == TraceTiming::Sequential || kinds.contains(&EffectKind::Rewritten);
                is_certain && effect.digest.is_some() && effect.digest == second.digest
            }
        };
        if is_harmless {
            continue;
        }
        let kind = if kinds.iter().any(removes) { ConflictKind::CreateDelete } else { ConflictKind::WriteWrite };
        let path = if path == other_path { (*path).to_owned() } else { format!("{path} = {other_path}") };
        let conflict = AccessConflict {
            path: path.clone(),
            kind,
            first: describe_effect(effect),
            second: describe_effect(second),
            writer: ConflictWriter::Both,
            second_reads_output: false,
        };
        found.insert(path, conflict);
    }
    for (one, other, writer_is_first) in [(one, other, true), (other, one, false)] {
        for (directory, effect) in &one.accesses.changes {
            if matches!(effect.kind, EffectKind::DirectoryDeleted | EffectKind::DirectoryReplaced) {
                add_removed_directory_conflict(directory, effect, other, writer_is_first, found);
            }
        }
    }
}

/// Adds a conflict if one session removes a directory in which the other has files.
fn add_removed_directory_conflict(
    directory: &str,
    effect: &PathEffect,
    other: &SessionSide<'_>,
    writer_is_first: bool,
    found: &mut ConflictsByPath,
) {
    let below = |path: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    let changed = other
        .accesses
        .changes
        .iter()
        .find(|(path, effect)| below(path) && effect.kind != EffectKind::CreatedAndDeleted);
    let read = other.reads.values().copied().filter(|path| below(path)).min();
    let (path, other_action) = match (changed, read) {
        (Some((path, effect)), _) => (path.as_str(), describe_effect(effect)),
        (None, Some(path)) => (path, "reads".to_owned()),
        (None, None) => return,
    };
    if found.contains_key(path) {
        return;
    }
    let removal = format!("{} {directory}", describe_effect(effect));
    let (first, second) = if writer_is_first { (removal, other_action) } else { (other_action, removal) };
    let path = path.to_owned();
    let conflict = AccessConflict {
        path: path.clone(),
        kind: ConflictKind::CreateDelete,
        first,
        second,
        writer: if changed.is_some() { ConflictWriter::Both } else { ConflictWriter::only(writer_is_first) },
        second_reads_output: false,
    };
    found.insert(path, conflict);
}

/// Adds a conflict for each path that `writer` changes and `reader` reads or looks up. `writer_is_first` is set if the writer is
/// the first session.
fn add_read_conflicts<'a>(
    writer: &SessionSide<'a>,
    reader: &SessionSide<'a>,
    writer_is_first: bool,
    tree: ProjectTree<'_>,
    found: &mut ConflictsByPath,
) {
    for (key, (path, effect)) in &writer.effects {
        if effect.kind == EffectKind::Rewritten || reader.effects.contains_key(key) {
            continue; // the content stays the same, or both change it
        }
        let read = reader.reads.get(key).filter(|_| !effect.kind.is_directory());
        let looks_up = || {
            reader.accesses.absent.contains(*path)
                && !(effect.kind == EffectKind::CreatedAndDeleted && is_mutex_file(path))
        };
        let (kind, action, shown) = if let Some(read) = read {
            let shown = if read == path { (*path).to_owned() } else { format!("{path} = {read}") };
            (ConflictKind::ReadWrite, "reads", shown)
        } else if looks_up() && !(effect.kind.is_directory() && tree.is_ignored(path)) {
            (ConflictKind::AbsentCreate, "looks for", (*path).to_owned())
        } else {
            continue;
        };
        let second_reads_output = writer_is_first
            && !matches!(
                effect.kind,
                EffectKind::Deleted | EffectKind::CreatedAndDeleted | EffectKind::DirectoryDeleted
            );
        let (first, second) = if writer_is_first {
            (describe_effect(effect), action.to_owned())
        } else {
            (action.to_owned(), describe_effect(effect))
        };
        let writer = ConflictWriter::only(writer_is_first);
        let conflict = AccessConflict { path: shown.clone(), kind, first, second, writer, second_reads_output };
        found.entry(shown).or_insert(conflict);
    }
}

/// Adds a conflict for each entry that `writer` creates or deletes in a directory that `reader` lists.
fn add_listing_conflicts<'a>(
    writer: &SessionSide<'a>,
    reader: &SessionSide<'a>,
    writer_is_first: bool,
    tree: ProjectTree<'_>,
    found: &mut ConflictsByPath,
) {
    for (path, effect) in &writer.accesses.changes {
        let directory = parent_directory(path);
        if !reader.accesses.listed.contains(directory)
            || found.contains_key(path)
            || reader.accesses.changes.contains_key(path)
        {
            continue;
        }
        let is_created = matches!(effect.kind, EffectKind::Created | EffectKind::DirectoryCreated);
        let is_deleted = matches!(effect.kind, EffectKind::Deleted | EffectKind::DirectoryDeleted);
        if !is_created && !is_deleted {
            continue;
        }
        // A tree scan does not look for files that Git ignores.
        if (tree.is_ignored(path) && !tree.is_ignored(directory) && is_project_directory(directory))
            || is_only_scanned(reader.accesses, path, tree)
        {
            continue;
        }
        let existed_when_listed =
            reader.timing == TraceTiming::Sequential && if writer_is_first { is_created } else { is_deleted };
        if existed_when_listed && is_selective_listing(reader.accesses, directory) {
            continue;
        }
        let action = format!("lists {directory}");
        let (first, second) =
            if writer_is_first { (describe_effect(effect), action) } else { (action, describe_effect(effect)) };
        let conflict = AccessConflict {
            path: path.clone(),
            kind: ConflictKind::ListCreate,
            first,
            second,
            writer: ConflictWriter::only(writer_is_first),
            second_reads_output: writer_is_first && is_created,
        };
        found.insert(path.clone(), conflict);
    }
}

/// Adds ports and sockets that both sessions use.
fn add_address_conflicts(first: &SessionAccesses, second: &SessionAccesses, found: &mut ConflictsByPath) {
    let (binds, connects) = ("binds", "connects to");
    let mut add = |address: &String, one: &str, other: &str| {
        let conflict = AccessConflict {
            path: address.clone(),
            kind: ConflictKind::SameAddress,
            first: one.to_owned(),
            second: other.to_owned(),
            writer: ConflictWriter::Both,
            second_reads_output: false,
        };
        found.entry(address.clone()).or_insert(conflict);
    };
    for address in first.bound.intersection(&second.bound) {
        add(address, binds, binds);
    }
    for address in first.bound.intersection(&second.connected) {
        add(address, binds, connects);
    }
    for address in first.connected.intersection(&second.bound) {
        add(address, connects, binds);
    }
}

/// Returns `X` for each mutex file `X.lock` that both sessions created and deleted.
///
/// Twisted's Trial locks `_trial_temp` in this way: if it is locked, the next process uses `_trial_temp-1`. Git's lock files
/// protect single writes: which of two sessions moves a branch first still matters.
fn mutex_guarded_paths<'a>(first: &'a SessionAccesses, second: &SessionAccesses) -> Vec<&'a str> {
    let has_locked = |accesses: &SessionAccesses, path: &String| {
        accesses.changes.get(path).is_some_and(|one| one.kind == EffectKind::CreatedAndDeleted)
    };
    let mutex_files = first.changes.keys().filter(|path| has_locked(first, path) && has_locked(second, path));
    mutex_files
        .filter_map(|path| path.strip_suffix(".lock").filter(|guarded| !guarded.is_empty() && !guarded.ends_with('/')))
        .filter(|guarded| !guarded.split('/').any(|name| name == ".git"))
        .collect()
}

/// Returns whether a path is one of the guarded paths or lies below one.
fn is_guarded_path(path: &str, guarded: &[&str]) -> bool {
    guarded
        .iter()
        .any(|directory| path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds accesses from phrases such as `read a, create b, list ., bind port 1`.
    fn session(actions: &str) -> SessionAccesses {
        let mut all = SessionAccesses::default();
        for phrase in actions.split(", ").filter(|phrase| !phrase.is_empty()) {
            let (verb, object) = phrase.split_once(' ').unwrap();
            let (path, digest) =
                object.split_once('#').map_or((object, None), |(path, digest)| (path, Some(digest.into())));
            let kind = match verb {
                "create" => EffectKind::Created,
                "write" => EffectKind::Written,
                "rewrite" => EffectKind::Rewritten,
                "replace" => EffectKind::Replaced,
                "delete" => EffectKind::Deleted,
                "create-delete" => EffectKind::CreatedAndDeleted,
                "mkdir" => EffectKind::DirectoryCreated,
                "rmdir" => EffectKind::DirectoryDeleted,
                "recreate-dir" => EffectKind::DirectoryReplaced,
                set => {
                    let set = match set {
                        "read" => &mut all.read,
                        "stat" => {
                            all.stat_only.insert(path.to_owned());
                            &mut all.read
                        }
                        "look-up" => &mut all.absent,
                        "list" => &mut all.listed,
                        "bind" => &mut all.bound,
                        "connect" => &mut all.connected,
                        other => panic!("unknown verb: {other}"),
                    };
                    set.insert(path.to_owned());
                    continue;
                }
            };
            all.changes
                .insert(path.to_owned(), PathEffect { kind, digest, program: String::new(), keeps_content: false });
        }
        all
    }

    /// Returns each conflict as `kind path`, followed by ` →` if the second session reads the output of the first.
    fn between(first: &str, second: &str) -> Vec<String> {
        let tree =
            ProjectTree { is_ignored: &|path| path.starts_with("ignored"), top_level_directories: &["src".to_owned()] };
        let found = find_conflicts(&session(first), &session(second), tree, TraceTiming::Sequential);
        let reversed = find_conflicts(&session(second), &session(first), tree, TraceTiming::Sequential).into_iter();
        let mut reversed: Vec<(ConflictKind, String)> =
            reversed.map(|conflict| (conflict.kind, conflict.path)).collect();
        let mut forward: Vec<_> = found.iter().map(|conflict| (conflict.kind, conflict.path.clone())).collect();
        // A listing conflict depends on which order was observed, so the two directions may differ.
        forward.retain(|(kind, _)| *kind != ConflictKind::ListCreate);
        reversed.retain(|(kind, _)| *kind != ConflictKind::ListCreate);
        assert_eq!(forward, reversed, "{first} | {second}: the conflicts do not depend on the order");
        let shown = |conflict: &AccessConflict| {
            format!(
                "{} {}{}",
                conflict.kind.as_str(),
                conflict.path,
                if conflict.second_reads_output { " →" } else { "" }
            )
        };
        found.iter().map(shown).collect()
    }

    #[test]
    fn pairs_of_accesses_conflict_or_not() {
        let none: &[&str] = &[];
        for (first, second, expected) in [
            ("create a#1", "create a#2", &["write–write a"] as &[&str]),
            ("create a#1", "create a#1", none), // the same content in either order
            ("create a#1", "rewrite a#1", none),
            ("write a#1", "write a#2", &["write–write a"]),
            ("write a", "write a", &["write–write a"]), // unknown digests are not equal
            ("replace a#1", "replace a#1", &["create–delete a"]), // missing for a while
            ("create a#1", "delete a", &["create–delete a"]),
            ("create-delete a", "create-delete a", &["create–delete a"]),
            ("create-delete a.lock", "create-delete a.lock", none), // a mutex file
            ("mkdir d", "mkdir d", none),                           // as with exist_ok
            ("recreate-dir d", "mkdir d", none),
            ("recreate-dir d", "create d/a#1", &["create–delete d/a"]),
            ("rmdir d", "read d/a", &["create–delete d/a"]),
            ("rmdir d", "create-delete d/a", none),
            ("rmdir d", "read dd/a", none), // a directory with the same prefix
            ("create a#1", "read a", &["read–write a →"]),
            ("rewrite a#1", "read a", none), // nothing changed for the reader
            ("delete a", "read a", &["read–write a"]),
            ("create a#1", "look-up a", &["absent–create a →"]),
            ("create-delete a.lock", "look-up a.lock", none),
            ("mkdir ignored/d", "look-up ignored/d", none),
            ("create ignored/a", "look-up ignored/a", &["absent–create ignored/a →"]),
            ("read a", "read a", none),
            ("bind port 1", "bind port 1", &["same address port 1"]),
            ("bind port 1", "connect port 1", &["same address port 1"]),
            ("connect port 1", "connect port 1", none),
            ("bind port 1", "bind port 2", none),
            ("", "write a#1", none),
        ] {
            assert_eq!(between(first, second), expected, "{first} | {second}");
        }
    }

    #[test]
    fn listings_conflict_with_created_and_deleted_entries_that_are_used() {
        for (first, second, expected) in [
            ("create d/a#1", "list d", &["list–create d/a →"] as &[&str]),
            ("create d/a#1", "list d, read d/b", &[]), // the first session's file was listed, and another was read
            ("create a#1", "list .", &["list–create a →"]),
            ("create /etc/a#1", "list /etc", &["list–create /etc/a →"]),
            ("delete d/a", "list d", &["list–create d/a"]),
            ("write d/a#1", "list d", &[]), // the listing is the same
            ("create ignored/a#1", "list ignored", &["list–create ignored/a →"]),
            ("create ignored#1", "list .", &[]), // a scan of the tree skips ignored files
            ("mkdir ignored", "list .", &[]),
            ("mkdir .benchmarks", "list .", &["list–create .benchmarks →"]), // the session may count names
            ("list d", "create d/a#1", &["list–create d/a"]),
            // A tree scan lists ignored files without opening them.
            ("list ., list src, list ignored, stat ignored/a", "write ignored/a#1", &[]),
            ("list ., list src, list ignored, stat ignored/a", "recreate-dir ignored, replace ignored/a#1", &[]),
            ("list ., list src, list ignored", "create ignored/a#1", &[]),
            ("list ., list src, list ignored, read ignored/b, write ignored/b#1", "create ignored/a#1", &[]),
            ("list ., list src, list ignored, read ignored/b", "create ignored/a#1", &["list–create ignored/a"]),
            ("list ., list src, list ignored, read ignored/a", "write ignored/a#1", &["read–write ignored/a"]),
            ("list ., list ignored, stat ignored/a", "write ignored/a#1", &["read–write ignored/a"]), // `src` is not listed: no tree scan
            ("list ., list d, stat d/a", "write d/a#1", &["read–write d/a"]),
            // Per-process coverage data: found only by listing, read only by opening.
            ("list ., stat .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &[]),
            ("list ., read .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &["read–write .c.h.pid12.XaBcDeF"]),
            ("stat .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &["read–write .c.h.pid12.XaBcDeF"]),
            ("list ., stat .c.h.pid.XaBcDeF", "create .c.h.pid.XaBcDeF#1", &["read–write .c.h.pid.XaBcDeF"]),
        ] {
            assert_eq!(between(first, second), expected, "{first} | {second}");
        }
    }

    #[test]
    fn overlapping_traces_prove_less() {
        let tree = ProjectTree { is_ignored: &|_| false, top_level_directories: &[] };
        let between = |first: &str, second: &str| {
            let found = find_conflicts(&session(first), &session(second), tree, TraceTiming::Overlapping);
            found.into_iter().map(|each| (each.path, each.writer, each.second_reads_output)).collect::<Vec<_>>()
        };
        let one = |path: &str, writer, reads| vec![(path.to_owned(), writer, reads)];
        // Each may have seen the other's content at its end.
        assert_eq!(between("create a#1", "create a#1"), one("a", ConflictWriter::Both, false));
        assert_eq!(between("create a#1", "rewrite a#1"), [], "the second found what the first left");
        assert_eq!(between("create d/a#1", "list d, read d/b"), one("d/a", ConflictWriter::First, true));
        assert_eq!(between("list d, read d/b", "create d/a#1"), one("d/a", ConflictWriter::Second, false));
        assert_eq!(between("read a", "write a#1"), one("a", ConflictWriter::Second, false));
        assert_eq!(between("rmdir d", "read d/a"), one("d/a", ConflictWriter::First, false));
    }

    #[test]
    fn paths_guarded_by_a_lock_file_do_not_conflict() {
        let uses = "create-delete t.lock, delete t/a, create t/a#1, recreate-dir t";
        assert_eq!(between(uses, uses), Vec::<String>::new());
        let more = format!("{uses}, write tt#1");
        assert_eq!(between(&more, &format!("{uses}, write tt#2")), ["write–write tt"]);
        assert_eq!(
            between(
                "create-delete .git/HEAD.lock, write .git/HEAD#1",
                "create-delete .git/HEAD.lock, write .git/HEAD#2"
            ),
            ["write–write .git/HEAD"]
        );
        assert_eq!(
            between(uses, "write t/a#2"),
            ["write–write t/a"],
            "a session that does not use the mutex file conflicts"
        );
    }

    #[test]
    fn hard_links_are_one_file() {
        let tree = ProjectTree { is_ignored: &|_| false, top_level_directories: &[] };
        let mut first = session("write a#1");
        let mut second = session("write b#2");
        first.hard_links.insert("a".to_owned(), "1:7".to_owned());
        second.hard_links.insert("b".to_owned(), "1:7".to_owned());
        let found = find_conflicts(&first, &second, tree, TraceTiming::Sequential);
        assert_eq!(found.iter().map(|each| each.path.as_str()).collect::<Vec<_>>(), ["a = b"]);
        let mut reader = session("read b");
        reader.hard_links.insert("b".to_owned(), "1:7".to_owned());
        let found = find_conflicts(&first, &reader, tree, TraceTiming::Sequential);
        assert_eq!((found[0].kind, found[0].path.as_str()), (ConflictKind::ReadWrite, "a = b"));
    }
}

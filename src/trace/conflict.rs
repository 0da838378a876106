//! Conflicts: accesses of two sessions to the same path that must not happen concurrently. Pure functions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::session_accesses::{EffectKind, PathEffect, SessionAccesses};
use super::tree_scan::{ProjectTree, is_only_scanned, is_project_folder, is_selective_listing, parent_folder};

/// Kind of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both sessions change the path.
    WriteWrite,
    /// Both sessions change the path, and one of them deletes it.
    CreateDelete,
    /// One session reads what the other changes.
    ReadWrite,
    /// One session lists a directory in which the other creates or deletes an entry.
    ListCreate,
    /// One session looks up a path that the other creates.
    AbsentCreate,
    /// Both sessions need the same port or socket.
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

/// One conflict between two sessions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccessConflict {
    /// The path, port or socket.
    pub path: String,
    /// Kind of the conflict.
    pub kind: ConflictKind,
    /// What the first session does, such as `deletes and creates (sqlite3)`.
    pub first: String,
    /// What the second session does.
    pub second: String,
    /// Whether both sessions change the path.
    pub both_change: bool,
    /// Whether the second session reads or looks up what the first creates.
    pub second_reads_output: bool,
}

/// Returns the conflicts of two sessions, `first` being earlier in nox's order: one per path, sorted by path.
pub(crate) fn find_conflicts(
    first: &SessionAccesses,
    second: &SessionAccesses,
    tree: ProjectTree<'_>,
) -> Vec<AccessConflict> {
    let mut found = BTreeMap::new();
    let one = SessionSide::new(first, second, tree);
    let other = SessionSide::new(second, first, tree);
    add_write_conflicts(&one, &other, &mut found);
    add_read_conflicts(&one, &other, true, tree, &mut found);
    add_read_conflicts(&other, &one, false, tree, &mut found);
    add_listing_conflicts(&one, &other, true, tree, &mut found);
    add_listing_conflicts(&other, &one, false, tree, &mut found);
    add_address_conflicts(first, second, &mut found);
    let guarded = lock_guarded_paths(first, second);
    found.into_values().filter(|conflict| !is_guarded_path(&conflict.path, &guarded)).collect()
}

type ConflictsByPath = BTreeMap<String, AccessConflict>;

/// One of the two sessions, with paths canonicalized where a file has several names.
struct SessionSide<'a> {
    accesses: &'a SessionAccesses,
    other_accesses: &'a SessionAccesses,
    effects: BTreeMap<&'a str, (&'a str, &'a PathEffect)>,
    reads: BTreeMap<&'a str, &'a str>,
}

impl<'a> SessionSide<'a> {
    fn new(all: &'a SessionAccesses, other: &'a SessionAccesses, tree: ProjectTree<'_>) -> Self {
        let mut side = Self { accesses: all, other_accesses: other, effects: BTreeMap::new(), reads: BTreeMap::new() };
        for (path, effect) in &all.changes {
            side.effects.insert(side.canonical_path(path), (path, effect));
        }
        for path in all.read.iter().filter(|path| !is_only_scanned(all, path, tree)) {
            side.reads.insert(side.canonical_path(path), path);
        }
        side
    }

    fn canonical_path(&self, path: &'a str) -> &'a str {
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

/// Returns whether a path names a lock file: creating and deleting it on both sides is how the programs synchronize.
fn is_lock_file(path: &str) -> bool {
    path.ends_with(".lock") || path.ends_with(".lck") || path.ends_with("/lock")
}

fn add_write_conflicts<'a>(one: &SessionSide<'a>, other: &SessionSide<'a>, found: &mut ConflictsByPath) {
    for (key, (path, effect)) in &one.effects {
        let Some((other_path, second)) = other.effects.get(key) else { continue };
        let kinds = [effect.kind, second.kind];
        let takes_away = |kind: &EffectKind| {
            matches!(
                kind,
                EffectKind::Deleted
                    | EffectKind::Replaced
                    | EffectKind::CreatedAndDeleted
                    | EffectKind::DirectoryDeleted
            )
        };
        let same = match kinds {
            // Both create the directory, as with `exist_ok`; removed contents are checked separately.
            [
                EffectKind::DirectoryCreated | EffectKind::DirectoryReplaced,
                EffectKind::DirectoryCreated | EffectKind::DirectoryReplaced,
            ] => true,
            [EffectKind::CreatedAndDeleted, EffectKind::CreatedAndDeleted] => is_lock_file(path),
            _ if kinds.iter().any(takes_away) => false,
            // One session wrote the file, the other left the same bytes: the order does not matter.
            _ => effect.digest.is_some() && effect.digest == second.digest,
        };
        if same {
            continue;
        }
        let kind = if kinds.iter().any(takes_away) { ConflictKind::CreateDelete } else { ConflictKind::WriteWrite };
        let path = if path == other_path { (*path).to_owned() } else { format!("{path} = {other_path}") };
        let conflict = AccessConflict {
            path: path.clone(),
            kind,
            first: describe_effect(effect),
            second: describe_effect(second),
            both_change: true,
            second_reads_output: false,
        };
        found.insert(path, conflict);
    }
    for (one, other, in_order) in [(one, other, true), (other, one, false)] {
        for (folder, effect) in &one.accesses.changes {
            if matches!(effect.kind, EffectKind::DirectoryDeleted | EffectKind::DirectoryReplaced) {
                add_removed_folder_conflict(folder, effect, other, in_order, found);
            }
        }
    }
}

/// Adds a conflict if one session removes a directory in which the other has files.
fn add_removed_folder_conflict(
    folder: &str,
    effect: &PathEffect,
    other: &SessionSide<'_>,
    in_order: bool,
    found: &mut ConflictsByPath,
) {
    let below = |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let changed = other
        .accesses
        .changes
        .iter()
        .find(|(path, effect)| below(path) && effect.kind != EffectKind::CreatedAndDeleted);
    let read = other.reads.values().copied().filter(|path| below(path)).min();
    let (path, doing) = match (changed, read) {
        (Some((path, effect)), _) => (path.as_str(), describe_effect(effect)),
        (None, Some(path)) => (path, "reads".to_owned()),
        (None, None) => return,
    };
    if found.contains_key(path) {
        return;
    }
    let remover = format!("{} {folder}", describe_effect(effect));
    let (first, second) = if in_order { (remover, doing) } else { (doing, remover) };
    let both = changed.is_some();
    let path = path.to_owned();
    let conflict = AccessConflict {
        path: path.clone(),
        kind: ConflictKind::CreateDelete,
        first,
        second,
        both_change: both,
        second_reads_output: false,
    };
    found.insert(path, conflict);
}

/// Adds what `user` reads or looks up and `maker` changes. `in_order`: the maker is the first session.
fn add_read_conflicts<'a>(
    maker: &SessionSide<'a>,
    user: &SessionSide<'a>,
    in_order: bool,
    tree: ProjectTree<'_>,
    found: &mut ConflictsByPath,
) {
    for (key, (path, effect)) in &maker.effects {
        if effect.kind == EffectKind::Rewritten || user.effects.contains_key(key) {
            continue; // nothing changes, or both change it
        }
        let read = user.reads.get(key).filter(|_| !effect.kind.is_folder());
        let looks = || {
            user.accesses.absent.contains(*path)
                && !(effect.kind == EffectKind::CreatedAndDeleted && is_lock_file(path))
        };
        let (kind, doing, shown) = if let Some(read) = read {
            let shown = if read == path { (*path).to_owned() } else { format!("{path} = {read}") };
            (ConflictKind::ReadWrite, "reads", shown)
        } else if looks() && !(effect.kind.is_folder() && tree.is_ignored(path)) {
            (ConflictKind::AbsentCreate, "looks for", (*path).to_owned())
        } else {
            continue;
        };
        let makes = in_order
            && !matches!(
                effect.kind,
                EffectKind::Deleted | EffectKind::CreatedAndDeleted | EffectKind::DirectoryDeleted
            );
        let (first, second) = if in_order {
            (describe_effect(effect), doing.to_owned())
        } else {
            (doing.to_owned(), describe_effect(effect))
        };
        let conflict =
            AccessConflict { path: shown.clone(), kind, first, second, both_change: false, second_reads_output: makes };
        found.entry(shown).or_insert(conflict);
    }
}

/// Adds directories that `user` lists and in which `maker` creates or deletes an entry.
fn add_listing_conflicts<'a>(
    maker: &SessionSide<'a>,
    user: &SessionSide<'a>,
    in_order: bool,
    tree: ProjectTree<'_>,
    found: &mut ConflictsByPath,
) {
    for (path, effect) in &maker.accesses.changes {
        let folder = parent_folder(path);
        if !user.accesses.listed.contains(folder)
            || found.contains_key(path)
            || user.accesses.changes.contains_key(path)
        {
            continue;
        }
        let stays = matches!(effect.kind, EffectKind::Created | EffectKind::DirectoryCreated);
        let goes = matches!(effect.kind, EffectKind::Deleted | EffectKind::DirectoryDeleted);
        if !stays && !goes {
            continue;
        }
        // A tree scan does not look for files that Git ignores.
        if (tree.is_ignored(path) && !tree.is_ignored(folder) && is_project_folder(folder))
            || is_only_scanned(user.accesses, path, tree)
        {
            continue;
        }
        let was_there = if in_order { stays } else { goes };
        if was_there && is_selective_listing(user.accesses, folder) {
            continue;
        }
        let doing = format!("lists {folder}");
        let (first, second) =
            if in_order { (describe_effect(effect), doing) } else { (doing, describe_effect(effect)) };
        let conflict = AccessConflict {
            path: path.clone(),
            kind: ConflictKind::ListCreate,
            first,
            second,
            both_change: false,
            second_reads_output: in_order && stays,
        };
        found.insert(path.clone(), conflict);
    }
}

/// Adds ports and sockets that both sessions use.
fn add_address_conflicts(first: &SessionAccesses, second: &SessionAccesses, found: &mut ConflictsByPath) {
    let (binds, connects) = ("binds", "connects to");
    let mut add = |address: &String, one: &str, other: &str, both| {
        let conflict = AccessConflict {
            path: address.clone(),
            kind: ConflictKind::SameAddress,
            first: one.to_owned(),
            second: other.to_owned(),
            both_change: both,
            second_reads_output: false,
        };
        found.entry(address.clone()).or_insert(conflict);
    };
    for address in first.bound.intersection(&second.bound) {
        add(address, binds, binds, true);
    }
    for address in first.bound.intersection(&second.connected) {
        add(address, binds, connects, true);
    }
    for address in first.connected.intersection(&second.bound) {
        add(address, connects, binds, true);
    }
}

/// Returns `X` for each lock file `X.lock` that both sessions created and deleted.
///
/// Trial does so with `_trial_temp`: if it is locked, the next process uses `_trial_temp-1`.
fn lock_guarded_paths<'a>(first: &'a SessionAccesses, second: &SessionAccesses) -> Vec<&'a str> {
    let took = |all: &SessionAccesses, path: &String| {
        all.changes.get(path).is_some_and(|one| one.kind == EffectKind::CreatedAndDeleted)
    };
    let locks = first.changes.keys().filter(|path| took(first, path) && took(second, path));
    locks
        .filter_map(|path| path.strip_suffix(".lock").filter(|what| !what.is_empty() && !what.ends_with('/')))
        .collect()
}

/// Returns whether a path is one of the guarded paths or lies below one.
fn is_guarded_path(path: &str, guarded: &[&str]) -> bool {
    guarded.iter().any(|what| path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds accesses from words such as `read a, create b, list ., bind port 1`.
    fn session(does: &str) -> SessionAccesses {
        let mut all = SessionAccesses::default();
        for word in does.split(", ").filter(|word| !word.is_empty()) {
            let (verb, what) = word.split_once(' ').unwrap();
            let (path, digest) =
                what.split_once('#').map_or((what, None), |(path, digest)| (path, Some(digest.into())));
            let kind = match verb {
                "create" => EffectKind::Created,
                "write" => EffectKind::Written,
                "rewrite" => EffectKind::Rewritten,
                "replace" => EffectKind::Replaced,
                "delete" => EffectKind::Deleted,
                "scratch" => EffectKind::CreatedAndDeleted,
                "make" => EffectKind::DirectoryCreated,
                "unmake" => EffectKind::DirectoryDeleted,
                "remake" => EffectKind::DirectoryReplaced,
                set => {
                    let set = match set {
                        "read" => &mut all.read,
                        "ask" => {
                            all.stat_only.insert(path.to_owned());
                            &mut all.read
                        }
                        "miss" => &mut all.absent,
                        "list" => &mut all.listed,
                        "bind" => &mut all.bound,
                        "connect" => &mut all.connected,
                        other => panic!("no such verb: {other}"),
                    };
                    set.insert(path.to_owned());
                    continue;
                }
            };
            all.changes.insert(path.to_owned(), PathEffect { kind, digest, program: String::new() });
        }
        all
    }

    /// Returns each conflict as `kind path`, followed by ` →` if the second session needs what the first creates.
    fn between(first: &str, second: &str) -> Vec<String> {
        let tree =
            ProjectTree { is_ignored: &|path| path.starts_with("ignored"), top_level_folders: &["src".to_owned()] };
        let found = find_conflicts(&session(first), &session(second), tree);
        let turned = find_conflicts(&session(second), &session(first), tree).into_iter();
        let mut turned: Vec<(ConflictKind, String)> = turned.map(|conflict| (conflict.kind, conflict.path)).collect();
        let mut straight: Vec<_> = found.iter().map(|conflict| (conflict.kind, conflict.path.clone())).collect();
        // A listing conflict depends on which order was observed, so the two directions may differ.
        straight.retain(|(kind, _)| *kind != ConflictKind::ListCreate);
        turned.retain(|(kind, _)| *kind != ConflictKind::ListCreate);
        assert_eq!(straight, turned, "{first} | {second}: the same whoever comes first");
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
            ("create a#1", "create a#1", none), // the same bytes, whatever the order
            ("create a#1", "rewrite a#1", none),
            ("write a#1", "write a#2", &["write–write a"]),
            ("write a", "write a", &["write–write a"]), // bytes that nobody knows are not the same
            ("replace a#1", "replace a#1", &["create–delete a"]), // gone for a while
            ("create a#1", "delete a", &["create–delete a"]),
            ("scratch a", "scratch a", &["create–delete a"]),
            ("scratch a.lock", "scratch a.lock", none), // made to keep them apart
            ("make d", "make d", none),                 // as by exist_ok
            ("remake d", "make d", none),
            ("remake d", "create d/a#1", &["create–delete d/a"]),
            ("unmake d", "read d/a", &["create–delete d/a"]),
            ("unmake d", "scratch d/a", none),
            ("unmake d", "read dd/a", none), // another folder whose name begins alike
            ("create a#1", "read a", &["read–write a →"]),
            ("rewrite a#1", "read a", none), // nothing changed for the reader
            ("delete a", "read a", &["read–write a"]),
            ("create a#1", "miss a", &["absent–create a →"]),
            ("scratch a.lock", "miss a.lock", none),
            ("make ignored/d", "miss ignored/d", none),
            ("create ignored/a", "miss ignored/a", &["absent–create ignored/a →"]),
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
    fn listings_conflict_with_created_and_deleted_entries_unless_unused() {
        for (first, second, expected) in [
            ("create d/a#1", "list d", &["list–create d/a →"] as &[&str]),
            ("create d/a#1", "list d, read d/b", &[]), // it saw it, and went for another
            ("create a#1", "list .", &["list–create a →"]),
            ("create /etc/a#1", "list /etc", &["list–create /etc/a →"]),
            ("delete d/a", "list d", &["list–create d/a"]),
            ("write d/a#1", "list d", &[]), // the listing is the same
            ("create ignored/a#1", "list ignored", &["list–create ignored/a →"]),
            ("create ignored#1", "list .", &[]), // no walk over the tree looks for it
            ("list d", "create d/a#1", &["list–create d/a"]),
            // A tree scan sees ignored files and leaves them alone.
            ("list ., list src, list ignored, ask ignored/a", "write ignored/a#1", &[]),
            ("list ., list src, list ignored, ask ignored/a", "remake ignored, replace ignored/a#1", &[]),
            ("list ., list src, list ignored", "create ignored/a#1", &[]),
            ("list ., list src, list ignored, read ignored/b, write ignored/b#1", "create ignored/a#1", &[]),
            ("list ., list src, list ignored, read ignored/b", "create ignored/a#1", &["list–create ignored/a"]),
            ("list ., list src, list ignored, read ignored/a", "write ignored/a#1", &["read–write ignored/a"]),
            ("list ., list ignored, ask ignored/a", "write ignored/a#1", &["read–write ignored/a"]), // not all of it
            ("list ., list d, ask d/a", "write d/a#1", &["read–write d/a"]),
            // Per-process coverage data: found only by listing, read only by opening.
            ("list ., ask .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &[]),
            ("list ., read .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &["read–write .c.h.pid12.XaBcDeF"]),
            ("ask .c.h.pid12.XaBcDeF", "create .c.h.pid12.XaBcDeF#1", &["read–write .c.h.pid12.XaBcDeF"]),
            ("list ., ask .c.h.pid.XaBcDeF", "create .c.h.pid.XaBcDeF#1", &["read–write .c.h.pid.XaBcDeF"]),
        ] {
            assert_eq!(between(first, second), expected, "{first} | {second}");
        }
    }

    #[test]
    fn paths_guarded_by_a_lock_file_do_not_conflict() {
        let uses = "scratch t.lock, delete t/a, create t/a#1, remake t";
        assert_eq!(between(uses, uses), Vec::<String>::new());
        let beside = format!("{uses}, write tt#1");
        assert_eq!(between(&beside, &format!("{uses}, write tt#2")), ["write–write tt"]);
        assert_eq!(between(uses, "write t/a#2"), ["write–write t/a"], "who does not take it is not kept out");
    }

    #[test]
    fn hard_links_are_one_file() {
        let tree = ProjectTree { is_ignored: &|_| false, top_level_folders: &[] };
        let mut first = session("write a#1");
        let mut second = session("write b#2");
        first.hard_links.insert("a".to_owned(), "1:7".to_owned());
        second.hard_links.insert("b".to_owned(), "1:7".to_owned());
        let found = find_conflicts(&first, &second, tree);
        assert_eq!(found.iter().map(|each| each.path.as_str()).collect::<Vec<_>>(), ["a = b"]);
        let mut reader = session("read b");
        reader.hard_links.insert("b".to_owned(), "1:7".to_owned());
        let found = find_conflicts(&first, &reader, tree);
        assert_eq!((found[0].kind, found[0].path.as_str()), (ConflictKind::ReadWrite, "a = b"));
    }
}

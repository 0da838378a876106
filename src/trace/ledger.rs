//! The sets of one session while it runs, bounded.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::access::{Accesses, Effect, EffectKind};
use super::digest::Standing;
use super::scope::Scope;

/// How many paths one session may touch before its trace is given up as incomplete: some 30 MB.
const MOST_PATHS: usize = 100_000;

/// The sets of one session while it runs.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Which paths count.
    pub(super) scope: Scope,
    entries: HashMap<PathBuf, Entry>,
    listed: HashSet<PathBuf>,
    /// Ports and sockets it bound.
    pub(super) bound: BTreeSet<String>,
    /// Ports and sockets it connected to.
    pub(super) connected: BTreeSet<String>,
    /// Whether it connected to another machine.
    pub(super) network: bool,
    /// Calls looked at.
    pub(super) calls: u64,
    blind: BTreeSet<String>,
}

/// What is known of one path.
#[derive(Debug, Default)]
struct Entry {
    read: bool,
    /// Whether more than its facts was read.
    opened: bool,
    absent: bool,
    effect: Option<Changed>,
    alias: Option<(u64, u64)>,
}

/// A path that the session changed or may have changed.
#[derive(Debug)]
struct Changed {
    before: Standing,
    removed: bool,
    overwritten: bool,
    by: String,
}

impl Ledger {
    /// A session that has not touched anything yet.
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            entries: HashMap::new(),
            listed: HashSet::new(),
            bound: BTreeSet::new(),
            connected: BTreeSet::new(),
            network: false,
            calls: 0,
            blind: BTreeSet::new(),
        }
    }

    /// Something was or may have been missed.
    pub(super) fn misses(&mut self, why: &str) {
        if self.blind.len() < 20 {
            self.blind.insert(why.to_owned());
        }
    }

    fn entry(&mut self, path: &Path, reading: bool) -> Option<&mut Entry> {
        if !self.scope.counts(path, reading) {
            return None;
        }
        if self.entries.len() >= MOST_PATHS && !self.entries.contains_key(path) {
            self.misses("it touches more paths than are kept");
            return None;
        }
        Some(self.entries.entry(path.to_path_buf()).or_default())
    }

    /// A file was read or run.
    pub(super) fn reads(&mut self, path: &Path, facts: Option<&Metadata>) {
        self.asks(path, facts, true);
    }

    /// A file was asked about, or also `opened`.
    pub(super) fn asks(&mut self, path: &Path, facts: Option<&Metadata>, opened: bool) {
        if facts.is_some_and(Metadata::is_dir) {
            return;
        }
        let Some(entry) = self.entry(path, true) else { return };
        // What it made itself is nobody else's.
        let own = |changed: &Changed| changed.before == Standing::Nothing || changed.removed || changed.overwritten;
        entry.read |= !entry.effect.as_ref().is_some_and(own);
        entry.opened |= opened;
        entry.note(facts);
    }

    /// A path was looked for and not found.
    pub(super) fn misses_path(&mut self, path: &Path) {
        if let Some(entry) = self.entry(path, true) {
            entry.absent |= entry.effect.is_none();
        }
    }

    /// A folder was listed.
    pub(super) fn lists(&mut self, path: &Path) {
        if self.listed.len() < MOST_PATHS && self.scope.counts(&path.join("x"), true) {
            self.listed.insert(path.to_path_buf());
        }
    }

    /// A path is about to be made, written or removed. `overwritten`: all its old content goes at once, or it takes
    /// the place of another file; `by` is asked only once a path.
    pub(super) fn changes(&mut self, path: &Path, facts: Option<&Metadata>, how: Change, by: impl FnOnce() -> String) {
        let Some(entry) = self.entry(path, false) else { return };
        entry.note(facts);
        let changed = entry.effect.get_or_insert_with(|| Changed {
            before: Standing::at(path),
            removed: false,
            overwritten: false,
            by: by(),
        });
        match how {
            Change::Remove => changed.removed = true,
            Change::Overwrite => changed.overwritten = true,
            Change::Open => {}
        }
    }

    /// A file gets one more name: all its names mean one file from now on.
    pub(super) fn names_twice(&mut self, path: &Path, facts: Option<&Metadata>) {
        if let (Some(entry), Some(facts)) = (self.entry(path, false), facts) {
            entry.alias = Some((facts.dev(), facts.ino()));
        }
    }

    /// The sets as they are now; what was changed is compared with what stands there.
    pub(super) fn accesses(&mut self) -> Accesses {
        // A cache may have said what it is only after it was filled.
        self.scope.look_again();
        let mut all = Accesses {
            blind: self.blind.iter().cloned().collect(),
            calls: self.calls,
            network: self.network,
            bound: self.bound.clone(),
            connected: self.connected.difference(&self.bound).cloned().collect(),
            ..Accesses::default()
        };
        for folder in &self.listed {
            if self.scope.counts(&folder.join("x"), true) {
                all.listed.insert(self.scope.shown(folder));
            }
        }
        for (path, entry) in &self.entries {
            if !self.scope.counts(path, entry.effect.is_none()) {
                continue;
            }
            let shown = self.scope.shown(path);
            let mut read = entry.read;
            if let Some(changed) = &entry.effect {
                let after = Standing::at(path);
                match changed.became(&after) {
                    Some(kind) => {
                        let digest = after.digest().map(str::to_owned);
                        all.effects.insert(shown.clone(), Effect { kind, digest, by: changed.by.clone() });
                    }
                    None => read |= changed.before != Standing::Folder,
                }
            }
            if let Some((device, inode)) = entry.alias {
                all.aliases.insert(shown.clone(), format!("{device}:{inode}"));
            }
            if entry.absent {
                all.absent.insert(shown.clone());
            }
            if read && !entry.opened && entry.effect.is_none() {
                all.asked.insert(shown.clone());
            }
            if read {
                all.read.insert(shown);
            }
        }
        all
    }
}

/// How a path is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is opened for writing, or made.
    Open,
    /// All of it is replaced at once: cut, or renamed over.
    Overwrite,
    /// It is removed.
    Remove,
}

impl Entry {
    fn note(&mut self, facts: Option<&Metadata>) {
        if let Some(facts) = facts.filter(|facts| facts.is_file() && facts.nlink() > 1) {
            self.alias = Some((facts.dev(), facts.ino()));
        }
    }
}

impl Changed {
    /// What became of the path; none where nothing did.
    fn became(&self, after: &Standing) -> Option<EffectKind> {
        match (&self.before, after) {
            (Standing::Nothing, Standing::Nothing) => Some(EffectKind::Scratch),
            (Standing::Nothing, Standing::Folder) => Some(EffectKind::Made),
            (Standing::Nothing, _) => Some(EffectKind::Created),
            (Standing::Folder, Standing::Nothing) => Some(EffectKind::Unmade),
            (Standing::Folder, Standing::Folder) => self.removed.then_some(EffectKind::Remade),
            (_, Standing::Nothing) => Some(EffectKind::Deleted),
            _ if self.removed => Some(EffectKind::Replaced),
            (before, after) if before != after => Some(EffectKind::Written),
            // Opened for writing and left as it was: a database that was only read, a formatter with nothing to do.
            _ => self.overwritten.then_some(EffectKind::Rewritten),
        }
    }
}

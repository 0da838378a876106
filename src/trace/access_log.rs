//! Access log: the accesses of one running session, limited in size.

use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::access_phase::{AccessPhase, PhaseSet};
use super::path_state::PathState;
use super::scope::TraceScope;
use super::session_accesses::{EffectKind, PathEffect, SessionAccesses};

/// Maximum number of paths per session (about 30 MB); beyond it the trace is marked incomplete.
const MAX_PATHS: usize = 100_000;

/// Accesses of one running session.
#[derive(Debug)]
pub(super) struct AccessLog {
    pub(super) scope: TraceScope,
    /// Lower bound of the time of the accesses that are recorded now.
    pub(super) time: Instant,
    /// Phase of the accesses that are recorded now.
    pub(super) phase: AccessPhase,
    paths: HashMap<PathBuf, PathAccess>,
    listed_directories: HashMap<PathBuf, PhaseSet>,
    /// Ports and sockets the session bound.
    pub(super) bound: BTreeSet<String>,
    /// Ports and sockets the session connected or sent to.
    pub(super) connected: BTreeSet<String>,
    /// Whether the session connected or sent to another machine.
    pub(super) uses_network: bool,
    /// Number of inspected system calls.
    pub(super) call_count: u64,
    incomplete_reasons: BTreeSet<String>,
    unprivileged_program: Option<String>,
}

/// Accesses of one path.
#[derive(Debug)]
struct PathAccess {
    first: Instant,
    phases: PhaseSet,
    read: bool,
    /// Whether the content was read, not only the metadata.
    reads_content: bool,
    /// Whether the content was read before the session wrote the file anew.
    reads_found_content: bool,
    absent: bool,
    change: Option<PathChange>,
    file_id: Option<(u64, u64)>,
}

/// A path that the session changed or may have changed.
#[derive(Debug)]
struct PathChange {
    state_before: PathState,
    removed: bool,
    overwritten: bool,
    /// Whether the file was opened for writing without being emptied.
    modified: bool,
    program: String,
}

impl AccessLog {
    /// Creates an empty log.
    pub(super) fn new(scope: TraceScope) -> Self {
        Self {
            scope,
            time: Instant::now(),
            paths: HashMap::new(),
            phase: AccessPhase::Run,
            listed_directories: HashMap::new(),
            bound: BTreeSet::new(),
            connected: BTreeSet::new(),
            uses_network: false,
            call_count: 0,
            incomplete_reasons: BTreeSet::new(),
            unprivileged_program: None,
        }
    }

    /// Records a program whose setuid bit or capabilities have no effect because the session is traced.
    pub(super) fn record_unprivileged_program(&mut self, path: &Path) {
        let path = path.display().to_string();
        self.mark_incomplete(&format!(
            "it runs {path}, whose setuid bit or capabilities have no effect while it is traced"
        ));
        self.unprivileged_program.get_or_insert(path);
    }

    /// Records a reason why the trace may be incomplete.
    pub(super) fn mark_incomplete(&mut self, reason: &str) {
        if self.incomplete_reasons.len() < 20 {
            self.incomplete_reasons.insert(reason.to_owned());
        }
    }

    fn path_access(&mut self, path: &Path, reading: bool) -> Option<&mut PathAccess> {
        if !self.scope.is_tracked(path, reading) {
            return None;
        }
        if self.paths.len() >= MAX_PATHS && !self.paths.contains_key(path) {
            self.mark_incomplete("it accesses too many paths");
            return None;
        }
        let entry = self.paths.entry(path.to_path_buf()).or_insert_with(|| PathAccess::new(self.time));
        entry.phases.insert(self.phase);
        Some(entry)
    }

    /// Records that a file was read or executed.
    pub(super) fn record_read(&mut self, path: &Path, metadata: Option<&Metadata>) {
        self.record_stat(path, metadata, true);
    }

    /// Records that a file's metadata was read, or, if `reads_content`, also its content.
    pub(super) fn record_stat(&mut self, path: &Path, metadata: Option<&Metadata>, reads_content: bool) {
        if metadata.is_some_and(Metadata::is_dir) {
            return;
        }
        let Some(entry) = self.path_access(path, true) else { return };
        // A file the session created or replaced itself is not an input.
        let is_own_output =
            |change: &PathChange| change.state_before == PathState::Absent || change.removed || change.overwritten;
        let is_input = !entry.change.as_ref().is_some_and(is_own_output);
        entry.read |= is_input;
        entry.reads_found_content |= is_input && reads_content;
        entry.reads_content |= reads_content;
        entry.record_file_id(metadata);
    }

    /// Records that a path was looked up and did not exist.
    pub(super) fn record_absent(&mut self, path: &Path) {
        if let Some(entry) = self.path_access(path, true) {
            entry.absent |= entry.change.is_none();
        }
    }

    /// Records that a directory was listed.
    pub(super) fn record_listing(&mut self, path: &Path) {
        if self.listed_directories.len() < MAX_PATHS && self.scope.is_tracked(&path.join("x"), true) {
            self.listed_directories.entry(path.to_path_buf()).or_default().insert(self.phase);
        }
    }

    /// Records that a path is about to be created, written or removed. The first call for a path records the
    /// state before the change and the name of the program.
    pub(super) fn record_change(
        &mut self,
        path: &Path,
        metadata: Option<&Metadata>,
        kind: PathChangeKind,
        program: impl FnOnce() -> String,
    ) {
        let Some(entry) = self.path_access(path, false) else { return };
        entry.record_file_id(metadata);
        let change = entry.change.get_or_insert_with(|| PathChange {
            state_before: PathState::from_path(path),
            removed: false,
            overwritten: false,
            modified: false,
            program: program(),
        });
        match kind {
            PathChangeKind::Remove => change.removed = true,
            PathChangeKind::Overwrite => change.overwritten = true,
            PathChangeKind::Modify => change.modified = true,
            PathChangeKind::Mode => {}
        }
    }

    /// Records that a file gets another hard link, so that all its names are recognized as one file.
    pub(super) fn record_hard_link(&mut self, path: &Path, metadata: Option<&Metadata>) {
        if let (Some(entry), Some(metadata)) = (self.path_access(path, false), metadata) {
            entry.file_id = Some((metadata.dev(), metadata.ino()));
        }
    }

    /// Builds the access sets. Compares each changed path with its state before the change.
    pub(super) fn collect_accesses(&mut self) -> SessionAccesses {
        // A cache directory may have been tagged after files were created in it.
        self.scope.clear_cache_tags();
        let mut all = SessionAccesses {
            incomplete_reasons: self.incomplete_reasons.iter().cloned().collect(),
            unprivileged_program: self.unprivileged_program.clone(),
            traced_calls: self.call_count,
            uses_network: self.uses_network,
            bound: self.bound.clone(),
            connected: self.connected.difference(&self.bound).cloned().collect(),
            ..SessionAccesses::default()
        };
        for (directory, phases) in &self.listed_directories {
            if self.scope.is_tracked(&directory.join("x"), true) {
                let shown = self.scope.display_path(directory);
                all.phases.extend(phases.beside_run().map(|phases| (shown.clone(), phases)));
                all.listed.insert(shown);
            }
        }
        for (path, entry) in &self.paths {
            if !self.scope.is_tracked(path, entry.change.is_none()) {
                continue;
            }
            let shown = self.scope.display_path(path);
            let mut read = entry.read;
            if let Some(change) = &entry.change {
                let after = PathState::from_path(path);
                match change.effect_kind(&after) {
                    Some(kind) => {
                        let digest = after.file_digest().map(str::to_owned);
                        let (keeps_content, program) = (entry.keeps_content(&after), change.program.clone());
                        all.changes.insert(shown.clone(), PathEffect { kind, digest, program, keeps_content });
                    }
                    None => read |= change.state_before != PathState::Directory,
                }
            }
            if let Some((device, inode)) = entry.file_id {
                all.hard_links.insert(shown.clone(), format!("{device}:{inode}"));
            }
            if entry.absent {
                all.absent.insert(shown.clone());
            }
            all.first_accesses.insert(shown.clone(), entry.first);
            all.phases.extend(entry.phases.beside_run().map(|phases| (shown.clone(), phases)));
            if read && !entry.reads_content && entry.change.is_none() {
                all.stat_only.insert(shown.clone());
            }
            if read {
                all.read.insert(shown);
            }
        }
        all
    }
}

/// Kind of change that a system call makes to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathChangeKind {
    /// The path is created or opened for writing, and keeps the content that it has.
    Modify,
    /// Only the mode or owner changes.
    Mode,
    /// The whole content is replaced: truncated, renamed over, or created where there may be no file.
    Overwrite,
    /// The path is removed.
    Remove,
}

impl PathAccess {
    fn new(first: Instant) -> Self {
        Self {
            first,
            phases: PhaseSet::default(),
            read: false,
            reads_content: false,
            reads_found_content: false,
            absent: false,
            change: None,
            file_id: None,
        }
    }

    /// Returns whether the file, now in the state `after`, depends on what was in it: see [`PathEffect::keeps_content`].
    fn keeps_content(&self, after: &PathState) -> bool {
        let Some(change) = &self.change else { return false };
        let is_modified = change.modified && !change.removed && !change.overwritten;
        let is_rewritten = self.reads_found_content && (change.modified || change.removed || change.overwritten);
        after.is_file_with_content() && (is_modified || is_rewritten)
    }

    fn record_file_id(&mut self, metadata: Option<&Metadata>) {
        if let Some(metadata) = metadata.filter(|metadata| metadata.is_file() && metadata.nlink() > 1) {
            self.file_id = Some((metadata.dev(), metadata.ino()));
        }
    }
}

impl PathChange {
    /// Returns the effect on the path, or `None` if nothing changed.
    fn effect_kind(&self, after: &PathState) -> Option<EffectKind> {
        match (&self.state_before, after) {
            (PathState::Absent, PathState::Absent) => Some(EffectKind::CreatedAndDeleted),
            (PathState::Absent, PathState::Directory) => Some(EffectKind::DirectoryCreated),
            (PathState::Absent, _) => Some(EffectKind::Created),
            (PathState::Directory, PathState::Absent) => Some(EffectKind::DirectoryDeleted),
            (PathState::Directory, PathState::Directory) => self.removed.then_some(EffectKind::DirectoryReplaced),
            (_, PathState::Absent) => Some(EffectKind::Deleted),
            _ if self.removed => Some(EffectKind::Replaced),
            (before, after) if before != after => Some(EffectKind::Written),
            // Opened for writing but unchanged, for example by a formatter that found nothing to change.
            _ => self.overwritten.then_some(EffectKind::Rewritten),
        }
    }
}

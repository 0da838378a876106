//! Conflicts between traced sessions: the pairs that conflict, what separates them, and the conflicts that later runs use.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::access_file::{AccessFile, AccessFileError};
use super::advice::{ConflictingPair, SeparationAdvice, advise_separation};
use super::conflict::{AccessConflict, TraceTiming, find_conflicts};
use super::scope::TraceContext;
use super::session_accesses::{EffectKind, SessionAccesses};
use super::shared_paths::shared_tool_paths;
use super::trace_cache::{LearnedConflict, TraceCache, session_digest};
use super::tree_scan::GitTreeFacts;
use crate::project::{ManifestIndex, NoxfileManifest, Session};

/// Order and separation of sessions according to a plan, by session indexes in the plan.
#[derive(Debug, Default)]
pub(crate) struct PlannedOrdering {
    /// Pairs of a session and one that it waits for.
    pub(crate) waits: BTreeSet<(usize, usize)>,
    /// Pairs that never overlap, with the reason.
    pub(crate) separated: BTreeMap<(usize, usize), String>,
    /// Sessions that run exclusively.
    pub(crate) exclusive: BTreeSet<usize>,
}

/// Two sessions that conflict and of which neither needs the other.
#[derive(Debug)]
pub(crate) struct SessionConflict {
    /// The sessions, by their index in the report, and their conflicts.
    pub(crate) pair: ConflictingPair,
    /// What already prevents them from overlapping, such as a lock.
    pub(crate) separated_by: Option<String>,
}

/// The conflicts between traced sessions.
#[derive(Debug)]
pub(crate) struct ConflictReport {
    /// The compared sessions: in `noxide trace` in the order they ran, otherwise in that of the manifest.
    pub(crate) sessions: Vec<(Session, SessionAccesses)>,
    pub(crate) conflicts: Vec<SessionConflict>,
    /// How to separate the conflicts that nothing separates yet.
    pub(crate) advice: Vec<SeparationAdvice>,
    /// Sessions that measure time and do not run exclusively yet.
    pub(crate) timing_sensitive: Vec<usize>,
}

impl ConflictReport {
    /// Compares every pair of sessions. Of a pair, the session that is earlier in `sessions` is the first; `plan_indexes` contains the index
    /// of each in the plan.
    pub(crate) fn new(
        sessions: Vec<(Session, SessionAccesses)>,
        planned: &PlannedOrdering,
        plan_indexes: &[usize],
        root: &Path,
    ) -> Self {
        // Lazy: git takes 1 to 3 ms, and most runs have nothing to compare.
        let accesses = || sessions.iter().map(|(_, accesses)| accesses);
        let tree_facts = LazyCell::new(|| GitTreeFacts::for_accesses(accesses(), root));
        let mut session_conflicts = Vec::new();
        for second in 0..sessions.len() {
            for first in 0..second {
                let pair = (plan_indexes[first], plan_indexes[second]);
                if planned.waits.contains(&pair) || planned.waits.contains(&(pair.1, pair.0)) {
                    continue;
                }
                let (one, other) = (&sessions[first].1, &sessions[second].1);
                let conflicts = tree_facts.with_tree(|tree| find_conflicts(one, other, tree, TraceTiming::Sequential));
                if !conflicts.is_empty() {
                    let separated_by = planned.separated.get(&pair).cloned();
                    session_conflicts
                        .push(SessionConflict { pair: ConflictingPair { first, second, conflicts }, separated_by });
                }
            }
        }
        let unresolved: Vec<ConflictingPair> = session_conflicts
            .iter()
            .filter(|conflict| conflict.separated_by.is_none())
            .map(|conflict| conflict.pair.clone())
            .collect();
        let measures_time = |index: &usize| {
            let name = sessions[*index].0.base.to_lowercase();
            (name.contains("bench") || name == "asv" || name == "perf")
                && !planned.exclusive.contains(&plan_indexes[*index])
        };
        let timing_sensitive = (0..sessions.len()).filter(measures_time).collect();
        Self { advice: advise_separation(&unresolved), conflicts: session_conflicts, timing_sensitive, sessions }
    }

    /// Returns whether there are conflicts that nothing separates.
    pub(crate) fn has_unresolved(&self) -> bool {
        self.conflicts.iter().any(|conflict| conflict.separated_by.is_none())
    }

    /// Returns whether a trace may have missed something.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.sessions.iter().any(|(_, accesses)| !accesses.is_complete())
    }

    /// Returns the name of the session with this index in the report.
    pub(crate) fn session_name(&self, index: usize) -> String {
        self.sessions[index].0.name.to_string()
    }

    /// Stores which sessions were traced and which must be separated, for later runs. `observed` adds conflicts of
    /// sessions that overlapped, which the traces alone may not show.
    ///
    /// Sessions that were not traced now are compared by their last trace.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn update_trace_cache(
        &self,
        manifest: &NoxfileManifest,
        run_data_dir: &Path,
        posargs: &[String],
        observed: &ObservedTraces,
    ) -> Result<(), AccessFileError> {
        let mut cache = TraceCache::load(run_data_dir);
        cache.retain_sessions(manifest);
        // Traces of an unchanged session differ (a file that it created before is now only rewritten), so keep what an
        // earlier trace found.
        let has_changed = |name: &str| {
            let traced = self.sessions.iter().find(|(session, _)| session.name.as_str() == name);
            traced
                .is_some_and(|(session, _)| cache.session_digests.get(name) != Some(&session_digest(session, posargs)))
        };
        let is_still_valid = |learned: &&LearnedConflict| !has_changed(&learned.first) && !has_changed(&learned.second);
        let mut kept = observed.learned_conflicts(manifest);
        kept.extend(cache.conflicts.iter().filter(is_still_valid).cloned());
        for (session, accesses) in &self.sessions {
            let name = session.name.as_str().to_owned();
            match &accesses.unprivileged_program {
                Some(program) => _ = cache.untraceable.insert(name.clone(), program.clone()),
                None => _ = cache.untraceable.remove(&name),
            }
            if observed.partial.iter().any(|id| manifest.sessions[id.0].name == session.name) {
                cache.session_digests.remove(&name);
            } else {
                cache.session_digests.insert(name, session_digest(session, posargs));
            }
        }
        let mut all: Vec<(Session, SessionAccesses)> = Vec::new();
        for session in &manifest.sessions {
            let traced = self.sessions.iter().find(|(traced, _)| traced.name == session.name);
            let stored = || TraceCache::load_accesses(run_data_dir, &session.name).map(|file| file.accesses);
            if let Some(accesses) = traced.map(|(_, accesses)| accesses.clone()).or_else(stored) {
                all.push((session.clone(), accesses));
            }
        }
        let plan_indexes: Vec<usize> = (0..all.len()).collect();
        let report = Self::new(all, &PlannedOrdering::default(), &plan_indexes, &manifest.root);
        let names: Vec<String> = report.sessions.iter().map(|(session, _)| session.name.as_str().to_owned()).collect();
        cache.conflicts = report.advice.iter().flat_map(|advice| advice.to_learned_conflicts(&names)).collect();
        for learned in kept {
            let is_same = |new: &LearnedConflict| new.first == learned.first && new.second == learned.second;
            if !cache.conflicts.iter().any(is_same) {
                cache.conflicts.push(learned);
            }
        }
        cache.save(run_data_dir)
    }

    /// Returns the document of `noxide trace --format json`; `settings` is the advice as TOML.
    pub(crate) fn to_json(&self, settings: &str) -> Value {
        let effects = |accesses: &SessionAccesses, kinds: &[EffectKind]| -> Vec<String> {
            let of_kind = accesses.changes.iter().filter(|(_, effect)| kinds.contains(&effect.kind));
            of_kind.map(|(path, _)| path.clone()).collect()
        };
        let sessions = self.sessions.iter().map(|(session, accesses)| {
            json!({
                "session": session.name,
                "complete": accesses.is_complete(),
                "incomplete_reasons": accesses.incomplete_reasons,
                "uses_network": accesses.uses_network,
                "traced_calls": accesses.traced_calls,
                "read": accesses.read.len(),
                "written": effects(accesses, &[EffectKind::Written, EffectKind::Replaced]),
                "created": effects(accesses, &[EffectKind::Created]),
                "deleted": effects(accesses, &[EffectKind::Deleted]),
                "bound": accesses.bound,
            })
        });
        let conflicts = self.conflicts.iter().flat_map(|sessions| {
            sessions.pair.conflicts.iter().map(move |conflict| {
                json!({
                    "sessions": [self.session_name(sessions.pair.first), self.session_name(sessions.pair.second)],
                    "path": conflict.path,
                    "kind": conflict.kind,
                    "effects": [conflict.first, conflict.second],
                    "separated_by": sessions.separated_by,
                })
            })
        });
        let advice = self.advice.iter().map(|advice| match advice {
            SeparationAdvice::After { session, waits_for, path, reads_output } => json!({
                "kind": "after",
                "session": self.session_name(*session),
                "after": self.session_name(*waits_for),
                "path": path,
                "requires": reads_output,
            }),
            SeparationAdvice::Lock { name, sessions, path } => {
                let sessions: Vec<String> = sessions.iter().map(|index| self.session_name(*index)).collect();
                json!({ "kind": "lock", "lock": name, "sessions": sessions, "path": path })
            }
        });
        json!({
            "version": 2,
            "sessions": sessions.collect::<Vec<_>>(),
            "conflicts": conflicts.collect::<Vec<_>>(),
            "advice": advice.collect::<Vec<_>>(),
            "exclusive": self.timing_sensitive.iter().map(|&index| self.session_name(index)).collect::<Vec<_>>(),
            "settings": settings,
        })
    }
}

/// What a parallel run adds to the accesses of its traced sessions.
#[derive(Debug, Default)]
pub(crate) struct ObservedTraces {
    /// Conflicts of sessions that overlapped; the first is the earlier one in nox's order.
    pub(crate) conflicts: BTreeMap<(ManifestIndex, ManifestIndex), Vec<AccessConflict>>,
    /// Sessions that did not pass: their traces may lack what they would have done next.
    pub(crate) partial: BTreeSet<ManifestIndex>,
}

impl ObservedTraces {
    fn learned_conflicts(&self, manifest: &NoxfileManifest) -> Vec<LearnedConflict> {
        let names: Vec<String> = manifest.sessions.iter().map(|session| session.name.to_string()).collect();
        let pair = |((first, second), conflicts): (&(ManifestIndex, ManifestIndex), &Vec<AccessConflict>)| {
            ConflictingPair { first: first.0, second: second.0, conflicts: conflicts.clone() }
        };
        let pairs: Vec<ConflictingPair> = self.conflicts.iter().map(pair).collect();
        advise_separation(&pairs).iter().flat_map(|advice| advice.to_learned_conflicts(&names)).collect()
    }
}

/// Stores the accesses of a run's traced sessions, and the conflicts that follow from them; returns warnings.
pub(crate) fn save_trace_results(
    manifest: &NoxfileManifest,
    accesses: &BTreeMap<ManifestIndex, SessionAccesses>,
    observed: &ObservedTraces,
    (run_dir, run_data_dir): (&Path, &Path),
    posargs: &[String],
) -> Vec<String> {
    let mut warnings = save_accesses(manifest, accesses, run_dir, run_data_dir, posargs);
    let ids: Vec<ManifestIndex> = accesses.keys().copied().collect();
    let plan_indexes: Vec<usize> = (0..ids.len()).collect();
    let sessions = traced_sessions(manifest, accesses, &ids);
    let report = ConflictReport::new(sessions, &PlannedOrdering::default(), &plan_indexes, &manifest.root);
    if let Err(error) = report.update_trace_cache(manifest, run_data_dir, posargs, observed) {
        warnings.push(format!("cannot store the learned conflicts: {error}"));
    }
    warnings
}

/// Stores the accesses of each session with the run's record and for later comparisons; returns warnings.
pub(crate) fn save_accesses(
    manifest: &NoxfileManifest,
    accesses: &BTreeMap<ManifestIndex, SessionAccesses>,
    run_dir: &Path,
    run_data_dir: &Path,
    posargs: &[String],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (id, accesses) in accesses {
        let session = &manifest.sessions[id.0];
        let file = AccessFile::new(session.name.clone(), session_digest(session, posargs), accesses.clone());
        let path = run_dir.join("accesses").join(format!("{}.json", session.name.slug()));
        let saved = file
            .write(&path)
            .and_then(|()| TraceCache::save_accesses(run_data_dir, session, posargs, accesses).map(drop));
        if let Err(error) = saved {
            warnings.push(format!("cannot store the accesses of {}: {error}", session.name));
        }
    }
    warnings
}

/// Returns the sessions with their accesses; a session that did not run has an incomplete trace.
pub(crate) fn traced_sessions(
    manifest: &NoxfileManifest,
    accesses: &BTreeMap<ManifestIndex, SessionAccesses>,
    ids: &[ManifestIndex],
) -> Vec<(Session, SessionAccesses)> {
    let missing = || SessionAccesses::for_untraced("it did not run".to_owned());
    let with_accesses =
        |id: &ManifestIndex| (manifest.sessions[id.0].clone(), accesses.get(id).cloned().unwrap_or_else(missing));
    ids.iter().map(with_accesses).collect()
}

/// Returns the project root, and the paths excluded from traces: environments, caches and run data, which are private to
/// a session or safe to share.
pub(crate) fn trace_context(manifest: &NoxfileManifest) -> TraceContext {
    let from_env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut excluded: Vec<PathBuf> = manifest.sessions.iter().filter_map(|session| session.envdir.clone()).collect();
    excluded.push(manifest.root.join(".nox"));
    excluded.push(manifest.run_data_dir());
    excluded.extend(shared_tool_paths(from_env));
    // nox does not list every environment; the others are in the same `.nox` directory.
    let nox_dir = |directory: &PathBuf| {
        directory.parent().filter(|parent| parent.file_name().is_some_and(|name| name == ".nox")).map(Path::to_path_buf)
    };
    let nox_dirs: BTreeSet<PathBuf> = excluded.iter().filter_map(nox_dir).collect();
    excluded.extend(nox_dirs);
    let root = fs_err::canonicalize(&manifest.root).unwrap_or_else(|_| manifest.root.clone());
    TraceContext { root, excluded }
}

//! Which traced sessions race, what keeps them apart, and how that is said.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::output_context::print_stderr;
use crate::config::{SettingsEdit, edit_settings};
use crate::output::{OutputTheme, TextStyle};
use crate::project::{NoxfileManifest, Session, find_ignored_paths};
use crate::run::RunPlan;
use crate::text::pluralize;
use crate::trace::{
    AccessConflict, ConflictingPair, EffectKind, LearnedConflict, ProjectTree, SeparationAdvice, SessionAccesses,
    TraceCache, advise_separation, find_conflicts, session_fingerprint,
};

/// How many paths of one pair are shown where nobody asked for all.
const MAX_SHOWN_PATHS: usize = 5;

/// What needs, locks and settings say of each two sessions of a plan.
#[derive(Debug, Default)]
pub(super) struct KnownOrdering {
    ordered: BTreeSet<(usize, usize)>,
    separated: BTreeMap<(usize, usize), String>,
    exclusive: BTreeSet<usize>,
}

impl KnownOrdering {
    /// What a plan says.
    pub(super) fn from_plan(plan: &RunPlan) -> Self {
        let mut settled = Self::default();
        for one in 0..plan.sessions.len() {
            if plan.sessions[one].task.exclusive {
                settled.exclusive.insert(one);
            }
            for other in (0..plan.sessions.len()).filter(|other| *other != one) {
                if plan.waits_for(one, other) {
                    settled.ordered.insert((one, other));
                } else if let Some(apart) = plan.separation_reason(one, other) {
                    settled.separated.insert((one, other), apart);
                }
            }
        }
        settled
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct TraceReport {
    /// Sessions in the order they were traced.
    sessions: Vec<(Session, SessionAccesses)>,
    /// Pairs that conflict and that no need orders.
    pairs: Vec<(ConflictingPair, Option<String>)>,
    advice: Vec<SeparationAdvice>,
    /// Sessions that measure time and do not run alone yet.
    timing_sensitive: Vec<usize>,
}

impl TraceReport {
    /// Compares each two sessions, given in the order they were traced; `order` names their places in the plan.
    pub(super) fn new(
        sessions: Vec<(Session, SessionAccesses)>,
        settled: &KnownOrdering,
        order: &[usize],
        root: &Path,
    ) -> Self {
        // Asked only where two are compared: a git is 1 to 3 ms, and most runs have nothing to compare.
        let seen = LazyCell::new(|| GitTreeScan::for_sessions(&sessions, root));
        let mut pairs = Vec::new();
        for second in 0..sessions.len() {
            for first in 0..second {
                let (one, two) = (order[first], order[second]);
                if settled.ordered.contains(&(two, one)) || settled.ordered.contains(&(one, two)) {
                    continue;
                }
                let tree =
                    ProjectTree { is_ignored: &|path| seen.ignored.contains(path), top_level_folders: &seen.folders };
                let found = find_conflicts(&sessions[first].1, &sessions[second].1, tree);
                if !found.is_empty() {
                    let apart = settled.separated.get(&(one, two)).cloned();
                    pairs.push((ConflictingPair { first, second, conflicts: found }, apart));
                }
            }
        }
        let open: Vec<ConflictingPair> =
            pairs.iter().filter(|(_, apart)| apart.is_none()).map(|(pair, _)| pair.clone()).collect();
        let measures = |at: &usize| {
            let name = sessions[*at].0.base.to_lowercase();
            (name.contains("bench") || name == "asv" || name == "perf") && !settled.exclusive.contains(&order[*at])
        };
        let measure = (0..sessions.len()).filter(measures).collect();
        Self { advice: advise_separation(&open), pairs, timing_sensitive: measure, sessions }
    }

    /// Whether sessions race that nothing keeps apart.
    pub(super) fn has_unresolved(&self) -> bool {
        self.pairs.iter().any(|(_, apart)| apart.is_none())
    }

    /// Whether something may have been missed.
    pub(super) fn is_incomplete(&self) -> bool {
        self.sessions.iter().any(|(_, accesses)| !accesses.is_complete())
    }

    fn session_name(&self, at: usize) -> String {
        self.sessions[at].0.name.to_string()
    }

    /// What settings would say.
    pub(super) fn settings_edits(&self) -> Vec<SettingsEdit> {
        let mut edits = Vec::new();
        for advice in &self.advice {
            match advice {
                SeparationAdvice::After { session, waits_for: on, .. } => {
                    edits.push(SettingsEdit::After {
                        session: self.session_name(*session),
                        prerequisite: self.session_name(*on),
                    });
                }
                SeparationAdvice::Lock { name, sessions, .. } => {
                    let lock = |at: &usize| SettingsEdit::Lock { session: self.session_name(*at), lock: name.clone() };
                    edits.extend(sessions.iter().map(lock));
                }
            }
        }
        edits
            .extend(self.timing_sensitive.iter().map(|&at| SettingsEdit::Exclusive { session: self.session_name(at) }));
        edits
    }

    /// Keeps what was learnt, for runs to come: which sessions were looked at, and which must be kept apart.
    ///
    /// Sessions that were not traced now are compared by what they touched when they were.
    pub(super) fn update_trace_cache(&self, manifest: &NoxfileManifest, noxide: &Path, posargs: &[String]) {
        let mut known = TraceCache::load(noxide);
        known.retain_sessions(manifest);
        // Not every trace shows the same: a file that is there already is made anew with the bytes it had.
        let is_new = |name: &str| {
            let now = self.sessions.iter().find(|(session, _)| session.name.as_str() == name);
            now.is_some_and(|(session, _)| known.fingerprints.get(name) != Some(&session_fingerprint(session, posargs)))
        };
        let kept = |learnt: &&LearnedConflict| !is_new(&learnt.first) && !is_new(&learnt.second);
        let before: Vec<LearnedConflict> = known.conflicts.iter().filter(kept).cloned().collect();
        for (session, _) in &self.sessions {
            known.fingerprints.insert(session.name.to_string(), session_fingerprint(session, posargs));
        }
        let mut all: Vec<(Session, SessionAccesses)> = Vec::new();
        for session in &manifest.sessions {
            let now = self.sessions.iter().find(|(traced, _)| traced.name == session.name);
            let then = || TraceCache::load_accesses(noxide, &session.name).map(|file| file.accesses);
            if let Some(accesses) = now.map(|(_, accesses)| accesses.clone()).or_else(then) {
                all.push((session.clone(), accesses));
            }
        }
        let order: Vec<usize> = (0..all.len()).collect();
        let races = Self::new(all, &KnownOrdering::default(), &order, &manifest.root);
        let names: Vec<String> = races.sessions.iter().map(|(session, _)| session.name.to_string()).collect();
        known.conflicts = races.advice.iter().flat_map(|advice| advice.to_learned_conflicts(&names)).collect();
        for learnt in before {
            let is_known = |new: &LearnedConflict| new.first == learnt.first && new.second == learnt.second;
            if !known.conflicts.iter().any(is_known) {
                known.conflicts.push(learnt);
            }
        }
        if let Err(error) = known.save(noxide) {
            print_stderr(&format!("warning: what was learnt could not be kept: {error}"));
        }
    }

    /// For people.
    pub(super) fn to_text(&self, paint: OutputTheme, all: bool) -> String {
        let mut text = String::new();
        for (pair, apart) in &self.pairs {
            let (first, second) = (self.session_name(pair.first), self.session_name(pair.second));
            let head = paint.style_text(TextStyle::Bold, &format!("{first} and {second}"));
            let settled = apart.as_ref().map_or(String::new(), |apart| format!("  ({apart})"));
            let _ = writeln!(text, "{head}{}", paint.style_text(TextStyle::Dim, &settled));
            let shown = if all || apart.is_none() { &pair.conflicts[..] } else { &pair.conflicts[..1] };
            let most = if all { shown.len() } else { MAX_SHOWN_PATHS };
            for conflict in shown.iter().take(most) {
                let _ = writeln!(
                    text,
                    "  {}: {}",
                    conflict.kind.as_str(),
                    paint.style_text(TextStyle::Accent, &conflict.path)
                );
                let who = format!("    {first} {}, {second} {}", conflict.first, conflict.second);
                let _ = writeln!(text, "{}", paint.style_text(TextStyle::Dim, &who));
            }
            let more = pair.conflicts.len() - shown.len().min(most);
            if more > 0 {
                let _ = writeln!(
                    text,
                    "  {}",
                    paint.style_text(TextStyle::Dim, &format!("and {more} more (-v shows all)"))
                );
            }
            text.push('\n');
        }
        for (session, accesses) in self.sessions.iter().filter(|(_, accesses)| !accesses.is_complete()) {
            let _ = writeln!(
                text,
                "{}: the trace of {} is incomplete",
                paint.style_text(TextStyle::Bold, "warning"),
                session.name
            );
            for why in &accesses.incomplete_reasons {
                let _ = writeln!(text, "  {why}");
            }
        }
        if self.is_incomplete() {
            text.push('\n');
        }
        text.push_str(&self.format_advice(paint));
        text.push_str(&self.format_summary());
        text
    }

    /// The advice as lines ready for settings and noxfile.
    fn format_advice(&self, paint: OutputTheme) -> String {
        let edits = self.settings_edits();
        let settings = edit_settings("", &["tool", "noxide"], &edits).unwrap_or_default();
        if edits.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n\n", paint.style_text(TextStyle::Bold, "for pyproject.toml (--apply writes it):"));
        for line in settings.lines() {
            let _ = writeln!(text, "{}", if line.is_empty() { String::new() } else { format!("    {line}") });
        }
        text.push('\n');
        let mut wanted: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for advice in &self.advice {
            if let SeparationAdvice::After { session, waits_for: on, path, reads_output: true } = advice {
                wanted.entry(self.session_name(*session)).or_default().push((self.session_name(*on), path.clone()));
            }
        }
        if !wanted.is_empty() {
            let _ = writeln!(
                text,
                "{}\n",
                paint.style_text(TextStyle::Bold, "or in the noxfile, where one needs what the other makes:")
            );
        }
        for (session, on) in &wanted {
            let names: Vec<String> = on.iter().map(|(name, _)| format!("{name:?}")).collect();
            let paths: BTreeSet<&str> = on.iter().map(|(_, path)| path.as_str()).collect();
            let paths: Vec<&str> = paths.into_iter().take(3).collect();
            let _ = writeln!(text, "    {session}: requires=[{}]  # {}", names.join(", "), paths.join(", "));
        }
        if !wanted.is_empty() {
            text.push('\n');
        }
        text
    }

    fn format_summary(&self) -> String {
        let open = self.pairs.iter().filter(|(_, apart)| apart.is_none()).count();
        let settled = self.pairs.len() - open;
        let sessions = self.sessions.len();
        let mut text = format!("{} traced: ", pluralize(sessions, "session"));
        text.push_str(&match open {
            0 if self.is_incomplete() => "no race seen, but not all was seen".to_owned(),
            0 => "no two of them race".to_owned(),
            _ => format!("{} that race", pluralize(open, "pair")),
        });
        if settled > 0 {
            let _ = write!(text, "; {} kept apart already", pluralize(settled, "pair"));
        }
        text.push('\n');
        text
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let effects = |accesses: &SessionAccesses, kinds: &[EffectKind]| -> Vec<String> {
            let of_kind = accesses.changes.iter().filter(|(_, effect)| kinds.contains(&effect.kind));
            of_kind.map(|(path, _)| path.clone()).collect()
        };
        let sessions = self.sessions.iter().map(|(session, accesses)| {
            json!({
                "session": session.name,
                "complete": accesses.is_complete(),
                "blind": accesses.incomplete_reasons,
                "network": accesses.uses_network,
                "calls": accesses.traced_calls,
                "read": accesses.read.len(),
                "written": effects(accesses, &[EffectKind::Written, EffectKind::Replaced]),
                "created": effects(accesses, &[EffectKind::Created]),
                "deleted": effects(accesses, &[EffectKind::Deleted]),
                "bound": accesses.bound,
            })
        });
        let found = self.pairs.iter().flat_map(|(pair, apart)| {
            pair.conflicts.iter().map(move |conflict: &AccessConflict| {
                json!({
                    "sessions": [self.session_name(pair.first), self.session_name(pair.second)],
                    "path": conflict.path,
                    "kind": conflict.kind,
                    "does": [conflict.first, conflict.second],
                    "apart": apart,
                })
            })
        });
        let advice = self.advice.iter().map(|advice| match advice {
            SeparationAdvice::After { session, waits_for: on, path, reads_output: makes } => {
                json!({ "after": self.session_name(*on), "session": self.session_name(*session), "path": path, "requires": makes })
            }
            SeparationAdvice::Lock { name, sessions, path } => {
                let sessions: Vec<String> = sessions.iter().map(|at| self.session_name(*at)).collect();
                json!({ "lock": name, "sessions": sessions, "path": path })
            }
        });
        json!({
            "version": 1,
            "sessions": sessions.collect::<Vec<_>>(),
            "conflicts": found.collect::<Vec<_>>(),
            "advice": advice.collect::<Vec<_>>(),
            "alone": self.timing_sensitive.iter().map(|&at| self.session_name(at)).collect::<Vec<_>>(),
            "settings": edit_settings("", &["tool", "noxide"], &self.settings_edits()).unwrap_or_default(),
        })
    }
}

/// What Git says of a project's tree.
struct GitTreeScan {
    /// What it ignores of what sessions made and of the folders it lies in.
    ignored: BTreeSet<String>,
    /// The folders right below the root that a walk over the whole tree comes through.
    folders: Vec<String>,
}

impl GitTreeScan {
    fn for_sessions(sessions: &[(Session, SessionAccesses)], root: &Path) -> Self {
        let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
        let mut folders: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        let mut paths: BTreeSet<String> = folders.iter().cloned().collect();
        let made = sessions.iter().flat_map(|(_, accesses)| accesses.changes.keys());
        for path in made.filter(|path| !path.starts_with('/')) {
            paths.insert(path.clone());
            paths.extend(path.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
        }
        let ignored = find_ignored_paths(root, &paths);
        folders.retain(|folder| !ignored.contains(folder));
        Self { ignored, folders }
    }
}

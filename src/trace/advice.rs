//! Separation advice: the lock or order that prevents conflicting sessions from overlapping.

use std::collections::BTreeMap;

use super::conflict::AccessConflict;
use super::trace_cache::{LearnedConflict, SeparationKind};

/// Two sessions that conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictingPair {
    /// Index of the session that is earlier in the list that the caller compares: the sessions of a report, or those of the
    /// manifest.
    pub first: usize,
    /// Index of the later session in that list.
    pub second: usize,
    /// Conflicts between them; never empty.
    pub conflicts: Vec<AccessConflict>,
}

impl ConflictingPair {
    /// Returns whether the sessions may run in either order, one after the other.
    fn is_separable_by_lock(&self) -> bool {
        let reads_output = self.conflicts.iter().any(|conflict| conflict.second_reads_output);
        !reads_output && self.conflicts.iter().any(AccessConflict::both_change)
    }
}

/// How to separate conflicting sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeparationAdvice {
    /// Run one session after another.
    After {
        /// Index of the session that waits.
        session: usize,
        /// Index of the session to wait for.
        waits_for: usize,
        /// A conflicting path, given as the reason.
        path: String,
        /// Whether the session reads the other's output, so that the other must also have passed.
        reads_output: bool,
    },
    /// Share a lock.
    Lock {
        name: String,
        /// Indexes of the sessions that share the lock.
        sessions: Vec<usize>,
        /// A conflicting path, given as the reason.
        path: String,
    },
}

/// Returns how to separate each pair: by a lock if both sessions change a path and the second does not read what the first
/// creates, otherwise in the order of the pair.
///
/// Locks are chosen greedily: the path that most pairs have in common comes first, so that few locks are needed.
pub(crate) fn advise_separation(pairs: &[ConflictingPair]) -> Vec<SeparationAdvice> {
    let mut advice = Vec::new();
    let mut remaining: Vec<&ConflictingPair> = pairs.iter().filter(|pair| pair.is_separable_by_lock()).collect();
    while !remaining.is_empty() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for conflict in remaining.iter().flat_map(|pair| &pair.conflicts).filter(|conflict| conflict.both_change()) {
            *counts.entry(&conflict.path).or_default() += 1;
        }
        let best = counts.iter().max_by_key(|(path, count)| (**count, std::cmp::Reverse((path.len(), **path))));
        let Some(path) = best.map(|(path, _)| (*path).to_owned()) else { break };
        let is_covered = |pair: &ConflictingPair| {
            pair.conflicts.iter().any(|conflict| conflict.both_change() && conflict.path == path)
        };
        let mut sessions: Vec<usize> =
            remaining.iter().filter(|pair| is_covered(pair)).flat_map(|pair| [pair.first, pair.second]).collect();
        sessions.sort_unstable();
        sessions.dedup();
        remaining.retain(|pair| !is_covered(pair));
        let used_names: Vec<&str> = advice.iter().filter_map(advised_lock_name).collect();
        let name = derive_lock_name(&path, &used_names);
        advice.push(SeparationAdvice::Lock { name, sessions, path });
    }
    for pair in pairs.iter().filter(|pair| !pair.is_separable_by_lock()) {
        let cause = pair.conflicts.iter().find(|conflict| conflict.second_reads_output).or(pair.conflicts.first());
        let Some(conflict) = cause else { continue };
        advice.push(SeparationAdvice::After {
            session: pair.second,
            waits_for: pair.first,
            path: conflict.path.clone(),
            reads_output: conflict.second_reads_output,
        });
    }
    advice
}

fn advised_lock_name(advice: &SeparationAdvice) -> Option<&str> {
    match advice {
        SeparationAdvice::Lock { name, .. } => Some(name),
        SeparationAdvice::After { .. } => None,
    }
}

/// Derives a lock name from the last component of a path, using only characters that need no quoting.
fn derive_lock_name(path: &str, used_names: &[&str]) -> String {
    let path = path.split(" = ").next().unwrap_or(path);
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("shared");
    let mut name = String::new();
    for character in last.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            name.push(character.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-').to_owned();
    let name = if name.is_empty() { "shared".to_owned() } else { name };
    let numbered = |number: usize| if number == 1 { name.clone() } else { format!("{name}-{number}") };
    (1..).map(numbered).find(|name| !used_names.contains(&name.as_str())).unwrap_or_default()
}

impl SeparationAdvice {
    /// Converts the advice to learned conflicts, with sessions by name.
    pub(crate) fn to_learned_conflicts(&self, names: &[String]) -> Vec<LearnedConflict> {
        match self {
            Self::After { session, waits_for, path, .. } => vec![LearnedConflict {
                first: names[*waits_for].clone(),
                second: names[*session].clone(),
                separation: SeparationKind::Order,
                path: path.clone(),
            }],
            Self::Lock { sessions, path, .. } => {
                let mut all = Vec::new();
                for (position, first) in sessions.iter().enumerate() {
                    for second in &sessions[position + 1..] {
                        let (first, second) = (names[*first].clone(), names[*second].clone());
                        all.push(LearnedConflict {
                            first,
                            second,
                            separation: SeparationKind::Lock,
                            path: path.clone(),
                        });
                    }
                }
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{ConflictKind, ConflictWriter};

    fn conflict(path: &str, both_change: bool, second_reads_output: bool) -> AccessConflict {
        let effect = || "writes".to_owned();
        AccessConflict {
            path: path.to_owned(),
            kind: ConflictKind::WriteWrite,
            first: effect(),
            second: effect(),
            writer: if both_change { ConflictWriter::Both } else { ConflictWriter::First },
            second_reads_output,
        }
    }

    #[test]
    fn writers_share_a_lock_and_readers_get_an_order() {
        let pair = |first, second, conflicts: &[AccessConflict]| ConflictingPair {
            first,
            second,
            conflicts: conflicts.to_vec(),
        };
        let db = conflict("build/.db", true, false);
        let journal = conflict("build/.db-journal", true, false);
        let pairs = [
            pair(0, 1, &[db.clone(), journal.clone()]),
            pair(0, 2, std::slice::from_ref(&db)),
            pair(1, 2, &[db.clone(), journal]),
            pair(0, 3, &[conflict("log.txt", true, false), conflict("dist/a.whl", false, true)]),
        ];
        let advice = advise_separation(&pairs);
        assert_eq!(
            advice,
            [
                SeparationAdvice::Lock { name: "db".to_owned(), sessions: vec![0, 1, 2], path: "build/.db".to_owned() },
                SeparationAdvice::After { session: 3, waits_for: 0, path: "dist/a.whl".to_owned(), reads_output: true },
            ]
        );
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(advice[0].to_learned_conflicts(&names).len(), 3);
        assert_eq!(advice[1].to_learned_conflicts(&names)[0].first, "a");
    }

    #[test]
    fn lock_names_need_no_quoting() {
        assert_eq!(derive_lock_name("build/.template-migrated.db", &[]), "template-migrated-db");
        assert_eq!(derive_lock_name("a/.db", &["db"]), "db-2");
        assert_eq!(derive_lock_name("port 8270", &[]), "port-8270");
        assert_eq!(derive_lock_name("ä/", &[]), "shared");
    }
}

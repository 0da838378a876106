//! Advice: which order or lock keeps conflicting sessions apart. Pure.

use std::collections::BTreeMap;

use super::conflict::Conflict;
use super::knowledge::{Apart, Learnt};

/// Two sessions that conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The earlier in nox's order: its place among the sessions.
    pub first: usize,
    /// The later.
    pub second: usize,
    /// On what, never empty.
    pub conflicts: Vec<Conflict>,
}

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// A session waits for another.
    After {
        /// The one that waits.
        session: usize,
        /// The one it waits for.
        on: usize,
        /// A path that says why.
        path: String,
        /// Whether it reads what the other makes, so that the other should have passed.
        makes: bool,
    },
    /// Sessions share a lock.
    Lock {
        /// Its name.
        name: String,
        /// Who share it.
        sessions: Vec<usize>,
        /// What it protects.
        path: String,
    },
}

/// What keeps these pairs apart: a lock where both change something, else an order, the noxfile's own.
///
/// The fewest locks are taken: one on the path that most pairs have in common goes first.
pub fn advise(pairs: &[Pair]) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut open: Vec<&Pair> =
        pairs.iter().filter(|pair| pair.conflicts.iter().any(|conflict| conflict.both)).collect();
    while !open.is_empty() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for conflict in open.iter().flat_map(|pair| &pair.conflicts).filter(|conflict| conflict.both) {
            *counts.entry(&conflict.path).or_default() += 1;
        }
        let best = counts.iter().max_by_key(|(path, count)| (**count, std::cmp::Reverse((path.len(), **path))));
        let Some(path) = best.map(|(path, _)| (*path).to_owned()) else { break };
        let has = |pair: &Pair| pair.conflicts.iter().any(|conflict| conflict.both && conflict.path == path);
        let mut sessions: Vec<usize> =
            open.iter().filter(|pair| has(pair)).flat_map(|pair| [pair.first, pair.second]).collect();
        sessions.sort_unstable();
        sessions.dedup();
        open.retain(|pair| !has(pair));
        let taken: Vec<&str> = advice.iter().filter_map(name_of).collect();
        let name = lock_name(&path, &taken);
        advice.push(Advice::Lock { name, sessions, path });
    }
    for pair in pairs.iter().filter(|pair| !pair.conflicts.iter().any(|conflict| conflict.both)) {
        let telling = pair.conflicts.iter().find(|conflict| conflict.makes).or(pair.conflicts.first());
        let Some(conflict) = telling else { continue };
        advice.push(Advice::After {
            session: pair.second,
            on: pair.first,
            path: conflict.path.clone(),
            makes: conflict.makes,
        });
    }
    advice
}

fn name_of(advice: &Advice) -> Option<&str> {
    match advice {
        Advice::Lock { name, .. } => Some(name),
        Advice::After { .. } => None,
    }
}

/// A short name for the lock on a path: its last part, with signs that need no quotes.
fn lock_name(path: &str, taken: &[&str]) -> String {
    let path = path.split(" = ").next().unwrap_or(path);
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("shared");
    let mut name = String::new();
    for sign in last.chars() {
        let fit = sign.is_ascii_alphanumeric() || sign == '_';
        if fit {
            name.push(sign.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-').to_owned();
    let name = if name.is_empty() { "shared".to_owned() } else { name };
    let numbered = |number: usize| if number == 1 { name.clone() } else { format!("{name}-{number}") };
    (1..).map(numbered).find(|name| !taken.contains(&name.as_str())).unwrap_or_default()
}

impl Advice {
    /// The advice as what a run goes by, with sessions by name.
    pub fn learnt(&self, names: &[String]) -> Vec<Learnt> {
        match self {
            Self::After { session, on, path, .. } => vec![Learnt {
                first: names[*on].clone(),
                second: names[*session].clone(),
                apart: Apart::Order,
                path: path.clone(),
            }],
            Self::Lock { sessions, path, .. } => {
                let mut all = Vec::new();
                for (at, first) in sessions.iter().enumerate() {
                    for second in &sessions[at + 1..] {
                        let (first, second) = (names[*first].clone(), names[*second].clone());
                        all.push(Learnt { first, second, apart: Apart::Lock, path: path.clone() });
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
    use crate::trace::Kind;

    fn conflict(path: &str, both: bool, makes: bool) -> Conflict {
        let words = || "writes".to_owned();
        Conflict { path: path.to_owned(), kind: Kind::WriteWrite, first: words(), second: words(), both, makes }
    }

    #[test]
    fn one_lock_for_what_all_write_and_an_order_for_who_reads() {
        let pair = |first, second, conflicts: &[Conflict]| Pair { first, second, conflicts: conflicts.to_vec() };
        let db = conflict("build/.db", true, false);
        let journal = conflict("build/.db-journal", true, false);
        let pairs = [
            pair(0, 1, &[db.clone(), journal.clone()]),
            pair(0, 2, std::slice::from_ref(&db)),
            pair(1, 2, &[db.clone(), journal]),
            pair(0, 3, &[conflict("src/x", false, false), conflict("dist/a.whl", false, true)]),
        ];
        let advice = advise(&pairs);
        assert_eq!(
            advice,
            [
                Advice::Lock { name: "db".to_owned(), sessions: vec![0, 1, 2], path: "build/.db".to_owned() },
                Advice::After { session: 3, on: 0, path: "dist/a.whl".to_owned(), makes: true },
            ]
        );
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(advice[0].learnt(&names).len(), 3);
        assert_eq!(advice[1].learnt(&names)[0].first, "a");
    }

    #[test]
    fn locks_have_plain_names() {
        assert_eq!(lock_name("build/.template-migrated.db", &[]), "template-migrated-db");
        assert_eq!(lock_name("a/.db", &["db"]), "db-2");
        assert_eq!(lock_name("port 8270", &[]), "port-8270");
        assert_eq!(lock_name("ä/", &[]), "shared");
    }
}

//! Shards: the sessions of a run dealt to several runners, each session to one of them.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::graph::{GraphError, SessionGraph};
use super::options::RunOptions;
use crate::project::{NoxfileManifest, SessionId};
use crate::record::{NeedOrigin, SessionHistory};

/// One runner's part of a run, such as `2/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, counted from 1.
    pub(crate) index: NonZeroUsize,
    /// Of how many.
    pub(crate) count: NonZeroUsize,
}

/// Why a text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not of the form.
    #[error("a shard is written `1/3`: which part, of how many")]
    InvalidFormat,
    /// There are not that many.
    #[error("there is no such part: the first number is at most the second")]
    IndexTooLarge,
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::InvalidFormat)?;
        let number = |text: &str| text.parse::<NonZeroUsize>().map_err(|_| ShardError::InvalidFormat);
        let shard = Self { index: number(index)?, count: number(count)? };
        if shard.index > shard.count { Err(ShardError::IndexTooLarge) } else { Ok(shard) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Who runs what: every session of the queue in exactly one part, with all that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardPlan {
    /// The parts, each in nox's order. A part may be empty.
    pub(crate) parts: Vec<ShardPart>,
}

/// What one runner gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardPart {
    /// Its sessions.
    pub(crate) sessions: Vec<SessionId>,
    /// What they usually take one after another, in milliseconds; sessions never seen count as the longest known.
    pub(crate) weight: u64,
}

impl ShardPlan {
    /// Deals the queued sessions of a manifest to `count` parts.
    ///
    /// Sessions that wait for one another stay together, since one runner does not see another's files. The same
    /// manifest, options and history give the same plan: runners that plan each for itself must be given none of
    /// their own history, or two of them may run a session and another one nobody.
    ///
    /// # Errors
    /// When needs form a circle.
    pub(crate) fn new(
        manifest: &NoxfileManifest,
        options: &RunOptions,
        history: &SessionHistory,
        count: NonZeroUsize,
    ) -> Result<Self, GraphError> {
        let graph = SessionGraph::new(manifest, options)?;
        let usual: Vec<Option<u64>> = graph
            .nodes
            .iter()
            .map(|node| history.usual_stats(&manifest.sessions[node.id.0].name).map(|usual| usual.wall_ms.max(1)))
            .collect();
        let unknown = usual.iter().flatten().copied().max().unwrap_or(1);
        let weights: Vec<u64> = usual.iter().map(|usual| usual.unwrap_or(unknown)).collect();
        let parts = distribute_sessions(&weights, &required_pairs(manifest, &graph), count);
        let part = |places: Vec<usize>| ShardPart {
            sessions: places.iter().map(|&place| graph.nodes[place].id).collect(),
            weight: places.iter().map(|&place| weights[place]).fold(0, u64::saturating_add),
        };
        Ok(Self { parts: parts.into_iter().map(part).collect() })
    }
}

/// Pairs of places that one runner must have.
fn required_pairs(manifest: &NoxfileManifest, graph: &SessionGraph) -> Vec<(usize, usize)> {
    let session = |place: usize| &manifest.sessions[graph.nodes[place].id.0];
    let mut bonds = Vec::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        for (on, origin) in &node.needs {
            // A session that may be notified goes behind all others, but belongs only to those that notify it.
            let target = session(place);
            let notifies = |name: &String| *name == target.base || target.signatures.contains(name);
            if *origin != NeedOrigin::Notify || session(*on).notifies.iter().any(notifies) {
                bonds.push((place, *on));
            }
        }
    }
    bonds
}

/// Deals places to parts: the heaviest group first, each to the part that has least so far; what is alike goes by
/// its place, so that the result depends on nothing else.
pub(crate) fn distribute_sessions(weights: &[u64], bonds: &[(usize, usize)], count: NonZeroUsize) -> Vec<Vec<usize>> {
    // The smallest place of its group stands for each place.
    let mut group: Vec<usize> = (0..weights.len()).collect();
    for &(one, other) in bonds {
        let (low, high) = (group[one].min(group[other]), group[one].max(group[other]));
        for of in &mut group {
            if *of == high {
                *of = low;
            }
        }
    }
    let mut groups: Vec<(u64, Vec<usize>)> = Vec::new();
    for first in 0..weights.len() {
        let members: Vec<usize> = (first..weights.len()).filter(|&place| group[place] == first).collect();
        if !members.is_empty() {
            groups.push((members.iter().map(|&place| weights[place]).fold(0, u64::saturating_add), members));
        }
    }
    // Stable: groups of the same weight stay in nox's order.
    groups.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let mut parts: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); count.get()];
    for (weight, members) in groups {
        // Among parts of the same weight the one with fewest sessions: weights may all be 0.
        let least = (0..parts.len()).min_by_key(|&at| (parts[at].0, parts[at].1.len(), at)).unwrap_or(0);
        parts[least].0 = parts[least].0.saturating_add(weight);
        parts[least].1.extend(members);
    }
    parts
        .into_iter()
        .map(|(_, mut places)| {
            places.sort_unstable();
            places
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn shards_are_written_as_two_numbers() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!((shard.index.get(), shard.count.get(), shard.to_string().as_str()), (2, 3, "2/3"));
        for wrong in ["", "2", "0/3", "1/0", "a/3", "1/b", "-1/3", "1/2/3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(ShardError::InvalidFormat), "{wrong}");
        }
        assert_eq!("4/3".parse::<Shard>(), Err(ShardError::IndexTooLarge));
    }

    #[test]
    fn heavy_groups_first_each_to_the_lightest_part() {
        assert_eq!(distribute_sessions(&[5, 1, 1, 3], &[], parts(2)), [vec![0], vec![1, 2, 3]]);
        assert_eq!(distribute_sessions(&[5, 1, 1, 3], &[(3, 0), (1, 3)], parts(2)), [vec![0, 1, 3], vec![2]]);
        assert_eq!(distribute_sessions(&[], &[], parts(2)), [vec![], Vec::<usize>::new()]);
        assert_eq!(distribute_sessions(&[1], &[], parts(3)), [vec![0], vec![], vec![]]);
        assert_eq!(distribute_sessions(&[u64::MAX, u64::MAX], &[(0, 1)], parts(1)), [vec![0, 1]]);
    }

    type Case = (Vec<u64>, Vec<(usize, usize)>, usize);

    fn case() -> impl Strategy<Value = Case> {
        prop::collection::vec(0..1_000_u64, 0..40).prop_flat_map(|weights| {
            let places = weights.len().max(1);
            let bonds = prop::collection::vec((0..places, 0..places), 0..if weights.is_empty() { 1 } else { 20 });
            let bonds = bonds.prop_map(move |bonds| if places > 1 { bonds } else { Vec::new() });
            (Just(weights), bonds, 1..9_usize)
        })
    }

    proptest! {
        #[test]
        fn every_session_in_one_part_with_what_it_waits_for((weights, bonds, count) in case()) {
            let dealt = distribute_sessions(&weights, &bonds, parts(count));
            prop_assert_eq!(dealt.len(), count);
            let mut all: Vec<usize> = dealt.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..weights.len()).collect::<Vec<_>>());
            for (one, other) in &bonds {
                prop_assert!(dealt.iter().any(|part| part.contains(one) && part.contains(other)));
            }
            prop_assert!(dealt.iter().all(|part| part.is_sorted()));
            prop_assert_eq!(&dealt, &distribute_sessions(&weights, &bonds, parts(count)));
        }

        /// No part is heavier than a fair share and the heaviest group.
        #[test]
        fn parts_are_balanced(weights in prop::collection::vec(0..1_000_u64, 1..40), count in 1..9_usize) {
            let dealt = distribute_sessions(&weights, &[], parts(count));
            let fair = weights.iter().sum::<u64>() / count as u64;
            let heaviest = weights.iter().max().copied().unwrap_or(0);
            for part in &dealt {
                prop_assert!(part.iter().map(|&place| weights[place]).sum::<u64>() <= fair + heaviest + 1);
            }
        }
    }
}

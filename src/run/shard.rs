//! Shards: the sessions of a run distributed over several runners, so that each session runs on exactly one.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::graph::{GraphError, PlanIndex, SessionGraph};
use super::options::RunOptions;
use crate::project::{ManifestIndex, NoxfileManifest};
use crate::record::{SessionHistory, ShardMetadata};

/// One runner's share of a run, such as `2/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which shard, counted from 1.
    pub(crate) index: NonZeroUsize,
    /// How many shards there are.
    pub(crate) count: NonZeroUsize,
}

/// Reasons why a text is not a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not of the form `INDEX/COUNT`.
    #[error("a shard is written INDEX/COUNT with INDEX from 1, such as 1/3")]
    InvalidFormat,
    /// The index is larger than the count.
    #[error("the index of a shard is at most its count, as in 3/3")]
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

/// All shards of a run: every selected session is in exactly one, together with the sessions it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardPlan {
    /// The shards, each in nox's order. A shard may be empty.
    pub(crate) parts: Vec<ShardPart>,
}

/// The sessions of one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardPart {
    /// Its sessions, in nox's order.
    pub(crate) sessions: Vec<ManifestIndex>,
    /// Sum of their usual durations in milliseconds; a session without history counts as the longest known.
    pub(crate) weight: u64,
}

impl ShardPlan {
    /// Distributes the sessions that a manifest selects over `count` shards.
    ///
    /// Sessions that wait for one another are in the same shard, because runners do not share files. The same manifest,
    /// options and history give the same plan. Runners that compute the plan separately must therefore use the same
    /// history, or a session may run twice or not at all.
    ///
    /// # Errors
    /// When needs form a cycle.
    pub(crate) fn new(
        manifest: &NoxfileManifest,
        options: &RunOptions,
        history: &SessionHistory,
        count: NonZeroUsize,
    ) -> Result<Self, GraphError> {
        let graph = SessionGraph::new(manifest, options, history)?;
        let usual: Vec<Option<u64>> = graph
            .nodes
            .iter()
            .map(|node| history.usual_stats(&manifest.sessions[node.id.0].name).map(|usual| usual.wall_ms.max(1)))
            .collect();
        let assumed_duration = usual.iter().flatten().copied().max().unwrap_or(1);
        let weights: Vec<u64> = usual.iter().map(|usual| usual.unwrap_or(assumed_duration)).collect();
        let parts = distribute_sessions(&weights, &required_pairs(&graph), count);
        let part = |sessions: Vec<PlanIndex>| ShardPart {
            sessions: sessions.iter().map(|session| graph.nodes[session.0].id).collect(),
            weight: sessions.iter().map(|session| weights[session.0]).fold(0, u64::saturating_add),
        };
        Ok(Self { parts: parts.into_iter().map(part).collect() })
    }
}

impl Shard {
    /// Reduces the queue of a manifest to this shard. Returns the shard's part of the record, and a notice.
    ///
    /// Plans without history and learned conflicts, because every runner plans on its own, with another history
    /// and other learned conflicts.
    ///
    /// # Errors
    /// When needs form a cycle.
    pub(crate) fn select_sessions(
        self,
        manifest: &mut NoxfileManifest,
        options: &RunOptions,
    ) -> Result<(ShardMetadata, String), GraphError> {
        let options = RunOptions { learned_conflicts: Vec::new(), ..options.clone() };
        let plan = ShardPlan::new(manifest, &options, &SessionHistory::default(), self.count)?;
        let part = plan.parts.into_iter().nth(self.index.get() - 1).unwrap_or_default();
        let sessions: Vec<_> = manifest.queue.iter().map(|id| manifest.sessions[id.0].name.clone()).collect();
        let notice = format!("shard {self}: {} of {} sessions", part.sessions.len(), sessions.len());
        manifest.queue.retain(|id| part.sessions.contains(id));
        Ok((ShardMetadata { index: self.index.get(), count: self.count.get(), sessions }, notice))
    }
}

/// Returns the pairs of sessions that must be in one shard.
fn required_pairs(graph: &SessionGraph) -> Vec<(PlanIndex, PlanIndex)> {
    let mut pairs = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let session = PlanIndex(index);
        for (needed, _) in &node.needs {
            pairs.push((session, *needed));
        }
    }
    pairs
}

/// Distributes sessions over shards: the heaviest group first, each to the shard with the least weight so far. Ties go
/// by index, so that the result depends on nothing else.
pub(crate) fn distribute_sessions(
    weights: &[u64],
    pairs: &[(PlanIndex, PlanIndex)],
    count: NonZeroUsize,
) -> Vec<Vec<PlanIndex>> {
    // `group[session]` is the smallest index among the sessions that must stay together.
    let mut group: Vec<usize> = (0..weights.len()).collect();
    for &(one, other) in pairs {
        let (low, high) = (group[one.0].min(group[other.0]), group[one.0].max(group[other.0]));
        for member_group in &mut group {
            if *member_group == high {
                *member_group = low;
            }
        }
    }
    let mut groups: Vec<(u64, Vec<PlanIndex>)> = Vec::new();
    for first in 0..weights.len() {
        let members: Vec<PlanIndex> =
            (first..weights.len()).filter(|&member| group[member] == first).map(PlanIndex).collect();
        if !members.is_empty() {
            groups.push((members.iter().map(|member| weights[member.0]).fold(0, u64::saturating_add), members));
        }
    }
    // Stable: groups of the same weight stay in nox's order.
    groups.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let mut shards: Vec<(u64, Vec<PlanIndex>)> = vec![(0, Vec::new()); count.get()];
    for (weight, members) in groups {
        // Among shards of the same weight the one with fewest sessions: weights may all be 0.
        let lightest = (0..shards.len()).min_by_key(|&n| (shards[n].0, shards[n].1.len(), n)).unwrap_or(0);
        shards[lightest].0 = shards[lightest].0.saturating_add(weight);
        shards[lightest].1.extend(members);
    }
    shards
        .into_iter()
        .map(|(_, mut sessions)| {
            sessions.sort_unstable();
            sessions
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    fn distribute(weights: &[u64], pairs: &[(usize, usize)], shards: usize) -> Vec<Vec<usize>> {
        let pairs: Vec<_> = pairs.iter().map(|&(one, other)| (PlanIndex(one), PlanIndex(other))).collect();
        let shards = distribute_sessions(weights, &pairs, count(shards));
        shards.into_iter().map(|sessions| sessions.into_iter().map(|session| session.0).collect()).collect()
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
    fn heavy_groups_come_first_and_go_to_the_lightest_shard() {
        assert_eq!(distribute(&[5, 1, 1, 3], &[], 2), [vec![0], vec![1, 2, 3]]);
        assert_eq!(distribute(&[5, 1, 1, 3], &[(3, 0), (1, 3)], 2), [vec![0, 1, 3], vec![2]]);
        assert_eq!(distribute(&[], &[], 2), [vec![], Vec::<usize>::new()]);
        assert_eq!(distribute(&[1], &[], 3), [vec![0], vec![], vec![]]);
        assert_eq!(distribute(&[u64::MAX, u64::MAX], &[(0, 1)], 1), [vec![0, 1]]);
    }

    type Case = (Vec<u64>, Vec<(usize, usize)>, usize);

    fn case() -> impl Strategy<Value = Case> {
        prop::collection::vec(0..1_000_u64, 0..40).prop_flat_map(|weights| {
            let sessions = weights.len().max(1);
            let pairs = prop::collection::vec((0..sessions, 0..sessions), 0..if weights.is_empty() { 1 } else { 20 });
            let pairs = pairs.prop_map(move |pairs| if sessions > 1 { pairs } else { Vec::new() });
            (Just(weights), pairs, 1..9_usize)
        })
    }

    proptest! {
        #[test]
        fn every_session_is_in_one_shard_with_what_it_waits_for((weights, pairs, count) in case()) {
            let shards = distribute(&weights, &pairs, count);
            prop_assert_eq!(shards.len(), count);
            let mut all: Vec<usize> = shards.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..weights.len()).collect::<Vec<_>>());
            for (one, other) in &pairs {
                prop_assert!(shards.iter().any(|shard| shard.contains(one) && shard.contains(other)));
            }
            prop_assert!(shards.iter().all(|shard| shard.is_sorted()));
            prop_assert_eq!(&shards, &distribute(&weights, &pairs, count));
        }

        /// No shard is heavier than a fair share and the heaviest group.
        #[test]
        fn shards_are_balanced(weights in prop::collection::vec(0..1_000_u64, 1..40), count in 1..9_usize) {
            let shards = distribute(&weights, &[], count);
            let fair = weights.iter().sum::<u64>() / count as u64;
            let heaviest = weights.iter().max().copied().unwrap_or(0);
            for shard in &shards {
                prop_assert!(shard.iter().map(|&session| weights[session]).sum::<u64>() <= fair + heaviest + 1);
            }
        }
    }
}

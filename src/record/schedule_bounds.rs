//! Lower bounds of a schedule: chains of needs, sessions that share a lock, work per slot.
//!
//! The scheduler, the worker shares, the remaining-time estimate and the critical path of a report all use these.

use std::collections::BTreeMap;

/// Returns for each session the length of the longest chain that ends with it: its own duration, and before it the
/// sessions that it waits for. `dependents[n]` lists the sessions that wait for `n`.
pub(crate) fn longest_chains_before(durations: &[u64], dependents: &[Vec<usize>]) -> Vec<u64> {
    accumulate_chains(durations, &vec![0; durations.len()], dependents)
}

/// Returns for each session the length of the longest chain that begins with it: its own duration, and after it the
/// sessions that wait for it; at least its `lower_bounds` entry. `needs[n]` lists the sessions that `n` waits for.
pub(crate) fn longest_chains_after(durations: &[u64], lower_bounds: &[u64], needs: &[Vec<usize>]) -> Vec<u64> {
    accumulate_chains(durations, lower_bounds, needs)
}

/// Adds up durations along the edges: `next[n]` lists the nodes that get the length of `n` added. Nodes on a cycle, which
/// only a damaged record can contain, are not followed.
fn accumulate_chains(durations: &[u64], lower_bounds: &[u64], next: &[Vec<usize>]) -> Vec<u64> {
    let mut unfinished_before = vec![0_usize; durations.len()];
    for &follower in next.iter().flatten() {
        unfinished_before[follower] += 1;
    }
    let mut lengths: Vec<u64> = durations.iter().zip(lower_bounds).map(|(own, bound)| *own.max(bound)).collect();
    let mut ready: Vec<usize> = (0..durations.len()).filter(|&node| unfinished_before[node] == 0).collect();
    while let Some(node) = ready.pop() {
        for &follower in &next[node] {
            lengths[follower] = lengths[follower].max(lengths[node].saturating_add(durations[follower]));
            unfinished_before[follower] -= 1;
            if unfinished_before[follower] == 0 {
                ready.push(follower);
            }
        }
    }
    lengths
}

/// Returns for each lock the sum of the durations of the sessions that hold it: they run one after another.
pub(crate) fn lock_totals<'a>(sessions: impl IntoIterator<Item = (&'a [String], u64)>) -> BTreeMap<&'a str, u64> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (locks, duration) in sessions {
        for lock in locks {
            let total = totals.entry(lock).or_default();
            *total = total.saturating_add(duration);
        }
    }
    totals
}

/// Returns the total work of sessions given as duration and number of slots; no run is shorter than it divided by
/// `slots`.
pub(crate) fn slot_work(sessions: impl IntoIterator<Item = (u64, usize)>, slots: usize) -> u64 {
    let work = |(duration, cpus): (u64, usize)| duration.saturating_mul(cpus.clamp(1, slots.max(1)) as u64);
    sessions.into_iter().map(work).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_follow_needs_and_respect_lower_bounds() {
        let dependents = [vec![1, 2], vec![3], vec![3], vec![]];
        let needs = [vec![], vec![0], vec![0], vec![1, 2]];
        assert_eq!(longest_chains_before(&[1, 2, 5, 1], &dependents), [1, 3, 6, 7]);
        assert_eq!(longest_chains_after(&[1, 2, 5, 1], &[0; 4], &needs), [7, 3, 6, 1]);
        assert_eq!(longest_chains_after(&[1, 2, 5, 1], &[0, 9, 0, 0], &needs), [10, 9, 6, 1]);
        assert_eq!(longest_chains_before(&[4, 4, 9], &[vec![1], vec![0], vec![]]), [4, 4, 9], "a cycle ends");
        assert_eq!(longest_chains_before(&[], &[]), [0; 0]);
    }

    #[test]
    fn locks_and_slots_bound_a_run() {
        let (db, none) = (["db".to_owned()], []);
        let totals = lock_totals([(&db[..], 2), (&none[..], 9), (&db[..], 3)]);
        assert_eq!(totals.into_iter().collect::<Vec<_>>(), [("db", 5)]);
        assert_eq!(slot_work([(10, 1), (10, 99)], 2), 30);
        assert_eq!(slot_work([(10, 0), (1, 1)], 2), 11);
        assert_eq!(slot_work([(7, 1)], 0), 7);
    }
}

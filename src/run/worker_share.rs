//! Worker shares: the number of CPUs for which each session should start workers.

use super::graph::{reachable_from, reverse_edges};
use super::scheduler::SchedulerTask;
use super::session_locks::find_incompatible;
use crate::record::{lock_totals, longest_chains_after, longest_chains_before, slot_work};

/// Inputs of a session's share, in addition to its task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareInput {
    /// Whether settings say how many slots it takes.
    pub(super) has_explicit_cpus: bool,
    /// Its usual wall and CPU time, if both are in the history.
    pub(super) usual_times: Option<(u64, u64)>,
}

/// Returns the share of every session; the needs of a task are indexes into `sessions`.
///
/// 1. If settings have `cpus` for a session, that is its share.
/// 2. A session that cannot overlap with any other gets all slots.
/// 3. So does one that mostly waited in earlier runs (its CPU time is at most half of its wall time): its workers need
///    little CPU.
/// 4. So does one in a chain that determines the duration of the run: in earlier runs `chain ≥ all work / slots` (of sessions that are not exclusive) and
///    `chain ≥ 2 × any chain that may overlap with it`. Without history this
///    is assumed of a session that shares a lock with others: no two of these overlap, so a wrong guess costs little.
/// 5. All others divide the slots: `slots / min(slots, the session and those that may overlap with it)`, at least 1.
pub(super) fn compute_shares(sessions: &[(SchedulerTask, ShareInput)], slots: usize) -> Vec<usize> {
    let links = NeedLinks::new(sessions);
    let chains = longest_chain_through(sessions, &links);
    let shareable = sessions.iter().filter(|(task, _)| !task.exclusive);
    let total = slot_work(shareable.map(|(task, _)| (task.duration, 1)), slots);
    let share = |session: usize| {
        let (task, input) = &sessions[session];
        if input.has_explicit_cpus {
            return task.cpus.clamp(1, slots);
        }
        let overlapping: Vec<usize> =
            (0..sessions.len()).filter(|&other| can_overlap(sessions, &links.all_needs, session, other)).collect();
        let mostly_waits = input.usual_times.is_some_and(|(wall, cpu)| cpu.saturating_mul(2) <= wall);
        let decides_duration = match input.usual_times {
            Some(_) => {
                let longest_other = overlapping.iter().map(|&other| chains[other]).max().unwrap_or(0);
                chains[session].saturating_mul(slots as u64) >= total
                    && chains[session] >= longest_other.saturating_mul(2)
            }
            None => (0..sessions.len()).any(|other| other != session && have_common_lock(sessions, session, other)),
        };
        if overlapping.is_empty() || mostly_waits || decides_duration {
            slots
        } else {
            (slots / slots.min(overlapping.len() + 1)).max(1)
        }
    };
    (0..sessions.len()).map(share).collect()
}

/// Whether two sessions may ever run at once.
fn can_overlap(sessions: &[(SchedulerTask, ShareInput)], all_needs: &[Vec<bool>], one: usize, other: usize) -> bool {
    let exclusive = sessions[one].0.exclusive || sessions[other].0.exclusive;
    let ordered = all_needs[one][other] || all_needs[other][one];
    one != other && !exclusive && !ordered && !have_common_lock(sessions, one, other)
}

fn have_common_lock(sessions: &[(SchedulerTask, ShareInput)], one: usize, other: usize) -> bool {
    let (one, other) = (&sessions[one].0, &sessions[other].0);
    one.locks.iter().any(|lock| other.locks.contains(lock)) || find_incompatible(&one.uses, &other.uses).is_some()
}

/// Returns for each session the usual duration of the longest chain through it: the sessions before and after it, or
/// all that share one of its locks.
fn longest_chain_through(sessions: &[(SchedulerTask, ShareInput)], links: &NeedLinks) -> Vec<u64> {
    let durations: Vec<u64> = sessions.iter().map(|(task, _)| task.duration).collect();
    let totals = lock_totals(sessions.iter().map(|(task, _)| (task.locks.as_slice(), task.duration)));
    let before = longest_chains_before(&durations, &links.dependents);
    let after = longest_chains_after(&durations, &vec![0; durations.len()], &links.needs);
    let through = |session: usize| {
        let locks = &sessions[session].0.locks;
        let locked = locks.iter().filter_map(|lock| totals.get(lock.as_str())).copied().max().unwrap_or(0);
        locked.max(before[session].saturating_add(after[session]).saturating_sub(durations[session]))
    };
    (0..sessions.len()).map(through).collect()
}

/// Needs of all sessions, in both directions.
struct NeedLinks {
    /// What each session waits for.
    needs: Vec<Vec<usize>>,
    /// What waits for each session.
    dependents: Vec<Vec<usize>>,
    /// What each session waits for, directly or not.
    all_needs: Vec<Vec<bool>>,
}

impl NeedLinks {
    fn new(sessions: &[(SchedulerTask, ShareInput)]) -> Self {
        let needs: Vec<Vec<usize>> =
            sessions.iter().map(|(task, _)| task.needs.iter().map(|(need, _)| need.0).collect()).collect();
        let dependents = reverse_edges(needs.iter().map(|needs| needs.iter().copied()));
        let all_needs = (0..sessions.len()).map(|session| reachable_from(session, &needs)).collect();
        Self { needs, dependents, all_needs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{NeedCondition, PlanIndex};

    fn plain(duration: u64) -> (SchedulerTask, ShareInput) {
        (SchedulerTask { cpus: 1, duration, ..SchedulerTask::default() }, ShareInput::default())
    }

    fn known(wall: u64, cpu: u64) -> (SchedulerTask, ShareInput) {
        (plain(wall).0, ShareInput { has_explicit_cpus: false, usual_times: Some((wall, cpu)) })
    }

    fn needing(mut session: (SchedulerTask, ShareInput), on: &[usize]) -> (SchedulerTask, ShareInput) {
        session.0.needs = on.iter().map(|on| (PlanIndex(*on), NeedCondition::MustEnd)).collect();
        session
    }

    fn locked(mut session: (SchedulerTask, ShareInput), lock: &str) -> (SchedulerTask, ShareInput) {
        session.0.locks = vec![lock.to_owned()];
        session
    }

    #[test]
    fn one_session_gets_all_slots_and_many_divide_them() {
        assert_eq!(compute_shares(&[plain(1)], 8), [8]);
        assert_eq!(compute_shares(&[plain(1), plain(1)], 8), [4, 4]);
        assert_eq!(compute_shares(&[plain(1), plain(1), plain(1)], 8), [2, 2, 2]);
        assert_eq!(compute_shares(&[plain(1), plain(1), plain(1)], 2), [1, 1, 1]);
        assert_eq!(compute_shares(&[plain(1), plain(1)], 1), [1, 1]);
        assert_eq!(compute_shares(&[], 4), [0; 0]);
    }

    #[test]
    fn explicit_cpus_decide() {
        let mut wide = known(100, 1);
        wide.0.cpus = 9;
        wide.1.has_explicit_cpus = true;
        let mut one = plain(1);
        one.1.has_explicit_cpus = true;
        assert_eq!(compute_shares(&[wide, one, plain(1)], 4), [4, 1, 1]);
    }

    #[test]
    fn sessions_that_cannot_overlap_get_all_slots() {
        let mut exclusive = plain(1);
        exclusive.0.exclusive = true;
        assert_eq!(compute_shares(&[exclusive, plain(1)], 4), [4, 4]);
        assert_eq!(compute_shares(&[plain(1), needing(plain(1), &[0]), needing(plain(1), &[1])], 4), [4, 4, 4]);
        assert_eq!(compute_shares(&[locked(plain(1), "db"), locked(plain(1), "db")], 4), [4, 4]);
        let (both, more) = (known(1, 1), known(2, 2));
        assert_eq!(
            compute_shares(&[locked(both.clone(), "db"), locked(both.clone(), "db"), more.clone(), more], 4),
            [1, 1, 1, 1]
        );
    }

    #[test]
    fn a_session_that_mostly_waits_gets_all_slots() {
        let busy = || known(10, 9);
        assert_eq!(compute_shares(&[known(10, 5), known(10, 6), busy(), busy()], 2), [2, 1, 1, 1]);
        assert_eq!(compute_shares(&[plain(10), busy(), busy()], 2)[0], 1, "no history");
    }

    #[test]
    fn the_chain_that_decides_the_run_gets_all_slots() {
        let busy = |wall| known(wall, wall);
        // Two slots: two sessions with one lock take 20, all others 12.
        let chain = |wall| locked(busy(wall), "db");
        assert_eq!(compute_shares(&[chain(8), chain(12), busy(6), busy(6)], 2), [2, 2, 1, 1]);
        assert_eq!(
            compute_shares(&[chain(8), chain(12), busy(15), busy(16)], 2),
            [1, 1, 1, 1],
            "the CPUs are the limit"
        );
        // The same with needs: 0 → 1 → 2, and two others that may overlap with them.
        let path = [busy(4), needing(busy(5), &[0]), needing(busy(6), &[1]), busy(7), busy(7)];
        assert_eq!(compute_shares(&path, 2), [2, 2, 2, 1, 1]);
        assert_eq!(compute_shares(&[busy(8), busy(8)], 8), [4, 4], "neither is longer than the other");
        assert_eq!(compute_shares(&[busy(16), busy(8)], 8), [8, 4]);
        // Without history, sessions that share a lock count as such a chain.
        assert_eq!(
            compute_shares(&[locked(plain(1), "db"), locked(plain(1), "db"), plain(1), plain(1)], 2),
            [2, 2, 1, 1]
        );
        assert_eq!(
            compute_shares(&[locked(plain(1), "db"), plain(1), plain(1)], 2),
            [1, 1, 1],
            "no other session holds it"
        );
    }
}

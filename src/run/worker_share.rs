//! Shares: for how many CPUs' worth of work each session is told to start workers.

use super::scheduler::SchedulerTask;

/// What a session's share is decided by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShareInput {
    /// Whether settings say how many slots it takes.
    pub(super) has_explicit_cpus: bool,
    /// Its usual wall and CPU time, where history knows both.
    pub(super) usual_times: Option<(u64, u64)>,
}

/// The share of every session, given as `(work, claim)`; needs are places in the same list.
///
/// 1. What settings say (`cpus`) is the share.
/// 2. A session beside which nothing can run gets all slots.
/// 3. So does one that by history mostly waits (its CPU time is at most half of its wall time): its workers sleep.
/// 4. So does one in a chain that the whole run waits for: by history the chain takes at least as long as all work
///    spread over the slots, and at least twice as long as any chain beside it. Whatever makes it faster makes the run
///    faster. Without history that is guessed of one that shares a lock with others; of these no two run at once, so
///    that it costs little where it is wrong.
/// 5. All others divide the slots: `slots / min(slots, sessions that may run beside each other)`, at least 1.
pub(super) fn compute_shares(sessions: &[(SchedulerTask, ShareInput)], slots: usize) -> Vec<usize> {
    let links = DependencyLinks::from_sessions(sessions);
    let total: u64 = sessions.iter().filter(|(work, _)| !work.exclusive).map(|(work, _)| work.duration).sum();
    let chains: Vec<u64> = (0..sessions.len()).map(|at| longest_chain(sessions, &links, at)).collect();
    let share = |at: usize| {
        let (work, claim) = &sessions[at];
        if claim.has_explicit_cpus {
            return work.cpus.clamp(1, slots);
        }
        let beside: Vec<usize> =
            (0..sessions.len()).filter(|&other| can_overlap(sessions, &links.reachable, at, other)).collect();
        let waits = claim.usual_times.is_some_and(|(wall, cpu)| cpu.saturating_mul(2) <= wall);
        let decides = match claim.usual_times {
            Some(_) => {
                let rival = beside.iter().map(|&other| chains[other]).max().unwrap_or(0);
                chains[at].saturating_mul(slots as u64) >= total && chains[at] >= rival.saturating_mul(2)
            }
            None => (0..sessions.len()).any(|other| other != at && has_common_lock(sessions, at, other)),
        };
        if beside.is_empty() || waits || decides { slots } else { (slots / slots.min(beside.len() + 1)).max(1) }
    };
    (0..sessions.len()).map(share).collect()
}

/// Whether two sessions may ever run at once.
fn can_overlap(sessions: &[(SchedulerTask, ShareInput)], reach: &[Vec<bool>], one: usize, other: usize) -> bool {
    let (a, b) = (&sessions[one].0, &sessions[other].0);
    let locked = has_common_lock(sessions, one, other);
    one != other && !a.exclusive && !b.exclusive && !locked && !reach[one][other] && !reach[other][one]
}

fn has_common_lock(sessions: &[(SchedulerTask, ShareInput)], one: usize, other: usize) -> bool {
    sessions[one].0.locks.iter().any(|lock| sessions[other].0.locks.contains(lock))
}

/// Usual time of the longest chain that a session is a link of: needs before and after it, or one of its locks.
fn longest_chain(sessions: &[(SchedulerTask, ShareInput)], links: &DependencyLinks, at: usize) -> u64 {
    let duration = |session: usize| sessions[session].0.duration;
    let held = |lock: &String| {
        (0..sessions.len()).filter(|&other| sessions[other].0.locks.contains(lock)).map(duration).sum::<u64>()
    };
    let locks = sessions[at].0.locks.iter().map(held).max().unwrap_or(0);
    let path = longest_path(sessions, at, &links.needs) + longest_path(sessions, at, &links.dependents);
    locks.max(path.saturating_sub(duration(at)))
}

/// The longest way that begins at a session, by usual time; ways are acyclic because needs are.
fn longest_path(sessions: &[(SchedulerTask, ShareInput)], from: usize, next: &[Vec<usize>]) -> u64 {
    let mut known: Vec<Option<u64>> = vec![None; sessions.len()];
    let mut stack = vec![from];
    while let Some(&top) = stack.last() {
        let open: Vec<usize> = next[top].iter().copied().filter(|&session| known[session].is_none()).collect();
        if known[top].is_none() && !open.is_empty() {
            stack.extend(open);
            continue;
        }
        stack.pop();
        let rest = next[top].iter().filter_map(|&session| known[session]).max().unwrap_or(0);
        known[top] = Some(sessions[top].0.duration + rest);
    }
    known[from].unwrap_or(0)
}

/// Who waits for whom.
struct DependencyLinks {
    /// What each session waits for.
    needs: Vec<Vec<usize>>,
    /// Who waits for each session.
    dependents: Vec<Vec<usize>>,
    /// What each session waits for, directly or not.
    reachable: Vec<Vec<bool>>,
}

impl DependencyLinks {
    fn from_sessions(sessions: &[(SchedulerTask, ShareInput)]) -> Self {
        let needs: Vec<Vec<usize>> =
            sessions.iter().map(|(work, _)| work.needs.iter().map(|(need, _)| *need).collect()).collect();
        let mut dependents = vec![Vec::new(); sessions.len()];
        for (session, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|&need| dependents[need].push(session));
        }
        let reach = (0..sessions.len()).map(|session| reachable_sessions(session, &needs)).collect();
        Self { needs, dependents, reachable: reach }
    }
}

fn reachable_sessions(session: usize, needs: &[Vec<usize>]) -> Vec<bool> {
    let mut found = vec![false; needs.len()];
    let mut stack = vec![session];
    while let Some(top) = stack.pop() {
        for &need in &needs[top] {
            if !std::mem::replace(&mut found[need], true) {
                stack.push(need);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(duration: u64) -> (SchedulerTask, ShareInput) {
        (SchedulerTask { cpus: 1, duration, ..SchedulerTask::default() }, ShareInput::default())
    }

    fn known(wall: u64, cpu: u64) -> (SchedulerTask, ShareInput) {
        (plain(wall).0, ShareInput { has_explicit_cpus: false, usual_times: Some((wall, cpu)) })
    }

    fn needing(mut session: (SchedulerTask, ShareInput), on: &[usize]) -> (SchedulerTask, ShareInput) {
        session.0.needs = on.iter().map(|on| (*on, true)).collect();
        session
    }

    fn locked(mut session: (SchedulerTask, ShareInput), lock: &str) -> (SchedulerTask, ShareInput) {
        session.0.locks = vec![lock.to_owned()];
        session
    }

    #[test]
    fn a_session_alone_has_all_and_many_divide_the_slots() {
        assert_eq!(compute_shares(&[plain(1)], 8), [8]);
        assert_eq!(compute_shares(&[plain(1), plain(1)], 8), [4, 4]);
        assert_eq!(compute_shares(&[plain(1), plain(1), plain(1)], 8), [2, 2, 2]);
        assert_eq!(compute_shares(&[plain(1), plain(1), plain(1)], 2), [1, 1, 1]);
        assert_eq!(compute_shares(&[plain(1), plain(1)], 1), [1, 1]);
        assert_eq!(compute_shares(&[], 4), [0; 0]);
    }

    #[test]
    fn settings_have_the_first_word() {
        let mut wide = known(100, 1);
        wide.0.cpus = 9;
        wide.1.has_explicit_cpus = true;
        let mut one = plain(1);
        one.1.has_explicit_cpus = true;
        assert_eq!(compute_shares(&[wide, one, plain(1)], 4), [4, 1, 1]);
    }

    #[test]
    fn only_those_count_that_may_run_beside_it() {
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
    fn who_mostly_waits_gets_all_slots() {
        let busy = || known(10, 9);
        assert_eq!(compute_shares(&[known(10, 5), known(10, 6), busy(), busy()], 2), [2, 1, 1, 1]);
        assert_eq!(compute_shares(&[plain(10), busy(), busy()], 2)[0], 1, "nothing is known of it");
    }

    #[test]
    fn the_chain_that_the_run_waits_for_gets_all_slots() {
        let busy = |wall| known(wall, wall);
        // Two slots: 20 under one lock against 12 of all the rest.
        let chain = |wall| locked(busy(wall), "db");
        assert_eq!(compute_shares(&[chain(8), chain(12), busy(6), busy(6)], 2), [2, 2, 1, 1]);
        assert_eq!(compute_shares(&[chain(8), chain(12), busy(15), busy(16)], 2), [1, 1, 1, 1], "here the CPUs bind");
        // The same as needs: 0 → 1 → 2, and 3 beside them.
        let path = [busy(4), needing(busy(5), &[0]), needing(busy(6), &[1]), busy(7), busy(7)];
        assert_eq!(compute_shares(&path, 2), [2, 2, 2, 1, 1]);
        assert_eq!(compute_shares(&[busy(8), busy(8)], 8), [4, 4], "neither is longer than the other");
        assert_eq!(compute_shares(&[busy(16), busy(8)], 8), [8, 4]);
        // Without history, those that share a lock are taken for such a chain.
        assert_eq!(
            compute_shares(&[locked(plain(1), "db"), locked(plain(1), "db"), plain(1), plain(1)], 2),
            [2, 2, 1, 1]
        );
        assert_eq!(compute_shares(&[locked(plain(1), "db"), plain(1), plain(1)], 2), [1, 1, 1], "nobody else wants it");
    }
}

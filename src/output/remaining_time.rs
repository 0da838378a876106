//! How long a run still takes: the longest remaining path of usual times, and the room that the slots leave.

use super::RunState;
use super::run_state::SessionStatus;
use crate::record::{lock_totals, longest_chains, slot_work};

/// An estimate of the time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemainingTime {
    /// Milliseconds.
    pub(crate) ms: u64,
    /// Whether some session still to come has no usual time, so that it takes at least this long.
    pub(crate) is_lower_bound: bool,
}

/// How long the run still takes, by what its sessions usually take; none when little is known of them.
pub(crate) fn estimate_remaining(state: &RunState) -> Option<RemainingTime> {
    let sessions = state.sessions();
    let mut own = vec![0_u64; sessions.len()];
    let (mut known, mut unknown) = (0, 0);
    for (at, view) in sessions.iter().enumerate() {
        let gone = match &view.status {
            SessionStatus::Done(_) => continue,
            SessionStatus::Running(running) => state.elapsed_ms().saturating_sub(running.started_at),
            SessionStatus::Waiting | SessionStatus::AwaitingRetry { .. } => 0,
        };
        match view.facts.usual {
            Some(usual) => {
                known += 1;
                own[at] = usual.saturating_sub(gone);
            }
            None => unknown += 1,
        }
    }
    // Of a run that is mostly unknown a bound says nothing.
    if known == 0 || unknown > known {
        return None;
    }
    let bound = critical_path_bound(state, &own).max(slot_bound(state, &own)).max(lock_bound(state, &own));
    Some(RemainingTime { ms: bound, is_lower_bound: unknown > 0 })
}

/// The longest chain of needs.
fn critical_path_bound(state: &RunState, own: &[u64]) -> u64 {
    let sessions = state.sessions();
    let mut dependents = vec![Vec::new(); sessions.len()];
    for (dependent, view) in sessions.iter().enumerate() {
        for required in view.facts.needs.iter().filter_map(|need| state.session_index(&need.on)) {
            dependents[required].push(dependent);
        }
    }
    longest_chains(own, &vec![0; own.len()], &dependents).into_iter().max().unwrap_or(0)
}

/// All work over all slots.
fn slot_bound(state: &RunState, own: &[u64]) -> u64 {
    let slots = state.run_facts().map_or(1, |facts| facts.slots).max(1);
    slot_work(state.sessions().iter().zip(own).map(|(view, own)| (*own, view.facts.cpus)), slots) / slots as u64
}

/// The sessions of a lock one after the other, and so those that run alone.
fn lock_bound(state: &RunState, own: &[u64]) -> u64 {
    let sessions = || state.sessions().iter().zip(own);
    let totals = lock_totals(sessions().map(|(view, own)| (view.facts.locks.as_slice(), *own)));
    let exclusive = sessions().filter(|(view, _)| view.facts.exclusive);
    let exclusive = exclusive.fold(0_u64, |sum, (_, own)| sum.saturating_add(*own));
    totals.into_values().max().unwrap_or(0).max(exclusive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_facts, session_facts_with_usual};
    use crate::record::{Outcome, SessionSpec};

    fn left(story: &RunEventBuilder) -> Option<(u64, bool)> {
        estimate_remaining(&story.run_state()).map(|left| (left.ms, left.is_lower_bound))
    }

    #[test]
    fn the_longest_chain_shrinks_as_it_runs() {
        let mut story = RunEventBuilder::from_sessions(vec![
            session_facts_with_usual("a", 10_000, &[]),
            session_facts_with_usual("b", 5_000, &["a"]),
            session_facts_with_usual("c", 2_000, &[]),
        ]);
        assert_eq!(left(&story), Some((15_000, false)));
        story.start_session(0, "a").add_notice(4_000, "tick");
        assert_eq!(left(&story), Some((11_000, false)));
        story.add_notice(60_000, "a takes longer than usual");
        assert_eq!(left(&story), Some((5_000, false)));
        story.finish_session(61_000, "a", Outcome::Passed, "");
        assert_eq!(left(&story), Some((5_000, false)));
    }

    #[test]
    fn room_and_locks_bound_it_too() {
        let wide: Vec<SessionSpec> = (0..6).map(|n| session_facts_with_usual(&format!("s{n}"), 1_000, &[])).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(wide.clone())), Some((3_000, false)));
        let cpus = wide.iter().cloned().map(|s| SessionSpec { cpus: 99, ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(cpus)), Some((6_000, false)));
        let locked = wide.iter().cloned().map(|s| SessionSpec { locks: vec!["db".to_owned()], ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(locked)), Some((6_000, false)));
        let alone = wide.into_iter().map(|s| SessionSpec { exclusive: true, ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(alone)), Some((6_000, false)));
    }

    #[test]
    fn what_is_unknown_is_said() {
        assert_eq!(left(&RunEventBuilder::new(&["a", "b"])), None);
        assert_eq!(
            left(&RunEventBuilder::from_sessions(vec![session_facts_with_usual("a", 100, &[]), session_facts("b")])),
            Some((100, true))
        );
        assert_eq!(
            left(&RunEventBuilder::from_sessions(vec![
                session_facts_with_usual("a", 100, &[]),
                session_facts("b"),
                session_facts("c")
            ])),
            None
        );
    }

    #[test]
    fn a_circle_or_a_stranger_in_a_damaged_record_ends() {
        let story = RunEventBuilder::from_sessions(vec![
            session_facts_with_usual("a", 100, &["b"]),
            session_facts_with_usual("b", 100, &["a"]),
            session_facts_with_usual("c", 300, &["stranger"]),
        ]);
        assert_eq!(left(&story), Some((300, false)));
    }
}

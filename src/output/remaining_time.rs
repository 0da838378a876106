//! Estimate of the time left: the largest of three bounds, by needs, slots and locks, from usual times.

use super::RunState;
use super::run_state::SessionStatus;
use crate::record::{lock_totals, longest_chains_before, slot_work};

/// An estimate of the time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemainingTime {
    /// Milliseconds.
    pub(crate) ms: u64,
    /// Whether an unfinished session has no usual time and is not counted.
    pub(crate) is_partial: bool,
}

/// Estimates the time left by the sessions' usual times; `None` if too few are known.
pub(crate) fn estimate_remaining(state: &RunState) -> Option<RemainingTime> {
    let sessions = state.sessions();
    let mut remaining = vec![0_u64; sessions.len()];
    let (mut known, mut unknown) = (0, 0);
    for (index, view) in sessions.iter().enumerate() {
        let elapsed = match &view.status {
            SessionStatus::Done(_) => continue,
            SessionStatus::Running(running) => state.elapsed_ms().saturating_sub(running.started_at),
            SessionStatus::Waiting | SessionStatus::AwaitingRetry { .. } => 0,
            // It runs again only if the session that it waits for affects it.
            SessionStatus::Held { .. } => continue,
        };
        match view.spec.usual_ms {
            Some(usual) => {
                known += 1;
                remaining[index] = usual.saturating_sub(elapsed);
            }
            None => unknown += 1,
        }
    }
    // A bound for a mostly unknown run is meaningless.
    if known == 0 || unknown > known {
        return None;
    }
    let bound = chain_bound(state, &remaining).max(slot_bound(state, &remaining)).max(lock_bound(state, &remaining));
    Some(RemainingTime { ms: bound, is_partial: unknown > 0 })
}

/// Returns the length of the longest chain of needs.
fn chain_bound(state: &RunState, remaining: &[u64]) -> u64 {
    let sessions = state.sessions();
    let mut dependents = vec![Vec::new(); sessions.len()];
    for (dependent, view) in sessions.iter().enumerate() {
        for required in view.spec.needs.iter().filter_map(|need| state.plan_index(&need.session)) {
            dependents[required].push(dependent);
        }
    }
    longest_chains_before(remaining, &dependents).into_iter().max().unwrap_or(0)
}

/// Returns the total work divided by the slots.
fn slot_bound(state: &RunState, remaining: &[u64]) -> u64 {
    let slots = state.run_metadata().map_or(1, |metadata| metadata.slots).max(1);
    slot_work(state.sessions().iter().zip(remaining).map(|(view, remaining)| (*remaining, view.spec.cpus)), slots)
        / slots as u64
}

/// Returns the total time of the sessions that share a lock or of the exclusive sessions, whichever is larger.
fn lock_bound(state: &RunState, remaining: &[u64]) -> u64 {
    let sessions = || state.sessions().iter().zip(remaining);
    let totals = lock_totals(sessions().map(|(view, remaining)| (view.spec.locks.as_slice(), *remaining)));
    let exclusive = sessions().filter(|(view, _)| view.spec.exclusive);
    let exclusive = exclusive.fold(0_u64, |sum, (_, remaining)| sum.saturating_add(*remaining));
    totals.into_values().max().unwrap_or(0).max(exclusive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};
    use crate::record::{Outcome, SessionSpec};

    fn left(builder: &RunEventBuilder) -> Option<(u64, bool)> {
        estimate_remaining(&builder.run_state()).map(|left| (left.ms, left.is_partial))
    }

    #[test]
    fn the_longest_chain_shrinks_during_the_run() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("a", 10_000, &[]),
            session_spec_with_usual("b", 5_000, &["a"]),
            session_spec_with_usual("c", 2_000, &[]),
        ]);
        assert_eq!(left(&builder), Some((15_000, false)));
        builder.start_session(0, "a").add_notice(4_000, "tick");
        assert_eq!(left(&builder), Some((11_000, false)));
        builder.add_notice(60_000, "a takes longer than usual");
        assert_eq!(left(&builder), Some((5_000, false)));
        builder.finish_session(61_000, "a", Outcome::Passed, "");
        assert_eq!(left(&builder), Some((5_000, false)));
    }

    #[test]
    fn the_largest_of_the_three_bounds_counts() {
        let wide: Vec<SessionSpec> = (0..6).map(|n| session_spec_with_usual(&format!("s{n}"), 1_000, &[])).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(wide.clone())), Some((3_000, false)));
        let cpus = wide.iter().cloned().map(|s| SessionSpec { cpus: 99, ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(cpus)), Some((6_000, false)));
        let locked = wide.iter().cloned().map(|s| SessionSpec { locks: vec!["db".to_owned()], ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(locked)), Some((6_000, false)));
        let exclusive = wide.into_iter().map(|s| SessionSpec { exclusive: true, ..s }).collect();
        assert_eq!(left(&RunEventBuilder::from_sessions(exclusive)), Some((6_000, false)));
    }

    #[test]
    fn unknown_usual_times_make_a_partial_estimate() {
        assert_eq!(left(&RunEventBuilder::new(&["a", "b"])), None);
        assert_eq!(
            left(&RunEventBuilder::from_sessions(vec![session_spec_with_usual("a", 100, &[]), session_spec("b")])),
            Some((100, true))
        );
        assert_eq!(
            left(&RunEventBuilder::from_sessions(vec![
                session_spec_with_usual("a", 100, &[]),
                session_spec("b"),
                session_spec("c")
            ])),
            None
        );
    }

    #[test]
    fn cycles_and_unknown_sessions_are_tolerated() {
        let builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("a", 100, &["b"]),
            session_spec_with_usual("b", 100, &["a"]),
            session_spec_with_usual("c", 300, &["unknown"]),
        ]);
        assert_eq!(left(&builder), Some((300, false)));
    }
}

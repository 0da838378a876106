//! Reasons why sessions wait: a session that they need, a lock, an exclusive session, a slot.

use super::RunState;
use super::run_state::{SessionStatus, SessionView};
use crate::record::SessionSpec;

/// Why a session has not started.
#[derive(Clone, Copy, Debug)]
enum WaitCause<'a> {
    /// A session that it needs has not ended.
    Need(&'a SessionSpec),
    /// A running session holds a lock that it needs.
    Lock(&'a str, &'a SessionSpec),
    /// One of the two is exclusive.
    Exclusive(&'a SessionSpec),
    /// Too few slots are free.
    Slot,
    /// Slots are free: its packages are being restored, memory is low, or another run uses its environment.
    Preparation,
}

impl<'a> WaitCause<'a> {
    fn for_session(state: &'a RunState, view: &'a SessionView) -> Self {
        let spec = &view.spec;
        let is_done = |view: &SessionView| matches!(view.status, SessionStatus::Done(_));
        let needs = spec.needs.iter().filter_map(|need| state.find_session(&need.session));
        if let Some(needed) = needs.into_iter().find(|needed| !is_done(needed)) {
            return Self::Need(&needed.spec);
        }
        let running = || state.running_sessions().into_iter().map(|(spec, _)| spec);
        if let Some(other) = running().find(|other| other.exclusive || spec.exclusive) {
            return Self::Exclusive(other);
        }
        let shared = |other: &&SessionSpec| find_common_lock(spec, other).is_some();
        match running().find(shared) {
            Some(other) => Self::Lock(find_common_lock(spec, other).unwrap_or_default(), other),
            None if has_free_slots(state) => Self::Preparation,
            None => Self::Slot,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Need(needed) => format!("waits for {}", needed.name),
            Self::Lock(lock, other) => format!("waits for lock {lock}, which {} has", other.name),
            Self::Exclusive(other) => format!("cannot run beside {}", other.name),
            Self::Slot => "waits for a slot".to_owned(),
            Self::Preparation => "waits for its packages, for memory, or for another run".to_owned(),
        }
    }
}

/// Returns a lock that two sessions cannot hold at the same time.
fn find_common_lock<'a>(one: &'a SessionSpec, other: &SessionSpec) -> Option<&'a str> {
    let holds = |lock: &&String| other.locks.contains(*lock) || other.lock_details.shared.contains(*lock);
    let own = one.locks.iter().find(holds);
    own.or_else(|| one.lock_details.shared.iter().find(|lock| other.locks.contains(*lock))).map(String::as_str)
}

fn has_free_slots(state: &RunState) -> bool {
    let slots = state.run_metadata().map_or(0, |metadata| metadata.slots);
    let used: usize = state.running_sessions().iter().map(|(spec, _)| spec.cpus).sum();
    used < slots
}

/// Returns the waiting sessions with their reasons, in nox's order.
pub(super) fn waiting_sessions(state: &RunState) -> Vec<(&SessionSpec, String)> {
    let waiting = state.sessions().iter().filter(|view| matches!(view.status, SessionStatus::Waiting));
    waiting.map(|view| (&view.spec, WaitCause::for_session(state, view).describe())).collect()
}

/// Returns the sessions that could run on free slots, but for a lock or an exclusive session, with their reasons.
pub(super) fn blocked_sessions(state: &RunState) -> Vec<(&SessionSpec, String)> {
    if !has_free_slots(state) {
        return Vec::new();
    }
    let waiting = state.sessions().iter().filter(|view| matches!(view.status, SessionStatus::Waiting));
    waiting
        .filter_map(|view| match WaitCause::for_session(state, view) {
            WaitCause::Need(_) | WaitCause::Slot | WaitCause::Preparation => None,
            cause => Some((&view.spec, cause.describe())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};
    use crate::record::Outcome;

    #[test]
    fn each_waiting_session_has_a_reason() {
        let locked = |name: &str| {
            let mut spec = session_spec(name);
            spec.locks = vec!["template-db".to_owned()];
            spec
        };
        let mut exclusive = session_spec("benchmark");
        exclusive.exclusive = true;
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec("lint"),
            locked("unit_tests"),
            locked("integration_tests"),
            session_spec_with_usual("report", 1, &["lint"]),
            exclusive,
        ]);
        let reasons = |builder: &RunEventBuilder| {
            let state = builder.run_state();
            let texts = |list: Vec<(&SessionSpec, String)>| {
                list.iter().map(|(spec, reason)| format!("{} {reason}", spec.name)).collect::<Vec<_>>()
            };
            (texts(waiting_sessions(&state)), texts(blocked_sessions(&state)))
        };
        builder.start_session(0, "lint").start_session(0, "unit_tests");
        let (all, blocked) = reasons(&builder);
        assert_eq!(
            all,
            [
                "integration_tests waits for lock template-db, which unit_tests has",
                "report waits for lint",
                "benchmark cannot run beside lint",
            ]
        );
        assert!(blocked.is_empty(), "both slots are in use: {blocked:?}");
        builder.finish_session(5, "lint", Outcome::Passed, "");
        let (all, blocked) = reasons(&builder);
        assert_eq!(all[1], "report waits for its packages, for memory, or for another run");
        assert_eq!(
            blocked,
            [
                "integration_tests waits for lock template-db, which unit_tests has",
                "benchmark cannot run beside unit_tests",
            ]
        );
    }
}

//! Critical path of a run, and the lower bounds that no order of its sessions can beat.

use std::collections::HashMap;

use serde::Serialize;

use crate::record::{RecordedSession, RunRecord, lock_totals, longest_chains};

/// Ends within this time (milliseconds) count as simultaneous: the dispatcher needs some time to start a session.
const SAME_MOMENT_MS: u64 = 50;

/// One session on the critical path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriticalPathEntry {
    /// Session name.
    pub session: String,
    /// Why it did not start earlier.
    pub reason: WaitReason,
    /// Milliseconds between the end of its blocker and its start.
    pub gap: u64,
    /// Start of its first attempt.
    pub start: u64,
    /// End of its last attempt.
    pub end: u64,
}

/// Reason why a session did not start earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WaitReason {
    /// Nothing: it was among the first.
    First,
    /// It depends on another session.
    Need {
        /// The blocking session.
        session: String,
    },
    /// It shares a lock with another session.
    Lock {
        /// The blocking session.
        session: String,
        /// The lock.
        lock: String,
    },
    /// One of the two is exclusive.
    Exclusive {
        /// The blocking session.
        session: String,
    },
    /// Another session occupied its slot.
    Slot {
        /// The blocking session.
        session: String,
    },
}

impl WaitReason {
    /// Describes the reason, to follow the session's name.
    pub(crate) fn describe_wait(&self) -> String {
        match self {
            Self::First => "from the start".to_owned(),
            Self::Need { session: on } => format!("needs {on}"),
            Self::Lock { session: on, lock } => format!("shares the lock {lock} with {on}"),
            Self::Exclusive { session: on } => format!("cannot run beside {on}"),
            Self::Slot { session: on } => format!("waited for the slot of {on}"),
        }
    }
}

/// Lower bounds for the duration of the run, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LowerBounds {
    /// The longest chain of dependencies.
    pub needs: u64,
    /// The largest sum of sessions that share a lock, and that lock.
    pub lock: Option<(String, u64)>,
    /// CPU time divided by the number of slots, if measured.
    pub cpu: Option<u64>,
    /// Sum of the exclusive sessions, to which the others are added.
    pub exclusive: u64,
}

impl LowerBounds {
    /// Returns the largest bound and its description.
    pub fn largest_bound(&self) -> (u64, String) {
        let mut all = vec![(self.needs + self.exclusive, "the longest chain of dependencies".to_owned())];
        all.extend(self.lock.as_ref().map(|(lock, sum)| (sum + self.exclusive, format!("sessions that share {lock}"))));
        all.extend(self.cpu.map(|cpu| (cpu, "CPU time".to_owned())));
        all.into_iter().max_by_key(|(ms, _)| *ms).unwrap_or_default()
    }
}

/// A session that ran.
struct ExecutedSession<'a> {
    session: &'a RecordedSession,
    start: u64,
    end: u64,
    slots: Vec<usize>,
}

impl ExecutedSession<'_> {
    fn session_name(&self) -> &str {
        self.session.spec.name.as_str()
    }
}

fn executed_sessions(record: &RunRecord) -> Vec<ExecutedSession<'_>> {
    let of = |session| -> Option<ExecutedSession<'_>> {
        let session: &RecordedSession = session;
        let attempts = &session.result.as_ref()?.attempts;
        let mut slots: Vec<usize> = attempts.iter().flat_map(|attempt| attempt.slots.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        Some(ExecutedSession { session, start: attempts.first()?.start, end: attempts.last()?.end, slots })
    };
    record.sessions.iter().filter_map(of).collect()
}

/// Returns the critical path, first session first.
///
/// It is followed backwards from the session that ended last, each time to the session whose end let the current one
/// start. If several ended at about the same time, a dependency takes precedence over a shared lock, and a lock over a
/// slot.
pub(super) fn critical_path(record: &RunRecord) -> Vec<CriticalPathEntry> {
    let ran = executed_sessions(record);
    let mut chain = Vec::new();
    let mut seen = vec![false; ran.len()];
    let mut current = (0..ran.len()).max_by_key(|at| (ran[*at].end, std::cmp::Reverse(*at)));
    while let Some(at) = current {
        seen[at] = true;
        let before = find_blocker(&ran, at, &seen);
        let this = &ran[at];
        chain.push(CriticalPathEntry {
            session: this.session_name().to_owned(),
            reason: before.as_ref().map_or(WaitReason::First, |(_, because)| because.clone()),
            gap: this.start - before.as_ref().map_or(0, |(other, _)| ran[*other].end),
            start: this.start,
            end: this.end,
        });
        current = before.map(|(other, _)| other);
    }
    chain.reverse();
    chain
}

/// Returns the session whose end let this one start, and the reason.
fn find_blocker(ran: &[ExecutedSession<'_>], at: usize, seen: &[bool]) -> Option<(usize, WaitReason)> {
    let this = &ran[at];
    let earlier = (0..ran.len()).filter(|other| !seen[*other] && ran[*other].end <= this.start);
    let tied: Vec<(usize, u8, WaitReason)> =
        earlier.filter_map(|other| blocking_reason(this, &ran[other], other)).collect();
    let latest = tied.iter().map(|(other, ..)| ran[*other].end).max()?;
    let near = tied.into_iter().filter(|(other, ..)| ran[*other].end + SAME_MOMENT_MS >= latest);
    near.min_by_key(|(other, rank, _)| (*rank, std::cmp::Reverse(ran[*other].end), *other))
        .map(|(other, _, because)| (other, because))
}

fn blocking_reason(
    this: &ExecutedSession<'_>,
    other: &ExecutedSession<'_>,
    number: usize,
) -> Option<(usize, u8, WaitReason)> {
    let (own, theirs) = (&this.session.spec, &other.session.spec);
    let on = other.session_name().to_owned();
    if own.needs.iter().any(|need| need.session == theirs.name) {
        return Some((number, 0, WaitReason::Need { session: on }));
    }
    if let Some(lock) = own.locks.iter().find(|lock| theirs.locks.contains(lock)) {
        return Some((number, 1, WaitReason::Lock { session: on, lock: lock.clone() }));
    }
    if own.exclusive || theirs.exclusive {
        return Some((number, 2, WaitReason::Exclusive { session: on }));
    }
    this.slots.iter().any(|slot| other.slots.contains(slot)).then_some((number, 3, WaitReason::Slot { session: on }))
}

/// Computes the lower bounds from the actual durations.
pub(super) fn lower_bounds(record: &RunRecord) -> LowerBounds {
    let ran = executed_sessions(record);
    let shared: Vec<&ExecutedSession<'_>> = ran.iter().filter(|ran| !ran.session.spec.exclusive).collect();
    let wall = |ran: &ExecutedSession<'_>| ran.end - ran.start;
    let locks = lock_totals(shared.iter().map(|ran| (ran.session.spec.locks.as_slice(), wall(ran))));
    let lock = locks.into_iter().max_by_key(|(_, sum)| *sum).map(|(lock, sum)| (lock.to_owned(), sum));
    let cpu: Option<u64> = ran
        .iter()
        .flat_map(|ran| ran.session.result.iter().flat_map(|result| &result.attempts))
        .map(|attempt| attempt.cpu_ms)
        .sum();
    LowerBounds {
        needs: longest_need_chain(&shared),
        lock,
        cpu: cpu.map(|cpu| cpu / record.slots.max(1) as u64),
        exclusive: ran.iter().filter(|ran| ran.session.spec.exclusive).map(wall).sum(),
    }
}

/// Returns the longest chain of dependencies by wall time.
fn longest_need_chain(ran: &[&ExecutedSession<'_>]) -> u64 {
    let indexes: HashMap<&str, usize> =
        ran.iter().enumerate().map(|(index, ran)| (ran.session_name(), index)).collect();
    let mut dependents = vec![Vec::new(); ran.len()];
    for (dependent, executed) in ran.iter().enumerate() {
        for need in &executed.session.spec.needs {
            if let Some(&required) = indexes.get(need.session.as_str()) {
                dependents[required].push(dependent);
            }
        }
    }
    let durations: Vec<u64> = ran.iter().map(|ran| ran.end - ran.start).collect();
    longest_chains(&durations, &vec![0; durations.len()], &dependents).into_iter().max().unwrap_or(0)
}

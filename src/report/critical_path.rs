//! Critical path of a run, and lower bounds of its duration in any order of its sessions.

use std::collections::HashMap;

use serde::Serialize;

use crate::record::{RecordedSession, RunRecord, lock_totals, longest_chains_before};

/// Two sessions that end within this many milliseconds of each other count as ending together: the dispatcher needs
/// some time to start a session.
const SAME_MOMENT_MS: u64 = 50;

/// One session on the critical path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriticalPathEntry {
    /// Session name.
    pub session: String,
    /// Reason why it did not start earlier.
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
    /// It needs another session.
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
            Self::Need { session: blocker } => format!("needs {blocker}"),
            Self::Lock { session: blocker, lock } => format!("waited for the lock {lock}, held by {blocker}"),
            Self::Exclusive { session: blocker } => format!("cannot run at the same time as {blocker}"),
            Self::Slot { session: blocker } => format!("waited for the slot of {blocker}"),
        }
    }
}

/// Lower bounds for the duration of the run, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LowerBounds {
    /// The longest chain of needs; a session without needs is a chain.
    pub needs: u64,
    /// The longest session.
    pub longest_session: u64,
    /// The largest sum of sessions that share a lock, and that lock.
    pub lock: Option<(String, u64)>,
    /// CPU time divided by the number of slots, if measured.
    pub cpu: Option<u64>,
    /// Total time of the exclusive sessions, which comes on top of `needs` and `lock`; `cpu` includes it.
    pub exclusive: u64,
}

impl LowerBounds {
    /// Returns the largest bound and its description.
    pub fn largest_bound(&self) -> (u64, String) {
        let chain =
            if self.needs > self.longest_session { "the longest chain of dependencies" } else { "the longest session" };
        let also = if self.exclusive > 0 { ", plus the exclusive sessions" } else { "" };
        let mut all = vec![(self.needs + self.exclusive, format!("{chain}{also}"))];
        all.extend(
            self.lock.as_ref().map(|(lock, sum)| (sum + self.exclusive, format!("sessions that share {lock}{also}"))),
        );
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
    let executed = |session| -> Option<ExecutedSession<'_>> {
        let session: &RecordedSession = session;
        let attempts = &session.result.as_ref()?.attempts;
        let mut slots: Vec<usize> = attempts.iter().flat_map(|attempt| attempt.slots.iter().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        Some(ExecutedSession { session, start: attempts.first()?.start, end: attempts.last()?.end, slots })
    };
    record.sessions.iter().filter_map(executed).collect()
}

/// Returns the critical path, first session first.
///
/// It is followed backwards from the session that ended last, each time to the session whose end let the current one
/// start. If several ended at about the same time, a need takes precedence over a common lock, that over
/// exclusivity, and exclusivity over a slot.
pub(super) fn critical_path(record: &RunRecord) -> Vec<CriticalPathEntry> {
    let ran = executed_sessions(record);
    let mut path = Vec::new();
    let mut visited = vec![false; ran.len()];
    let mut current = (0..ran.len()).max_by_key(|index| (ran[*index].end, std::cmp::Reverse(*index)));
    while let Some(index) = current {
        visited[index] = true;
        let blocker = find_blocker(&ran, index, &visited);
        let this = &ran[index];
        path.push(CriticalPathEntry {
            session: this.session_name().to_owned(),
            reason: blocker.as_ref().map_or(WaitReason::First, |(_, reason)| reason.clone()),
            gap: this.start - blocker.as_ref().map_or(0, |(other, _)| ran[*other].end),
            start: this.start,
            end: this.end,
        });
        current = blocker.map(|(other, _)| other);
    }
    path.reverse();
    path
}

/// Returns the session whose end let this one start, and the reason.
fn find_blocker(ran: &[ExecutedSession<'_>], current: usize, visited: &[bool]) -> Option<(usize, WaitReason)> {
    let this = &ran[current];
    let earlier = (0..ran.len()).filter(|other| !visited[*other] && ran[*other].end <= this.start);
    let candidates: Vec<(usize, u8, WaitReason)> =
        earlier.filter_map(|other| blocking_reason(this, &ran[other], other)).collect();
    let latest = candidates.iter().map(|(other, ..)| ran[*other].end).max()?;
    let near = candidates.into_iter().filter(|(other, ..)| ran[*other].end + SAME_MOMENT_MS >= latest);
    near.min_by_key(|(other, rank, _)| (*rank, std::cmp::Reverse(ran[*other].end), *other))
        .map(|(other, _, reason)| (other, reason))
}

fn blocking_reason(
    this: &ExecutedSession<'_>,
    other: &ExecutedSession<'_>,
    index: usize,
) -> Option<(usize, u8, WaitReason)> {
    let (spec, other_spec) = (&this.session.spec, &other.session.spec);
    let blocker = other.session_name().to_owned();
    if spec.needs.iter().any(|need| need.session == other_spec.name) {
        return Some((index, 0, WaitReason::Need { session: blocker }));
    }
    if let Some(lock) = spec.locks.iter().find(|lock| other_spec.locks.contains(lock)) {
        return Some((index, 1, WaitReason::Lock { session: blocker, lock: lock.clone() }));
    }
    if spec.exclusive || other_spec.exclusive {
        return Some((index, 2, WaitReason::Exclusive { session: blocker }));
    }
    this.slots.iter().any(|slot| other.slots.contains(slot)).then_some((
        index,
        3,
        WaitReason::Slot { session: blocker },
    ))
}

/// Computes the lower bounds from the actual durations.
pub(super) fn lower_bounds(record: &RunRecord) -> LowerBounds {
    let ran = executed_sessions(record);
    let concurrent: Vec<&ExecutedSession<'_>> = ran.iter().filter(|ran| !ran.session.spec.exclusive).collect();
    let wall = |ran: &ExecutedSession<'_>| ran.end - ran.start;
    let locks = lock_totals(concurrent.iter().map(|ran| (ran.session.spec.locks.as_slice(), wall(ran))));
    let lock = locks.into_iter().max_by_key(|(_, sum)| *sum).map(|(lock, sum)| (lock.to_owned(), sum));
    let cpu: Option<u64> = ran
        .iter()
        .flat_map(|ran| ran.session.result.iter().flat_map(|result| &result.attempts))
        .map(|attempt| attempt.cpu_ms)
        .sum();
    LowerBounds {
        needs: longest_need_chain(&concurrent),
        lock,
        cpu: cpu.map(|cpu| cpu / record.slots.max(1) as u64),
        longest_session: concurrent.iter().map(|ran| wall(ran)).max().unwrap_or(0),
        exclusive: ran.iter().filter(|ran| ran.session.spec.exclusive).map(wall).sum(),
    }
}

/// Returns the longest chain of needs by wall time.
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
    longest_chains_before(&durations, &dependents).into_iter().max().unwrap_or(0)
}

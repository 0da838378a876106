//! What a run waited for, from its start to its end, and what no order of its sessions can beat.

use std::collections::HashMap;

use serde::Serialize;

use crate::record::{RecordedSession, RunRecord, lock_totals, longest_chains};

/// Two ends this near (milliseconds) are taken for the same moment: the dispatcher needs some time to start a session.
const SAME_MOMENT_MS: u64 = 50;

/// One session of the chain that the run waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriticalPathEntry {
    /// The session.
    pub session: String,
    /// Why it did not start earlier.
    pub because: WaitReason,
    /// Milliseconds between what it waited for and its start.
    pub gap: u64,
    /// Start of its first attempt.
    pub start: u64,
    /// End of its last attempt.
    pub end: u64,
}

/// Why a session did not start earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WaitReason {
    /// Nothing held it up: it was among the first.
    First,
    /// It needs that session.
    Need {
        /// The session waited for.
        on: String,
    },
    /// They share a lock.
    Lock {
        /// The session waited for.
        on: String,
        /// The lock.
        lock: String,
    },
    /// One of the two runs alone.
    Alone {
        /// The session waited for.
        on: String,
    },
    /// That session held its slot.
    Slot {
        /// The session waited for.
        on: String,
    },
}

impl WaitReason {
    /// As the end of a sentence that begins with the session.
    pub(crate) fn describe_wait(&self) -> String {
        match self {
            Self::First => "from the start".to_owned(),
            Self::Need { on } => format!("needs {on}"),
            Self::Lock { on, lock } => format!("shares the lock {lock} with {on}"),
            Self::Alone { on } => format!("never beside {on}"),
            Self::Slot { on } => format!("had to wait for the slot of {on}"),
        }
    }
}

/// Milliseconds that no order of the sessions can beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LowerBounds {
    /// The longest chain of needs.
    pub needs: u64,
    /// The longest sum of sessions that share a lock, and that lock.
    pub lock: Option<(String, u64)>,
    /// All CPU time shared out evenly among the slots, where it was measured.
    pub cpu: Option<u64>,
    /// Sessions that run alone; the others come on top.
    pub alone: u64,
}

impl LowerBounds {
    /// The largest of them, and in words what it is.
    pub fn largest_bound(&self) -> (u64, String) {
        let mut all = vec![(self.needs + self.alone, "the longest chain of needs".to_owned())];
        all.extend(self.lock.as_ref().map(|(lock, sum)| (sum + self.alone, format!("sessions that share {lock}"))));
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
        self.session.facts.name.as_str()
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

/// The chain of sessions that the run waited for, first to last.
///
/// It is followed from the session that ended last: before each stands the one whose end let it start. Of several that
/// ended at about the same time, what it needs counts before what it shares a lock with, and both before slots.
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
            because: before.as_ref().map_or(WaitReason::First, |(_, because)| because.clone()),
            gap: this.start - before.as_ref().map_or(0, |(other, _)| ran[*other].end),
            start: this.start,
            end: this.end,
        });
        current = before.map(|(other, _)| other);
    }
    chain.reverse();
    chain
}

/// The session whose end let this one start, and how they hang together.
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
    let (own, theirs) = (&this.session.facts, &other.session.facts);
    let on = other.session_name().to_owned();
    if own.needs.iter().any(|need| need.on == theirs.name) {
        return Some((number, 0, WaitReason::Need { on }));
    }
    if let Some(lock) = own.locks.iter().find(|lock| theirs.locks.contains(lock)) {
        return Some((number, 1, WaitReason::Lock { on, lock: lock.clone() }));
    }
    if own.exclusive || theirs.exclusive {
        return Some((number, 2, WaitReason::Alone { on }));
    }
    this.slots.iter().any(|slot| other.slots.contains(slot)).then_some((number, 3, WaitReason::Slot { on }))
}

/// What no order of these sessions can beat, each taking the time it took.
pub(super) fn lower_bounds(record: &RunRecord) -> LowerBounds {
    let ran = executed_sessions(record);
    let shared: Vec<&ExecutedSession<'_>> = ran.iter().filter(|ran| !ran.session.facts.exclusive).collect();
    let wall = |ran: &ExecutedSession<'_>| ran.end - ran.start;
    let locks = lock_totals(shared.iter().map(|ran| (ran.session.facts.locks.as_slice(), wall(ran))));
    let lock = locks.into_iter().max_by_key(|(_, sum)| *sum).map(|(lock, sum)| (lock.to_owned(), sum));
    let cpu: Option<u64> = ran
        .iter()
        .flat_map(|ran| ran.session.result.iter().flat_map(|result| &result.attempts))
        .map(|attempt| attempt.cpu)
        .sum();
    LowerBounds {
        needs: longest_need_chain(&shared),
        lock,
        cpu: cpu.map(|cpu| cpu / record.slots.max(1) as u64),
        alone: ran.iter().filter(|ran| ran.session.facts.exclusive).map(wall).sum(),
    }
}

/// The longest chain of needs, by wall time.
fn longest_need_chain(ran: &[&ExecutedSession<'_>]) -> u64 {
    let indexes: HashMap<&str, usize> =
        ran.iter().enumerate().map(|(index, ran)| (ran.session_name(), index)).collect();
    let mut dependents = vec![Vec::new(); ran.len()];
    for (dependent, executed) in ran.iter().enumerate() {
        for need in &executed.session.facts.needs {
            if let Some(&required) = indexes.get(need.on.as_str()) {
                dependents[required].push(dependent);
            }
        }
    }
    let durations: Vec<u64> = ran.iter().map(|ran| ran.end - ran.start).collect();
    longest_chains(&durations, &vec![0; durations.len()], &dependents).into_iter().max().unwrap_or(0)
}

//! Critical path of a run, and lower bounds of its duration in any order of its sessions.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

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

/// What sessions have in common, so that the end of one may let another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SessionGroup<'a> {
    /// Sessions of this name.
    Named(&'a str),
    /// Sessions with this lock.
    Locked(&'a str),
    Exclusive,
    All,
    /// Sessions that occupied this slot.
    InSlot(usize),
}

impl SessionGroup<'_> {
    /// Returns the precedence of groups whose sessions ended at about the same time; the lowest takes precedence.
    fn precedence(self) -> u8 {
        match self {
            Self::Named(_) => 0,
            Self::Locked(_) => 1,
            Self::Exclusive | Self::All => 2,
            Self::InSlot(_) => 3,
        }
    }

    /// Returns why a session waited for one of this group.
    fn wait_reason(self, blocker: &str) -> WaitReason {
        let session = blocker.to_owned();
        match self {
            Self::Named(_) => WaitReason::Need { session },
            Self::Locked(lock) => WaitReason::Lock { session, lock: lock.to_owned() },
            Self::Exclusive | Self::All => WaitReason::Exclusive { session },
            Self::InSlot(_) => WaitReason::Slot { session },
        }
    }
}

impl<'a> ExecutedSession<'a> {
    /// Returns the groups that it belongs to.
    fn own_groups(&self) -> impl Iterator<Item = SessionGroup<'a>> {
        let session = self.session;
        let exclusive = session.spec.exclusive.then_some(SessionGroup::Exclusive);
        let locks = session.spec.locks.iter().map(|lock| SessionGroup::Locked(lock));
        let slots = self.slots.iter().map(|slot| SessionGroup::InSlot(*slot));
        let always = [SessionGroup::Named(session.spec.name.as_str()), SessionGroup::All];
        always.into_iter().chain(exclusive).chain(locks).chain(slots)
    }

    /// Returns the groups whose sessions it waits for.
    fn blocking_groups(&self) -> impl Iterator<Item = SessionGroup<'a>> {
        let session = self.session;
        let needs = session.spec.needs.iter().map(|need| SessionGroup::Named(need.session.as_str()));
        let locks = session.spec.locks.iter().map(|lock| SessionGroup::Locked(lock));
        let exclusive = if session.spec.exclusive { SessionGroup::All } else { SessionGroup::Exclusive };
        needs.chain(locks).chain([exclusive]).chain(self.slots.iter().map(|slot| SessionGroup::InSlot(*slot)))
    }
}

/// Sessions that are not on the critical path yet, by group: a lookup does not compare all sessions, of which a record
/// that was downloaded may have tens of thousands.
struct RemainingSessions<'a> {
    ran: &'a [ExecutedSession<'a>],
    /// End and index of each session; of those that ended together, the first session is the last here.
    groups: HashMap<SessionGroup<'a>, BTreeSet<(u64, Reverse<usize>)>>,
}

impl<'a> RemainingSessions<'a> {
    fn new(ran: &'a [ExecutedSession<'a>]) -> Self {
        let mut groups: HashMap<SessionGroup<'a>, BTreeSet<(u64, Reverse<usize>)>> = HashMap::new();
        for (index, session) in ran.iter().enumerate() {
            for group in session.own_groups() {
                groups.entry(group).or_default().insert((session.end, Reverse(index)));
            }
        }
        Self { ran, groups }
    }

    /// Removes and returns the session that ended last.
    fn take_last(&mut self) -> Option<usize> {
        let (_, Reverse(index)) = *self.groups.get(&SessionGroup::All)?.last()?;
        self.remove(index);
        Some(index)
    }

    fn remove(&mut self, index: usize) {
        let session = &self.ran[index];
        for group in session.own_groups() {
            if let Some(sessions) = self.groups.get_mut(&group) {
                sessions.remove(&(session.end, Reverse(index)));
            }
        }
    }

    /// Removes and returns the session whose end let a session start, and the reason.
    fn take_blocker(&mut self, blocked: &ExecutedSession<'a>) -> Option<(usize, WaitReason)> {
        let latest_by_start = (blocked.start, Reverse(0));
        let candidates: Vec<(u64, Reverse<usize>, SessionGroup<'_>)> = blocked
            .blocking_groups()
            .filter_map(|group| {
                let (end, index) = *self.groups.get(&group)?.range(..=latest_by_start).next_back()?;
                Some((end, index, group))
            })
            .collect();
        let latest = candidates.iter().map(|(end, ..)| *end).max()?;
        let near = candidates.into_iter().filter(|(end, ..)| end + SAME_MOMENT_MS >= latest);
        let (_, Reverse(index), group) =
            near.min_by_key(|(end, Reverse(index), group)| (group.precedence(), Reverse(*end), *index))?;
        self.remove(index);
        Some((index, group.wait_reason(self.ran[index].session_name())))
    }
}

/// Returns the critical path, first session first.
///
/// It is followed backwards from the session that ended last, each time to the session whose end let the current one
/// start. If several ended at about the same time, a need takes precedence over a common lock, that over
/// exclusivity, and exclusivity over a slot.
pub(super) fn critical_path(record: &RunRecord) -> Vec<CriticalPathEntry> {
    let ran = executed_sessions(record);
    let mut remaining = RemainingSessions::new(&ran);
    let mut path = Vec::new();
    let mut current = remaining.take_last();
    while let Some(index) = current {
        let this = &ran[index];
        let blocker = remaining.take_blocker(this);
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

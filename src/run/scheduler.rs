//! The scheduler: which sessions may start now. Pure: no clock, no processes, no randomness.

use std::collections::BTreeMap;

use crate::record::Outcome;

/// A session as the scheduler sees it. Sessions are known by their place in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerTask {
    /// Sessions that must be over first; `true` where they must have passed too.
    pub needs: Vec<(usize, bool)>,
    /// Named locks it holds while it runs.
    pub locks: Vec<String>,
    /// Slots it takes, at least 1; more than there are counts as all.
    pub cpus: usize,
    /// Whether nothing may run beside it.
    pub exclusive: bool,
    /// Bytes of memory it is expected to need; 0 where nothing is known.
    pub memory: u64,
    /// Its usual duration in any one unit; equal for all where nothing is known.
    pub duration: u64,
}

/// A session that starts now, on these slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// Which session.
    pub session: usize,
    /// The slots it holds, ascending, counted from 0.
    pub slots: Vec<usize>,
    /// Whether the run lasts as long as what begins with this session: a second lost here is lost for all.
    pub critical: bool,
}

/// A session that will not start, because one that it requires did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionAbort {
    /// Which session.
    pub session: usize,
    /// The session it requires.
    pub failed_requirement: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SchedulingState {
    Waiting,
    Running { slots: Vec<usize> },
    Finished(Outcome),
}

/// Who waits, who runs, who is over; and the room that is left.
#[derive(Clone, Debug)]
pub struct Scheduler {
    tasks: Vec<SchedulerTask>,
    states: Vec<SchedulingState>,
    slots: usize,
    memory: u64,
}

impl Scheduler {
    /// A scheduler with this many slots (at least one) and this much memory in bytes (0: unbounded).
    ///
    /// The needs must be acyclic and name earlier or later places of `work`; the graph sees to that.
    pub fn new(work: Vec<SchedulerTask>, slots: usize, memory: u64) -> Self {
        let states = vec![SchedulingState::Waiting; work.len()];
        Self { tasks: work, states, slots: slots.max(1), memory }
    }

    /// Adds a session that came up while the run goes on and gives its place.
    pub fn add_task(&mut self, work: SchedulerTask) -> usize {
        self.tasks.push(work);
        self.states.push(SchedulingState::Waiting);
        self.tasks.len() - 1
    }

    /// Makes a session that has not started wait for all unfinished ones that do not wait for it themselves.
    ///
    /// That is nox's meaning of `notify`: at the end of the queue. Gives the sessions it now waits for besides
    /// those it waited for before; none when it has started or is over.
    pub fn postpone_session(&mut self, session: usize) -> Vec<usize> {
        if self.states[session] != SchedulingState::Waiting {
            return Vec::new();
        }
        let dependents = self.transitive_dependents(session);
        let known: Vec<usize> = self.tasks[session].needs.iter().map(|(need, _)| *need).collect();
        let more: Vec<usize> = (0..self.tasks.len())
            .filter(|&other| other != session && !dependents[other] && !known.contains(&other))
            .filter(|&other| !matches!(self.states[other], SchedulingState::Finished(_)))
            .collect();
        self.tasks[session].needs.extend(more.iter().map(|&other| (other, false)));
        more
    }

    /// Starts what may start now, most urgent first, and gives it.
    ///
    /// Urgency is the longest remaining path: the session's duration, what waits for it, and the chain of those
    /// that share a lock with it. A session that is more urgent but does not fit keeps its place: nothing less
    /// urgent takes the room or the locks that it waits for, so that neither a wide nor an exclusive one starves.
    pub fn start_ready(&mut self) -> Vec<SessionStart> {
        let mut free: Vec<usize> = (0..self.slots).filter(|slot| !self.is_slot_taken(*slot)).collect();
        let mut running = self.count_running();
        let mut memory = self.running_sessions().map(|session| self.tasks[session].memory).sum::<u64>();
        let mut taken: Vec<String> =
            self.running_sessions().flat_map(|session| self.tasks[session].locks.clone()).collect();
        if self.running_sessions().any(|session| self.tasks[session].exclusive) {
            return Vec::new();
        }
        let mut starts = Vec::new();
        let urgency = self.compute_urgency();
        let longest = (0..self.tasks.len()).filter(|&s| self.outcome(s).is_none()).map(|s| urgency[s].0).max();
        for session in self.ready_sessions(&urgency) {
            let work = &self.tasks[session];
            let cpus = work.cpus.clamp(1, self.slots);
            let locked = work.locks.iter().any(|lock| taken.contains(lock));
            let alone = !work.exclusive || running == 0;
            // A session that needs more memory than there is runs when nothing else does.
            let fits = self.memory == 0 || running == 0 || memory.saturating_add(work.memory) <= self.memory;
            if locked {
                taken.extend(work.locks.iter().cloned());
                continue;
            }
            if cpus > free.len() || !alone || !fits {
                break;
            }
            let slots: Vec<usize> = free.drain(..cpus).collect();
            taken.extend(work.locks.iter().cloned());
            running += 1;
            memory = memory.saturating_add(work.memory);
            let exclusive = work.exclusive;
            self.states[session] = SchedulingState::Running { slots: slots.clone() };
            starts.push(SessionStart { session, slots, critical: Some(urgency[session].0) >= longest });
            if exclusive {
                break;
            }
        }
        starts
    }

    /// Ends a session and gives those that will now never start.
    pub fn finish_session(&mut self, session: usize, outcome: Outcome) -> Vec<SessionAbort> {
        self.states[session] = SchedulingState::Finished(outcome);
        let mut aborts = Vec::new();
        let mut ended = vec![session];
        while let Some(because) = ended.pop() {
            if matches!(self.states[because], SchedulingState::Finished(outcome) if outcome.allows_dependents()) {
                continue;
            }
            for dependent in 0..self.tasks.len() {
                let requires = self.tasks[dependent].needs.contains(&(because, true));
                if requires && self.states[dependent] == SchedulingState::Waiting {
                    self.states[dependent] = SchedulingState::Finished(Outcome::Aborted);
                    aborts.push(SessionAbort { session: dependent, failed_requirement: because });
                    ended.push(dependent);
                }
            }
        }
        aborts
    }

    /// Ends all sessions that have not started, and gives them in order.
    pub fn abort_waiting(&mut self) -> Vec<usize> {
        let waiting: Vec<usize> =
            (0..self.tasks.len()).filter(|&s| self.states[s] == SchedulingState::Waiting).collect();
        for &session in &waiting {
            self.states[session] = SchedulingState::Finished(Outcome::Aborted);
        }
        waiting
    }

    /// How a session ended; none while it waits or runs.
    pub fn outcome(&self, session: usize) -> Option<Outcome> {
        match self.states[session] {
            SchedulingState::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether a session has neither started nor been ended.
    pub fn is_waiting(&self, session: usize) -> bool {
        self.states[session] == SchedulingState::Waiting
    }

    /// Whether any session waits.
    pub(crate) fn has_waiting(&self) -> bool {
        self.states.contains(&SchedulingState::Waiting)
    }

    /// How many sessions wait to start.
    pub(crate) fn count_waiting(&self) -> usize {
        self.states.iter().filter(|state| **state == SchedulingState::Waiting).count()
    }

    /// How many sessions run.
    pub(crate) fn count_running(&self) -> usize {
        self.running_sessions().count()
    }

    /// Whether every session is over.
    pub fn is_finished(&self) -> bool {
        self.states.iter().all(|state| matches!(state, SchedulingState::Finished(_)))
    }

    fn running_sessions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.tasks.len()).filter(|&session| matches!(self.states[session], SchedulingState::Running { .. }))
    }

    fn is_slot_taken(&self, slot: usize) -> bool {
        self.states.iter().any(|state| matches!(state, SchedulingState::Running { slots } if slots.contains(&slot)))
    }

    /// Sessions whose needs are over, most urgent first; among equals in the order given.
    fn ready_sessions(&self, urgency: &[(u64, u64)]) -> Vec<usize> {
        let over = |need: usize| matches!(self.states[need], SchedulingState::Finished(_));
        let mut ready: Vec<usize> = (0..self.tasks.len())
            .filter(|&s| {
                self.states[s] == SchedulingState::Waiting && self.tasks[s].needs.iter().all(|(need, _)| over(*need))
            })
            .collect();
        ready.sort_by_key(|&session| (std::cmp::Reverse(urgency[session]), session));
        ready
    }

    /// How long the run lasts at least from the start of each unfinished session on, then its own path alone.
    ///
    /// An exclusive session that nothing waits for comes last: it costs the same whenever it runs, but in the
    /// middle it would leave slots empty while the others drain.
    fn compute_urgency(&self) -> Vec<(u64, u64)> {
        let mut chains: BTreeMap<&str, u64> = BTreeMap::new();
        let unfinished: Vec<bool> =
            self.states.iter().map(|state| !matches!(state, SchedulingState::Finished(_))).collect();
        for (work, _) in self.tasks.iter().zip(&unfinished).filter(|(_, unfinished)| **unfinished) {
            for lock in &work.locks {
                *chains.entry(lock).or_default() += work.duration;
            }
        }
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); self.tasks.len()];
        for (session, work) in self.tasks.iter().enumerate().filter(|(session, _)| unfinished[*session]) {
            for (need, _) in &work.needs {
                dependents[*need].push(session);
            }
        }
        let mut urgency: Vec<Option<(u64, u64)>> = vec![None; self.tasks.len()];
        for session in 0..self.tasks.len() {
            self.fill_urgency(session, &dependents, &chains, &mut urgency);
        }
        let last = |(session, found): (usize, &Option<(u64, u64)>)| {
            let idle = self.tasks[session].exclusive && dependents[session].is_empty();
            if idle { (0, 0) } else { found.unwrap_or_default() }
        };
        urgency.iter().enumerate().map(last).collect()
    }

    /// Fills in the urgency of a session and of all that waits for it, deepest first, without recursion.
    fn fill_urgency(
        &self,
        session: usize,
        dependents: &[Vec<usize>],
        chains: &BTreeMap<&str, u64>,
        urgency: &mut [Option<(u64, u64)>],
    ) {
        let mut stack = vec![session];
        while let Some(&top) = stack.last() {
            let open: Vec<usize> = dependents[top].iter().copied().filter(|&d| urgency[d].is_none()).collect();
            if urgency[top].is_none() && !open.is_empty() {
                stack.extend(open);
                continue;
            }
            stack.pop();
            let work = &self.tasks[top];
            let behind = |which: fn((u64, u64)) -> u64| {
                dependents[top].iter().filter_map(|&d| urgency[d]).map(which).max().unwrap_or(0)
            };
            let chain = work.locks.iter().filter_map(|lock| chains.get(lock.as_str())).copied().max().unwrap_or(0);
            let bound = (work.duration + behind(|(bound, _)| bound)).max(chain);
            urgency[top] = Some((bound, work.duration + behind(|(_, path)| path)));
        }
    }

    /// Which sessions wait for this one, directly or not.
    fn transitive_dependents(&self, session: usize) -> Vec<bool> {
        let mut found = vec![false; self.tasks.len()];
        let mut stack = vec![session];
        while let Some(need) = stack.pop() {
            for (other, work) in self.tasks.iter().enumerate() {
                if !found[other] && work.needs.iter().any(|(n, _)| *n == need) {
                    found[other] = true;
                    stack.push(other);
                }
            }
        }
        found
    }
}

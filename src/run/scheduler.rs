//! Scheduler: decides which sessions may start now. It is deterministic: no clock, no processes, no randomness.

use std::cmp::Reverse;

use super::graph::{PlanIndex, reachable_from, reverse_edges};
use super::session_locks::find_incompatible;
use crate::project::CommandUse;
use crate::record::{Outcome, lock_totals, longest_chains_after};

/// What must be true of a needed session before the one that needs it may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedCondition {
    /// It has ended, whatever its outcome.
    MustEnd,
    /// It has passed or was skipped.
    MustPass,
}

/// One session as the scheduler sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerTask {
    /// Sessions that it waits for.
    pub needs: Vec<(PlanIndex, NeedCondition)>,
    /// Named locks it holds while it runs.
    pub locks: Vec<String>,
    /// Resources that it uses; a session that uses one in an incompatible way must not run at the same time.
    pub uses: Vec<CommandUse>,
    /// Slots that it takes (setting `cpus`), at least 1; a larger number than exists means all.
    pub cpus: usize,
    /// Whether it must run alone.
    pub exclusive: bool,
    /// Bytes of memory it is expected to need; 0 if unknown.
    pub memory: u64,
    /// Its usual duration, in the same unit for all sessions; equal for all if unknown.
    pub duration: u64,
}

/// A session that starts now, on these slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// The session.
    pub session: PlanIndex,
    /// The slots it holds, ascending, counted from 0.
    pub slots: Vec<usize>,
    /// Whether the session is on the longest remaining chain, where every delay delays the whole run.
    pub on_longest_chain: bool,
}

/// A session that is aborted because one that it requires did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionAbort {
    /// The session.
    pub session: PlanIndex,
    /// The session that it requires and that did not pass.
    pub failed_need: PlanIndex,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SchedulingState {
    Waiting,
    Running {
        slots: Vec<usize>,
    },
    /// Its attempts have ended, but its result is held: the outcome is not certain.
    Held,
    Finished(Outcome),
}

/// How urgent a session is; greater is more urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    /// Minimum time from the start of this session to the end of the run; sessions that share a lock count as a chain.
    remaining: u64,
    /// Duration of the longest chain of needs that starts with this session; decides if `remaining` is equal.
    chain: u64,
}

/// State of every session of a run, and the slots, locks and memory that are free.
#[derive(Clone, Debug)]
pub struct Scheduler {
    tasks: Vec<SchedulerTask>,
    states: Vec<SchedulingState>,
    slots: usize,
    memory: u64,
}

impl Scheduler {
    /// Creates a scheduler with this many slots (at least one) and this much memory in bytes (0: unbounded).
    ///
    /// The needs must be acyclic and within `tasks`, as those of a session graph are.
    pub fn new(tasks: Vec<SchedulerTask>, slots: usize, memory: u64) -> Self {
        let states = vec![SchedulingState::Waiting; tasks.len()];
        Self { tasks, states, slots: slots.max(1), memory }
    }

    /// Adds a session during the run and returns its index.
    pub fn add_task(&mut self, task: SchedulerTask) -> PlanIndex {
        self.tasks.push(task);
        self.states.push(SchedulingState::Waiting);
        PlanIndex(self.tasks.len() - 1)
    }

    /// Makes a session that has not started wait for all unfinished ones that do not wait for it themselves.
    ///
    /// This is how nox implements `notify`: it adds the session at the end of the queue. Returns the sessions it did
    /// not wait for before; empty if it has started or finished.
    pub fn postpone_session(&mut self, session: PlanIndex) -> Vec<PlanIndex> {
        if !self.is_waiting(session) {
            return Vec::new();
        }
        let dependents = self.transitive_dependents(session);
        let known: Vec<PlanIndex> = self.tasks[session.0].needs.iter().map(|(need, _)| *need).collect();
        let added: Vec<PlanIndex> = self
            .sessions()
            .filter(|&other| other != session && !dependents[other.0] && !known.contains(&other))
            .filter(|&other| self.outcome(other).is_none())
            .collect();
        self.tasks[session.0].needs.extend(added.iter().map(|&other| (other, NeedCondition::MustEnd)));
        added
    }

    /// Starts the sessions that may start now, most urgent first, and returns them.
    ///
    /// Urgency is the longest remaining chain: the session's duration, the sessions that wait for it, and those that
    /// share a lock with it. If a session does not fit, no less urgent session takes the slots or locks that it waits
    /// for, so that neither a session with many slots nor an exclusive one starves.
    pub fn start_ready(&mut self) -> Vec<SessionStart> {
        let mut free = self.free_slots();
        let mut running = self.count_running();
        let mut memory = self.running_tasks().map(|task| task.memory).sum::<u64>();
        let mut unavailable_locks: Vec<String> = self.running_tasks().flat_map(|task| task.locks.clone()).collect();
        let mut used: Vec<CommandUse> = self.running_tasks().flat_map(|task| task.uses.clone()).collect();
        if self.running_tasks().any(|task| task.exclusive) {
            return Vec::new();
        }
        let mut starts = Vec::new();
        let urgency = self.compute_urgency();
        let unfinished = self.sessions().filter(|&session| self.outcome(session).is_none());
        let longest = unfinished.map(|session| urgency[session.0].remaining).max();
        for session in self.ready_sessions(&urgency) {
            let task = &self.tasks[session.0];
            let cpus = task.cpus.clamp(1, self.slots);
            let locked = task.locks.iter().any(|lock| unavailable_locks.contains(lock))
                || find_incompatible(&task.uses, &used).is_some();
            let exclusivity_ok = !task.exclusive || running == 0;
            // A session that needs more memory than exists runs alone.
            let fits = self.memory == 0 || running == 0 || memory.saturating_add(task.memory) <= self.memory;
            if locked {
                unavailable_locks.extend(task.locks.iter().cloned());
                used.extend(task.uses.iter().cloned());
                continue;
            }
            if cpus > free.len() || !exclusivity_ok || !fits {
                break;
            }
            let slots: Vec<usize> = free.drain(..cpus).collect();
            unavailable_locks.extend(task.locks.iter().cloned());
            used.extend(task.uses.iter().cloned());
            running += 1;
            memory = memory.saturating_add(task.memory);
            let exclusive = task.exclusive;
            self.states[session.0] = SchedulingState::Running { slots: slots.clone() };
            starts.push(SessionStart {
                session,
                slots,
                on_longest_chain: Some(urgency[session.0].remaining) >= longest,
            });
            if exclusive {
                break;
            }
        }
        starts
    }

    /// Releases the slots and locks of a session whose result is held.
    pub fn hold_session(&mut self, session: PlanIndex) {
        self.states[session.0] = SchedulingState::Held;
    }

    /// Starts a held or finished session again, on the first slots; call it only while no session runs.
    pub fn restart_session(&mut self, session: PlanIndex) -> Vec<usize> {
        let slots: Vec<usize> = (0..self.tasks[session.0].cpus.clamp(1, self.slots)).collect();
        self.states[session.0] = SchedulingState::Running { slots: slots.clone() };
        slots
    }

    /// Whether a session waits for another, directly or not.
    pub(crate) fn waits_for(&self, session: PlanIndex, needed: PlanIndex) -> bool {
        self.transitive_dependents(needed)[session.0]
    }

    /// Whether two sessions share a lock.
    pub(crate) fn shares_lock(&self, one: PlanIndex, other: PlanIndex) -> bool {
        self.tasks[one.0].locks.iter().any(|lock| self.tasks[other.0].locks.contains(lock))
    }

    /// Ends a session. If it did not pass, aborts every session that requires it, directly or not, and returns these. A
    /// dependent that has already run is aborted too: this happens if a session passes, is started again, and fails.
    pub fn finish_session(&mut self, session: PlanIndex, outcome: Outcome) -> Vec<SessionAbort> {
        self.states[session.0] = SchedulingState::Finished(outcome);
        let mut aborts = Vec::new();
        let mut finished = vec![session];
        while let Some(ended) = finished.pop() {
            if self.outcome(ended).is_some_and(Outcome::allows_dependents) {
                continue;
            }
            for dependent in self.sessions() {
                let requires = self.tasks[dependent.0].needs.contains(&(ended, NeedCondition::MustPass));
                let was_run = self.outcome(dependent).is_some_and(|outcome| outcome != Outcome::Aborted);
                if requires && (self.is_waiting(dependent) || was_run) {
                    self.states[dependent.0] = SchedulingState::Finished(Outcome::Aborted);
                    aborts.push(SessionAbort { session: dependent, failed_need: ended });
                    finished.push(dependent);
                }
            }
        }
        aborts
    }

    /// Aborts all sessions that have not started, and returns them in order.
    pub fn abort_waiting(&mut self) -> Vec<PlanIndex> {
        let waiting: Vec<PlanIndex> = self.sessions().filter(|&session| self.is_waiting(session)).collect();
        for session in &waiting {
            self.states[session.0] = SchedulingState::Finished(Outcome::Aborted);
        }
        waiting
    }

    /// Returns the outcome of a session; `None` while it waits, runs, or its result is held.
    pub fn outcome(&self, session: PlanIndex) -> Option<Outcome> {
        match self.states[session.0] {
            SchedulingState::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether a session has neither started nor been aborted.
    pub fn is_waiting(&self, session: PlanIndex) -> bool {
        self.states[session.0] == SchedulingState::Waiting
    }

    /// Whether any session waits.
    pub(crate) fn has_waiting(&self) -> bool {
        self.states.contains(&SchedulingState::Waiting)
    }

    /// Returns how many sessions wait to start.
    pub(crate) fn count_waiting(&self) -> usize {
        self.states.iter().filter(|state| **state == SchedulingState::Waiting).count()
    }

    /// Returns how many sessions run.
    pub(crate) fn count_running(&self) -> usize {
        self.running_tasks().count()
    }

    /// Whether any session failed.
    pub(crate) fn has_failures(&self) -> bool {
        self.sessions().filter_map(|session| self.outcome(session)).any(Outcome::is_failure)
    }

    /// Whether every session has finished.
    pub fn is_finished(&self) -> bool {
        self.states.iter().all(|state| matches!(state, SchedulingState::Finished(_)))
    }

    fn sessions(&self) -> impl Iterator<Item = PlanIndex> + use<> {
        (0..self.tasks.len()).map(PlanIndex)
    }

    fn running_tasks(&self) -> impl Iterator<Item = &SchedulerTask> {
        let states = self.tasks.iter().zip(&self.states);
        states.filter(|(_, state)| matches!(state, SchedulingState::Running { .. })).map(|(task, _)| task)
    }

    fn free_slots(&self) -> Vec<usize> {
        let mut is_free = vec![true; self.slots];
        for state in &self.states {
            if let SchedulingState::Running { slots } = state {
                slots.iter().for_each(|&slot| is_free[slot] = false);
            }
        }
        (0..self.slots).filter(|&slot| is_free[slot]).collect()
    }

    /// Returns the waiting sessions whose needs have finished, most urgent first; equal ones in the plan's order. On one
    /// slot all are in the plan's order, as nox runs them: no other order is faster.
    fn ready_sessions(&self, urgency: &[Urgency]) -> Vec<PlanIndex> {
        let needs_are_finished =
            |session: PlanIndex| self.tasks[session.0].needs.iter().all(|(need, _)| self.outcome(*need).is_some());
        let mut ready: Vec<PlanIndex> =
            self.sessions().filter(|&session| self.is_waiting(session) && needs_are_finished(session)).collect();
        if self.slots > 1 {
            ready.sort_by_key(|&session| (Reverse(urgency[session.0]), session));
        }
        ready
    }

    /// Computes the urgency of each unfinished session.
    ///
    /// An exclusive session that nothing waits for is started last: it takes the same time whenever it runs, but in the
    /// middle of the run slots would stay empty until all others have finished.
    fn compute_urgency(&self) -> Vec<Urgency> {
        let unfinished: Vec<bool> = self.sessions().map(|session| self.outcome(session).is_none()).collect();
        let unfinished_tasks = self.tasks.iter().zip(&unfinished).filter(|(_, unfinished)| **unfinished);
        let totals = lock_totals(unfinished_tasks.map(|(task, _)| (task.locks.as_slice(), task.duration)));
        let durations: Vec<u64> = self.tasks.iter().map(|task| task.duration).collect();
        let lock_total = |task: &SchedulerTask| {
            task.locks.iter().filter_map(|lock| totals.get(lock.as_str())).copied().max().unwrap_or(0)
        };
        let lock_chains: Vec<u64> = self.tasks.iter().map(lock_total).collect();
        let needs: Vec<Vec<usize>> = self
            .tasks
            .iter()
            .zip(&unfinished)
            .map(|(task, unfinished)| task.needs.iter().filter(|_| *unfinished).map(|(need, _)| need.0).collect())
            .collect();
        let remaining = longest_chains_after(&durations, &lock_chains, &needs);
        let chains = longest_chains_after(&durations, &vec![0; durations.len()], &needs);
        let mut has_dependents = vec![false; self.tasks.len()];
        needs.iter().flatten().for_each(|&need| has_dependents[need] = true);
        let urgency = |session: usize| {
            let comes_last = self.tasks[session].exclusive && !has_dependents[session];
            if comes_last {
                Urgency::default()
            } else {
                Urgency { remaining: remaining[session], chain: chains[session] }
            }
        };
        (0..self.tasks.len()).map(urgency).collect()
    }

    /// Returns which sessions wait for this one, directly or not.
    fn transitive_dependents(&self, session: PlanIndex) -> Vec<bool> {
        let needs = self.tasks.iter().map(|task| task.needs.iter().map(|(need, _)| need.0));
        reachable_from(session.0, &reverse_edges(needs))
    }
}

//! One attempt of a session while it lasts: a typed state.

use rustix::process::Signal;

use super::launch::Finish;
use super::process::{Log, Tree};
use crate::record::{Attempt, Outcome};

/// One attempt that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// 1 for the first.
    pub(super) number: u32,
    /// When it started, in milliseconds of the run's clock.
    pub(super) start: u64,
    /// The slots it holds.
    pub(super) slots: Vec<usize>,
    /// Its log; taken when the attempt is over.
    pub(super) log: Option<Log>,
    /// Its log's path, relative to the run's folder.
    pub(super) log_path: std::path::PathBuf,
    /// How much of the log has been reported.
    pub(super) reported: u64,
    /// How much has been heard of it, on disk or not.
    pub(super) heard: u64,
    /// When more was heard last.
    pub(super) grown: u64,
    /// Whether the last process that held its output is gone.
    pub(super) closed: bool,
    /// Text in the environment of all its processes.
    pub(super) mark: String,
    /// Its process group, once known.
    pub(super) group: Option<u32>,
    /// What it is doing.
    pub(super) phase: Phase,
    /// Why it was told to end, if it was.
    pub(super) told: Option<Told>,
    /// Whether it was given up: killed, and still not over.
    pub(super) lost: bool,
}

/// What an attempt is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// It works.
    Working,
    /// It was told to end and has until then to do so.
    Ending {
        /// The signal it got last.
        step: Step,
        /// When it gets the next.
        until: u64,
    },
    /// Its process is over; others may still hold its output until then.
    Draining {
        /// How it ended.
        finish: Finish,
        /// When it ended.
        at: u64,
        /// When we stop listening, or what is left of it gets the next signal.
        until: u64,
        /// The signal it got last, where it was told to end; what is left of it has the same graces.
        step: Option<Step>,
    },
}

/// How urgently an attempt is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// As by Ctrl-C: tests tear their fixtures down.
    Interrupt,
    /// As by `kill`.
    Terminate,
    /// No more questions.
    Kill,
}

impl Step {
    /// What follows when it does not help.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Interrupt => Self::Terminate,
            Self::Terminate | Self::Kill => Self::Kill,
        }
    }
}

/// Why an attempt was told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// What it counts as.
    pub(super) outcome: Outcome,
    /// In words.
    pub(super) reason: String,
}

impl Running {
    /// The attempt's processes, once it has any.
    pub(super) fn tree(&self) -> Option<Tree> {
        self.group.map(|group| Tree { group, mark: self.mark.clone() })
    }

    /// Tells the attempt to end; one that is over or was told before only takes the next step.
    pub(super) fn end(&mut self, told: Told, step: Step, now: u64, grace: u64) {
        if self.told.is_none() && !matches!(self.phase, Phase::Draining { .. }) {
            self.told = Some(told);
        }
        self.step(step, now, grace);
    }

    /// Sends the next signal, unless the attempt ended by itself or got a stronger one already.
    pub(super) fn step(&mut self, step: Step, now: u64, grace: u64) {
        let next = now.saturating_add(grace);
        match &mut self.phase {
            Phase::Draining { step: None, .. } => return,
            Phase::Ending { step: last, .. } | Phase::Draining { step: Some(last), .. } if *last > step => return,
            Phase::Draining { until, step: last, .. } => (*until, *last) = (next, Some(step)),
            phase => *phase = Phase::Ending { step, until: next },
        }
        if let Some(tree) = self.tree() {
            match step {
                // Only the group, as a terminal does: a daemon that left it is not what Ctrl-C is for.
                Step::Interrupt => super::process::signal_group(tree.group, Signal::INT),
                Step::Terminate => tree.signal(Signal::TERM),
                Step::Kill => tree.kill(),
            }
        }
    }

    /// Takes the next step, if it was told to end at all.
    pub(super) fn hasten(&mut self, now: u64, grace: u64) {
        if let Phase::Ending { step, .. } | Phase::Draining { step: Some(step), .. } = self.phase {
            self.step(step.next(), now, grace);
        }
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.tree().is_none_or(|tree| tree.is_gone())
    }

    /// The attempt as recorded.
    pub(super) fn attempt(&self, finish: &Finish, end: u64, log_bytes: u64) -> Attempt {
        let (outcome, reason) = match &self.told {
            Some(told) => (told.outcome, told.reason.clone()),
            None => (finish.outcome, finish.reason.clone()),
        };
        Attempt {
            number: self.number,
            outcome,
            reason: if outcome == Outcome::Passed { String::new() } else { reason },
            exit: finish.exit,
            signal: finish.signal,
            start: self.start,
            end,
            cpu: finish.cpu,
            peak_memory: finish.peak_memory,
            slots: self.slots.clone(),
            log: self.log_path.clone(),
            log_bytes,
            // What was ended together with the session was not left behind by it.
            leaky: (!self.closed || finish.leaked) && self.told.is_none() && outcome != Outcome::Crashed,
        }
    }
}

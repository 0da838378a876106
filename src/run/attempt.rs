//! One attempt of a session while it lasts: a typed state.

use rustix::process::Signal;

use super::launcher::ExitReport;
use super::process::{LogWriter, ProcessTree};
use crate::record::{AttemptResult, Outcome};

/// One attempt that runs.
#[derive(Debug)]
pub(super) struct RunningAttempt {
    /// 1 for the first.
    pub(super) number: u32,
    /// When it started, in milliseconds of the run's clock.
    pub(super) start: u64,
    /// The slots it holds.
    pub(super) slots: Vec<usize>,
    /// Its log; taken when the attempt is over.
    pub(super) log: Option<LogWriter>,
    /// Its log's path, relative to the run's folder.
    pub(super) log_path: std::path::PathBuf,
    /// How much of the log has been reported.
    pub(super) reported_bytes: u64,
    /// How much has been heard of it, on disk or not.
    pub(super) received_bytes: u64,
    /// When more was heard last.
    pub(super) last_output_at: u64,
    /// Whether the last process that held its output is gone.
    pub(super) output_closed: bool,
    /// Text in the environment of all its processes.
    pub(super) process_tag: String,
    /// Its process group, once known.
    pub(super) group: Option<u32>,
    /// What it is doing.
    pub(super) phase: AttemptPhase,
    /// Why it was told to end, if it was.
    pub(super) stop_reason: Option<StopReason>,
    /// Whether it was given up: killed, and still not over.
    pub(super) abandoned: bool,
}

/// What an attempt is doing.
#[derive(Debug)]
pub(super) enum AttemptPhase {
    /// It works.
    Working,
    /// It was told to end and has until then to do so.
    Ending {
        /// The signal it got last.
        last_signal: StopSignal,
        /// When it gets the next.
        deadline: u64,
    },
    /// Its process is over; others may still hold its output until then.
    Draining {
        /// How it ended.
        exit_report: ExitReport,
        /// When it ended.
        ended_at: u64,
        /// When we stop listening, or what is left of it gets the next signal.
        deadline: u64,
        /// The signal it got last, where it was told to end; what is left of it has the same graces.
        last_signal: Option<StopSignal>,
    },
}

/// How urgently an attempt is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopSignal {
    /// As by Ctrl-C: tests tear their fixtures down.
    Interrupt,
    /// As by `kill`.
    Terminate,
    /// No more questions.
    Kill,
}

impl StopSignal {
    /// What follows when it does not help.
    pub(super) fn next_signal(self) -> Self {
        match self {
            Self::Interrupt => Self::Terminate,
            Self::Terminate | Self::Kill => Self::Kill,
        }
    }
}

/// Why an attempt was told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StopReason {
    /// What it counts as.
    pub(super) outcome: Outcome,
    /// In words.
    pub(super) reason: String,
}

impl RunningAttempt {
    /// The attempt's processes, once it has any.
    pub(super) fn process_tree(&self) -> Option<ProcessTree> {
        self.group.map(|group| ProcessTree { group, tag: self.process_tag.clone() })
    }

    /// Tells the attempt to end; one that is over or was told before only takes the next step.
    pub(super) fn request_stop(&mut self, told: StopReason, step: StopSignal, now: u64, grace: u64) {
        if self.stop_reason.is_none() && !matches!(self.phase, AttemptPhase::Draining { .. }) {
            self.stop_reason = Some(told);
        }
        self.send_stop_signal(step, now, grace);
    }

    /// Sends the next signal, unless the attempt ended by itself or got a stronger one already.
    pub(super) fn send_stop_signal(&mut self, step: StopSignal, now: u64, grace: u64) {
        let next = now.saturating_add(grace);
        match &mut self.phase {
            AttemptPhase::Draining { last_signal: None, .. } => return,
            AttemptPhase::Ending { last_signal: last, .. } | AttemptPhase::Draining { last_signal: Some(last), .. }
                if *last > step =>
            {
                return;
            }
            AttemptPhase::Draining { deadline: until, last_signal: last, .. } => (*until, *last) = (next, Some(step)),
            phase => *phase = AttemptPhase::Ending { last_signal: step, deadline: next },
        }
        if let Some(tree) = self.process_tree() {
            match step {
                // Only the group, as a terminal does: a daemon that left it is not what Ctrl-C is for.
                StopSignal::Interrupt => super::process::signal_group(tree.group, Signal::INT),
                StopSignal::Terminate => tree.send_signal(Signal::TERM),
                StopSignal::Kill => tree.kill_all(),
            }
        }
    }

    /// Takes the next step, if it was told to end at all.
    pub(super) fn escalate_stop(&mut self, now: u64, grace: u64) {
        if let AttemptPhase::Ending { last_signal: step, .. } | AttemptPhase::Draining { last_signal: Some(step), .. } =
            self.phase
        {
            self.send_stop_signal(step.next_signal(), now, grace);
        }
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.process_tree().is_none_or(|tree| tree.is_gone())
    }

    /// The attempt as recorded.
    pub(super) fn to_attempt(&self, finish: &ExitReport, end: u64, log_bytes: u64) -> AttemptResult {
        let (outcome, reason) = match &self.stop_reason {
            Some(told) => (told.outcome, told.reason.clone()),
            None => (finish.outcome, finish.reason.clone()),
        };
        AttemptResult {
            number: self.number,
            outcome,
            reason: if outcome == Outcome::Passed { String::new() } else { reason },
            exit_status: finish.exit,
            signal: finish.signal,
            start: self.start,
            end,
            cpu_ms: finish.cpu,
            peak_memory: finish.peak_memory,
            slots: self.slots.clone(),
            log: self.log_path.clone(),
            log_bytes,
            // What was ended together with the session was not left behind by it.
            leaky: (!self.output_closed || finish.leaked) && self.stop_reason.is_none() && outcome != Outcome::Crashed,
        }
    }
}

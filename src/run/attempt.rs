//! One attempt of a session: its process, output and deadlines, from start to result.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::launcher::ExitReport;
use super::process::{LogWriter, ProcessTree, SecretRedactor, signal_group};
use super::run_clock::to_millis;
use super::timeout_context::describe_activity;
use crate::project::{CommandUse, ManifestIndex};
use crate::record::{AttemptResult, InstallStats, Outcome};

/// Environment variable with the tag of an attempt, unique on the machine, by which its processes are found.
const ATTEMPT_TAG: &str = "NOXIDE_ATTEMPT_TAG";

/// An attempt whose result is not known yet: it runs, or some of its processes have not exited.
#[derive(Debug)]
pub(super) struct RunningAttempt {
    id: ManifestIndex,
    /// 1 for the first.
    number: u32,
    /// When it started, in milliseconds of the run's clock.
    start: u64,
    slots: Vec<usize>,
    log: Option<LogWriter>,
    /// Relative to the run's directory.
    log_path: PathBuf,
    /// Bytes of the log that were reported as events.
    reported_bytes: u64,
    /// Bytes of output received, whether or not they are on disk yet.
    received_bytes: u64,
    last_output_at: u64,
    /// Since when it waits for a resource that another session uses.
    waiting_since: Option<u64>,
    /// How long it waited before, in milliseconds.
    waited_ms: u64,
    /// Whether every process has closed its output.
    output_closed: bool,
    /// Value of [`ATTEMPT_TAG`].
    attempt_tag: String,
    process_group: Option<u32>,
    phase: AttemptPhase,
    stop_reason: Option<StopReason>,
    /// Whether noxide stopped waiting for it: it was killed, but its exit was not reported in time.
    abandoned: bool,
}

#[derive(Debug)]
enum AttemptPhase {
    Running,
    /// It was sent a signal; at `deadline` it is sent the next stronger one.
    Stopping {
        last_signal: StopSignal,
        deadline: u64,
    },
    /// Its process has exited; other processes may still have its output open.
    Draining {
        exit_report: ExitReport,
        ended_at: u64,
        /// When noxide stops waiting, or sends the next signal to the processes that are left.
        deadline: u64,
        /// The last signal it was sent, if any; the processes that are left get the same grace periods.
        last_signal: Option<StopSignal>,
    },
}

/// Signals that end an attempt, in the order they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopSignal {
    /// SIGINT, as by Ctrl-C: tests tear their fixtures down.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl StopSignal {
    fn next_signal(self) -> Self {
        match self {
            Self::Interrupt => Self::Terminate,
            Self::Terminate | Self::Kill => Self::Kill,
        }
    }
}

/// Why an attempt was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StopReason {
    /// The outcome of the attempt.
    pub(super) outcome: Outcome,
    /// The reason in words.
    pub(super) reason: String,
    /// Whether Ctrl-C caused it: as in nox, the session may then still pass or be skipped.
    pub(super) by_ctrl_c: bool,
}

/// Limits of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptLimits {
    /// How long it may run.
    pub(super) timeout: Option<Duration>,
    /// How long it may print nothing.
    pub(super) idle_timeout: Option<Duration>,
    /// Milliseconds between two signals.
    pub(super) grace_ms: u64,
}

/// What the dispatcher must do after a check of an attempt's deadlines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DeadlineAction {
    /// Nothing.
    Wait,
    /// Conclude the attempt: it has ended.
    Conclude,
    /// Stop the attempt: it exceeded the described limit.
    TimedOut(String),
}

/// The result of an attempt that has ended; its log is complete.
#[derive(Debug)]
pub(super) struct ConcludedAttempt {
    /// The attempt as recorded.
    pub(super) result: AttemptResult,
    /// Whether the session may be retried after it.
    pub(super) can_retry: bool,
    /// The range of its log that is not reported yet: start and end offset.
    pub(super) log_growth: Option<(u64, u64)>,
    /// The first error while its log was written.
    pub(super) log_error: Option<io::Error>,
    pub(super) install: Option<InstallStats>,
    /// Resources that its commands shared with other sessions; `None` if its commands were not seen.
    pub(super) uses: Option<Vec<CommandUse>>,
    /// The slots it held.
    pub(super) slots: Vec<usize>,
}

impl RunningAttempt {
    /// Creates an attempt that starts at `start`.
    pub(super) fn new(
        id: ManifestIndex,
        number: u32,
        start: u64,
        slots: Vec<usize>,
        log_path: PathBuf,
        attempt_tag: String,
    ) -> Self {
        Self {
            id,
            number,
            start,
            slots,
            log: None,
            log_path,
            reported_bytes: 0,
            received_bytes: 0,
            last_output_at: start,
            waiting_since: None,
            waited_ms: 0,
            output_closed: false,
            attempt_tag,
            process_group: None,
            phase: AttemptPhase::Running,
            stop_reason: None,
            abandoned: false,
        }
    }

    /// Returns its number; the first attempt has 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The slots it holds.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Returns the path of its log, relative to the run's directory.
    pub(super) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Returns the environment variable that all its processes have.
    pub(super) fn tag_variable(&self) -> (String, String) {
        (ATTEMPT_TAG.to_owned(), self.attempt_tag.clone())
    }

    /// Returns its process group, once it has one.
    pub(super) fn process_group(&self) -> Option<u32> {
        self.process_group
    }

    /// Whether its process has exited.
    pub(super) fn has_exited(&self) -> bool {
        matches!(self.phase, AttemptPhase::Draining { .. })
    }

    /// Attaches the thread that writes its log.
    pub(super) fn set_log(&mut self, log: LogWriter) {
        self.log = Some(log);
    }

    /// Sets the process group, once its process has started as the group's leader.
    pub(super) fn set_process_group(&mut self, group: u32, now: u64, grace_ms: u64) {
        self.process_group = Some(group);
        // A stop was requested before there was a process to signal.
        if let AttemptPhase::Stopping { last_signal, .. } = self.phase {
            self.send_stop_signal(last_signal, now, grace_ms);
        }
    }

    /// Whether it was sent a signal.
    pub(super) fn is_stopping(&self) -> bool {
        !matches!(self.phase, AttemptPhase::Running | AttemptPhase::Draining { last_signal: None, .. })
    }

    /// Waits longer for an interrupted attempt: nox itself stops its command after `timeout_ms`.
    ///
    /// If nox has no limit either (`None`), an attempt that Ctrl-C interrupted waits until the user's next signal, and one
    /// that exceeded its time limit keeps the grace period.
    pub(super) fn extend_grace(&mut self, timeout_ms: Option<u64>, now: u64, grace_ms: u64) {
        let by_ctrl_c = self.stop_reason.as_ref().is_some_and(|stop| stop.by_ctrl_c);
        let end = match (timeout_ms, by_ctrl_c) {
            (Some(timeout_ms), _) => now.saturating_add(timeout_ms).saturating_add(grace_ms),
            (None, true) => u64::MAX,
            (None, false) => return,
        };
        if let AttemptPhase::Stopping { last_signal: StopSignal::Interrupt, deadline } = &mut self.phase {
            *deadline = (*deadline).max(end);
        }
    }

    /// Lets an interrupted attempt go on, unless it was stopped for another reason than Ctrl-C or sent another signal.
    pub(super) fn resume(&mut self) -> bool {
        let may_resume = match self.phase {
            AttemptPhase::Running => true,
            AttemptPhase::Stopping { last_signal: StopSignal::Interrupt, .. } => {
                self.stop_reason.as_ref().is_none_or(|stop| stop.by_ctrl_c)
            }
            _ => false,
        };
        if may_resume {
            (self.phase, self.stop_reason) = (AttemptPhase::Running, None);
        }
        may_resume
    }

    /// Records that its process has exited; returns false if that was recorded before.
    pub(super) fn set_exited(
        &mut self,
        exit_report: ExitReport,
        now: u64,
        leak_timeout_ms: u64,
        grace_ms: u64,
    ) -> bool {
        let (deadline, last_signal) = match self.phase {
            AttemptPhase::Running => (now.saturating_add(leak_timeout_ms), None),
            // Its other processes keep the rest of the grace period: test fixtures may need the time.
            AttemptPhase::Stopping { deadline, last_signal } => {
                (deadline.min(now.saturating_add(grace_ms)), Some(last_signal))
            }
            AttemptPhase::Draining { .. } => return false,
        };
        self.phase = AttemptPhase::Draining { exit_report, ended_at: now, deadline, last_signal };
        true
    }

    /// Records that every process has closed its output.
    pub(super) fn set_output_closed(&mut self) {
        self.output_closed = true;
    }

    /// Returns the range of the log that is not reported yet, and marks it as reported.
    pub(super) fn take_log_growth(&mut self) -> Option<(u64, u64)> {
        let written = self.log.as_ref().map_or(0, LogWriter::written_bytes);
        self.log_growth_to(written)
    }

    fn log_growth_to(&mut self, written: u64) -> Option<(u64, u64)> {
        let reported = self.reported_bytes;
        self.reported_bytes = written.max(reported);
        (written > reported).then_some((reported, written))
    }

    /// Updates the time of its last output if it printed anything since the last call.
    pub(super) fn note_output(&mut self, now: u64) {
        let received = self.log.as_ref().map_or(0, LogWriter::received_bytes);
        if received > self.received_bytes {
            (self.received_bytes, self.last_output_at) = (received, now);
        }
    }

    /// Records that it waits for another session, or continues: its limits do not include that time.
    pub(super) fn set_waiting(&mut self, is_waiting: bool, now: u64) {
        if let Some(since) = self.waiting_since.take() {
            self.waited_ms += now.saturating_sub(since);
            self.last_output_at = now;
        }
        self.waiting_since = is_waiting.then_some(now);
    }

    /// Checks all deadlines and sends the signals that are due.
    pub(super) fn check_deadlines(&mut self, now: u64, limits: &AttemptLimits) -> DeadlineAction {
        match self.phase {
            AttemptPhase::Draining { .. } => self.drain(now, limits.grace_ms),
            AttemptPhase::Stopping { last_signal: StopSignal::Kill, deadline } if now >= deadline => {
                // The host does not respond, or the process is stuck in the kernel.
                self.abandoned = true;
                let report = ExitReport::crashed(self.id, "it was killed, but its exit was never reported".to_owned());
                self.set_exited(report, now, 0, limits.grace_ms);
                self.drain(now, limits.grace_ms)
            }
            AttemptPhase::Stopping { deadline, .. } => {
                if now >= deadline {
                    self.escalate_stop(now, limits.grace_ms);
                }
                DeadlineAction::Wait
            }
            AttemptPhase::Running => {
                self.exceeded_limit(now, limits).map_or(DeadlineAction::Wait, DeadlineAction::TimedOut)
            }
        }
    }

    /// Decides whether an attempt whose process has exited can be concluded, or must wait for its other processes;
    /// sends them the next signal when that is due.
    pub(super) fn drain(&mut self, now: u64, grace_ms: u64) -> DeadlineAction {
        let is_complete = match self.phase {
            AttemptPhase::Draining { deadline, last_signal: None, .. } => self.output_closed || now >= deadline,
            AttemptPhase::Draining { deadline, last_signal: Some(signal), .. } => {
                let is_complete = self.is_gone() || (now >= deadline && signal == StopSignal::Kill);
                if !is_complete && now >= deadline {
                    self.escalate_stop(now, grace_ms);
                }
                is_complete
            }
            _ => false,
        };
        if is_complete { DeadlineAction::Conclude } else { DeadlineAction::Wait }
    }

    /// Describes the limit that the attempt has exceeded.
    fn exceeded_limit(&self, now: u64, limits: &AttemptLimits) -> Option<String> {
        if self.waiting_since.is_some() {
            return None;
        }
        let exceeded = |since: u64, limit: Option<Duration>| {
            limit.filter(|limit| now.saturating_sub(since) >= to_millis(*limit)).map(format_limit)
        };
        let timeout = exceeded(self.start + self.waited_ms, limits.timeout)
            .map(|limit| format!("still running after its timeout of {limit}"));
        timeout.or_else(|| {
            exceeded(self.last_output_at, limits.idle_timeout)
                .map(|limit| format!("no output for its idle timeout of {limit}"))
        })
    }

    /// Describes what the attempt is doing, as the end of a sentence; `run_dir` is the run's directory.
    pub(super) fn describe_activity(&self, run_dir: &Path, redactor: &SecretRedactor) -> String {
        describe_activity(self.process_tree().as_ref(), &run_dir.join(&self.log_path), redactor)
    }

    /// Sends a signal, and records why. The reason of an earlier stop stays, and a process that has exited gets none.
    pub(super) fn request_stop(&mut self, reason: StopReason, signal: StopSignal, now: u64, grace_ms: u64) {
        if self.stop_reason.is_none() && !self.has_exited() {
            self.stop_reason = Some(reason);
        }
        self.send_stop_signal(signal, now, grace_ms);
    }

    /// Sends a signal, unless the process exited before any was sent, or was sent a stronger one.
    fn send_stop_signal(&mut self, signal: StopSignal, now: u64, grace_ms: u64) {
        let next_deadline = now.saturating_add(grace_ms);
        match &mut self.phase {
            AttemptPhase::Draining { last_signal: None, .. } => return,
            AttemptPhase::Stopping { last_signal: last, .. }
            | AttemptPhase::Draining { last_signal: Some(last), .. }
                if *last > signal =>
            {
                return;
            }
            AttemptPhase::Draining { deadline, last_signal, .. } => {
                (*deadline, *last_signal) = (next_deadline, Some(signal));
            }
            phase => *phase = AttemptPhase::Stopping { last_signal: signal, deadline: next_deadline },
        }
        if let Some(tree) = self.process_tree() {
            match signal {
                // Only the group, as a terminal does: Ctrl-C does not stop a daemon that left it.
                StopSignal::Interrupt => signal_group(tree.group, Signal::INT),
                StopSignal::Terminate => tree.send_signal(Signal::TERM),
                StopSignal::Kill => return tree.kill_all(),
            }
            tree.continue_stopped();
        }
    }

    /// Sends the next stronger signal, if a stop was requested.
    pub(super) fn escalate_stop(&mut self, now: u64, grace_ms: u64) {
        if let AttemptPhase::Stopping { last_signal: signal, .. }
        | AttemptPhase::Draining { last_signal: Some(signal), .. } = self.phase
        {
            self.send_stop_signal(signal.next_signal(), now, grace_ms);
        }
    }

    /// Concludes a drained attempt: kills the remaining processes and completes its log. After an attempt that passed,
    /// processes that have closed its output stay.
    pub(super) fn conclude(mut self) -> Option<ConcludedAttempt> {
        let phase = std::mem::replace(&mut self.phase, AttemptPhase::Running);
        let AttemptPhase::Draining { exit_report, ended_at, .. } = phase else { return None };
        let failed = self.outcome(&exit_report).0.is_failure();
        // A passed session may have started a service for other sessions: one that closed the output runs until the run
        // ends.
        if let Some(tree) = self.process_tree().filter(|_| failed || exit_report.leaked || !self.output_closed) {
            tree.kill_all();
        }
        let (log_bytes, written) = self.log.take().map_or((0, Ok(())), LogWriter::finish);
        let log_growth = self.log_growth_to(log_bytes);
        let result = self.to_result(&exit_report, ended_at, log_bytes);
        Some(ConcludedAttempt {
            can_retry: failed && result.outcome != Outcome::Cancelled && !self.abandoned,
            result,
            log_growth,
            log_error: written.err(),
            install: exit_report.install,
            uses: exit_report.uses,
            slots: self.slots,
        })
    }

    fn process_tree(&self) -> Option<ProcessTree> {
        self.process_group.map(|group| ProcessTree { group, tag: format!("{ATTEMPT_TAG}={}", self.attempt_tag) })
    }

    fn is_gone(&self) -> bool {
        self.process_tree().is_none_or(|tree| tree.is_gone())
    }

    /// Returns the outcome and its reason.
    fn outcome<'a>(&'a self, exit_report: &'a ExitReport) -> (Outcome, &'a str) {
        match &self.stop_reason {
            Some(stop) if !stop.by_ctrl_c || exit_report.outcome.is_failure() => (stop.outcome, &stop.reason),
            _ => (exit_report.outcome, &exit_report.reason),
        }
    }

    fn to_result(&self, exit_report: &ExitReport, end: u64, log_bytes: u64) -> AttemptResult {
        let (outcome, reason) = self.outcome(exit_report);
        AttemptResult {
            number: self.number,
            outcome,
            reason: if outcome == Outcome::Passed { String::new() } else { reason.to_owned() },
            exit_status: exit_report.exit,
            signal: exit_report.signal,
            start: self.start,
            end,
            cpu_ms: exit_report.cpu,
            peak_memory: exit_report.peak_memory,
            slots: self.slots.clone(),
            log: self.log_path.clone(),
            log_bytes,
            // Processes that noxide stopped together with the session do not count as leaked.
            leaky: (!self.output_closed || exit_report.leaked)
                && self.stop_reason.is_none()
                && outcome != Outcome::Crashed,
        }
    }
}

fn format_limit(limit: Duration) -> String {
    jiff::SignedDuration::try_from(limit).map_or(String::new(), |limit| format!("{limit:#}"))
}

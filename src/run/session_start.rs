//! How the dispatcher starts sessions: those that are due, and those that others notify.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::attempt::{AttemptPhase, RunningAttempt};
use super::clock::to_millis;
use super::dispatcher::{Dispatcher, RunMessage};
use super::launcher::{ExitReport, LaunchRequest};
use super::plan::PlannedSession;
use super::process::{LogWriter, open_output_channel};
use super::scheduler::SessionStart;
use super::session_cleanup::log_copy_path;
use crate::project::SessionId;
use crate::record::{EventKind, NeedOrigin, SessionNeed};

/// How far sessions step back that are not on the run's longest path. Slots bound sessions, not processes: where
/// those of several sessions want more CPUs than there are, the longest path goes first and the others fill the gaps.
/// At 15 they take 3 % of a CPU that it wants too (at 5 it was a quarter, by which the example's longest path took 13 %
/// longer than alone).
const BACKGROUND_NICE: i32 = 15;

/// Milliseconds a session must usually take to step back: a shorter one is over before it is in anybody's way.
const MIN_DURATION_FOR_NICE_MS: u64 = 1_000;

/// Whether a session may be held up: not one that a limit of its own would end then.
fn can_lower_priority(session: &PlannedSession) -> bool {
    let is_long = |usual: u64| {
        let could_take = Duration::from_millis(usual.saturating_mul(4));
        usual >= MIN_DURATION_FOR_NICE_MS && session.timeout.is_none_or(|most| most >= could_take)
    };
    session.idle_timeout.is_none() && session.facts.usual_ms.is_some_and(is_long)
}

impl Dispatcher<'_> {
    pub(super) fn start_sessions(&mut self) {
        if self.stopping {
            return;
        }
        if self.exclusive_retry_pending() {
            return;
        }
        self.launch_provisioned();
        let now = self.clock.now();
        let due: Vec<usize> =
            self.pending_retries.iter().filter(|(_, (at, _))| *at <= now).map(|(place, _)| *place).collect();
        for place in due {
            if let Some((_, slots)) = self.pending_retries.remove(&place) {
                self.launch_attempt(place, slots);
            }
        }
        if self.running.is_empty() && self.cleaning_up.is_empty() {
            self.context.resources.refill_jobserver();
        }
        if self.is_memory_short() {
            return;
        }
        for SessionStart { session, slots, critical } in self.scheduler.start_ready() {
            let steps_back =
                !critical && self.context.plan.slots > 1 && can_lower_priority(&self.context.plan.sessions[session]);
            self.niceness.insert(session, if steps_back { BACKGROUND_NICE } else { 0 });
            self.launch_when_provisioned(session, slots);
        }
    }

    /// Whether memory holds starts back now; said once in a run, where something could have started.
    fn is_memory_short(&mut self) -> bool {
        let now = self.clock.now();
        if !self.scheduler.has_waiting() || !self.memory_pressure.should_hold_start(now, self.scheduler.count_running())
        {
            return false;
        }
        let held = !self.scheduler.clone().start_ready().is_empty();
        if let Some(text) = held.then(|| self.memory_pressure.first_notice()).flatten() {
            self.emit_event(EventKind::Notice { text });
        }
        held
    }

    pub(super) fn launch_attempt(&mut self, place: usize, slots: Vec<usize>) {
        let number = self.attempts.get(&place).map_or(0, Vec::len) as u32 + 1;
        let start = self.clock.now();
        let session = &self.context.plan.sessions[place];
        let log_path = PathBuf::from("logs").join(match number {
            1 => format!("{}.log", session.log_stem),
            _ => format!("{}.{number}.log", session.log_stem),
        });
        let fact = EventKind::SessionStarted {
            session: session.facts.name.clone(),
            attempt: number,
            slots: slots.clone(),
            log: log_path.clone(),
        };
        let mut running = RunningAttempt {
            number,
            start,
            slots,
            log: None,
            log_path,
            reported_bytes: 0,
            received_bytes: 0,
            last_output_at: start,
            output_closed: false,
            process_tag: format!("NOXIDE_ATTEMPT={}:{place}:{number}", self.context.process_tag),
            group: None,
            phase: AttemptPhase::Working,
            stop_reason: None,
            abandoned: false,
        };
        self.emit_event(fact);
        let launched = self.open_attempt(place, &mut running);
        self.running.insert(place, running);
        if let Err(error) = launched {
            let id = self.context.plan.sessions[place].id;
            self.handle_finished(ExitReport::crashed(id, format!("could not be started: {error}")));
            self.handle_output_closed(place, number);
        }
    }

    /// Opens the attempt's log and output, and has it started.
    pub(super) fn open_attempt(&mut self, place: usize, running: &mut RunningAttempt) -> std::io::Result<()> {
        let session = &self.context.plan.sessions[place];
        let channel = open_output_channel(self.context.terminal)?;
        let (sender, number) = (self.sender.clone(), running.number);
        let closed = move || sender.send(RunMessage::OutputClosed(place, number)).unwrap_or(());
        // A session before this one may have deleted the folder, as `rm -r build` does.
        let copy =
            log_copy_path(self.context.options, &session.log_stem).filter(|copy| create_empty_file(copy).is_ok());
        let path = self.context.folder.join(&running.log_path);
        running.log =
            Some(LogWriter::spawn_writer(channel.read, &path, copy.as_deref(), self.context.redactor.clone(), closed)?);
        let mut env = self.context.env.clone();
        env.extend(running.process_tag.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.extend(self.context.resources.session_env(place, session, &running.slots));
        env.extend(self.provisions.session_env(place));
        env.extend(session.env.iter().cloned());
        let results = session
            .task
            .needs
            .iter()
            .filter_map(|(need, _)| Some((self.context.plan.sessions[*need].id, self.scheduler.outcome(*need)?)));
        let order = LaunchRequest {
            id: session.id,
            required_outcomes: results.collect(),
            posargs: self.posargs.get(&place).cloned(),
            env,
            nice: self.niceness.get(&place).copied().unwrap_or(0),
            terminal: self.context.terminal.is_some(),
            leak_timeout_ms: to_millis(self.context.options.leak_timeout),
            remaining_sessions: self.scheduler.count_waiting() + self.pending_retries.len(),
        };
        self.launcher.launch(&order, channel.write)
    }

    pub(super) fn handle_started(&mut self, id: SessionId, pid: u32) {
        let Some(place) = self.session_index(id) else { return };
        let (now, grace) = (self.clock.now(), to_millis(self.context.options.grace_period));
        if let Some(running) = self.running.get_mut(&place) {
            running.group = Some(pid);
            // Told to end before it had a process to tell.
            if let AttemptPhase::Ending { last_signal: step, .. } = running.phase {
                running.send_stop_signal(step, now, grace);
            }
        }
    }

    /// `session.notify`: a session that is neither queued nor over is added; those that wait go to the end.
    pub(super) fn handle_notify(
        &mut self,
        by: SessionId,
        target: SessionId,
        matches: &[SessionId],
        posargs: Option<Vec<String>>,
    ) {
        let known: Vec<usize> = matches.iter().filter_map(|id| self.session_index(*id)).collect();
        if !known.is_empty() {
            // nox does nothing where one of that name is queued, runs or is over; but in a parallel run one that is
            // queued has to wait, or it would start before what its notifier makes for it.
            for place in known {
                self.postpone_session(place);
            }
        } else if !self.stopping {
            let session = &self.context.manifest.sessions[target.0];
            let place = self.context.plan.add_session(session, target, self.context.options, self.context.history);
            self.scheduler.add_task(self.context.plan.sessions[place].task.clone());
            self.posargs.extend(posargs.map(|posargs| (place, posargs)));
            self.postpone_session(place);
            self.enqueue_provisioning(place);
            let by = self.context.manifest.sessions[by.0].name.clone();
            let session = self.context.plan.sessions[place].facts.clone();
            self.emit_event(EventKind::SessionAdded { session, notified_by: by });
        }
    }

    /// Has a session wait for all that is unfinished.
    fn postpone_session(&mut self, place: usize) {
        for need in self.scheduler.postpone_session(place) {
            let on = self.context.plan.sessions[need].facts.name.clone();
            let session = &mut self.context.plan.sessions[place];
            session.facts.needs.push(SessionNeed { session: on, origin: NeedOrigin::Notify });
            session.task.needs.push((need, false));
        }
    }
}

/// Makes an empty file and the folders it lies in.
fn create_empty_file(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
    fs_err::File::create(path).map(drop)
}

//! Starting sessions: planned, retried and notified ones, and their provisioning.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Dispatcher, RunMessage};
use crate::project::ManifestIndex;
use crate::provision::ProvisionResult;
use crate::record::{EventKind, NeedOrigin, SessionNeed};
use crate::run::attempt::RunningAttempt;
use crate::run::graph::PlanIndex;
use crate::run::launcher::{ExitReport, LaunchRequest};
use crate::run::pending_environments::EnvironmentState;
use crate::run::plan::PlannedSession;
use crate::run::process::{LogWriter, open_output_channel};
use crate::run::run_clock::to_millis;
use crate::run::scheduler::{NeedCondition, SessionStart};
use crate::run::session_cleanup::log_copy_path;
use crate::run::solo_reruns::SoloRerunAction;

/// Niceness of sessions that are not on the longest chain. Slots limit the number of sessions, not of processes: if the
/// sessions together use more CPUs than there are, the longest chain must not be slowed down by the others. At 15 they
/// get 3 % of a CPU that the longest chain wants too. At 5 they got a quarter, and the longest chain of the example project took 13 %
/// longer than alone.
const BACKGROUND_NICE: i32 = 15;

/// Sessions that usually take less keep their priority: they end before they could delay others.
const MIN_DURATION_FOR_NICE_MS: u64 = 1_000;

impl Dispatcher<'_> {
    pub(super) fn start_sessions(&mut self) {
        if self.stopping {
            return;
        }
        let idle = self.running.is_empty() && self.cleanups.is_idle();
        match self.solo_reruns.next_step(|session| self.running.contains_key(&session), idle) {
            SoloRerunAction::None => {}
            SoloRerunAction::StartNothing => return,
            SoloRerunAction::Start(session, slots) => return self.launch_attempt(session, slots),
        }
        for (session, slots) in self.environments.take_ready() {
            self.launch_attempt(session, slots);
        }
        for (session, slots) in self.provision.take_ready() {
            self.launch_in_environment(session, slots);
        }
        for (session, slots) in self.retries.take_due(self.clock.now()) {
            self.launch_attempt(session, slots);
        }
        if self.running.is_empty() && self.cleanups.is_idle() {
            self.context.resources.refill_jobserver();
        }
        if self.is_delayed_by_memory() {
            return;
        }
        // A failure that is held may end the run.
        let may_end = self.context.options.fail_fast.is_some() && self.order.has_held();
        if !may_end {
            self.start_ready_sessions();
        }
        if self.rerun_or_release_one() {
            self.start_sessions();
        }
    }

    fn start_ready_sessions(&mut self) {
        for SessionStart { session, slots, on_longest_chain } in self.scheduler.start_ready() {
            let planned = &self.context.plan[session];
            let is_background = !on_longest_chain && self.context.plan.slots > 1 && can_lower_priority(planned);
            self.session_states.entry(session).or_default().nice = if is_background { BACKGROUND_NICE } else { 0 };
            let slots = match self.has_environment(session) {
                true => self.provision.start_or_wait(session, self.manifest_index(session), slots),
                false => Some(slots),
            };
            if let Some(slots) = slots {
                self.launch_in_environment(session, slots);
            }
        }
    }

    /// Launches the first attempt of a session once no other noxide uses its environment.
    fn launch_in_environment(&mut self, session: PlanIndex, slots: Vec<usize>) {
        let declared = &self.context.manifest.sessions[self.manifest_index(session).0];
        let environment = declared.envdir.clone();
        match self.environments.start_or_wait(session, declared.name.as_str(), environment, slots) {
            EnvironmentState::Ready(slots) => self.launch_attempt(session, slots),
            EnvironmentState::Waiting(message) => self.emit_event(EventKind::Notice { text: message }),
        }
    }

    /// Whether low memory delays a session that could start now. Emits a notice the first time.
    fn is_delayed_by_memory(&mut self) -> bool {
        let (now, running) = (self.clock.now(), self.scheduler.count_running());
        if !self.scheduler.has_waiting() || !self.memory_pressure.should_delay_starts(now, running) {
            return false;
        }
        let delays_sessions = !self.scheduler.clone().start_ready().is_empty();
        if delays_sessions {
            let notice = self.memory_pressure.first_notice();
            self.emit_notices(notice);
        }
        delays_sessions
    }

    fn launch_attempt(&mut self, session: PlanIndex, slots: Vec<usize>) {
        let number = self.session_states.get(&session).map_or(0, |state| state.attempts.len()) as u32 + 1;
        let planned = &self.context.plan[session];
        let (id, session_name) = (planned.id, planned.spec.name.clone());
        let log_path = PathBuf::from("logs").join(match number {
            1 => format!("{}.log", planned.log_stem),
            _ => format!("{}.{number}.log", planned.log_stem),
        });
        let tag = format!("{}:{session}:{number}", self.context.run_tag);
        let start = self.clock.now();
        let mut attempt = RunningAttempt::new(id, number, start, slots.clone(), log_path.clone(), tag);
        self.emit_event(EventKind::SessionStarted { session: session_name, attempt: number, slots, log: log_path });
        let launched = self.open_and_launch(session, &mut attempt);
        self.running.insert(session, attempt);
        if let Err(error) = launched {
            self.handle_exited(ExitReport::crashed(id, format!("could not be started: {error}")));
            self.handle_output_closed(session, number);
        }
    }

    /// Opens the attempt's log and output, and launches it.
    fn open_and_launch(&mut self, session: PlanIndex, attempt: &mut RunningAttempt) -> std::io::Result<()> {
        let planned = &self.context.plan[session];
        let channel = open_output_channel(self.context.terminal)?;
        let (sender, number) = (self.sender.clone(), attempt.number());
        let closed = move || sender.send(RunMessage::OutputClosed(session, number)).unwrap_or(());
        // Create the directory again: an earlier session may have deleted it, for example by `rm -r build`.
        let copy =
            log_copy_path(self.context.options, &planned.log_stem).filter(|copy| create_empty_file(copy).is_ok());
        let path = self.context.run_dir.join(attempt.log_path());
        let redactor = self.context.redactor.clone();
        attempt.set_log(LogWriter::spawn_writer(channel.read, &path, copy.as_deref(), redactor, closed)?);
        let mut env = self.context.env.clone();
        env.push(attempt.tag_variable());
        env.extend(self.context.resources.session_env(session, planned, attempt.slots()));
        env.extend(command_locks_dir(self.context.run_dir));
        // A sequential run needs no private coverage files: each session finds the data that it would find under nox.
        if !self.context.plan.is_sequential {
            env.extend(self.coverage.session_env(session));
        }
        env.extend(self.provision.session_env(session));
        env.extend(planned.env.iter().cloned());
        let need_outcomes = planned
            .task
            .needs
            .iter()
            .filter_map(|(need, _)| Some((self.manifest_index(*need), self.scheduler.outcome(*need)?)));
        let state = self.session_states.get(&session);
        let request = LaunchRequest {
            id: planned.id,
            need_outcomes: need_outcomes.collect(),
            posargs: state.and_then(|state| state.posargs.clone()),
            env,
            nice: state.map_or(0, |state| state.nice),
            leak_timeout_ms: to_millis(self.context.options.leak_timeout),
            remaining_starts: self.scheduler.count_waiting() + self.retries.len(),
        };
        self.launcher.launch(&request, channel.write)
    }

    pub(super) fn handle_started(&mut self, id: ManifestIndex, pid: u32) {
        let Some(session) = self.plan_index(id) else { return };
        let (now, grace_ms) = (self.clock.now(), to_millis(self.context.options.grace_period));
        if let Some(attempt) = self.running.get_mut(&session) {
            attempt.set_process_group(pid, now, grace_ms);
        }
    }

    /// Handles that a session waits for a resource that another one uses, or continues.
    pub(super) fn handle_waiting(&mut self, id: ManifestIndex, is_waiting: bool) {
        let Some(session) = self.plan_index(id) else { return };
        let now = self.clock.now();
        if let Some(attempt) = self.running.get_mut(&session) {
            attempt.set_waiting(is_waiting, now);
        }
    }

    /// Handles `session.notify`: adds the session to the run, after all others, if it is not part of it.
    pub(super) fn handle_notify(
        &mut self,
        by: ManifestIndex,
        target: ManifestIndex,
        matches: &[ManifestIndex],
        posargs: Option<Vec<String>>,
    ) {
        // nox ignores the call if a session of that name is queued, running or finished.
        if matches.iter().any(|id| self.plan_index(*id).is_some()) {
            return;
        }
        if self.stopping {
            // It would have run, so the run is not complete.
            self.missed_notify = true;
        } else {
            let declared = &self.context.manifest.sessions[target.0];
            let session = self.context.plan.add_session(declared, target, self.context.options, self.context.history);
            self.scheduler.add_task(self.context.plan[session].task.clone());
            self.session_states.entry(session).or_default().posargs = posargs;
            self.postpone_session(session);
            if self.has_environment(session) {
                self.provision.enqueue(target);
            }
            let by = self.context.manifest.sessions[by.0].name.clone();
            let session = self.context.plan[session].spec.clone();
            self.emit_event(EventKind::SessionAdded { session, notified_by: by });
        }
    }

    /// Makes a session wait for all unfinished sessions that do not wait for it.
    fn postpone_session(&mut self, session: PlanIndex) {
        for need in self.scheduler.postpone_session(session) {
            let on = self.session_name(need);
            let planned = &mut self.context.plan[session];
            planned.spec.needs.push(SessionNeed { session: on, origin: NeedOrigin::Notify });
            planned.task.needs.push((need, NeedCondition::MustEnd));
        }
    }

    /// Queues the provisioning of all planned sessions, in the order of their forecast start.
    pub(super) fn enqueue_planned_sessions(&mut self) {
        if self.context.provision_queue.is_none() {
            return;
        }
        let mut forecast = self.context.plan.forecast();
        forecast.sort_by_key(|forecast| (forecast.start, forecast.session));
        for forecast in forecast.into_iter().filter(|forecast| self.has_environment(forecast.session)) {
            self.provision.enqueue(self.manifest_index(forecast.session));
        }
    }

    pub(super) fn handle_provisioned(&mut self, id: ManifestIndex, result: ProvisionResult) {
        let Some(session) = self.plan_index(id) else { return };
        self.emit_notices(result.notices);
        if let Some(cache) = &result.cache {
            self.emit_event(EventKind::SessionRestored { session: self.session_name(session), cache: cache.clone() });
        }
        self.context.plan[session].cache = result.cache;
        self.provision.set_provisioned(session, result.env);
    }

    /// Whether a session has an environment that could be provisioned.
    pub(super) fn has_environment(&self, session: PlanIndex) -> bool {
        self.context.manifest.sessions[self.manifest_index(session).0].backend != "none"
    }
}

/// Whether a session may run at a lower priority: it is not short, and being slowed down cannot make it time out.
fn can_lower_priority(session: &PlannedSession) -> bool {
    let is_long = |usual: u64| {
        let could_take = Duration::from_millis(usual.saturating_mul(4));
        usual >= MIN_DURATION_FOR_NICE_MS && session.timeout.is_none_or(|timeout| timeout >= could_take)
    };
    session.idle_timeout.is_none() && session.spec.usual_ms.is_some_and(is_long)
}

/// Returns the variable with the directory of the locks that commands take: one for all runs in the checkout.
fn command_locks_dir(run_dir: &Path) -> Option<(String, String)> {
    let runs = run_dir.parent().filter(|runs| runs.ends_with("runs"));
    let directory = runs.and_then(Path::parent).unwrap_or(run_dir).join("locks");
    Some(("NOXIDE_COMMAND_LOCKS".to_owned(), directory.into_os_string().into_string().ok()?))
}

/// Creates an empty file and its parent directories.
fn create_empty_file(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
    fs_err::File::create(path).map(drop)
}

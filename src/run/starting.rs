//! How the dispatcher starts sessions: those that are due, and those that others notify.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::attempt::{Phase, Running};
use super::clock::millis;
use super::dispatcher::{Dispatcher, Message};
use super::gathering::copy_of;
use super::launch::{Finish, Order};
use super::plan::PlannedSession;
use super::process::{Log, open_channel};
use super::schedule::Start;
use crate::project::SessionId;
use crate::record::{Fact, NeedFacts, NeedOrigin};

/// How far sessions step back that are not on the run's longest path. Slots bound sessions, not processes: where
/// those of several sessions want more CPUs than there are, the longest path goes first and the others fill the gaps.
/// At 15 they take 3 % of a CPU that it wants too (at 5 it was a quarter, by which the example's longest path took 13 %
/// longer than alone).
const NICE: i32 = 15;

/// Milliseconds a session must usually take to step back: a shorter one is over before it is in anybody's way.
const WORTH_IT: u64 = 1_000;

/// Whether a session may be held up: not one that a limit of its own would end then.
fn may_step_back(session: &PlannedSession) -> bool {
    let is_long = |usual: u64| {
        let could_take = Duration::from_millis(usual.saturating_mul(4));
        usual >= WORTH_IT && session.timeout.is_none_or(|most| most >= could_take)
    };
    session.idle_timeout.is_none() && session.facts.usual.is_some_and(is_long)
}

impl Dispatcher<'_> {
    pub(super) fn start(&mut self) {
        if self.stopping {
            return;
        }
        if self.is_for_one() {
            return;
        }
        self.launch_waiting();
        let now = self.clock.now();
        let due: Vec<usize> =
            self.waiting_retry.iter().filter(|(_, (at, _))| *at <= now).map(|(place, _)| *place).collect();
        for place in due {
            if let Some((_, slots)) = self.waiting_retry.remove(&place) {
                self.launch(place, slots);
            }
        }
        if self.running.is_empty() && self.gathering.is_empty() {
            self.given.lent.rest();
        }
        if self.is_pressed() {
            return;
        }
        for Start { session, slots, critical } in self.scheduler.start() {
            let steps_back =
                !critical && self.given.plan.slots > 1 && may_step_back(&self.given.plan.sessions[session]);
            self.nice.insert(session, if steps_back { NICE } else { 0 });
            self.launch_provided(session, slots);
        }
    }

    /// Whether memory holds starts back now; said once in a run, where something could have started.
    fn is_pressed(&mut self) -> bool {
        let now = self.clock.now();
        if !self.scheduler.has_waiting() || !self.pressure.holds_back(now, self.scheduler.count_running()) {
            return false;
        }
        let held = !self.scheduler.clone().start().is_empty();
        if let Some(text) = held.then(|| self.pressure.notice()).flatten() {
            self.emit(Fact::Notice { text });
        }
        held
    }

    pub(super) fn launch(&mut self, place: usize, slots: Vec<usize>) {
        let number = self.attempts.get(&place).map_or(0, Vec::len) as u32 + 1;
        let start = self.clock.now();
        let session = &self.given.plan.sessions[place];
        let log_path = PathBuf::from("logs").join(match number {
            1 => format!("{}.log", session.log),
            _ => format!("{}.{number}.log", session.log),
        });
        let fact = Fact::SessionStarted {
            session: session.facts.name.clone(),
            attempt: number,
            slots: slots.clone(),
            log: log_path.clone(),
        };
        let mut running = Running {
            number,
            start,
            slots,
            log: None,
            log_path,
            reported: 0,
            heard: 0,
            grown: start,
            closed: false,
            mark: format!("NOXIDE_ATTEMPT={}:{place}:{number}", self.given.mark),
            group: None,
            phase: Phase::Working,
            told: None,
            lost: false,
        };
        self.emit(fact);
        let launched = self.open(place, &mut running);
        self.running.insert(place, running);
        if let Err(error) = launched {
            let id = self.given.plan.sessions[place].id;
            self.finished(Finish::crashed(id, format!("could not be started: {error}")));
            self.closed(place, number);
        }
    }

    /// Opens the attempt's log and output, and has it started.
    pub(super) fn open(&mut self, place: usize, running: &mut Running) -> std::io::Result<()> {
        let session = &self.given.plan.sessions[place];
        let channel = open_channel(self.given.terminal)?;
        let (sender, number) = (self.sender.clone(), running.number);
        let closed = move || sender.send(Message::Closed(place, number)).unwrap_or(());
        // A session before this one may have deleted the folder, as `rm -r build` does.
        let copy = copy_of(self.given.options, &session.log).filter(|copy| make_file(copy).is_ok());
        let path = self.given.folder.join(&running.log_path);
        running.log = Some(Log::follow(channel.read, &path, copy.as_deref(), self.given.mask.clone(), closed)?);
        let mut env = self.given.env.clone();
        env.extend(running.mark.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.extend(self.given.lent.variables(place, session, &running.slots));
        env.extend(self.providing.variables(place));
        env.extend(session.env.iter().cloned());
        let results = session
            .work
            .needs
            .iter()
            .filter_map(|(need, _)| Some((self.given.plan.sessions[*need].id, self.scheduler.outcome(*need)?)));
        let order = Order {
            id: session.id,
            results: results.collect(),
            posargs: self.posargs.get(&place).cloned(),
            env,
            nice: self.nice.get(&place).copied().unwrap_or(0),
            terminal: self.given.terminal.is_some(),
            leak: millis(self.given.options.leak_timeout),
            more: self.scheduler.count_waiting() + self.waiting_retry.len(),
        };
        self.launcher.launch(&order, channel.write)
    }

    pub(super) fn started(&mut self, id: SessionId, pid: u32) {
        let Some(place) = self.place(id) else { return };
        let (now, grace) = (self.clock.now(), millis(self.given.options.grace));
        if let Some(running) = self.running.get_mut(&place) {
            running.group = Some(pid);
            // Told to end before it had a process to tell.
            if let Phase::Ending { step, .. } = running.phase {
                running.step(step, now, grace);
            }
        }
    }

    /// `session.notify`: a session that is neither queued nor over is added; those that wait go to the end.
    pub(super) fn notified(
        &mut self,
        by: SessionId,
        target: SessionId,
        matches: &[SessionId],
        posargs: Option<Vec<String>>,
    ) {
        let known: Vec<usize> = matches.iter().filter_map(|id| self.place(*id)).collect();
        if !known.is_empty() {
            // nox does nothing where one of that name is queued, runs or is over; but in a parallel run one that is
            // queued has to wait, or it would start before what its notifier makes for it.
            for place in known {
                self.postpone(place);
            }
        } else if !self.stopping {
            let session = &self.given.manifest.sessions[target.0];
            let place = self.given.plan.add(session, target, self.given.options, self.given.history);
            self.scheduler.add(self.given.plan.sessions[place].work.clone());
            self.posargs.extend(posargs.map(|posargs| (place, posargs)));
            self.postpone(place);
            self.provide_too(place);
            let by = self.given.manifest.sessions[by.0].name.clone();
            let session = self.given.plan.sessions[place].facts.clone();
            self.emit(Fact::SessionAdded { session, by });
        }
    }

    /// Has a session wait for all that is unfinished.
    fn postpone(&mut self, place: usize) {
        for need in self.scheduler.postpone(place) {
            let on = self.given.plan.sessions[need].facts.name.clone();
            let session = &mut self.given.plan.sessions[place];
            session.facts.needs.push(NeedFacts { on, origin: NeedOrigin::Notify });
            session.work.needs.push((need, false));
        }
    }
}

/// Makes an empty file and the folders it lies in.
fn make_file(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)?;
    fs_err::File::create(path).map(drop)
}

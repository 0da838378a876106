//! Plan of a run: everything that is decided before the first session starts.

use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};
use std::time::Duration;

use super::graph::{GraphError, PlanIndex, SessionGraph, reachable_from};
use super::options::{CpuCount, RetryPolicy, RunOptions, SessionOptions};
use super::scheduler::{NeedCondition, Scheduler, SchedulerTask};
use super::session_locks::{SessionLocks, find_incompatible};
use super::worker_share::{ShareInput, compute_shares};
use crate::project::{ManifestIndex, NoxfileManifest, Session, SessionName};
use crate::provision::{CacheMode, ProvisionOptions};
use crate::record::{CacheStats, LockDetails, NeedOrigin, Outcome, SessionHistory, SessionSpec, UsualStats};
use crate::trace::PlannedOrdering;

/// Everything a run will do. Indexed by [`PlanIndex`].
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// Number of slots.
    pub slots: usize,
    /// Memory that sessions share, in bytes; 0 if unlimited.
    pub memory: u64,
    /// Sessions in nox's order.
    pub sessions: Vec<PlannedSession>,
    /// Whether each waits for the one before it in that order, as under nox and in a trace.
    pub is_sequential: bool,
}

/// One session of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedSession {
    /// Its index in the manifest.
    pub id: ManifestIndex,
    /// Its description in events and in the record, with the origins of needs and locks.
    pub spec: SessionSpec,
    /// Its needs, locks and costs: what the scheduler decides by.
    pub task: SchedulerTask,
    /// How long an attempt may run.
    pub timeout: Option<Duration>,
    /// How long an attempt may print nothing.
    pub idle_timeout: Option<Duration>,
    /// How often a failed attempt is retried.
    pub retries: RetryPolicy,
    /// Environment variables from settings.
    pub env: Vec<(String, String)>,
    /// Globs of files to copy to the run's directory.
    pub artifacts: Vec<String>,
    /// Stem of its log files, unique in the run.
    pub log_stem: String,
    /// Number of CPUs for which it should start workers.
    pub worker_share: usize,
    /// Hits and misses of the cache before it started.
    pub cache: Option<CacheStats>,
}

/// When a session would start and end in a simulated run, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionForecast {
    /// The session.
    pub session: PlanIndex,
    /// When it would start.
    pub start: u64,
    /// When it would end.
    pub end: u64,
}

/// Slots and memory that a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunCapacity {
    /// Number of slots.
    pub slots: usize,
    /// Memory in bytes; 0 if unlimited.
    pub memory: u64,
}

/// Returns what must be true of a needed session, by the origin of the need.
fn need_condition(origin: &NeedOrigin) -> NeedCondition {
    if origin.requires_success() { NeedCondition::MustPass } else { NeedCondition::MustEnd }
}

/// Assumed duration of every session if none has history: all are equal, so that nox's order decides.
const DEFAULT_DURATION_MS: u64 = 1_000;

impl RunPlan {
    /// Plans the sessions that a manifest selects.
    ///
    /// # Errors
    /// When needs form a cycle.
    pub fn new(
        manifest: &NoxfileManifest,
        options: &RunOptions,
        history: &SessionHistory,
        capacity: RunCapacity,
    ) -> Result<Self, GraphError> {
        let graph = SessionGraph::new(manifest, options, history)?;
        let slots = options.jobs.map_or(capacity.slots, usize::from).max(1);
        let known: Vec<u64> = graph
            .nodes
            .iter()
            .filter_map(|node| history.usual_stats(&manifest.sessions[node.id.0].name))
            .map(|usual| usual.wall_ms)
            .collect();
        // A session seen for the first time counts as long as the longest known: starting it early costs little.
        let assumed_duration = known.iter().copied().max().unwrap_or(DEFAULT_DURATION_MS).max(1);
        let mut stems = BTreeSet::new();
        let mut sessions = Vec::new();
        let mut share_inputs = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let session = &manifest.sessions[node.id.0];
            let usual = history.usual_stats(&session.name);
            let log_stem = unique_log_stem(&session.name, &mut stems);
            let mut planned = PlannedSession::new(session, node.id, &node.options, usual, slots, log_stem);
            planned.env.splice(0..0, install_variables(session, &options.provision));
            planned.spec.needs = graph.session_needs(manifest, PlanIndex(index));
            planned.set_locks(&node.locks);
            planned.task.needs = node.needs.iter().map(|(needed, origin)| (*needed, need_condition(origin))).collect();
            planned.task.duration = usual.map_or(assumed_duration, |usual| usual.wall_ms.max(1));
            let usual = usual.and_then(|usual| Some((usual.wall_ms, usual.cpu_ms?)));
            share_inputs.push((
                planned.task.clone(),
                ShareInput { has_explicit_cpus: node.options.cpus.is_some(), usual_times: usual },
            ));
            sessions.push(planned);
        }
        for (planned, share) in sessions.iter_mut().zip(compute_shares(&share_inputs, slots)) {
            planned.worker_share = share;
        }
        Ok(Self { slots, memory: capacity.memory, sessions, is_sequential: false })
    }

    /// Adds a session that another one notified and returns its index; the scheduler decides what it waits for.
    pub fn add_session(
        &mut self,
        session: &Session,
        id: ManifestIndex,
        options: &RunOptions,
        history: &SessionHistory,
    ) -> PlanIndex {
        let session_options = options.session_options(&session.base, &session.signatures);
        let mut stems: BTreeSet<String> = self.sessions.iter().map(|planned| planned.log_stem.to_lowercase()).collect();
        let log_stem = unique_log_stem(&session.name, &mut stems);
        let usual = history.usual_stats(&session.name);
        let mut planned = PlannedSession::new(session, id, &session_options, usual, self.slots, log_stem);
        planned.env.splice(0..0, install_variables(session, &options.provision));
        self.sessions.push(planned);
        PlanIndex(self.sessions.len() - 1)
    }

    /// Adds the sessions that are not selected, and sorts all in the noxfile's order, for a list.
    pub(crate) fn add_unselected(
        &mut self,
        manifest: &NoxfileManifest,
        options: &RunOptions,
        history: &SessionHistory,
    ) {
        for (index, session) in manifest.sessions.iter().enumerate() {
            let id = ManifestIndex(index);
            if !manifest.queue.contains(&id) {
                self.add_session(session, id, options, history);
            }
        }
        self.sessions.sort_by_key(|planned| planned.id);
    }

    /// Returns a scheduler for this plan, with every session waiting.
    pub(crate) fn new_scheduler(&self) -> Scheduler {
        Scheduler::new(self.sessions.iter().map(|session| session.task.clone()).collect(), self.slots, self.memory)
    }

    /// Simulates the run: every session takes its usual time and passes. Returns sessions in the order they end.
    pub fn forecast(&self) -> Vec<SessionForecast> {
        let mut scheduler = self.new_scheduler();
        let mut running: Vec<SessionForecast> = Vec::new();
        let mut finished = Vec::new();
        let mut now = 0;
        loop {
            for start in scheduler.start_ready() {
                let end = now + self[start.session].task.duration;
                running.push(SessionForecast { session: start.session, start: now, end });
            }
            let Some(next) = (0..running.len()).min_by_key(|&n| (running[n].end, running[n].session)) else {
                return finished;
            };
            let ended = running.swap_remove(next);
            now = ended.end;
            scheduler.finish_session(ended.session, Outcome::Passed);
            finished.push(ended);
        }
    }

    /// Returns the indexes of all sessions in the plan's order.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = PlanIndex> + use<> {
        (0..self.sessions.len()).map(PlanIndex)
    }

    /// Makes each session wait for the one before it, in nox's order as far as needs allow; returns that order.
    pub(crate) fn make_sequential(&mut self) -> Vec<PlanIndex> {
        self.is_sequential = true;
        let order = self.sequential_order();
        for pair in order.windows(2) {
            let needs = &mut self[pair[1]].task.needs;
            if !needs.iter().any(|(need, _)| *need == pair[0]) {
                needs.push((pair[0], NeedCondition::MustEnd));
            }
        }
        order
    }

    fn sequential_order(&self) -> Vec<PlanIndex> {
        let mut order: Vec<PlanIndex> = Vec::new();
        let is_next = |order: &[PlanIndex], session: PlanIndex| {
            !order.contains(&session) && self[session].task.needs.iter().all(|(need, _)| order.contains(need))
        };
        while let Some(next) = self.indexes().find(|&session| is_next(&order, session)) {
            order.push(next);
        }
        order
    }

    /// Returns for each pair of sessions how the plan orders or separates them.
    pub(crate) fn planned_ordering(&self) -> PlannedOrdering {
        let mut planned = PlannedOrdering::default();
        for one in self.indexes() {
            if self[one].task.exclusive {
                planned.exclusive.insert(one.0);
            }
            for other in self.indexes().filter(|other| *other != one) {
                if self.waits_for(one, other) {
                    planned.waits.insert((one.0, other.0));
                } else if let Some(reason) = self.separation_reason(one, other) {
                    planned.separated.insert((one.0, other.0), reason);
                }
            }
        }
        planned
    }

    /// Whether a session waits for another, directly or not.
    fn waits_for(&self, session: PlanIndex, needed: PlanIndex) -> bool {
        let needs: Vec<Vec<usize>> =
            self.sessions.iter().map(|planned| planned.task.needs.iter().map(|(need, _)| need.0).collect()).collect();
        reachable_from(session.0, &needs)[needed.0]
    }

    /// Describes what prevents two sessions from overlapping, apart from needs; `None` if nothing does.
    fn separation_reason(&self, one: PlanIndex, other: PlanIndex) -> Option<String> {
        let (one, other) = (&self[one], &self[other]);
        for session in [one, other] {
            if session.task.exclusive {
                return Some(format!("{} runs alone", session.spec.name));
            }
        }
        let shared = one.task.locks.iter().find(|lock| other.task.locks.contains(lock)).cloned();
        let shared = shared.or_else(|| find_incompatible(&one.task.uses, &other.task.uses))?;
        Some(format!("lock {shared}"))
    }
}

impl Index<PlanIndex> for RunPlan {
    type Output = PlannedSession;

    fn index(&self, index: PlanIndex) -> &PlannedSession {
        &self.sessions[index.0]
    }
}

impl IndexMut<PlanIndex> for RunPlan {
    fn index_mut(&mut self, index: PlanIndex) -> &mut PlannedSession {
        &mut self.sessions[index.0]
    }
}

impl PlannedSession {
    fn set_locks(&mut self, locks: &SessionLocks) {
        self.spec.locks.clone_from(&locks.names);
        self.spec.lock_details.clone_from(&locks.details);
        self.task.locks.clone_from(&locks.names);
        self.task.uses.clone_from(&locks.uses);
    }

    /// Plans a session by its noxfile and settings, without the needs that the graph adds.
    fn new(
        session: &Session,
        id: ManifestIndex,
        options: &SessionOptions,
        usual: Option<UsualStats>,
        slots: usize,
        log_stem: String,
    ) -> Self {
        let cpus = resolve_slots(options.cpus, slots);
        let exclusive = options.exclusive.unwrap_or(session.allow_parallel == Some(false));
        Self {
            id,
            spec: SessionSpec {
                name: session.name.clone(),
                description: session.description.clone(),
                needs: Vec::new(),
                locks: options.locks.clone(),
                lock_details: LockDetails::default(),
                exclusive,
                cpus,
                usual_ms: usual.map(|usual| usual.wall_ms),
            },
            task: SchedulerTask {
                needs: Vec::new(),
                locks: options.locks.clone(),
                uses: Vec::new(),
                cpus,
                exclusive,
                memory: options.memory.or(usual.and_then(|usual| usual.peak_memory)).unwrap_or(0),
                duration: usual.map_or(DEFAULT_DURATION_MS, |usual| usual.wall_ms.max(1)),
            },
            timeout: options.timeout,
            idle_timeout: options.idle_timeout,
            retries: options.retries,
            env: options.env.clone(),
            artifacts: options.artifacts.clone(),
            log_stem,
            worker_share: cpus,
            cache: None,
        }
    }
}

/// Returns the variables that control the session's installs. Variables from settings override them.
fn install_variables(session: &Session, provision: &ProvisionOptions) -> Vec<(String, String)> {
    if session.backend == "none" {
        return Vec::new();
    }
    let mut variables = Vec::new();
    if provision.mode != CacheMode::Off {
        variables.push(("NOXIDE_INSTALL_MODE".to_owned(), "skip".to_owned()));
        let max_age =
            provision.offline_max_age.map(|age| ("NOXIDE_OFFLINE_MAX_AGE".to_owned(), age.as_secs().to_string()));
        variables.extend(max_age);
    }
    if let Some(constraints) = &provision.constraints {
        let (name, file) = match session.backend.as_str() {
            "uv" => ("UV_CONSTRAINT", &constraints.hashed),
            _ => ("PIP_CONSTRAINT", &constraints.plain),
        };
        // Keep the user's own constraints: both variables accept several files.
        let own = std::env::var(name).ok().filter(|own| !own.is_empty());
        let files = own.into_iter().chain([file.display().to_string()]).collect::<Vec<_>>().join(" ");
        variables.push((name.to_owned(), files));
    }
    variables
}

fn resolve_slots(cpus: Option<CpuCount>, slots: usize) -> usize {
    match cpus {
        None => 1,
        Some(CpuCount::All) => slots,
        Some(CpuCount::Count(count)) => usize::from(count).min(slots),
    }
}

/// Returns the file name of a session's logs without its extension, unique in the run.
fn unique_log_stem(name: &SessionName, taken: &mut BTreeSet<String>) -> String {
    let slug = name.slug();
    let mut stem = slug.clone();
    let mut number = 2;
    while !taken.insert(stem.to_lowercase()) {
        stem = format!("{slug}-{number}");
        number += 1;
    }
    stem
}

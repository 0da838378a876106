//! The plan of a run: data, made before anything is started.

use std::collections::BTreeSet;
use std::time::Duration;

use super::graph::{GraphError, SessionGraph};
use super::options::{CpuCount, RetryPolicy, RunOptions, SessionOptions};
use super::scheduler::{Scheduler, SchedulerTask};
use super::worker_share::{ShareInput, compute_shares};
use crate::project::{NoxfileManifest, Session, SessionId, SessionName};
use crate::provision::{CacheMode, ProvisionOptions};
use crate::record::{CacheStats, Outcome, SessionHistory, SessionSpec, UsualStats};

/// All that a run will do.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// CPUs' worth of room.
    pub slots: usize,
    /// Bytes of memory that sessions share; 0 where nothing bounds it.
    pub memory: u64,
    /// Sessions in nox's order.
    pub sessions: Vec<PlannedSession>,
}

/// One session of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedSession {
    /// Its number in the manifest.
    pub id: SessionId,
    /// What is reported of it.
    pub facts: SessionSpec,
    /// What the scheduler weighs.
    pub task: SchedulerTask,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How long it may be silent.
    pub idle_timeout: Option<Duration>,
    /// How often it is tried again.
    pub retries: RetryPolicy,
    /// Environment variables it gets from settings.
    pub env: Vec<(String, String)>,
    /// Globs of files to keep.
    pub outputs: Vec<String>,
    /// Stem of its log files, unique in the run.
    pub log_stem: String,
    /// For how many CPUs' worth of work it is told to start workers.
    pub worker_share: usize,
    /// What the cache did for it before the run.
    pub cache: Option<CacheStats>,
}

/// A session's place in a simulated run, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionForecast {
    /// Place in [`RunPlan::sessions`].
    pub session: usize,
    /// When it would start.
    pub start: u64,
    /// When it would be over.
    pub end: u64,
}

/// The room a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunCapacity {
    /// CPUs' worth.
    pub slots: usize,
    /// Bytes of memory; 0 where nothing bounds it.
    pub memory: u64,
}

/// Weight of a session without history where none has any: all alike, so that file order decides.
const DEFAULT_DURATION_MS: u64 = 1_000;

impl RunPlan {
    /// Plans the queued sessions of a manifest.
    ///
    /// # Errors
    /// When needs form a circle.
    pub fn new(
        manifest: &NoxfileManifest,
        options: &RunOptions,
        history: &SessionHistory,
        room: RunCapacity,
    ) -> Result<Self, GraphError> {
        let graph = SessionGraph::new(manifest, options)?;
        let slots = options.jobs.map_or(room.slots, usize::from).max(1);
        let known: Vec<u64> = graph
            .nodes
            .iter()
            .filter_map(|node| history.usual_stats(&manifest.sessions[node.id.0].name))
            .map(|usual| usual.wall_ms)
            .collect();
        // A session seen for the first time counts as long as the longest known: starting it early costs little.
        let unknown = known.iter().copied().max().unwrap_or(DEFAULT_DURATION_MS).max(1);
        let mut stems = BTreeSet::new();
        let mut sessions = Vec::new();
        let mut claims = Vec::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            let session = &manifest.sessions[node.id.0];
            let usual = history.usual_stats(&session.name);
            let log = unique_log_stem(&session.name, &mut stems);
            let mut planned = PlannedSession::new(session, node.id, &node.options, usual, slots, log);
            planned.env.splice(0..0, install_variables(session, &options.provision));
            planned.facts.needs = graph.need_facts(manifest, at);
            planned.facts.locks.clone_from(&node.locks);
            planned.task.needs = node.needs.iter().map(|(on, origin)| (*on, origin.requires_success())).collect();
            planned.task.locks.clone_from(&node.locks);
            planned.task.duration = usual.map_or(unknown, |usual| usual.wall_ms.max(1));
            let usual = usual.and_then(|usual| Some((usual.wall_ms, usual.cpu_ms?)));
            claims.push((
                planned.task.clone(),
                ShareInput { has_explicit_cpus: node.options.cpus.is_some(), usual_times: usual },
            ));
            sessions.push(planned);
        }
        for (planned, share) in sessions.iter_mut().zip(compute_shares(&claims, slots)) {
            planned.worker_share = share;
        }
        Ok(Self { slots, memory: room.memory, sessions })
    }

    /// Adds a session that another one notified and gives its place; what it waits for is the scheduler's to say.
    pub fn add_session(
        &mut self,
        session: &Session,
        id: SessionId,
        options: &RunOptions,
        history: &SessionHistory,
    ) -> usize {
        let rules = options.session_options(&session.base, &session.signatures);
        let mut stems: BTreeSet<String> = self.sessions.iter().map(|planned| planned.log_stem.to_lowercase()).collect();
        let log = unique_log_stem(&session.name, &mut stems);
        let usual = history.usual_stats(&session.name);
        let mut planned = PlannedSession::new(session, id, &rules, usual, self.slots, log);
        planned.env.splice(0..0, install_variables(session, &options.provision));
        self.sessions.push(planned);
        self.sessions.len() - 1
    }

    /// The scheduler of this plan.
    pub(crate) fn new_scheduler(&self) -> Scheduler {
        Scheduler::new(self.sessions.iter().map(|session| session.task.clone()).collect(), self.slots, self.memory)
    }

    /// The run as it would go if every session took its usual time and passed.
    pub fn forecast(&self) -> Vec<SessionForecast> {
        let mut scheduler = self.new_scheduler();
        let mut running: Vec<SessionForecast> = Vec::new();
        let mut over = Vec::new();
        let mut now = 0;
        loop {
            for start in scheduler.start_ready() {
                let end = now + self.sessions[start.session].task.duration;
                running.push(SessionForecast { session: start.session, start: now, end });
            }
            let Some(next) = (0..running.len()).min_by_key(|&at| (running[at].end, running[at].session)) else {
                return over;
            };
            let ended = running.swap_remove(next);
            now = ended.end;
            scheduler.finish_session(ended.session, Outcome::Passed);
            over.push(ended);
        }
    }
}

impl PlannedSession {
    /// A session as its noxfile and settings have it, before the graph says what it waits for.
    fn new(
        session: &Session,
        id: SessionId,
        options: &SessionOptions,
        usual: Option<UsualStats>,
        slots: usize,
        log: String,
    ) -> Self {
        let cpus = resolve_slots(options.cpus, slots);
        let exclusive = options.exclusive.unwrap_or(session.allow_parallel == Some(false));
        Self {
            id,
            facts: SessionSpec {
                name: session.name.clone(),
                description: session.description.clone(),
                needs: Vec::new(),
                locks: options.locks.clone(),
                exclusive,
                cpus,
                usual: usual.map(|usual| usual.wall_ms),
            },
            task: SchedulerTask {
                needs: Vec::new(),
                locks: options.locks.clone(),
                cpus,
                exclusive,
                memory: options.memory.or(usual.and_then(|usual| usual.peak_memory)).unwrap_or(0),
                duration: usual.map_or(DEFAULT_DURATION_MS, |usual| usual.wall_ms.max(1)),
            },
            timeout: options.timeout,
            idle_timeout: options.idle_timeout,
            retries: options.retries,
            env: options.env.clone(),
            outputs: options.outputs.clone(),
            log_stem: log,
            worker_share: cpus,
            cache: None,
        }
    }
}

/// What a session is told of installs; what settings say of it comes after these and wins.
fn install_variables(session: &Session, provision: &ProvisionOptions) -> Vec<(String, String)> {
    if session.backend == "none" {
        return Vec::new();
    }
    let mut variables = Vec::new();
    if provision.mode != CacheMode::Off {
        variables.push(("NOXIDE_INSTALLS".to_owned(), "skip".to_owned()));
        let max_age =
            provision.index_max_age.map(|age| ("NOXIDE_INSTALLS_MAX_AGE".to_owned(), age.as_secs().to_string()));
        variables.extend(max_age);
    }
    if let Some(constraints) = &provision.constraints {
        let (name, file) = match session.backend.as_str() {
            "uv" => ("UV_CONSTRAINT", &constraints.hashed),
            _ => ("PIP_CONSTRAINT", &constraints.plain),
        };
        // What the user constrains stays constrained; both take several files.
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

/// A file name for a session that no other of the run has.
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

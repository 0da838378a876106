//! A run that is ready to start: history, plan, provisioner and tracing.

use std::num::NonZeroUsize;
use std::path::Path;

use super::capacity::detect_capacity;
use super::graph::{GraphError, PlanIndex};
use super::options::RunOptions;
use super::plan::RunPlan;
use super::run_tracing::{RunTracing, TraceInputs};
use crate::project::dependencies::ConstraintsError;
use crate::project::{ManifestIndex, NoxfileManifest, SessionName};
use crate::provision::{CacheProvisioner, ProvisionError, ProvisionInputs, export_lock_file_constraints};
use crate::record::{RunMetadata, RunStore, SessionHistory, ShardMetadata};
use crate::trace::{PlannedOrdering, TraceCache, TraceMode, trace_context};

/// A run that is ready to start.
pub(crate) struct PreparedRun {
    /// Options of the run.
    pub(crate) options: RunOptions,
    /// Durations from the history.
    pub(crate) history: SessionHistory,
    pub(crate) plan: RunPlan,
    /// Provisioner of dependencies; `None` if sessions install everything themselves.
    pub(crate) provisioner: Option<CacheProvisioner>,
    /// Sessions that are traced.
    pub(crate) tracing: RunTracing,
    /// The commit and the shard that are run.
    pub(crate) origin: RunOrigin,
    /// Messages for the user from the preparation.
    pub(crate) notices: Vec<String>,
}

/// The commit and the shard that a run is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunOrigin {
    /// The commit that is checked out.
    pub(crate) commit: Option<String>,
    /// Digest of the project's files, if they are those of the commit.
    pub(crate) tree: Option<String>,
    /// The shard that is run.
    pub(crate) shard: Option<ShardMetadata>,
}

/// Reasons why a run cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// Sessions wait for one another in a cycle.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// uv.lock cannot be exported.
    #[error(transparent)]
    Constraints(#[from] ConstraintsError),
    /// Dependencies cannot be provisioned, and must be.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

/// Inputs of a preparation.
pub(crate) struct PrepareInputs<'a> {
    /// Options of the run, from settings and the noxfile.
    pub(crate) options: &'a RunOptions,
    /// Inputs of the provisioner, among them the sessions.
    pub(crate) provision: ProvisionInputs<'a>,
    /// Arguments of the sessions, as text.
    pub(crate) posargs: &'a [String],
    /// Whether notices that change nothing for the user are wanted.
    pub(crate) verbose: bool,
    /// The commit and the shard that are run.
    pub(crate) origin: RunOrigin,
    /// Messages for the user so far.
    pub(crate) notices: Vec<String>,
}

impl PreparedRun {
    /// Prepares a run: restores the history first, then makes one plan.
    ///
    /// # Errors
    /// When sessions wait for one another in a cycle, or the lock file or the cache is required and cannot be used.
    pub(crate) fn prepare(inputs: PrepareInputs<'_>, store: &RunStore) -> Result<Self, PrepareError> {
        let PrepareInputs { options, provision, posargs, verbose, origin, mut notices } = inputs;
        let manifest = provision.manifest;
        let mut options = constrain_installs(options, manifest, store.path())?;
        let opened = CacheProvisioner::for_sessions(&provision, &manifest.queue)?;
        notices.extend(opened.notice);
        let mut provisioner = opened.provisioner;
        let history = load_history(store, manifest, provisioner.as_mut());
        let trace = TraceInputs { mode: options.trace_mode, posargs, verbose };
        if let Some(provisioner) = &mut provisioner
            && restore_traces(trace, store, manifest, provisioner)
        {
            options.learned_conflicts = TraceCache::load(store.path()).conflicts;
        }
        let (tracing, trace_notices) = RunTracing::for_run(trace, manifest, store.path());
        notices.extend(trace_notices);
        let plan = RunPlan::new(manifest, &options, &history, detect_capacity())?;
        Ok(Self { options, history, plan, provisioner, tracing, origin, notices })
    }

    /// Prepares a run of the sessions one after another, all of them traced. Returns it with the order of the sessions,
    /// and how the plan would have ordered or separated them.
    ///
    /// # Errors
    /// When sessions wait for one another in a cycle.
    pub(crate) fn prepare_trace(
        manifest: &NoxfileManifest,
        options: &RunOptions,
        store: &RunStore,
        notices: Vec<String>,
    ) -> Result<(Self, Vec<PlanIndex>, PlannedOrdering), GraphError> {
        let history = SessionHistory::from_records(&store.newest_records(SessionHistory::MAX_RUNS));
        let options = RunOptions { fail_fast: None, jobs: Some(NonZeroUsize::MIN), ..options.clone() };
        let mut plan = RunPlan::new(manifest, &options, &history, detect_capacity())?;
        let ordering = plan.planned_ordering();
        let order = plan.make_sequential();
        let sessions = plan.sessions.iter().map(|session| session.id).collect();
        let tracing = RunTracing::new(sessions, trace_context(manifest), &store.path().join("trace"));
        let prepared =
            Self { options, history, plan, provisioner: None, tracing, origin: RunOrigin::default(), notices };
        Ok((prepared, order, ordering))
    }

    /// Returns the metadata with which the record starts.
    pub(crate) fn metadata(&self, run_id: &str, manifest: &NoxfileManifest) -> RunMetadata {
        let versions = [("noxide", env!("CARGO_PKG_VERSION")), ("nox", &manifest.nox), ("python", &manifest.python)];
        RunMetadata {
            run_id: run_id.to_owned(),
            started_at: jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            root: manifest.root.clone(),
            slots: self.plan.slots,
            sessions: self.plan.sessions.iter().map(|session| session.spec.clone()).collect(),
            commit: self.origin.commit.clone(),
            tree: self.origin.tree.clone(),
            versions: versions.map(|(tool, version)| (tool.to_owned(), version.to_owned())).to_vec(),
            shard: self.origin.shard.clone(),
        }
    }
}

/// Returns the options, with the constraint files of uv.lock if installs are to be constrained to it.
fn constrain_installs(
    options: &RunOptions,
    manifest: &NoxfileManifest,
    run_data_dir: &Path,
) -> Result<RunOptions, ConstraintsError> {
    let mut options = options.clone();
    if options.provision.uses_locked_versions {
        options.provision.constraints = export_lock_file_constraints(manifest, run_data_dir)?;
    }
    Ok(options)
}

/// Loads the durations of past runs; if any session has none, restores those in the cache first.
fn load_history(
    store: &RunStore,
    manifest: &NoxfileManifest,
    provisioner: Option<&mut CacheProvisioner>,
) -> SessionHistory {
    let history = store.load_history();
    let names: Vec<&SessionName> = manifest.queue.iter().map(|id| &manifest.sessions[id.0].name).collect();
    let Some(provisioner) = provisioner else { return history };
    if names.iter().all(|name| history.usual_stats(name).is_some()) {
        return history;
    }
    if provisioner.restore_history(store, &sorted_names(manifest)) { store.load_history() } else { history }
}

/// Restores the results of traces from the cache if a selected session has none in this checkout; returns whether the
/// cache had any.
fn restore_traces(
    trace: TraceInputs<'_>,
    store: &RunStore,
    manifest: &NoxfileManifest,
    provisioner: &mut CacheProvisioner,
) -> bool {
    let cache = TraceCache::load(store.path());
    let is_known = |id: &ManifestIndex| cache.is_known(&manifest.sessions[id.0], trace.posargs);
    if trace.mode == TraceMode::Never || manifest.queue.iter().all(is_known) {
        return false;
    }
    provisioner.restore_traces(&store.path().join("trace"), &sorted_names(manifest))
}

/// Returns the names of the selected sessions in alphabetical order.
fn sorted_names(manifest: &NoxfileManifest) -> Vec<&str> {
    let mut names: Vec<&str> = manifest.queue.iter().map(|id| manifest.sessions[id.0].name.as_str()).collect();
    names.sort_unstable();
    names
}

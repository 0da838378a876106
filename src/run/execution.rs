//! Execution of a prepared run: launcher, session resources, provision worker and dispatcher, from start to end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender};

use super::crash_recovery::RunTag;
use super::dispatcher::{Dispatcher, RunContext, RunMessage};
use super::host_launcher::HostLauncher;
use super::nox_report::NoxResults;
use super::options::RunOptions;
use super::plan::RunPlan;
use super::prepared_run::PreparedRun;
use super::process::{KeyListener, Keyboard, SecretRedactor, SignalEvent, kill_run_processes};
use super::run_tracing::RunTracing;
use super::session_cleanup::restore_log_copies;
use super::session_resources::SessionResources;
use crate::cache::NoProgress;
use crate::project::{Host, ManifestIndex, NoxfileManifest};
use crate::provision::{CacheProvisioner, ProvisionWorker};
use crate::record::{EventSubscriber, Outcome, RunRecord, RunStore, SessionHistory};
use crate::trace::SessionAccesses;

/// Above this, a signal ended the run; whoever sent it waits for noxide to end, so packages and the history are not saved.
const EXIT_SIGNAL_BASE: u8 = 128;

/// Whether an exit code says that a signal ended the run.
pub(crate) fn is_signal_exit(exit_code: u8) -> bool {
    exit_code > EXIT_SIGNAL_BASE
}

/// The host, manifest and directory with which a run is executed.
pub(crate) struct ExecutionInputs<'a> {
    /// The host that has loaded the noxfile.
    pub(crate) host: &'a mut Host,
    pub(crate) manifest: &'a NoxfileManifest,
    /// Identifier of the run.
    pub(crate) run_id: &'a str,
    /// Directory of the run.
    pub(crate) run_dir: &'a Path,
    /// Columns and rows of the terminal that sessions write to; with `None` they write to pipes.
    pub(crate) terminal: Option<(u16, u16)>,
}

/// Reason why a run cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {source}")]
pub(crate) struct RunStartError {
    /// What failed.
    pub(crate) action: &'static str,
    /// The error of the system.
    pub(crate) source: io::Error,
}

/// A run whose sessions are finished, before its packages are saved.
pub(crate) struct ExecutedRun {
    pub(crate) exit_code: u8,
    tracing: RunTracing,
    nox_results: NoxResults,
    worker: Option<ProvisionWorker<CacheProvisioner>>,
    options: RunOptions,
    history: SessionHistory,
    run_dir: PathBuf,
    redactor: SecretRedactor,
}

/// The result of a run.
pub(crate) struct RunResult {
    pub(crate) exit_code: u8,
    /// Directory of the run.
    pub(crate) run_dir: PathBuf,
    /// Files and sockets that traced sessions accessed.
    pub(crate) accesses: BTreeMap<ManifestIndex, SessionAccesses>,
    /// The results of the sessions as nox reports them.
    pub(crate) nox_results: NoxResults,
    /// The provisioner of the run; `None` after a signal, or if sessions install everything themselves.
    pub(crate) provisioner: Option<CacheProvisioner>,
    /// Masks the secrets of the run.
    pub(crate) redactor: SecretRedactor,
}

impl RunResult {
    /// Returns the sessions that did not pass, whose traces may lack what they would have done next. A session that fails
    /// only while it is traced is not one of them: another trace would show no more.
    pub(crate) fn partially_traced(
        &self,
        manifest: &NoxfileManifest,
        ids: &[ManifestIndex],
    ) -> BTreeSet<ManifestIndex> {
        let record = RunRecord::read(&self.run_dir.join("record.json")).ok();
        let has_passed = |id: &ManifestIndex| {
            let sessions = record.iter().flat_map(|record| &record.sessions);
            let mut results = sessions.filter_map(|session| session.result.as_ref());
            let name = &manifest.sessions[id.0].name;
            results.any(|result| result.session == *name && result.outcome == Outcome::Passed)
        };
        let is_untraceable =
            |id: &ManifestIndex| self.accesses.get(id).is_some_and(|accesses| accesses.unprivileged_program.is_some());
        ids.iter().copied().filter(|id| !has_passed(id) && !is_untraceable(id)).collect()
    }
}

/// Listens for keys on the terminal; if that fails, the run goes on without keys.
pub(crate) fn listen_for_keys(keyboard: Keyboard, sender: Sender<RunMessage>) -> Option<KeyListener> {
    let forward = forward_signals(sender);
    KeyListener::start(keyboard, move || forward(SignalEvent::ShowStatus)).ok()
}

/// Returns a function that sends signals to the dispatcher; signals after its end are ignored.
pub(crate) fn forward_signals(sender: Sender<RunMessage>) -> impl Fn(SignalEvent) + Send + 'static {
    move |signal| sender.send(RunMessage::Signal(signal)).unwrap_or(())
}

/// Executes a prepared run until all its sessions are finished and their processes have exited.
///
/// # Errors
/// When a thread or a directory cannot be created.
pub(crate) fn execute_run(
    prepared: PreparedRun,
    target: ExecutionInputs<'_>,
    subscriber: &mut dyn EventSubscriber,
    (sender, messages): (Sender<RunMessage>, Receiver<RunMessage>),
) -> Result<ExecutedRun, RunStartError> {
    let ExecutionInputs { host, manifest, run_id, run_dir, terminal } = target;
    let failed = |action| move |source| RunStartError { action, source };
    let metadata = prepared.metadata(run_id, manifest);
    let PreparedRun { options, history, plan, provisioner, tracing, mut notices, .. } = prepared;
    let tag = RunTag::for_run(run_dir).map_err(failed("cannot record this run"))?;
    let host_pid = host.pid();
    let redactor = run_redactor(&plan, &options);
    let tracing = tracing.with_redactor(redactor.clone());
    let mut launcher = HostLauncher::new(host, tracing, sender.clone())
        .map_err(failed("cannot read from the process that loaded the noxfile"))?;
    if let Some(directory) = &options.log_directory {
        fs_err::create_dir_all(directory).map_err(failed("cannot create the directory of --logs"))?;
    }
    let (resources, missing) = SessionResources::new(run_dir, plan.slots);
    notices.extend(missing);
    let worker = provisioner.map(|provisioner| spawn_worker(provisioner.with_run_dir(run_dir), sender.clone()));
    let worker = worker.transpose().map_err(failed("cannot start the thread that restores and saves packages"))?;
    notices.extend(plan.sessions.iter().filter(|session| redactor.has_secret(session.spec.name.as_str())).map(|session| {
        // The notice is redacted like every other.
        format!(
            "the name of session {} contains a secret, which is masked in logs and messages, but not in names; give its \
             parameter an id (`nox.param(…, id=…)`) or pass the secret in a variable",
            session.spec.name
        )
    }));
    let context = RunContext {
        redactor: redactor.clone(),
        plan,
        manifest,
        options: &options,
        history: &history,
        run_dir,
        metadata,
        terminal,
        env: run_env(run_id, tag.as_str(), terminal.is_some()),
        run_tag: tag.as_str().to_owned(),
        notices,
        resources: &resources,
        provision_queue: worker.as_ref().map(ProvisionWorker::queue),
    };
    let exit_code = Dispatcher::new(context, &mut launcher, subscriber, (sender, messages)).run();
    let (tracing, mut nox_results) = launcher.into_tracing_and_results();
    nox_results.redact(&redactor);
    kill_run_processes(Some(&tag.env_entry()), Some(host_pid));
    // The host can exit while the record is written.
    host.request_exit();
    resources.clean_up();
    Ok(ExecutedRun {
        exit_code,
        tracing,
        nox_results,
        worker,
        options,
        history,
        run_dir: run_dir.to_path_buf(),
        redactor,
    })
}

impl ExecutedRun {
    /// Restores deleted log copies, stores what traces showed, and saves packages and the history unless a signal
    /// ended the run. Returns the result and warnings.
    pub(crate) fn save(self, store: &RunStore, record: Option<&RunRecord>) -> (RunResult, Vec<String>) {
        let mut warnings = Vec::new();
        if let Some(record) = record {
            warnings.extend(restore_log_copies(&self.options, &self.run_dir, record));
        }
        let (has_learned, trace_warnings) = self.tracing.save_learned(&self.run_dir);
        warnings.extend(trace_warnings);
        let worker = self.worker.filter(|_| !is_signal_exit(self.exit_code));
        let mut provisioner = worker.and_then(ProvisionWorker::join_worker);
        if let Some(provisioner) = &mut provisioner {
            provisioner.save_directories(&NoProgress);
            if let Some(record) = record {
                provisioner.save_history(store, &self.history, record);
            }
            if has_learned {
                provisioner.save_traces();
            }
            warnings.extend(provisioner.take_warnings());
        }
        let Self { exit_code, tracing, nox_results, run_dir, redactor, .. } = self;
        let accesses = tracing.into_accesses();
        let warnings = warnings.iter().map(|warning| redactor.redact_text(warning)).collect();
        (RunResult { exit_code, run_dir, accesses, nox_results, provisioner, redactor }, warnings)
    }
}

/// Returns the environment variables of all sessions.
fn run_env(run_id: &str, tag: &str, has_terminal: bool) -> Vec<(String, String)> {
    let mut env = vec![("NOXIDE_RUN", run_id), ("NOXIDE_RUN_TAG", tag)];
    if has_terminal {
        // A pager would wait for keys, and sessions' terminals have no input.
        env.extend([("PAGER", "cat"), ("GIT_PAGER", "cat")]);
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn spawn_worker(
    provisioner: CacheProvisioner,
    sender: Sender<RunMessage>,
) -> io::Result<ProvisionWorker<CacheProvisioner>> {
    // Sending fails only after the run, when the receiver is dropped.
    let report = move |report| sender.send(RunMessage::Provision(report)).unwrap_or(());
    ProvisionWorker::spawn_worker(provisioner, report)
}

/// Redacts secrets of noxide's own environment and of the sessions' settings.
fn run_redactor(plan: &RunPlan, options: &RunOptions) -> SecretRedactor {
    let settings = plan.sessions.iter().flat_map(|session| session.env.iter().cloned());
    SecretRedactor::from_environment(settings, &options.secret_patterns)
}

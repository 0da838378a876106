//! `noxide run`: sessions side by side, one exit code.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::list::print_dry_run;
use super::loaded_project::{LoadOptions, LoadedProject, settings_root};
use super::matrix::{NOTHING_SELECTED, select_shard};
use super::planned_run::{PlannedRun, RunInputs, RunResult};
use super::run_args::RunArgs;
use super::shared_args::OutputFormat;
use crate::cache::NoProgress;
use crate::fs::write_atomic;
use crate::output::Subscribers;
use crate::output::{OutputContext, print_stderr, terminal_size};
use crate::output::{WriteCounter, reporters};
use crate::project::{GitCheckout, NoxfileManifest, SessionId, SessionName};
use crate::provision::{CacheProvisioner, OpenedProvisioner, ProvisionWorker, lock_constraints};
use crate::record::{RunLookupError, RunMetadata, RunRecorder, RunStore, SessionHistory};
use crate::report::build_junit_report;
use crate::run::process::{
    KeyListener, Keyboard, SecretRedactor, SignalEvent, kill_run_processes, kill_tagged_processes,
};
use crate::run::{
    Dispatcher, FailFast, HostLauncher, RunContext, RunMessage, RunPlan, RunTracing, SessionResources,
    build_nox_report, detect_capacity, restore_log_copies,
};
use crate::trace::{TraceMode, save_trace_results};

/// Exit code of a run for which nothing was selected.
pub(super) const EXIT_NOTHING_SELECTED: u8 = ExitCode::NOTHING_SELECTED.code();
/// Exit codes above it are of signals: who sent one waits for us to end.
pub(super) const EXIT_SIGNAL_BASE: u8 = 128;

/// What came of the command.
pub(super) struct RunCommandResult {
    /// The exit code.
    pub(super) exit_code: u8,
    /// The run's folder; none where nothing was run.
    pub(super) run_dir: Option<PathBuf>,
    /// What dependencies came from and go to.
    pub(super) provisioner: Option<CacheProvisioner>,
}

impl RunCommandResult {
    fn without_run(exit: u8) -> Self {
        Self { exit_code: exit, run_dir: None, provisioner: None }
    }
}

/// Runs sessions; `elsewhere` names a store elsewhere, where dependencies come from and go to one.
///
/// # Errors
/// When the run cannot even begin.
pub(super) fn run_sessions(
    args: &RunArgs,
    screen: &OutputContext,
    elsewhere: Option<&str>,
) -> Result<RunCommandResult, CliError> {
    let wanted = run_load_options(args)?;
    // Git takes its time while nox takes its own.
    let root = settings_root(wanted.noxfile);
    let checkout = std::thread::spawn(move || GitCheckout::detect(&root));
    let mut opened = LoadedProject::load(wanted, screen)?;
    if args.execution.resolve_fail_fast().is_none() && opened.manifest.stop_on_first_error {
        opened.options.fail_fast.get_or_insert(FailFast::Wait);
    }
    let mode = args.execution.trace.unwrap_or_default();
    if mode == TraceMode::Never {
        opened.options.learned_conflicts.clear();
    }
    if opened.manifest.queue.is_empty() {
        screen.print_error(NOTHING_SELECTED);
        return Ok(RunCommandResult::without_run(EXIT_NOTHING_SELECTED));
    }
    let shard = args.shard.map(|shard| select_shard(&mut opened, shard)).transpose()?;
    if args.execution.dry_run {
        let history =
            RunStore::open_existing(&opened.manifest.root).map(|folder| folder.load_history()).unwrap_or_default();
        let plan = RunPlan::new(&opened.manifest, &opened.options, &history, detect_capacity())?;
        print_dry_run(&opened, &plan, screen, args.output.format);
        return Ok(RunCommandResult::without_run(0));
    }
    opened.host.warm_up();
    let (folder, kept_elsewhere) = open_run_store(&opened.manifest.root)?;
    opened.notices.extend(kept_elsewhere);
    opened.notices.extend(recover_crashed_runs(&folder));
    if opened.options.provision.apply_lock {
        opened.options.provision.constraints = lock_constraints(&opened.manifest, folder.path())?;
    }
    let mut history = folder.load_history();
    let mut plan = RunPlan::new(&opened.manifest, &opened.options, &history, detect_capacity())?;
    let ids: Vec<SessionId> = plan.sessions.iter().map(|session| session.id).collect();
    let OpenedProvisioner { provisioner: mut provision, notice } =
        CacheProvisioner::for_sessions(&opened.provision_inputs(elsewhere, None, &args.posargs), &ids)?;
    opened.notices.extend(notice);
    if provision.as_mut().is_some_and(|it| restore_history(it, &plan, &history, &folder)) {
        history = folder.load_history();
        plan = RunPlan::new(&opened.manifest, &opened.options, &history, detect_capacity())?;
    }
    let commit = checkout.join().ok().flatten().map(|checkout| checkout.commit);
    let source = RunInputs { commit, shard, provisioner: provision };
    let posargs = args_to_text(&args.posargs);
    let (tracing, trace_notices) = RunTracing::for_mode(mode, &opened.manifest, folder.path(), &posargs);
    opened.notices.extend(trace_notices);
    let done = execute_plan(args, screen, &mut opened, PlannedRun { plan, history, inputs: source, tracing }, &folder)?;
    if !done.accesses.is_empty() {
        let warnings = save_trace_results(&opened.manifest, &done.accesses, &done.run_dir, folder.path(), &posargs);
        warnings.iter().for_each(|warning| screen.warn(warning));
    }
    folder.prune_runs(opened.options.history_limit.get());
    opened.close();
    Ok(RunCommandResult { exit_code: done.exit_code, run_dir: Some(done.run_dir), provisioner: done.provisioner })
}

/// Brings what past runs took, where that of a session is not known here; says whether anything came.
fn restore_history(
    provision: &mut CacheProvisioner,
    plan: &RunPlan,
    history: &SessionHistory,
    folder: &RunStore,
) -> bool {
    let names = plan.sessions.iter().map(|session| &session.facts.name);
    if names.clone().all(|name| history.usual_stats(name).is_some()) {
        return false;
    }
    let mut names: Vec<&str> = names.map(SessionName::as_str).collect();
    names.sort_unstable();
    provision.restore_history(folder, &names)
}

/// Returns arguments as text.
pub(super) fn args_to_text(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

fn run_load_options(args: &RunArgs) -> Result<LoadOptions<'_>, CliError> {
    let mut nox_args = args.nox_flags();
    if args.rerun.is_some() {
        nox_args.extend(rerun_selection(args.selection.noxfile.as_deref().map(Path::new))?);
    }
    Ok(LoadOptions {
        flags: args.settings_flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_args,
        posargs: args.posargs.clone(),
        will_run: !args.execution.dry_run,
    })
}

/// Selects what the last run left failed, aborted or cancelled.
fn rerun_selection(noxfile: Option<&Path>) -> Result<Vec<OsString>, CliError> {
    let root = noxfile.and_then(Path::parent).filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let none = || CliError::from(RunLookupError::NoRuns { folder: root.to_path_buf() });
    let folder = RunStore::open_existing(root).ok_or_else(none)?;
    // What a killed noxide left unfinished was not passed either; what goes wrong here is told by the run itself.
    recover_crashed_runs(&folder);
    let last = folder.newest_records(1).into_iter().next().ok_or_else(none)?;
    let undone = |outcome: Option<crate::record::Outcome>| outcome.is_none_or(crate::record::Outcome::is_failure);
    let sessions = last.sessions.iter().filter(|s| undone(s.result.as_ref().map(|result| result.outcome)));
    let names: Vec<OsString> = sessions.map(|session| session.facts.name.as_str().into()).collect();
    if names.is_empty() {
        return Err(CliError::NothingToRerun(last.run));
    }
    Ok(std::iter::once("-s".into()).chain(names).collect())
}

/// `.noxide` of the project; below the temporary folder where the tree cannot be written to.
pub(super) fn open_run_store(root: &Path) -> Result<(RunStore, Option<String>), CliError> {
    let error = match RunStore::open(root) {
        Ok(folder) => return Ok((folder, None)),
        Err(error) => error,
    };
    let elsewhere = std::env::temp_dir().join(format!("noxide-{}", rustix::process::getuid().as_raw()));
    let system = |source| CliError::Io { context: format!("cannot keep a record in {}", elsewhere.display()), source };
    fs_err::create_dir_all(&elsewhere).map_err(system)?;
    let folder = RunStore::open(&elsewhere).map_err(system)?;
    Ok((folder, Some(format!("records go to {}, because {error}", elsewhere.display()))))
}

/// Ends what runs left alive whose noxide was killed, and writes their records from their events.
pub(super) fn recover_crashed_runs(folder: &RunStore) -> Vec<String> {
    let mut notices = Vec::new();
    for dead in folder.find_crashed_runs() {
        if let Ok(mark) = process_mark(&dead.run_dir) {
            kill_tagged_processes(&mark_variable(&mark));
        }
        if let Err(error) = folder.recover_crashed_run(&dead) {
            notices.push(format!("the record of run {} could not be written: {error}", dead.run_id));
        }
    }
    notices
}

/// What no other run of this machine is known by: its name, and where its folder is, for a tree may be copied.
fn process_mark(folder: &Path) -> std::io::Result<String> {
    let facts = fs_err::metadata(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}.{}.{}", facts.dev(), facts.ino()))
}

/// What stands in the environment of every process of a run.
fn mark_variable(mark: &str) -> String {
    format!("NOXIDE_MARK={mark}")
}

pub(super) fn execute_plan(
    args: &RunArgs,
    screen: &OutputContext,
    opened: &mut LoadedProject,
    chosen: PlannedRun,
    folder: &RunStore,
) -> Result<RunResult, CliError> {
    let PlannedRun { plan, history, mut inputs, tracing } = chosen;
    let (sender, messages) = mpsc::channel();
    let events = args.output.events.as_deref().map(create_events_file).transpose()?;
    let json = args.output.format == OutputFormat::Json;
    let output = screen.output_options(
        opened.options.output_style.map(Into::into),
        json,
        &format!("noxide-{:016x}", random_u64()),
    );
    let keyboard = output.is_interactive.then(Keyboard::from_stdin).flatten();
    // Before there is anything on disk: from here on a signal ends the run by its record.
    let dispatcher = sender.clone();
    // Without a dispatcher no session is left.
    let forward = move |event| dispatcher.send(RunMessage::Signal(event)).unwrap_or(());
    opened.signals.forward_signals(forward, keyboard.clone());
    let keys = keyboard.and_then(|keyboard| listen_for_keys(keyboard, sender.clone()));
    let (run, recorder) = create_recorder(folder)?;
    let terminal = (screen.stdout_is_terminal && !json).then(|| terminal_size().unwrap_or((80, 24)));
    let progress = WriteCounter::default();
    let reporters = reporters::open_reporters(&output, screen.open_streams(events).with_write_counter(&progress));
    let mut audience = Subscribers::new(recorder, reporters, &progress)
        .map_err(|source| CliError::Io { context: "cannot show this run".to_owned(), source })?;
    let facts = run_facts(&run, &opened.manifest, &plan, &inputs);
    let run_folder = folder.run_dir(&run);
    let mark = process_mark(&run_folder)
        .map_err(|source| CliError::Io { context: "cannot record this run".to_owned(), source })?;
    let host_pid = opened.host.pid();
    let mut hosted = HostLauncher::new(&mut opened.host, tracing, sender.clone())
        .map_err(|source| CliError::Io { context: "cannot listen to the host".to_owned(), source })?;
    if let Some(logs) = &opened.options.log_folder {
        fs_err::create_dir_all(logs)
            .map_err(|source| CliError::Io { context: "cannot make the folder of --logs".to_owned(), source })?;
    }
    let (lent, without) = SessionResources::new(&run_folder, plan.slots);
    opened.notices.extend(without);
    let provider = inputs.provisioner.take().map(|provision| {
        let sender = sender.clone();
        let report = move |report| sender.send(RunMessage::Provision(report)).unwrap_or(());
        ProvisionWorker::spawn_worker(provision.with_run_dir(&run_folder), report)
    });
    let provider =
        provider.transpose().map_err(|source| CliError::Io { context: "cannot have a cache".to_owned(), source })?;
    let given = RunContext {
        redactor: secret_mask(&plan, &opened.options.secret_patterns),
        plan,
        manifest: &opened.manifest,
        options: &opened.options,
        history: &history,
        folder: &run_folder,
        facts,
        terminal,
        env: vec![("NOXIDE_RUN".to_owned(), run.clone()), ("NOXIDE_MARK".to_owned(), mark.clone())],
        process_tag: mark.clone(),
        notices: opened.notices.clone(),
        resources: &lent,
        provision_queue: provider.as_ref().map(ProvisionWorker::queue),
    };
    let exit = Dispatcher::new(given, &mut hosted, &mut audience, (sender, messages)).run();
    let accesses = hosted.into_accesses();
    kill_run_processes(Some(&mark_variable(&mark)), Some(host_pid));
    // It takes its leave while the record is written.
    opened.host.request_exit();
    lent.clean_up();
    audience.close_record();
    if let Some(record) = audience.recorder.build_record() {
        audience.warnings.extend(restore_log_copies(&opened.options, &run_folder, &record));
    }
    // Whoever ends a run by a signal waits for no network.
    let mut provision = provider.filter(|_| exit <= EXIT_SIGNAL_BASE).and_then(ProvisionWorker::join_worker);
    if let Some(provision) = &mut provision {
        provision.save_folders(&NoProgress);
        audience.recorder.build_record().iter().for_each(|record| provision.save_history(folder, &history, record));
    }
    audience.warnings.extend(provision.iter_mut().flat_map(CacheProvisioner::take_warnings));
    write_nox_report(args, &opened.manifest, &mut audience);
    write_junit_report(args, &run_folder, &mut audience);
    opened.signals.finish_run(exit);
    for trouble in audience.finish_reporters(exit > EXIT_SIGNAL_BASE) {
        print_stderr(&format!("warning: {trouble}"));
    }
    drop(keys);
    Ok(RunResult { exit_code: exit, accesses, run_dir: run_folder, provisioner: provision })
}

/// Keys on a terminal's board; a run without them is a run all the same.
fn listen_for_keys(keyboard: Keyboard, sender: Sender<RunMessage>) -> Option<KeyListener> {
    KeyListener::start(keyboard, move || sender.send(RunMessage::Signal(SignalEvent::ShowStatus)).unwrap_or(())).ok()
}

/// A new run's identifier: the time to the millisecond, so that names sort, and random digits, because the name marks
/// the run's processes and no other run on the machine may have it.
pub(super) fn new_run_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S.%3f");
    format!("{now}-{:06x}", random_u64() & 0xff_ffff)
}

/// A new run's identifier and recorder.
fn create_recorder(folder: &RunStore) -> Result<(String, RunRecorder), CliError> {
    loop {
        let run = new_run_id();
        match RunRecorder::create(folder.run_dir(&run)) {
            Ok(recorder) => return Ok((run, recorder)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(CliError::Io { context: "cannot record this run".to_owned(), source }),
        }
    }
}

/// A number nobody can guess: the standard library seeds its hashers from the system.
fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn run_facts(run: &str, manifest: &NoxfileManifest, plan: &RunPlan, source: &RunInputs) -> RunMetadata {
    let versions = [("noxide", env!("CARGO_PKG_VERSION")), ("nox", &manifest.nox), ("python", &manifest.python)];
    RunMetadata {
        run: run.to_owned(),
        time: jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        root: manifest.root.clone(),
        slots: plan.slots,
        sessions: plan.sessions.iter().map(|session| session.facts.clone()).collect(),
        commit: source.commit.clone(),
        versions: versions.map(|(tool, version)| (tool.to_owned(), version.to_owned())).to_vec(),
        shard: source.shard.clone(),
    }
}

fn secret_mask(plan: &RunPlan, named: &[String]) -> SecretRedactor {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = plan.sessions.iter().flat_map(|session| session.env.iter().cloned());
    SecretRedactor::new(environment.chain(settings), named)
}

fn create_events_file(path: &Path) -> Result<Box<dyn std::io::Write + Send>, CliError> {
    let file = fs_err::File::create(path)
        .map_err(|source| CliError::Io { context: "cannot write --events".to_owned(), source })?;
    Ok(Box::new(file))
}

/// The JUnit report, where a flag asks for it.
fn write_junit_report(args: &RunArgs, folder: &Path, audience: &mut Subscribers) {
    let (Some(path), Some(record)) = (&args.output.junit, audience.recorder.build_record()) else { return };
    let junit = build_junit_report(&record, folder);
    audience.warnings.extend(junit.skipped_files);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let written = parent.map_or(Ok(()), fs_err::create_dir_all).and_then(|()| write_atomic(path, &junit.xml));
    audience.warnings.extend(written.err().map(|error| format!("the JUnit report: {error}")));
}

/// nox's own report, where a flag or the noxfile asks for it.
fn write_nox_report(args: &RunArgs, manifest: &NoxfileManifest, audience: &mut Subscribers) {
    let path: Option<PathBuf> = args.output.report.clone().or_else(|| manifest.report.clone());
    let (Some(path), Some(record)) = (path, audience.recorder.build_record()) else { return };
    let mut text = format!("{:#}", build_nox_report(manifest, &record));
    text.push('\n');
    if let Err(error) = write_atomic(&path, text.as_bytes()) {
        audience.warnings.push(format!("nox's report: {error}"));
    }
}

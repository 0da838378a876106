//! `noxide run`: sessions side by side, one exit code.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};

use super::args::{Format, RunArgs};
use super::audience::Audience;
use super::chosen::{Chosen, Done, Source};
use super::dependencies::hold_to_lock;
use super::failure::Failure;
use super::listing::dry_run;
use super::matrix::cut;
use super::opened::{Opened, Wanted, root};
use super::provision::Provision;
use super::screen::{Screen, say, terminal_size};
use super::traced::{learn, text_of, tracing};
use crate::cache::Silent;
use crate::fs::write_atomic;
use crate::output::{Progress, reporters};
use crate::project::{Checkout, Manifest, SessionId, SessionName};
use crate::record::{Folder, History, Recorder, RunFacts};
use crate::report::junit;
use crate::run::process::{Caught, Keyboard, Keys, Mask, end_marked, end_run};
use crate::run::{
    Dispatcher, FailFast, Given, Hosted, Lent, Message, Provider, RunPlan, nox_report, restore_logs, room,
};
use crate::trace::TraceMode;

/// Exit code of a run for which nothing was selected.
pub(super) const NOTHING_SELECTED: u8 = 4;
/// Exit codes above it are of signals: who sent one waits for us to end.
pub(super) const SIGNALS: u8 = 128;

/// What came of the command.
pub(super) struct Ended {
    /// The exit code.
    pub(super) exit: u8,
    /// The run's folder; none where nothing was run.
    pub(super) folder: Option<PathBuf>,
    /// What dependencies came from and go to.
    pub(super) provision: Option<Provision>,
}

impl Ended {
    fn early(exit: u8) -> Self {
        Self { exit, folder: None, provision: None }
    }
}

/// Runs sessions; `elsewhere` names a store elsewhere, where dependencies come from and go to one.
///
/// # Errors
/// When the run cannot even begin.
pub(super) fn run(args: &RunArgs, screen: &Screen, elsewhere: Option<&str>) -> Result<Ended, Failure> {
    let wanted = wanted(args)?;
    // Git takes its time while nox takes its own.
    let root = root(wanted.noxfile);
    let checkout = std::thread::spawn(move || Checkout::of(&root));
    let mut opened = Opened::new(wanted, screen)?;
    if args.running.on_failure().is_none() && opened.manifest.stop_on_first_error {
        opened.options.fail_fast.get_or_insert(FailFast::Wait);
    }
    let mode = args.running.trace.unwrap_or_default();
    if mode == TraceMode::Never {
        opened.options.learnt.clear();
    }
    if opened.manifest.queue.is_empty() {
        say("nothing is selected: name sessions by -s, or give some `default=True`");
        return Ok(Ended::early(NOTHING_SELECTED));
    }
    let shard = args.shard.map(|shard| cut(&mut opened, shard)).transpose()?;
    if args.running.dry_run {
        let history = Folder::existing(&opened.manifest.root).map(|folder| folder.history()).unwrap_or_default();
        let plan = RunPlan::new(&opened.manifest, &opened.options, &history, room())?;
        dry_run(&opened, &plan, screen, args.shown.format);
        return Ok(Ended::early(0));
    }
    opened.host.warm();
    let (folder, kept_elsewhere) = folder_of(&opened.manifest.root)?;
    opened.notices.extend(kept_elsewhere);
    opened.notices.extend(bury_the_dead(&folder));
    hold_to_lock(&mut opened, folder.path())?;
    let mut history = folder.history();
    let mut plan = RunPlan::new(&opened.manifest, &opened.options, &history, room())?;
    let ids: Vec<SessionId> = plan.sessions.iter().map(|session| session.id).collect();
    let mut provision = Provision::new(&mut opened, &ids, elsewhere)?.map(|it| it.with_posargs(&args.posargs));
    if provision.as_mut().is_some_and(|it| brings_past(it, &plan, &history, &folder)) {
        history = folder.history();
        plan = RunPlan::new(&opened.manifest, &opened.options, &history, room())?;
    }
    let commit = checkout.join().ok().flatten().map(|checkout| checkout.commit);
    let source = Source { commit, shard, provision };
    let posargs = text_of(&args.posargs);
    let tracing = tracing(mode, &mut opened, folder.path(), &posargs);
    let done = go(args, screen, &mut opened, Chosen { plan, history, source, tracing }, &folder)?;
    if !done.accesses.is_empty() {
        learn(&opened.manifest, &done, folder.path(), &posargs);
    }
    folder.prune(opened.options.history.get());
    opened.close();
    Ok(Ended { exit: done.exit, folder: Some(done.folder), provision: done.provision })
}

/// Brings what past runs took, where that of a session is not known here; says whether anything came.
fn brings_past(provision: &mut Provision, plan: &RunPlan, history: &History, folder: &Folder) -> bool {
    let names = plan.sessions.iter().map(|session| &session.facts.name);
    if names.clone().all(|name| history.usual(name).is_some()) {
        return false;
    }
    let mut names: Vec<&str> = names.map(SessionName::as_str).collect();
    names.sort_unstable();
    provision.bring_past(folder, &names)
}

fn wanted(args: &RunArgs) -> Result<Wanted<'_>, Failure> {
    let mut nox_args = args.nox_flags();
    if args.rerun.is_some() {
        nox_args.extend(rerun(args.selection.noxfile.as_deref().map(Path::new))?);
    }
    Ok(Wanted {
        flags: args.flags(),
        noxfile: args.selection.noxfile.as_deref().map(Path::new),
        nox_args,
        posargs: args.posargs.clone(),
        ahead: !args.running.dry_run,
    })
}

/// Selects what the last run left failed, aborted or cancelled.
fn rerun(noxfile: Option<&Path>) -> Result<Vec<OsString>, Failure> {
    let root = noxfile.and_then(Path::parent).filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let none = || Failure::NoRun("no earlier run is recorded here, so there is nothing to run again".to_owned());
    let folder = Folder::existing(root).ok_or_else(none)?;
    // What a killed noxide left unfinished was not passed either; what goes wrong here is told by the run itself.
    bury_the_dead(&folder);
    let last = folder.newest(1).into_iter().next().ok_or_else(none)?;
    let undone = |outcome: Option<crate::record::Outcome>| outcome.is_none_or(crate::record::Outcome::is_failure);
    let sessions = last.sessions.iter().filter(|s| undone(s.result.as_ref().map(|result| result.outcome)));
    let names: Vec<OsString> = sessions.map(|session| session.facts.name.as_str().into()).collect();
    if names.is_empty() {
        return Err(Failure::NoRun(format!("run {} left nothing failed, aborted or cancelled", last.run)));
    }
    Ok(std::iter::once("-s".into()).chain(names).collect())
}

/// `.noxide` of the project; below the temporary folder where the tree cannot be written to.
pub(super) fn folder_of(root: &Path) -> Result<(Folder, Option<String>), Failure> {
    let error = match Folder::open(root) {
        Ok(folder) => return Ok((folder, None)),
        Err(error) => error,
    };
    let elsewhere = std::env::temp_dir().join(format!("noxide-{}", rustix::process::getuid().as_raw()));
    let system = |source| Failure::System { what: format!("cannot keep a record in {}", elsewhere.display()), source };
    fs_err::create_dir_all(&elsewhere).map_err(system)?;
    let folder = Folder::open(&elsewhere).map_err(system)?;
    Ok((folder, Some(format!("records go to {}, because {error}", elsewhere.display()))))
}

/// Ends what runs left alive whose noxide was killed, and writes their records from their events.
pub(super) fn bury_the_dead(folder: &Folder) -> Vec<String> {
    let mut notices = Vec::new();
    for dead in folder.dead() {
        if let Ok(mark) = mark(&dead.path) {
            end_marked(&variable(&mark));
        }
        if let Err(error) = folder.bury(&dead) {
            notices.push(format!("the record of run {} could not be written: {error}", dead.run));
        }
    }
    notices
}

/// What no other run of this machine is known by: its name, and where its folder is, for a tree may be copied.
fn mark(folder: &Path) -> std::io::Result<String> {
    let facts = fs_err::metadata(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}.{}.{}", facts.dev(), facts.ino()))
}

/// What stands in the environment of every process of a run.
fn variable(mark: &str) -> String {
    format!("NOXIDE_MARK={mark}")
}

pub(super) fn go(
    args: &RunArgs,
    screen: &Screen,
    opened: &mut Opened,
    chosen: Chosen,
    folder: &Folder,
) -> Result<Done, Failure> {
    let Chosen { plan, history, mut source, tracing } = chosen;
    let (sender, messages) = mpsc::channel();
    let events = args.shown.events.as_deref().map(create).transpose()?;
    let json = args.shown.format == Format::Json;
    let output = screen.output(opened.options.output, json, &format!("noxide-{:016x}", random()));
    let keyboard = output.board.then(Keyboard::stdin).flatten();
    // Before there is anything on disk: from here on a signal ends the run by its record.
    opened.watch.tell(sender.clone(), keyboard.clone());
    let keys = keyboard.and_then(|keyboard| keys(keyboard, sender.clone()));
    let (run, recorder) = recorder(folder)?;
    let terminal = (screen.terminal && !json).then(|| terminal_size().unwrap_or((80, 24)));
    let progress = Progress::default();
    let reporters = reporters::open(&output, screen.streams(events).counted(&progress));
    let mut audience = Audience::new(recorder, reporters, &progress)
        .map_err(|source| Failure::System { what: "cannot show this run".to_owned(), source })?;
    let facts = facts(&run, &opened.manifest, &plan, &source);
    let run_folder = folder.run(&run);
    let mark =
        mark(&run_folder).map_err(|source| Failure::System { what: "cannot record this run".to_owned(), source })?;
    let host_pid = opened.host.pid();
    let mut hosted = Hosted::new(&mut opened.host, tracing, sender.clone())
        .map_err(|source| Failure::System { what: "cannot listen to the host".to_owned(), source })?;
    if let Some(logs) = &opened.options.logs {
        fs_err::create_dir_all(logs)
            .map_err(|source| Failure::System { what: "cannot make the folder of --logs".to_owned(), source })?;
    }
    let (lent, without) = Lent::new(&run_folder, plan.slots);
    opened.notices.extend(without);
    let provider =
        source.provision.take().map(|provision| Provider::begin(provision.for_run(&run_folder), sender.clone()));
    let provider =
        provider.transpose().map_err(|source| Failure::System { what: "cannot have a cache".to_owned(), source })?;
    let given = Given {
        mask: mask(&plan, &opened.options.secrets),
        plan,
        manifest: &opened.manifest,
        options: &opened.options,
        history: &history,
        folder: &run_folder,
        facts,
        terminal,
        env: vec![("NOXIDE_RUN".to_owned(), run.clone()), ("NOXIDE_MARK".to_owned(), mark.clone())],
        mark: mark.clone(),
        notices: opened.notices.clone(),
        lent: &lent,
        errands: provider.as_ref().map(Provider::errands),
    };
    let exit = Dispatcher::new(given, &mut hosted, &mut audience, (sender, messages)).run();
    let accesses = hosted.into_accesses();
    end_run(Some(&variable(&mark)), Some(host_pid));
    // It takes its leave while the record is written.
    opened.host.dismiss();
    lent.close();
    audience.close();
    if let Some(record) = audience.recorder.record() {
        audience.troubles.extend(restore_logs(&opened.options, &run_folder, &record));
    }
    // Whoever ends a run by a signal waits for no network.
    let mut provision = provider.filter(|_| exit <= SIGNALS).and_then(Provider::end);
    if let Some(provision) = &mut provision {
        provision.keep_folders(&Silent);
        audience.recorder.record().iter().for_each(|record| provision.keep_past(folder, &history, record));
    }
    audience.troubles.extend(provision.iter_mut().flat_map(|provision| std::mem::take(&mut provision.troubles)));
    write_report(args, &opened.manifest, &mut audience);
    write_junit(args, &run_folder, &mut audience);
    opened.watch.over(exit);
    for trouble in audience.dismiss(exit > SIGNALS) {
        say(&format!("warning: {trouble}"));
    }
    drop(keys);
    Ok(Done { exit, accesses, folder: run_folder, provision })
}

/// Keys on a terminal's board; a run without them is a run all the same.
fn keys(keyboard: Keyboard, sender: Sender<Message>) -> Option<Keys> {
    Keys::listen(keyboard, move || sender.send(Message::Caught(Caught::Tell)).unwrap_or(())).ok()
}

/// A new run's identifier: the time to the millisecond, so that names sort, and random digits, because the name marks
/// the run's processes and no other run on the machine may have it.
pub(super) fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S.%3f");
    format!("{now}-{:06x}", random() & 0xff_ffff)
}

/// A new run's identifier and recorder.
fn recorder(folder: &Folder) -> Result<(String, Recorder), Failure> {
    loop {
        let run = run_name();
        match Recorder::create(folder.run(&run)) {
            Ok(recorder) => return Ok((run, recorder)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Failure::System { what: "cannot record this run".to_owned(), source }),
        }
    }
}

/// A number nobody can guess: the standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn facts(run: &str, manifest: &Manifest, plan: &RunPlan, source: &Source) -> RunFacts {
    let versions = [("noxide", env!("CARGO_PKG_VERSION")), ("nox", &manifest.nox), ("python", &manifest.python)];
    RunFacts {
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

fn mask(plan: &RunPlan, named: &[String]) -> Mask {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = plan.sessions.iter().flat_map(|session| session.env.iter().cloned());
    Mask::new(environment.chain(settings), named)
}

fn create(path: &Path) -> Result<Box<dyn std::io::Write + Send>, Failure> {
    let file = fs_err::File::create(path)
        .map_err(|source| Failure::System { what: "cannot write --events".to_owned(), source })?;
    Ok(Box::new(file))
}

/// The JUnit report, where a flag asks for it.
fn write_junit(args: &RunArgs, folder: &Path, audience: &mut Audience) {
    let (Some(path), Some(record)) = (&args.shown.junit, audience.recorder.record()) else { return };
    let junit = junit(&record, folder);
    audience.troubles.extend(junit.passed_over);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let written = parent.map_or(Ok(()), fs_err::create_dir_all).and_then(|()| write_atomic(path, &junit.xml));
    audience.troubles.extend(written.err().map(|error| format!("the JUnit report: {error}")));
}

/// nox's own report, where a flag or the noxfile asks for it.
fn write_report(args: &RunArgs, manifest: &Manifest, audience: &mut Audience) {
    let path: Option<PathBuf> = args.shown.report.clone().or_else(|| manifest.report.clone());
    let (Some(path), Some(record)) = (path, audience.recorder.record()) else { return };
    let mut text = format!("{:#}", nox_report(manifest, &record));
    text.push('\n');
    if let Err(error) = write_atomic(&path, text.as_bytes()) {
        audience.troubles.push(format!("nox's report: {error}"));
    }
}

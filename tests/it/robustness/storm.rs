//! Signals and kills at random moments, many times: no process is left, and every record is complete.
//!
//! A storm runs in a separate process that adopts all orphans, so that none can escape it. Its seed is
//! printed, and `NOXIDE_TEST_SEED` repeats it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use noxide::project::default_run_data_dir;
use noxide::record::{RunStore, SessionHistory};
use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::support::{ChildDeadline as _, CommandDeadline as _, Project, Random, is_zombie, rounds, run_flags};

const WORKERS: u32 = 6;

fn round_count() -> u32 {
    rounds(40, 200)
}

/// The variable in the environment of all processes of a round; its value is also how long they sleep.
const ROUND: &str = "NOXIDE_TEST_ROUND";
const STORM: &str = "NOXIDE_TEST_STORM";

/// Sessions that are hard to end, of all kinds; each takes a moment if no signal is sent.
const SESSIONS: &str = r#"
FOREVER = os.environ["NOXIDE_TEST_ROUND"]
subprocess.Popen(["sleep", FOREVER])
subprocess.run(["sleep", "0.05"])

def script(name, text):
    def run(session):
        session.run("sh", "-c", text.replace("@", FOREVER), external=True, silent=name == "silent")
    nox.session(run, name=name)

script("quick", "echo done")
script("heedless", "trap '' TERM INT HUP; for i in 1 2 3 4; do sleep 0.05; done")
script("forks_twice", "(sleep @ >/dev/null 2>&1 &); sleep 0.1")
script("leaves", "setsid sh -c 'trap \"\" TERM INT; sleep @ & wait' >/dev/null 2>&1 & sleep 0.1")
script("unmarked", "env -i setsid sleep @ >/dev/null 2>&1 </dev/null & sleep 0.1")
script("unmarked_orphan", "(env -i setsid setsid sleep @ >/dev/null 2>&1 </dev/null &); sleep 0.1")
script("leaks", "sleep @ & echo leaked")
script("silent", "trap '' TERM INT; sleep 0.15")

@nox.session
def daemon(session):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(float(FOREVER))
        os._exit(0)
    os.wait()

@nox.session
def slow(session):
    for _ in range(3):
        session.run("sleep", "0.1", external=True)
"#;

/// Number of rounds of a storm, by result.
type Tally = Mutex<BTreeMap<String, u32>>;

fn count(tally: &Tally, what: impl Into<String>) {
    *tally.lock().unwrap().entry(what.into()).or_default() += 1;
}

/// Runs a storm in a child process and prints its output.
#[allow(clippy::print_stdout)] // the seed and what came of it
fn run_storm(name: &str) {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["robustness::storm::storm", "--exact", "--ignored", "--nocapture"])
        .env(STORM, name)
        .env("LLVM_PROFILE_FILE", "/dev/null") // hundreds of profiles would say nothing new
        .finish_within(Duration::from_secs(3_600));
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    println!("{text}");
    assert!(done.status.success(), "{text}");
}

#[test]
fn signals_at_random_moments_leave_no_process_and_a_complete_record() {
    run_storm("signals");
}

#[test]
fn kills_at_random_moments_are_recovered_by_the_next_run() {
    run_storm("kills");
}

/// The storm that [`run_storm`] starts.
#[test]
#[ignore = "runs as a child of the other tests of this module"]
fn storm() {
    let kind = std::env::var(STORM).expect("the kind of storm from the parent test");
    rustix::process::set_child_subreaper(Some(getpid())).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var("NOXIDE_TEST_SEED").map_or(now.as_secs(), |seed| seed.parse().unwrap());
    println!("NOXIDE_TEST_SEED={seed}");
    let (next, tally) = (AtomicU32::new(0), Tally::default());
    let _swept = Sweep;
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (kind, next, tally) = (&kind, &next, &tally);
            scope.spawn(move || match kind.as_str() {
                "signals" => signals(seed, next, tally),
                _ => kills(seed, round_count() + worker, next, tally),
            });
        }
    });
    println!("{:?}", tally.lock().unwrap());
    let strays: Vec<String> = processes().into_iter().filter(|p| p.parent == getpid()).map(|p| p.description).collect();
    assert_eq!(strays, [""; 0], "adopted from some round");
    let happened = |what: &str| tally.lock().unwrap().get(what).copied().unwrap_or(0);
    assert!(happened("while loading") >= round_count() / 20, "rounds must hit the load too");
    assert!(happened("while running") >= round_count() / 4, "rounds must hit the run");
}

/// Kills leftovers of a failed storm: hundreds of processes would disturb other tests.
struct Sweep;

impl Drop for Sweep {
    fn drop(&mut self) {
        let of_storm = format!(".{}", getpid().as_raw_nonzero());
        for process in processes() {
            let is_of_round =
                process.environment.contains(&format!("{of_storm} ")) && process.environment.contains(ROUND);
            if is_of_round || process.description.trim_end().ends_with(&of_storm) {
                let _ = kill_process(process.id, Signal::KILL);
            }
        }
    }
}

fn next_rounds(seed: u64, next: &AtomicU32) -> impl Iterator<Item = (u32, Random)> {
    std::iter::from_fn(move || {
        let round = next.fetch_add(1, Ordering::Relaxed);
        (round < round_count()).then(|| (round, Random::new(seed.wrapping_add(u64::from(round)))))
    })
}

/// The text that identifies the processes of a round.
fn round_mark(round: u32) -> String {
    format!("{}.{}", 1_000 + round, getpid().as_raw_nonzero())
}

fn start(project: &Project, round: u32) -> Child {
    let mut command = run_flags(project, &["-j4", "--leak-timeout", "50ms"]);
    command.env(ROUND, round_mark(round));
    let out = std::fs::File::create(project.outer_dir().join("out")).unwrap();
    command.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null()).spawn().unwrap()
}

/// Waits for a random moment: while the noxfile loads in some rounds, during the run in most.
fn wait_random_moment(project: &Project, random: &mut Random) {
    let (while_loading, pause) = (random.below(10) < 3, Duration::from_millis(random.below(700)));
    let since = Instant::now();
    // A slow load is a line of its own, so that the first output does not show that the run has started.
    let has_started =
        || std::fs::read_to_string(project.outer_dir().join("out")).is_ok_and(|out| out.contains("slots"));
    while !while_loading && !has_started() && since.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(if while_loading { pause / 2 } else { pause });
}

fn send(noxide: &Child, signal: Signal) {
    // A process that ended is not reaped yet, so its id is still its own.
    kill_process(Pid::from_child(noxide), signal).unwrap();
}

fn end(mut noxide: Child, what: &str) -> ExitStatus {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(status) = noxide.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "{what} does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A process that lives.
struct Process {
    id: Pid,
    parent: Pid,
    description: String,
    environment: String,
}

fn processes() -> Vec<Process> {
    let read = |path: &std::path::Path, file: &str| {
        String::from_utf8_lossy(&std::fs::read(path.join(file)).unwrap_or_default()).replace('\0', " ")
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|path| !is_zombie(path))
        .filter_map(|path| {
            let stat = read(&path, "stat");
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let parent = fields.get(1)?.parse().ok()?;
            let description =
                format!("{} (state, parent, group {:?}): {}", path.display(), &fields[..3], read(&path, "cmdline"));
            let id = Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)?;
            Some(Process { id, parent: Pid::from_raw(parent)?, description, environment: read(&path, "environ") })
        })
        .collect()
}

/// Returns the live processes of a round.
fn living(round: u32) -> Vec<String> {
    let (mark, sleeper) = (format!("{ROUND}={} ", round_mark(round)), round_mark(round));
    // The whole number: `1012.345` is another round than `1012.3456` of a concurrent storm.
    let sleeps =
        |p: &Process| p.description.split(|c: char| !c.is_ascii_digit() && c != '.').any(|word| word == sleeper);
    let of_round = |p: &Process| format!("{} ", p.environment).contains(&mark) || sleeps(p);
    processes().into_iter().filter(of_round).map(|p| p.description).collect()
}

fn signals(seed: u64, next: &AtomicU32, tally: &Tally) {
    let project = Project::with_grace("60ms", SESSIONS);
    let mut runs = 0;
    for (round, mut random) in next_rounds(seed, next) {
        let noxide = start(&project, round);
        wait_random_moment(&project, &mut random);
        let first = [Signal::INT, Signal::TERM, Signal::HUP][random.below(3) as usize];
        send(&noxide, first);
        let mut sent = vec![first.as_raw()];
        if random.below(3) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(150)));
            let second = [Signal::INT, Signal::TERM][random.below(2) as usize];
            send(&noxide, second);
            sent.push(second.as_raw());
        }
        let what = format!("round {round} after {sent:?}");
        let status = end(noxide, &what);
        assert_eq!(living(round), [""; 0], "{what}: {status}");
        let directory = RunStore::open_existing(default_run_data_dir(project.root()));
        let all = directory.as_ref().map(RunStore::run_ids).unwrap_or_default();
        for run in &all {
            directory.as_ref().unwrap().read_record(run).unwrap_or_else(|error| panic!("{what}: {status}: {error}"));
        }
        let recorded = all.last().cloned().filter(|_| all.len() > runs);
        runs = all.len();
        let by_signal = |code: i32| sent.iter().any(|signal| code == 128 + signal);
        match (status.code(), status.signal(), recorded.and_then(|_| project.find_newest_record())) {
            (None, Some(signal), None) if sent.contains(&signal) => count(tally, "before anything"),
            (Some(code), None, None) if by_signal(code) => count(tally, "while loading"),
            (Some(code), None, Some(record)) if by_signal(code) => {
                assert_eq!(record.exit_code.map(i32::from), Some(code), "{what}");
                assert!(
                    record.interrupt_cause.is_some() && record.sessions.iter().all(|s| s.result.is_some()),
                    "{what}"
                );
                count(tally, "while running");
                count(tally, format!("exit code {code}"));
            }
            (Some(0), None, Some(record)) if record.exit_code == Some(0) => count(tally, "when all was over"),
            other => panic!("{what}: {other:?}: {}", std::fs::read_to_string(project.outer_dir().join("out")).unwrap()),
        }
    }
}

fn kills(seed: u64, own: u32, next: &AtomicU32, tally: &Tally) {
    let project = Project::with_grace("60ms", SESSIONS);
    project.write("noxide.toml", "grace-period = '60ms'\nkeep-runs = 1000\n");
    let directory = |project: &Project| RunStore::open_existing(default_run_data_dir(project.root())).unwrap();
    let whole = |round: u32| {
        let status = end(start(&project, round), "a whole run");
        let output = std::fs::read_to_string(project.outer_dir().join("out")).unwrap();
        assert_eq!(status.code(), Some(0), "{output}");
        assert_eq!(living(round), [""; 0], "of a whole run");
    };
    whole(own);
    let first = directory(&project).run_ids();
    let kept = std::fs::read(directory(&project).run_dir(&first[0]).join("record.json")).unwrap();
    let mut killed = Vec::new();
    for (round, mut random) in next_rounds(seed, next) {
        let before = directory(&project).run_ids().len();
        let mut noxide = start(&project, round);
        wait_random_moment(&project, &mut random);
        noxide.kill().unwrap();
        let status = noxide.wait_for_end();
        let ran = directory(&project).run_ids().len() > before;
        count(
            tally,
            if status.signal() != Some(9) {
                "when all was over"
            } else if ran {
                "while running"
            } else {
                "while loading"
            },
        );
        killed.push(round);
    }
    whole(own);
    // Hosts of the last rounds may still be waiting for their sessions to end.
    let until = Instant::now() + Duration::from_secs(15);
    for round in killed {
        while !living(round).is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(living(round), [""; 0], "round {round}");
    }
    let directory = directory(&project);
    for run in directory.run_ids() {
        let record = directory.read_record(&run).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            record.exit_code == Some(0) || record.interrupt_cause.as_deref() == Some("killed"),
            "{run}: {record:?}"
        );
        let claim = noxide::fs::FileLock::try_acquire(&directory.run_dir(&run).join("run.lock")).unwrap();
        assert!(claim.is_some(), "{run} is still locked");
        count(tally, if record.exit_code.is_some() { "records of whole runs" } else { "records of killed runs" });
    }
    assert!(directory.find_killed_runs().is_empty());
    assert_eq!(std::fs::read(directory.run_dir(&first[0]).join("record.json")).unwrap(), kept, "history intact");
    let history = SessionHistory::from_records(&directory.newest_records(1_000));
    assert!(history.usual_stats(&noxide::project::SessionName::new("slow")).is_some_and(|usual| usual.wall_ms >= 300));
}

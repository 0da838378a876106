//! The built noxide run as a user runs it, for tests of what it survives: started, signalled, looked after.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use noxide::record::{Outcome, RecordedSession, RunEvent, RunRecord, RunStore, SessionResult};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::Project;

/// What every noxfile of these tests begins with.
pub(crate) const HEAD: &str = "import nox, os, pathlib, signal, subprocess, sys, time\n\
                               nox.options.default_venv_backend = 'none'\n";

/// How much of noxide's own output is kept.
const SHOWN: u64 = 4 << 20;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A project whose noxfile begins with [`HEAD`], with a short grace unless its settings say otherwise.
pub(crate) fn project(sessions: &str) -> Project {
    graced("500ms", sessions)
}

/// A project with this grace.
pub(crate) fn graced(grace: &str, sessions: &str) -> Project {
    let project = Project::new(&format!("{HEAD}{sessions}"));
    project.write("noxide.toml", format!("grace = '{grace}'\n"));
    project
}

/// A session that runs a shell script.
pub(crate) fn shell(name: &str, script: &str) -> String {
    format!("@nox.session\ndef {name}(session):\n    session.run('sh', '-c', {script:?}, external=True)\n")
}

/// `noxide run` with these flags, not yet started.
pub(crate) fn noxide(project: &Project, flags: &[&str]) -> Command {
    let mut command = project.command(env!("CARGO_BIN_EXE_noxide"));
    command.arg("run").args(flags).stdin(Stdio::null());
    command
}

/// A noxide that runs.
pub(crate) struct Run {
    child: Child,
    root: PathBuf,
    out: PathBuf,
}

/// A noxide that is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) status: ExitStatus,
    pub(crate) text: String,
    pub(crate) took: Duration,
    /// Its largest resident set as last seen, in KiB.
    pub(crate) peak: u64,
    root: PathBuf,
}

impl Run {
    /// Starts it; its output goes to a file beside the project.
    pub(crate) fn start(project: &Project, flags: &[&str]) -> Self {
        Self::of(project, noxide(project, flags))
    }

    /// Starts a command made by [`noxide`].
    pub(crate) fn of(project: &Project, mut command: Command) -> Self {
        let out = project.beside().join("out");
        let file = std::fs::File::create(&out).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, root: project.root().to_path_buf(), out }
    }

    /// Runs it to its end.
    pub(crate) fn whole(project: &Project, flags: &[&str]) -> Over {
        Self::start(project, flags).wait()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends noxide a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until a file below the project is there.
    pub(crate) fn await_file(&self, name: &str) -> String {
        let path = self.root.join(name);
        self.until(name, || std::fs::read_to_string(&path).ok().filter(|text| !text.is_empty()))
    }

    /// Waits until something holds.
    pub(crate) fn until<T>(&self, what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = seen() {
                return found;
            }
            assert!(Instant::now() < until, "no {what}: {}", std::fs::read_to_string(&self.out).unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Over {
        let since = Instant::now();
        let mut peak = 0;
        loop {
            peak = self::peak(self.child.id()).unwrap_or(peak);
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut text = Vec::new();
                std::fs::File::open(&self.out).unwrap().take(SHOWN).read_to_end(&mut text).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                return Over { status, text, took: since.elapsed(), peak, root: self.root };
            }
            if since.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("does not end: {}", std::fs::read_to_string(&self.out).unwrap());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Over {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{}: {}", self.status, self.text))
    }

    /// The newest record.
    pub(crate) fn record(&self) -> RunRecord {
        newest(&self.root).unwrap_or_else(|| panic!("no record: {}", self.text))
    }

    /// A session as recorded.
    pub(crate) fn session(&self, name: &str) -> SessionResult {
        let record = self.record();
        let session = |s: &RecordedSession| s.spec.name.as_str() == name;
        let found = record.sessions.into_iter().find(session).unwrap_or_else(|| panic!("no {name}: {}", self.text));
        found.result.unwrap_or_else(|| panic!("{name} has no result: {}", self.text))
    }

    pub(crate) fn outcome(&self, name: &str) -> Outcome {
        self.session(name).outcome
    }

    /// What an attempt of a session printed.
    pub(crate) fn log(&self, name: &str, attempt: usize) -> Vec<u8> {
        let path = self.session(name).attempts[attempt - 1].log.clone();
        std::fs::read(RunStore::open_existing(&self.root).unwrap().run_dir(&self.record().run_id).join(path)).unwrap()
    }
}

/// The newest record below a project.
pub(crate) fn newest(root: &Path) -> Option<RunRecord> {
    RunStore::open_existing(root)?.newest_records(1).pop()
}

/// The events of the newest run.
pub(crate) fn events(root: &Path) -> Vec<RunEvent> {
    let folder = RunStore::open_existing(root).unwrap();
    let run = folder.run_ids().pop().unwrap();
    noxide::record::read_events(&folder.run_dir(&run).join("events.jsonl")).unwrap()
}

/// The largest resident set that a process had so far, in KiB; none for one that is gone.
pub(crate) fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Living processes whose command line holds `text`, which must be no other test's.
#[cfg(target_os = "linux")]
pub(crate) fn living(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(text) && !is_zombie(&entry.path()) {
            found.push(format!("{name}: {words}"));
        }
    }
    found
}

/// Whether a process below /proc is dead and only not asked for.
pub(crate) fn is_zombie(process: &Path) -> bool {
    let stat = std::fs::read(process.join("stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

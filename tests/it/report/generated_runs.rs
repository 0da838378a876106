//! Generated records: many sessions on some slots, over many runs.

use std::path::{Path, PathBuf};

use noxide::project::SessionName;
use noxide::record::{
    AttemptResult, CacheStats, InstallStats, Machine, NeedOrigin, Outcome, RecordedSession, RunRecord, SessionNeed,
    SessionResult, SessionSpec, write_record,
};

use crate::support::Random;

/// Returns the commit with this number.
pub(crate) fn commit(number: usize) -> String {
    format!("{number:040x}")
}

/// A session that passed, to be changed by [`Shaped`].
pub(crate) fn session(name: &str, start: u64, wall: u64, slot: usize) -> RecordedSession {
    let name = SessionName::new(name);
    RecordedSession {
        spec: SessionSpec {
            name: name.clone(),
            description: format!("Does what {name} does"),
            needs: Vec::new(),
            locks: Vec::new(),
            lock_details: Default::default(),
            exclusive: false,
            cpus: 1,
            usual_ms: None,
        },
        result: Some(SessionResult {
            session: name.clone(),
            outcome: Outcome::Passed,
            reason: String::new(),
            flaky: false,
            attempts: vec![attempt(1, Outcome::Passed, start, start + wall, slot, &name.slug())],
            install: None,
            cache: None,
            resources: None,
        }),
    }
}

fn attempt(number: u32, outcome: Outcome, start: u64, end: u64, slot: usize, stem: &str) -> AttemptResult {
    AttemptResult {
        number,
        outcome,
        reason: String::new(),
        exit_status: Some(0),
        signal: None,
        start,
        end,
        cpu_ms: Some((end - start) * 4 / 5),
        peak_memory: Some(90 << 20),
        slots: vec![slot],
        log: PathBuf::from(format!("logs/{stem}.log")),
        log_bytes: 1 << 20,
        leaky: false,
    }
}

impl Shaped for RecordedSession {
    fn needs(mut self, on: &str, origin: NeedOrigin) -> Self {
        self.spec.needs.push(SessionNeed { session: on.into(), origin });
        self
    }

    fn locks(mut self, lock: &str) -> Self {
        self.spec.locks.push(lock.to_owned());
        self
    }

    fn alone(mut self) -> Self {
        self.spec.exclusive = true;
        self
    }

    fn ended(mut self, outcome: Outcome, reason: &str) -> Self {
        let result = self.result.as_mut().unwrap();
        result.outcome = outcome;
        reason.clone_into(&mut result.reason);
        result.attempts.last_mut().unwrap().outcome = outcome;
        reason.clone_into(&mut result.attempts.last_mut().unwrap().reason);
        self
    }

    fn never(mut self, outcome: Outcome, reason: &str) -> Self {
        self = self.ended(outcome, reason);
        self.result.as_mut().unwrap().attempts.clear();
        self
    }

    /// Its first half is an attempt that failed.
    fn retried(mut self) -> Self {
        let result = self.result.as_mut().unwrap();
        let (start, end) = (result.attempts[0].start, result.attempts[0].end);
        let (slot, middle) = (result.attempts[0].slots[0], start.midpoint(end));
        let stem = result.session.slug();
        result.attempts = vec![
            attempt(1, Outcome::Failed, start, middle, slot, &stem),
            attempt(2, Outcome::Passed, middle, end, slot, &stem),
        ];
        result.flaky = true;
        self
    }

    fn installed(mut self, ms: u64, hits: u32, misses: u32) -> Self {
        let result = self.result.as_mut().unwrap();
        result.install = Some(InstallStats { wall_ms: ms, commands: 2, skipped: 0 });
        let reason = if misses > 0 { "the lock changed".to_owned() } else { String::new() };
        result.cache = Some(CacheStats { hits, misses, restored_bytes: 1 << 20, restore_ms: 120, miss_reason: reason });
        self
    }
}

/// Changes to a generated session.
pub(crate) trait Shaped: Sized {
    /// It needs another.
    fn needs(self, on: &str, origin: NeedOrigin) -> Self;
    /// It holds a lock.
    fn locks(self, lock: &str) -> Self;
    /// It is exclusive.
    fn alone(self) -> Self;
    /// How it ended.
    fn ended(self, outcome: Outcome, reason: &str) -> Self;
    /// It never started.
    fn never(self, outcome: Outcome, reason: &str) -> Self;
    /// It passed at the second attempt.
    fn retried(self) -> Self;
    /// Its install time and cache statistics.
    fn installed(self, ms: u64, hits: u32, misses: u32) -> Self;
}

/// Returns the record of a run; the number determines its time and its commit, which two successive runs share.
pub(crate) fn record(number: usize, slots: usize, sessions: Vec<RecordedSession>) -> RunRecord {
    let ends = sessions.iter().filter_map(|session| session.result.as_ref()?.last_attempt().map(|last| last.end));
    let failed = |session: &RecordedSession| session.result.as_ref().is_none_or(|result| result.outcome.is_failure());
    let (day, minute) = (number / 60, number % 60);
    RunRecord {
        version: 3,
        run_id: format!("2026110{}-10{minute:02}00.000-{number:06x}", 1 + day),
        started_at: format!("2026-11-0{}T10:{minute:02}:00+00:00", 1 + day),
        wall_ms: ends.max().unwrap_or(0) + 30,
        exit_code: Some(u8::from(sessions.iter().any(failed))),
        interrupt_cause: None,
        root: PathBuf::from("/home/me/parcelbook"),
        shard: None,
        commit: Some(commit(number / 2)),
        tree: Some(commit(number / 2)),
        slots,
        versions: vec![("noxide".to_owned(), "0.1.0".to_owned()), ("nox".to_owned(), "2026.10.20".to_owned())],
        machine: Machine {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            cpus: slots,
            ci: Some("forgejo".to_owned()),
        },
        notices: Vec::new(),
        sessions,
    }
}

/// Keeps a record in `.nox/.noxide` below `root` and gives the run's directory.
pub(crate) fn write_run(root: &Path, record: &RunRecord) -> PathBuf {
    let directory = root.join(".nox/.noxide/runs").join(&record.run_id);
    fs_err::create_dir_all(directory.join("logs")).unwrap();
    write_record(&directory, record).unwrap();
    directory
}

/// Many sessions on some slots, each a little different from run to run.
pub(crate) fn many(number: usize, sessions: usize, slots: usize) -> RunRecord {
    let mut free = vec![0; slots];
    let mut random = Random::new(number as u64 + 1);
    let made = (0..sessions).map(|index| {
        let usual = 1_000.0 + (index * 7_919 % 23_000) as f64;
        let slot = (0..slots).min_by_key(|slot| free[*slot]).unwrap();
        let wall = (usual * (0.9 + random.fraction() / 5.0)) as u64;
        let name = format!("tests-3.{}(db='{}', n={index})", 10 + index % 5, ["postgres", "sqlite"][index % 2]);
        let mut made = session(&name, free[slot] + 20, wall, slot);
        free[slot] += wall + 20;
        made.spec.usual_ms = Some(usual as u64);
        if index % 3 == 0 {
            made = made.installed(wall / 4, 20, u32::from(index % 9 == 0));
        }
        if random.fraction() < 0.01 {
            made.ended(Outcome::Failed, "Command pytest failed with exit code 1")
        } else {
            made
        }
    });
    let made = made.collect();
    record(number, slots, made)
}

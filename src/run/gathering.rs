//! What is done when a session's processes are gone and before anything that waits for it starts: its outputs are
//! gathered, its copied log is put back if it was deleted, its temporary files are removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dispatcher::{Dispatcher, Message};
use super::options::RunOptions;
use super::outputs::Outputs;
use crate::record::{Artifacts, Attempt, Fact, Outcome, Record};

/// Work that may take a while, done beside the event loop.
struct Gathering {
    outputs: Option<Outputs>,
    log: Option<(PathBuf, PathBuf)>,
    temporary: Option<PathBuf>,
    stop: Arc<AtomicBool>,
}

impl Gathering {
    fn is_idle(&self) -> bool {
        self.outputs.is_none() && self.log.is_none() && self.temporary.is_none()
    }

    fn work(&self) -> Vec<String> {
        let mut notices = self.outputs.as_ref().map(|outputs| outputs.gather(&self.stop)).unwrap_or_default();
        if let Some((log, copy)) = &self.log {
            notices.extend(put_back(log, copy).err().map(|error| format!("a log of --logs is lost: {error}")));
        }
        if let Some(folder) = &self.temporary {
            // What cannot be removed stays until the run is pruned.
            let _ = fs_err::remove_dir_all(folder);
        }
        notices
    }
}

impl Dispatcher<'_> {
    /// A session's last attempt is over: does what is left to do, then settles it.
    pub(super) fn gather(&mut self, place: usize, attempt: Attempt) {
        let session = &self.given.plan.sessions[place];
        let outputs = (!session.outputs.is_empty() && attempt.outcome != Outcome::Skipped).then(|| Outputs {
            session: session.facts.name.as_str().to_owned(),
            root: self.given.manifest.root.clone(),
            globs: session.outputs.clone(),
            folder: Artifacts::folder(self.given.folder, &session.log),
        });
        let copy = copy_of(self.given.options, &session.log).filter(|copy| !copy.exists());
        let mut temporary = self.given.lent.folder(place).filter(|_| attempt.outcome.satisfies());
        // What a session left running may still know its folder: nobody else gets that.
        let alone = !attempt.leaky;
        temporary.take_if(|folder| alone && self.given.lent.take_back(folder));
        let gathering = Gathering {
            outputs,
            log: copy.map(|copy| (self.given.folder.join(&attempt.log), copy)),
            temporary,
            stop: Arc::clone(&self.hasten),
        };
        if gathering.is_idle() {
            return self.settle(place, attempt.outcome, attempt.reason);
        }
        let sender = self.sender.clone();
        let work = move || sender.send(Message::Gathered(place, gathering.work())).unwrap_or(());
        self.gathering.insert(place, attempt);
        if std::thread::Builder::new().name("gather".to_owned()).spawn(work).is_err() {
            let lost = "its outputs could not be gathered: the system gives no more threads";
            self.gathered(place, vec![lost.to_owned()]);
        }
    }

    /// All is gathered: the session is over.
    pub(super) fn gathered(&mut self, place: usize, notices: Vec<String>) {
        for text in notices {
            self.emit(Fact::Notice { text });
        }
        if let Some(attempt) = self.gathering.remove(&place) {
            self.settle(place, attempt.outcome, attempt.reason);
        }
    }

    /// Somebody asks again that the run end: nothing more is copied.
    pub(super) fn stop_gathering(&self) {
        self.hasten.store(true, Ordering::Relaxed);
    }
}

/// Where `--logs` wants a copy of the logs with this stem.
pub(super) fn copy_of(options: &RunOptions, stem: &str) -> Option<PathBuf> {
    Some(options.logs.as_ref()?.join(options.log_name.replace("{session}", stem)))
}

/// Puts back the copies of logs that a session deleted after they were written, such as with the folder they are in.
///
/// # Errors
/// What could not be put back, in sentences.
pub fn restore_logs(options: &RunOptions, folder: &Path, record: &Record) -> Vec<String> {
    let mut troubles = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last() else { continue };
        let first = result.attempts.first().unwrap_or(last);
        let Some(stem) = first.log.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let Some(copy) = copy_of(options, stem).filter(|copy| !copy.exists()) else { continue };
        let put = put_back(&folder.join(&last.log), &copy);
        troubles.extend(put.err().map(|error| format!("a log of --logs is lost: {error}")));
    }
    troubles
}

fn put_back(log: &Path, copy: &Path) -> std::io::Result<()> {
    if let Some(folder) = copy.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::copy(log, copy).map(|_| ())
}

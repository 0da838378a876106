//! What is done when a session's processes are gone and before anything that waits for it starts: its outputs are
//! gathered, its copied log is put back if it was deleted, its temporary files are removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::artifact_collector::ArtifactCollector;
use super::dispatcher::{Dispatcher, RunMessage};
use super::options::RunOptions;
use crate::record::{ArtifactManifest, AttemptResult, EventKind, Outcome, RunRecord};

/// Work that may take a while, done beside the event loop.
struct SessionCleanup {
    artifacts: Option<ArtifactCollector>,
    log_copy: Option<(PathBuf, PathBuf)>,
    temp_folder: Option<PathBuf>,
    cancelled: Arc<AtomicBool>,
}

impl SessionCleanup {
    fn is_empty(&self) -> bool {
        self.artifacts.is_none() && self.log_copy.is_none() && self.temp_folder.is_none()
    }

    fn run(&self) -> Vec<String> {
        let mut notices =
            self.artifacts.as_ref().map(|outputs| outputs.collect_artifacts(&self.cancelled)).unwrap_or_default();
        if let Some((log, copy)) = &self.log_copy {
            notices.extend(restore_log_copy(log, copy).err().map(|error| format!("a log of --logs is lost: {error}")));
        }
        if let Some(folder) = &self.temp_folder {
            // What cannot be removed stays until the run is pruned.
            let _ = fs_err::remove_dir_all(folder);
        }
        notices
    }
}

impl Dispatcher<'_> {
    /// A session's last attempt is over: does what is left to do, then settles it.
    pub(super) fn clean_up_session(&mut self, place: usize, attempt: AttemptResult) {
        let session = &self.context.plan.sessions[place];
        let outputs = (!session.outputs.is_empty() && attempt.outcome != Outcome::Skipped).then(|| ArtifactCollector {
            session: session.facts.name.as_str().to_owned(),
            root: self.context.manifest.root.clone(),
            globs: session.outputs.clone(),
            folder: ArtifactManifest::session_dir(self.context.folder, &session.log_stem),
        });
        let copy = log_copy_path(self.context.options, &session.log_stem).filter(|copy| !copy.exists());
        let mut temporary = self.context.resources.temp_dir_path(place).filter(|_| attempt.outcome.allows_dependents());
        // What a session left running may still know its folder: nobody else gets that.
        let alone = !attempt.leaky;
        temporary.take_if(|folder| alone && self.context.resources.reclaim_temp_dir(folder));
        let gathering = SessionCleanup {
            artifacts: outputs,
            log_copy: copy.map(|copy| (self.context.folder.join(&attempt.log), copy)),
            temp_folder: temporary,
            cancelled: Arc::clone(&self.cleanup_cancelled),
        };
        if gathering.is_empty() {
            return self.settle_session(place, attempt.outcome, attempt.reason);
        }
        let sender = self.sender.clone();
        let work = move || sender.send(RunMessage::CleanupDone(place, gathering.run())).unwrap_or(());
        self.cleaning_up.insert(place, attempt);
        if std::thread::Builder::new().name("gather".to_owned()).spawn(work).is_err() {
            let lost = "its outputs could not be gathered: the system gives no more threads";
            self.handle_cleanup_done(place, vec![lost.to_owned()]);
        }
    }

    /// All is gathered: the session is over.
    pub(super) fn handle_cleanup_done(&mut self, place: usize, notices: Vec<String>) {
        for text in notices {
            self.emit_event(EventKind::Notice { text });
        }
        if let Some(attempt) = self.cleaning_up.remove(&place) {
            self.settle_session(place, attempt.outcome, attempt.reason);
        }
    }

    /// Somebody asks again that the run end: nothing more is copied.
    pub(super) fn cancel_cleanup(&self) {
        self.cleanup_cancelled.store(true, Ordering::Relaxed);
    }
}

/// Where `--logs` wants a copy of the logs with this stem.
pub(super) fn log_copy_path(options: &RunOptions, stem: &str) -> Option<PathBuf> {
    Some(options.log_folder.as_ref()?.join(options.log_name_template.replace("{session}", stem)))
}

/// Puts back the copies of logs that a session deleted after they were written, such as with the folder they are in.
///
/// # Errors
/// What could not be put back, in sentences.
pub(crate) fn restore_log_copies(options: &RunOptions, folder: &Path, record: &RunRecord) -> Vec<String> {
    let mut troubles = Vec::new();
    for result in record.sessions.iter().filter_map(|session| session.result.as_ref()) {
        let Some(last) = result.last_attempt() else { continue };
        let first = result.attempts.first().unwrap_or(last);
        let Some(stem) = first.log.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let Some(copy) = log_copy_path(options, stem).filter(|copy| !copy.exists()) else { continue };
        let put = restore_log_copy(&folder.join(&last.log), &copy);
        troubles.extend(put.err().map(|error| format!("a log of --logs is lost: {error}")));
    }
    troubles
}

fn restore_log_copy(log: &Path, copy: &Path) -> std::io::Result<()> {
    if let Some(folder) = copy.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::copy(log, copy).map(|_| ())
}

//! Worker thread of provisioning: runs one task after another, while the event loop of the run continues.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::queue::{ProvisionQueue, ProvisionResult, ProvisionTask, Provisioner};
use crate::project::ManifestIndex;

/// How long the queue must be empty before some of the sessions' downloads are saved.
const IDLE_SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// What the worker reports to the dispatcher.
#[derive(Debug)]
pub enum ProvisionReport {
    /// The stored packages of a session have been restored.
    Provisioned(ManifestIndex, ProvisionResult),
    /// The worker has ended, normally or by a panic.
    WorkerExited,
}

/// The thread that runs the tasks of the queue.
#[derive(Debug)]
pub struct ProvisionWorker<P> {
    queue: Arc<ProvisionQueue>,
    thread: JoinHandle<P>,
}

/// Reports the end of the worker, also while a panic unwinds.
struct ExitNotifier<R: Fn(ProvisionReport)>(R);

impl<R: Fn(ProvisionReport)> Drop for ExitNotifier<R> {
    fn drop(&mut self) {
        (self.0)(ProvisionReport::WorkerExited);
    }
}

impl<P: Provisioner + 'static> ProvisionWorker<P> {
    /// Starts a thread that runs the tasks of a new queue with `provisioner` and calls `report` for each result.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn_worker(mut provisioner: P, report: impl Fn(ProvisionReport) + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(ProvisionQueue::default());
        let tasks = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("provision".to_owned()).spawn(move || {
            let notifier = ExitNotifier(report);
            let mut idle = None;
            while let Some(task) = tasks.next_task(idle) {
                match task {
                    ProvisionTask::Provision(id) => {
                        tasks.progress.set_session(Some(id));
                        let result = provisioner.provision_session(id, &tasks.progress);
                        tasks.progress.set_session(None);
                        (notifier.0)(ProvisionReport::Provisioned(id, result));
                        idle = Some(IDLE_SAVE_INTERVAL);
                    }
                    ProvisionTask::Save(finished) => provisioner.save_finished(&finished, &tasks.progress),
                    ProvisionTask::IdleSave => idle = provisioner.save_while_idle(&tasks.progress),
                }
            }
            provisioner
        })?;
        Ok(Self { queue, thread })
    }

    /// Returns the queue of this worker.
    pub fn queue(&self) -> &ProvisionQueue {
        &self.queue
    }

    /// Waits until the queue is empty and returns the provisioner; `None` if it panicked.
    pub fn join_worker(self) -> Option<P> {
        self.queue.close();
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
    use crate::provision::FinishedSession;

    /// Longer than any wait of these tests.
    const LONG_TIMEOUT: Duration = Duration::from_secs(60);

    /// Records its calls; the first task lasts until it receives a message.
    struct RecordingProvisioner(Vec<String>, Receiver<()>);

    impl Provisioner for RecordingProvisioner {
        fn provision_session(&mut self, id: ManifestIndex, progress: &dyn ProgressReporter) -> ProvisionResult {
            progress.start_phase(CachePhase::Restore, WorkAmount { entries: 2, files: 4, bytes: 8 });
            progress.advance(WorkAmount { entries: 1, files: 2, bytes: 3 });
            if self.0.is_empty() {
                self.1.recv_timeout(LONG_TIMEOUT).unwrap();
            }
            progress.finish_phase();
            self.0.push(format!("provision {}", id.0));
            ProvisionResult::default()
        }

        fn save_finished(&mut self, finished: &[FinishedSession], progress: &dyn ProgressReporter) {
            progress.start_phase(CachePhase::Save, WorkAmount::default());
            progress.advance(WorkAmount::default());
            progress.finish_phase();
            self.0.push(format!("save {}", finished.len()));
        }

        fn save_while_idle(&mut self, _: &dyn ProgressReporter) -> Option<Duration> {
            self.0.push("idle save".to_owned());
            (self.0.len() < 3).then_some(Duration::ZERO)
        }
    }

    fn spawn(proceed: Receiver<()>, sender: Sender<ProvisionReport>) -> ProvisionWorker<RecordingProvisioner> {
        let provisioner = RecordingProvisioner(Vec::new(), proceed);
        ProvisionWorker::spawn_worker(provisioner, move |report| sender.send(report).unwrap()).unwrap()
    }

    #[test]
    fn waiting_sessions_are_provisioned_first_and_saves_run_last() {
        let ((sender, reports), (release, proceed)) = (channel(), channel());
        let worker = spawn(proceed, sender);
        let queue = worker.queue();
        queue.enqueue_session(ManifestIndex(0));
        while queue.restore_progress().is_none_or(|(_, progress)| progress.packages == 0) {
            std::thread::yield_now();
        }
        let (session, progress) = queue.restore_progress().unwrap();
        assert_eq!((session, progress.packages, progress.total_bytes), (ManifestIndex(0), 1, 8));
        for id in 1..4 {
            queue.enqueue_session(ManifestIndex(id));
        }
        queue.enqueue_save(FinishedSession { id: ManifestIndex(9), install: None });
        queue.enqueue_save(FinishedSession { id: ManifestIndex(8), install: None });
        queue.prioritize_session(ManifestIndex(3));
        queue.prioritize_session(ManifestIndex(0));
        release.send(()).unwrap();
        let calls = worker.join_worker().unwrap().0;
        assert_eq!(calls, ["provision 0", "provision 3", "provision 1", "provision 2", "save 2"]);
        assert_eq!(reports.iter().count(), 5, "four provisioned sessions and the exit");
    }

    #[test]
    fn idle_saves_run_while_the_queue_is_empty() {
        let ((sender, reports), (release, proceed)) = (channel(), channel());
        let worker = spawn(proceed, sender);
        release.send(()).unwrap();
        worker.queue().enqueue_session(ManifestIndex(0));
        assert!(matches!(reports.recv_timeout(LONG_TIMEOUT), Ok(ProvisionReport::Provisioned(..))));
        std::thread::sleep(IDLE_SAVE_INTERVAL * 3);
        worker.queue().enqueue_save(FinishedSession { id: ManifestIndex(0), install: None });
        let calls = worker.join_worker().unwrap().0;
        assert_eq!(calls, ["provision 0", "idle save", "idle save", "save 1"], "until `save_while_idle` returns none");
    }

    #[test]
    fn a_panic_of_the_provisioner_is_reported() {
        let ((sender, reports), (release, proceed)) = (channel(), channel());
        let worker = spawn(proceed, sender);
        drop(release);
        worker.queue().enqueue_session(ManifestIndex(0));
        worker.queue().enqueue_session(ManifestIndex(1));
        assert!(matches!(reports.recv_timeout(LONG_TIMEOUT), Ok(ProvisionReport::WorkerExited)));
        worker.queue().clear_pending();
        assert!(worker.join_worker().is_none());
    }
}

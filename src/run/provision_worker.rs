//! The thread that does a run's errands, one after another, beside the event loop.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::dispatcher::RunMessage;
use super::provision_queue::{ProvisionQueue, ProvisionTask, Provisioner};

/// How long nothing is to be done before a little is kept of what sessions have fetched by then.
const IDLE_SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// The thread that does the errands.
#[derive(Debug)]
pub struct ProvisionWorker<P> {
    queue: Arc<ProvisionQueue>,
    thread: JoinHandle<P>,
}

/// Tells the event loop that nobody does errands any more, however that came.
struct ExitNotifier(Sender<RunMessage>);

impl Drop for ExitNotifier {
    fn drop(&mut self) {
        // Nobody listens any more when the run is over.
        let _ = self.0.send(RunMessage::ProvisionWorkerExited);
    }
}

impl<P: Provisioner + 'static> ProvisionWorker<P> {
    /// Has `work` do the errands; what it has done is told to `sender`.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn spawn_worker(mut work: P, sender: Sender<RunMessage>) -> io::Result<Self> {
        let errands = Arc::new(ProvisionQueue::default());
        let given = Arc::clone(&errands);
        let thread = std::thread::Builder::new().name("provide".to_owned()).spawn(move || {
            let leave = ExitNotifier(sender);
            let mut idle = None;
            while let Some(errand) = given.next_task(idle) {
                match errand {
                    ProvisionTask::Provision(id) => {
                        given.progress.set_session(Some(id));
                        let provided = work.provision_session(id, &given.progress);
                        given.progress.set_session(None);
                        let _ = leave.0.send(RunMessage::Provisioned(id, provided));
                        idle = Some(IDLE_SAVE_INTERVAL);
                    }
                    ProvisionTask::Save(over) => work.save_finished(&over, &given.progress),
                    ProvisionTask::IdleSave => idle = work.save_while_idle(&given.progress),
                }
            }
            work
        })?;
        Ok(Self { queue: errands, thread })
    }

    /// Where errands are given.
    pub fn queue(&self) -> &ProvisionQueue {
        &self.queue
    }

    /// Waits until all errands are done and gives back who did them; none where that one came to grief.
    pub fn join_worker(self) -> Option<P> {
        self.queue.close();
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::cache::{CachePhase, ProgressReporter, WorkAmount};
    use crate::project::SessionId;
    use crate::run::{FinishedSession, ProvisionResult};

    /// Notes what it does; the first errand lasts until it is told.
    struct Notes(Vec<String>, std::sync::mpsc::Receiver<()>);

    impl Provisioner for Notes {
        fn provision_session(&mut self, id: SessionId, progress: &dyn ProgressReporter) -> ProvisionResult {
            progress.start_phase(CachePhase::Restore, WorkAmount { entries: 2, files: 4, bytes: 8 });
            progress.advance(WorkAmount { entries: 1, files: 2, bytes: 3 });
            if self.0.is_empty() {
                self.1.recv().unwrap();
            }
            progress.finish_phase();
            self.0.push(format!("before {}", id.0));
            ProvisionResult::default()
        }

        fn save_finished(&mut self, over: &[FinishedSession], progress: &dyn ProgressReporter) {
            progress.start_phase(CachePhase::Save, WorkAmount::default());
            progress.advance(WorkAmount::default());
            progress.finish_phase();
            self.0.push(format!("after {}", over.len()));
        }

        fn save_while_idle(&mut self, _: &dyn ProgressReporter) -> Option<Duration> {
            self.0.push("meanwhile".to_owned());
            (self.0.len() < 3).then_some(Duration::ZERO)
        }
    }

    #[test]
    fn who_waits_comes_first_and_what_is_over_last() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = ProvisionWorker::spawn_worker(Notes(Vec::new(), wait), sender).unwrap();
        let errands = provider.queue();
        errands.enqueue_session(SessionId(0));
        while errands.restore_progress().is_none() {
            std::thread::yield_now();
        }
        let (of, portion) = errands.restore_progress().unwrap();
        assert_eq!((of, portion.packages, portion.total_bytes), (SessionId(0), 1, 8));
        for id in 1..4 {
            errands.enqueue_session(SessionId(id));
        }
        errands.enqueue_save(FinishedSession { id: SessionId(9), install: None });
        errands.enqueue_save(FinishedSession { id: SessionId(8), install: None });
        errands.prioritize_session(SessionId(3));
        errands.prioritize_session(SessionId(0));
        go.send(()).unwrap();
        let notes = provider.join_worker().unwrap().0;
        assert_eq!(notes, ["before 0", "before 3", "before 1", "before 2", "after 2"]);
        assert_eq!(messages.iter().count(), 5, "four sessions provided for, and the leave");
    }

    #[test]
    fn a_little_is_kept_while_nothing_else_is_to_be_done() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = ProvisionWorker::spawn_worker(Notes(Vec::new(), wait), sender).unwrap();
        go.send(()).unwrap();
        provider.queue().enqueue_session(SessionId(0));
        assert!(matches!(messages.recv(), Ok(RunMessage::Provisioned(..))));
        std::thread::sleep(IDLE_SAVE_INTERVAL * 3);
        provider.queue().enqueue_save(FinishedSession { id: SessionId(0), install: None });
        let notes = provider.join_worker().unwrap().0;
        assert_eq!(notes, ["before 0", "meanwhile", "meanwhile", "after 1"], "as often as it asks for");
    }

    #[test]
    fn one_that_comes_to_grief_is_told_of() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = ProvisionWorker::spawn_worker(Notes(Vec::new(), wait), sender).unwrap();
        drop(go);
        provider.queue().enqueue_session(SessionId(0));
        provider.queue().enqueue_session(SessionId(1));
        assert!(matches!(messages.recv(), Ok(RunMessage::ProvisionWorkerExited)));
        provider.queue().clear_pending();
        assert!(provider.join_worker().is_none());
    }
}

//! The thread that does a run's errands, one after another, beside the event loop.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::dispatcher::Message;
use super::provide::{Errand, Errands, Provide};

/// How long nothing is to be done before a little is kept of what sessions have fetched by then.
const BREATH: Duration = Duration::from_millis(500);

/// The thread that does the errands.
#[derive(Debug)]
pub struct Provider<P> {
    errands: Arc<Errands>,
    thread: JoinHandle<P>,
}

/// Tells the event loop that nobody does errands any more, however that came.
struct Leave(Sender<Message>);

impl Drop for Leave {
    fn drop(&mut self) {
        // Nobody listens any more when the run is over.
        let _ = self.0.send(Message::ProviderGone);
    }
}

impl<P: Provide + 'static> Provider<P> {
    /// Has `work` do the errands; what it has done is told to `sender`.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn begin(mut work: P, sender: Sender<Message>) -> io::Result<Self> {
        let errands = Arc::new(Errands::default());
        let given = Arc::clone(&errands);
        let thread = std::thread::Builder::new().name("provide".to_owned()).spawn(move || {
            let leave = Leave(sender);
            let mut idle = None;
            while let Some(errand) = given.next(idle) {
                match errand {
                    Errand::Before(id) => {
                        given.meter.is_of(Some(id));
                        let provided = work.before(id, &given.meter);
                        given.meter.is_of(None);
                        let _ = leave.0.send(Message::Provided(id, provided));
                        idle = Some(BREATH);
                    }
                    Errand::After(over) => work.after(&over, &given.meter),
                    Errand::Meanwhile => idle = work.meanwhile(&given.meter),
                }
            }
            work
        })?;
        Ok(Self { errands, thread })
    }

    /// Where errands are given.
    pub fn errands(&self) -> &Errands {
        &self.errands
    }

    /// Waits until all errands are done and gives back who did them; none where that one came to grief.
    pub fn end(self) -> Option<P> {
        self.errands.close();
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::cache::{Amount, Phase, Progress};
    use crate::project::SessionId;
    use crate::run::{Provided, SessionOver};

    /// Notes what it does; the first errand lasts until it is told.
    struct Notes(Vec<String>, std::sync::mpsc::Receiver<()>);

    impl Provide for Notes {
        fn before(&mut self, id: SessionId, progress: &dyn Progress) -> Provided {
            progress.begin(Phase::Restore, Amount { entries: 2, files: 4, bytes: 8 });
            progress.advance(Amount { entries: 1, files: 2, bytes: 3 });
            if self.0.is_empty() {
                self.1.recv().unwrap();
            }
            progress.end();
            self.0.push(format!("before {}", id.0));
            Provided::default()
        }

        fn after(&mut self, over: &[SessionOver], progress: &dyn Progress) {
            progress.begin(Phase::Save, Amount::default());
            progress.advance(Amount::default());
            progress.end();
            self.0.push(format!("after {}", over.len()));
        }

        fn meanwhile(&mut self, _: &dyn Progress) -> Option<Duration> {
            self.0.push("meanwhile".to_owned());
            (self.0.len() < 3).then_some(Duration::ZERO)
        }
    }

    #[test]
    fn who_waits_comes_first_and_what_is_over_last() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = Provider::begin(Notes(Vec::new(), wait), sender).unwrap();
        let errands = provider.errands();
        errands.ahead(SessionId(0));
        while errands.portion().is_none() {
            std::thread::yield_now();
        }
        let (of, portion) = errands.portion().unwrap();
        assert_eq!((of, portion.packages, portion.all_bytes), (SessionId(0), 1, 8));
        for id in 1..4 {
            errands.ahead(SessionId(id));
        }
        errands.over(SessionOver { id: SessionId(9), install: None });
        errands.over(SessionOver { id: SessionId(8), install: None });
        errands.hurry(SessionId(3));
        errands.hurry(SessionId(0));
        go.send(()).unwrap();
        let notes = provider.end().unwrap().0;
        assert_eq!(notes, ["before 0", "before 3", "before 1", "before 2", "after 2"]);
        assert_eq!(messages.iter().count(), 5, "four sessions provided for, and the leave");
    }

    #[test]
    fn a_little_is_kept_while_nothing_else_is_to_be_done() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = Provider::begin(Notes(Vec::new(), wait), sender).unwrap();
        go.send(()).unwrap();
        provider.errands().ahead(SessionId(0));
        assert!(matches!(messages.recv(), Ok(Message::Provided(..))));
        std::thread::sleep(BREATH * 3);
        provider.errands().over(SessionOver { id: SessionId(0), install: None });
        let notes = provider.end().unwrap().0;
        assert_eq!(notes, ["before 0", "meanwhile", "meanwhile", "after 1"], "as often as it asks for");
    }

    #[test]
    fn one_that_comes_to_grief_is_told_of() {
        let ((sender, messages), (go, wait)) = (channel(), channel());
        let provider = Provider::begin(Notes(Vec::new(), wait), sender).unwrap();
        drop(go);
        provider.errands().ahead(SessionId(0));
        provider.errands().ahead(SessionId(1));
        assert!(matches!(messages.recv(), Ok(Message::ProviderGone)));
        provider.errands().forget();
        assert!(provider.end().is_none());
    }
}

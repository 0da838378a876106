//! A reporter on a thread of its own: who reads what it writes may stop reading, and no run waits for that.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{EventReporter, OutputStreams};
use crate::record::{EventKind, RunEvent};

/// A reporter that is told by a queue.
///
/// What waits there is bounded by the number of sessions, whatever they print: growing logs and ticks become one.
#[derive(Debug)]
pub(crate) struct ReporterThread {
    shared: Arc<ReporterChannel>,
    write_counter: WriteCounter,
    thread_ended: Receiver<()>,
    thread: JoinHandle<Option<io::Error>>,
}

/// How far all streams of a run have come.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteCounter(Arc<AtomicU64>);

impl OutputStreams {
    /// The same streams; each write that a reader took counts as progress.
    #[must_use]
    pub(crate) fn with_write_counter(self, progress: &WriteCounter) -> Self {
        let counted =
            |stream| Box::new(CountingWriter { inner: stream, counter: progress.clone() }) as Box<dyn Write + Send>;
        Self {
            stdout: counted(self.stdout),
            stderr: counted(self.stderr),
            terminal_size: self.terminal_size,
            events: self.events.map(counted),
        }
    }
}

struct CountingWriter {
    inner: Box<dyn Write + Send>,
    counter: WriteCounter,
}

impl Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.counter.0.fetch_add(1, Ordering::Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[derive(Debug, Default)]
struct ReporterChannel {
    queue: Mutex<ReporterQueue>,
    queue_changed: Condvar,
}

#[derive(Debug, Default)]
struct ReporterQueue {
    events: VecDeque<Arc<RunEvent>>,
    pending_tick: Option<u64>,
    show_running_requested: bool,
    is_closed: bool,
}

/// What a reporter is told next.
enum ReporterMessage {
    Event(Arc<RunEvent>),
    Tick(u64),
    ShowRunning,
    Finish,
}

impl ReporterChannel {
    fn lock_queue(&self) -> MutexGuard<'_, ReporterQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_queue(&self, change: impl FnOnce(&mut ReporterQueue)) {
        change(&mut self.lock_queue());
        self.queue_changed.notify_one();
    }

    fn next_message(&self) -> ReporterMessage {
        let mut queue = self.lock_queue();
        loop {
            if let Some(event) = queue.events.pop_front() {
                return ReporterMessage::Event(event);
            }
            if let Some(now) = queue.pending_tick.take() {
                return ReporterMessage::Tick(now);
            }
            if std::mem::take(&mut queue.show_running_requested) {
                return ReporterMessage::ShowRunning;
            }
            if queue.is_closed {
                return ReporterMessage::Finish;
            }
            queue = self.queue_changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl ReporterQueue {
    /// Adds an event; growth of a log that is still to be shown becomes growth to the new size.
    fn push_event(&mut self, event: Arc<RunEvent>) {
        if let EventKind::OutputGrew { session, attempt, to, .. } = &event.fact {
            let waits = self.events.iter_mut().rev().find(|waiting| is_output_growth(waiting, session, *attempt));
            if let Some(waits) = waits
                && let EventKind::OutputGrew { to: end, .. } = &mut Arc::make_mut(waits).fact
            {
                *end = *to;
                return;
            }
        }
        self.events.push_back(event);
    }
}

fn is_output_growth(event: &RunEvent, name: &crate::project::SessionName, number: u32) -> bool {
    matches!(&event.fact, EventKind::OutputGrew { session, attempt, .. } if session == name && *attempt == number)
}

impl ReporterThread {
    /// Has the reporter show a run whose folder is `folder`; `progress` counts what its streams take.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn spawn(
        mut reporter: Box<dyn EventReporter>,
        folder: PathBuf,
        progress: WriteCounter,
    ) -> io::Result<Self> {
        let shared = Arc::new(ReporterChannel::default());
        let queue = Arc::clone(&shared);
        let (alive, over) = channel();
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            // Dropped when this thread is over, by a panic too.
            let _alive: std::sync::mpsc::Sender<()> = alive;
            let mut trouble = None;
            loop {
                let next = queue.next_message();
                let last = matches!(next, ReporterMessage::Finish);
                // One that failed is asked no more; what comes is taken all the same, so that the queue stays short.
                if trouble.is_none() {
                    let shown = match next {
                        ReporterMessage::Event(event) => reporter.on_event(&event, &folder),
                        ReporterMessage::Tick(now) => reporter.on_tick(now),
                        ReporterMessage::ShowRunning => reporter.show_running(),
                        ReporterMessage::Finish => reporter.finish(),
                    };
                    trouble = shown.err();
                }
                if last {
                    return trouble;
                }
            }
        })?;
        Ok(Self { shared, write_counter: progress, thread_ended: over, thread })
    }

    /// Shows an event, soon.
    pub(crate) fn send_event(&self, event: Arc<RunEvent>) {
        self.shared.update_queue(|queue| queue.push_event(event));
    }

    /// Time has passed.
    pub(crate) fn send_tick(&self, now: u64) {
        self.shared.update_queue(|queue| queue.pending_tick = Some(now));
    }

    /// Somebody asked what runs now.
    pub(crate) fn request_show_running(&self) {
        self.shared.update_queue(|queue| queue.show_running_requested = true);
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.shared.update_queue(|queue| queue.is_closed = true);
    }

    /// Waits until all is shown, and gives what went wrong.
    ///
    /// With a patience it waits no longer than that for a reader that takes nothing.
    ///
    /// # Errors
    /// When nobody took anything for so long; what was not shown is lost.
    pub(crate) fn join(self, patience: Option<Duration>) -> Result<Option<io::Error>, ReporterBlocked> {
        self.close();
        let mut before = self.write_counter.0.load(Ordering::Relaxed);
        loop {
            let waited = match patience {
                Some(patience) => self.thread_ended.recv_timeout(patience),
                None => self.thread_ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if waited != Err(RecvTimeoutError::Timeout) {
                // A panic over there is one here.
                return Ok(self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            let now = self.write_counter.0.load(Ordering::Relaxed);
            if std::mem::replace(&mut before, now) == now {
                return Err(ReporterBlocked);
            }
        }
    }
}

/// Nobody reads what is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct ReporterBlocked;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Sender, sync_channel};

    use super::*;
    use crate::project::SessionName;

    /// Notes what it is told, each once it is let.
    struct Noted(Sender<String>, Receiver<()>);

    impl Noted {
        fn note(&self, text: String) -> io::Result<()> {
            self.1.recv().ok();
            self.0.send(text).unwrap();
            Ok(())
        }
    }

    impl EventReporter for Noted {
        fn on_event(&mut self, event: &RunEvent, _: &Path) -> io::Result<()> {
            match &event.fact {
                EventKind::OutputGrew { session, from, to, .. } => self.note(format!("{session} {from}..{to}")),
                EventKind::Notice { text } if text == "fail" => Err(io::Error::other("as told")),
                EventKind::Notice { text } if text == "panic" => panic!("as told"),
                EventKind::Notice { text } => self.note(text.clone()),
                _ => Ok(()),
            }
        }

        fn on_tick(&mut self, now: u64) -> io::Result<()> {
            self.note(format!("tick {now}"))
        }

        fn show_running(&mut self) -> io::Result<()> {
            self.note("running".to_owned())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.note("finish".to_owned())
        }
    }

    fn begin() -> (ReporterThread, Receiver<String>, std::sync::mpsc::SyncSender<()>) {
        let (tell, told) = channel();
        let (allow, may) = sync_channel(99);
        let reporter = Box::new(Noted(tell, may));
        (ReporterThread::spawn(reporter, PathBuf::new(), WriteCounter::default()).unwrap(), told, allow)
    }

    fn notice(text: &str) -> Arc<RunEvent> {
        Arc::new(RunEvent { at: 1, fact: EventKind::Notice { text: text.to_owned() } })
    }

    fn grew(name: &str, attempt: u32, from: u64, to: u64) -> Arc<RunEvent> {
        let session = SessionName::new(name);
        Arc::new(RunEvent { at: 1, fact: EventKind::OutputGrew { session, attempt, from, to } })
    }

    #[test]
    fn what_waits_is_told_in_order_and_growth_becomes_one() {
        let (showing, told, allow) = begin();
        showing.send_event(notice("one"));
        for (at, name) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
            let at = at as u64;
            showing.send_event(grew(name, 1, at, at + 1));
            showing.send_tick(at);
        }
        showing.send_event(grew("a", 2, 0, 9));
        showing.request_show_running();
        showing.close();
        drop(allow);
        assert_eq!(showing.join(None).unwrap().map(|error| error.to_string()), None);
        let told: Vec<String> = told.iter().collect();
        let tail = ["a 0..9", "tick 4", "running", "finish"];
        // The first may have been taken off the queue before the others came.
        assert_eq!(told, [&["one", "a 0..4", "b 1..5"][..], &tail].concat());
    }

    #[test]
    fn one_that_fails_is_asked_no_more() {
        let (showing, told, allow) = begin();
        drop(allow);
        showing.send_event(notice("fail"));
        showing.send_event(notice("more"));
        showing.send_tick(3);
        let trouble = showing.join(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(trouble.unwrap().to_string(), "as told");
        assert_eq!(told.iter().count(), 0);
    }

    #[test]
    fn one_that_nobody_reads_is_left_and_one_that_moves_is_not() {
        let (showing, _told, allow) = begin();
        showing.send_event(notice("stuck"));
        assert_eq!(showing.join(Some(Duration::from_millis(1))).unwrap_err(), ReporterBlocked);
        drop(allow);
        let (showing, told, allow) = begin();
        let mut streams = OutputStreams {
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
            terminal_size: Arc::new(|| None),
            events: Some(Box::new(io::sink())),
        }
        .with_write_counter(&showing.write_counter);
        showing.send_event(notice("slow"));
        let moving = std::thread::spawn(move || {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(5));
                streams.stdout.write_all(b"x").unwrap();
                streams.stdout.flush().unwrap();
            }
            drop(allow);
        });
        assert!(showing.join(Some(Duration::from_secs(20))).is_ok());
        moving.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["slow", "finish"]);
    }

    #[test]
    #[should_panic(expected = "as told")]
    fn its_panic_is_ours() {
        let (showing, ..) = begin();
        showing.send_event(notice("panic"));
        let _ = showing.join(None);
    }
}

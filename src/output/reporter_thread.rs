//! Reporter on its own thread, so that a reader that stops reading never blocks a run.

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

/// A reporter fed by a queue.
///
/// Log growth and ticks are coalesced, so the length of the queue does not depend on the amount of output.
#[derive(Debug)]
pub(crate) struct ReporterThread {
    shared: Arc<ReporterChannel>,
    write_counter: WriteCounter,
    thread_ended: Receiver<()>,
    thread: JoinHandle<Option<io::Error>>,
}

/// Number of writes to all streams of a run; it grows as long as their reader reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteCounter(Arc<AtomicU64>);

impl OutputStreams {
    /// Returns the same streams with each completed write counted.
    #[must_use]
    pub(crate) fn with_write_counter(self, counter: &WriteCounter) -> Self {
        let counted =
            |stream| Box::new(CountingWriter { inner: stream, counter: counter.clone() }) as Box<dyn Write + Send>;
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

/// The next call to the reporter.
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
    /// Adds an event; log growth that is still queued is extended instead.
    fn push_event(&mut self, event: Arc<RunEvent>) {
        if let EventKind::OutputGrew { session, attempt, to_offset: to, .. } = &event.kind {
            let queued = self.events.iter_mut().rev().find(|queued| is_output_growth(queued, session, *attempt));
            if let Some(queued) = queued
                && let EventKind::OutputGrew { to_offset: queued_end, .. } = &mut Arc::make_mut(queued).kind
            {
                *queued_end = *to;
                return;
            }
        }
        self.events.push_back(event);
    }
}

fn is_output_growth(event: &RunEvent, name: &crate::project::SessionName, number: u32) -> bool {
    matches!(&event.kind, EventKind::OutputGrew { session, attempt, .. } if session == name && *attempt == number)
}

impl ReporterThread {
    /// Starts the thread for a run with this directory; `write_counter` counts the writes to its streams.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn spawn(
        mut reporter: Box<dyn EventReporter>,
        run_dir: PathBuf,
        write_counter: WriteCounter,
    ) -> io::Result<Self> {
        let shared = Arc::new(ReporterChannel::default());
        let reporter_channel = Arc::clone(&shared);
        let (ended_sender, thread_ended) = channel();
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            // Dropped when this thread ends, also by a panic.
            let _ended_sender: std::sync::mpsc::Sender<()> = ended_sender;
            let mut failure = None;
            loop {
                let next = reporter_channel.next_message();
                let is_last = matches!(next, ReporterMessage::Finish);
                // After a failure the reporter is not called again; the queue is still drained, so that it stays short.
                if failure.is_none() {
                    let result = match next {
                        ReporterMessage::Event(event) => reporter.on_event(&event, &run_dir),
                        ReporterMessage::Tick(now) => reporter.on_tick(now),
                        ReporterMessage::ShowRunning => reporter.show_running(),
                        ReporterMessage::Finish => reporter.finish(),
                    };
                    failure = result.err();
                }
                if is_last {
                    return failure;
                }
            }
        })?;
        Ok(Self { shared, write_counter, thread_ended, thread })
    }

    /// Queues an event.
    pub(crate) fn send_event(&self, event: Arc<RunEvent>) {
        self.shared.update_queue(|queue| queue.push_event(event));
    }

    /// Queues a tick.
    pub(crate) fn send_tick(&self, now: u64) {
        self.shared.update_queue(|queue| queue.pending_tick = Some(now));
    }

    /// Queues a request to show the running sessions.
    pub(crate) fn request_show_running(&self) {
        self.shared.update_queue(|queue| queue.show_running_requested = true);
    }

    /// Closes the queue.
    pub(crate) fn close(&self) {
        self.shared.update_queue(|queue| queue.is_closed = true);
    }

    /// Waits until everything is shown, and returns the error of the reporter, if any.
    ///
    /// With a timeout, gives up when no write completes for that long.
    ///
    /// # Errors
    /// On a timeout; the remaining output is lost.
    pub(crate) fn join(self, timeout: Option<Duration>) -> Result<Option<io::Error>, ReporterBlocked> {
        self.close();
        let mut last_count = self.write_counter.0.load(Ordering::Relaxed);
        loop {
            let waited = match timeout {
                Some(timeout) => self.thread_ended.recv_timeout(timeout),
                None => self.thread_ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if waited != Err(RecvTimeoutError::Timeout) {
                // A panic of the thread is propagated.
                return Ok(self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            let count = self.write_counter.0.load(Ordering::Relaxed);
            if std::mem::replace(&mut last_count, count) == count {
                return Err(ReporterBlocked);
            }
        }
    }
}

/// The reader of the output does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output is not being read")]
pub(crate) struct ReporterBlocked;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Sender, sync_channel};

    use super::*;
    use crate::project::SessionName;

    /// Records the calls, each after it is allowed.
    struct RecordingReporter(Sender<String>, Receiver<()>);

    impl RecordingReporter {
        fn record(&self, text: String) -> io::Result<()> {
            self.1.recv().ok();
            self.0.send(text).unwrap();
            Ok(())
        }
    }

    impl EventReporter for RecordingReporter {
        fn on_event(&mut self, event: &RunEvent, _: &Path) -> io::Result<()> {
            match &event.kind {
                EventKind::OutputGrew { session, from_offset: from, to_offset: to, .. } => {
                    self.record(format!("{session} {from}..{to}"))
                }
                EventKind::Notice { text } if text == "fail" => Err(io::Error::other("on purpose")),
                EventKind::Notice { text } if text == "panic" => panic!("on purpose"),
                EventKind::Notice { text } => self.record(text.clone()),
                _ => Ok(()),
            }
        }

        fn on_tick(&mut self, now: u64) -> io::Result<()> {
            self.record(format!("tick {now}"))
        }

        fn show_running(&mut self) -> io::Result<()> {
            self.record("running".to_owned())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.record("finish".to_owned())
        }
    }

    fn begin() -> (ReporterThread, Receiver<String>, std::sync::mpsc::SyncSender<()>) {
        let (call_sender, calls) = channel();
        let (allow, allowed) = sync_channel(99);
        let reporter = Box::new(RecordingReporter(call_sender, allowed));
        (ReporterThread::spawn(reporter, PathBuf::new(), WriteCounter::default()).unwrap(), calls, allow)
    }

    fn notice(text: &str) -> Arc<RunEvent> {
        Arc::new(RunEvent { at: 1, kind: EventKind::Notice { text: text.to_owned() } })
    }

    fn grew(name: &str, attempt: u32, from: u64, to: u64) -> Arc<RunEvent> {
        let session = SessionName::new(name);
        Arc::new(RunEvent { at: 1, kind: EventKind::OutputGrew { session, attempt, from_offset: from, to_offset: to } })
    }

    #[test]
    fn events_stay_in_order_and_log_growth_is_coalesced() {
        let (reporter, calls, allow) = begin();
        reporter.send_event(notice("one"));
        for (at, name) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
            let at = at as u64;
            reporter.send_event(grew(name, 1, at, at + 1));
            reporter.send_tick(at);
        }
        reporter.send_event(grew("a", 2, 0, 9));
        reporter.request_show_running();
        reporter.close();
        drop(allow);
        assert_eq!(reporter.join(None).unwrap().map(|error| error.to_string()), None);
        let calls: Vec<String> = calls.iter().collect();
        let tail = ["a 0..9", "tick 4", "running", "finish"];
        // The first event may have been processed before the others were queued.
        assert_eq!(calls, [&["one", "a 0..4", "b 1..5"][..], &tail].concat());
    }

    #[test]
    fn a_failed_reporter_is_not_called_again() {
        let (reporter, calls, allow) = begin();
        drop(allow);
        reporter.send_event(notice("fail"));
        reporter.send_event(notice("more"));
        reporter.send_tick(3);
        let failure = reporter.join(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(failure.unwrap().to_string(), "on purpose");
        assert_eq!(calls.iter().count(), 0);
    }

    #[test]
    fn a_blocked_reader_is_abandoned_and_a_slow_one_is_not() {
        let (reporter, _calls, allow) = begin();
        reporter.send_event(notice("stuck"));
        assert_eq!(reporter.join(Some(Duration::from_millis(1))).unwrap_err(), ReporterBlocked);
        drop(allow);
        let (reporter, calls, allow) = begin();
        let mut streams = OutputStreams {
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
            terminal_size: Arc::new(|| None),
            events: Some(Box::new(io::sink())),
        }
        .with_write_counter(&reporter.write_counter);
        reporter.send_event(notice("slow"));
        let writer = std::thread::spawn(move || {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(5));
                streams.stdout.write_all(b"x").unwrap();
                streams.stdout.flush().unwrap();
            }
            drop(allow);
        });
        assert!(reporter.join(Some(Duration::from_secs(20))).is_ok());
        writer.join().unwrap();
        assert_eq!(calls.iter().collect::<Vec<_>>(), ["slow", "finish"]);
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_is_propagated() {
        let (reporter, ..) = begin();
        reporter.send_event(notice("panic"));
        let _ = reporter.join(None);
    }
}

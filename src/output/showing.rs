//! A reporter on a thread of its own: who reads what it writes may stop reading, and no run waits for that.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Reporter, Streams};
use crate::record::{Event, Fact};

/// A reporter that is told by a queue.
///
/// What waits there is bounded by the number of sessions, whatever they print: growing logs and ticks become one.
#[derive(Debug)]
pub struct Showing {
    shared: Arc<Shared>,
    progress: Progress,
    over: Receiver<()>,
    thread: JoinHandle<Option<io::Error>>,
}

/// How far all streams of a run have come.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Streams {
    /// The same streams; each write that a reader took counts as progress.
    #[must_use]
    pub fn counted(self, progress: &Progress) -> Self {
        let counted = |stream| Box::new(Counted { stream, progress: progress.clone() }) as Box<dyn Write + Send>;
        Self { out: counted(self.out), err: counted(self.err), size: self.size, events: self.events.map(counted) }
    }
}

struct Counted {
    stream: Box<dyn Write + Send>,
    progress: Progress,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        self.progress.0.fetch_add(1, Ordering::Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Arc<Event>>,
    tick: Option<u64>,
    asked: bool,
    over: bool,
}

/// What a reporter is told next.
enum Next {
    Event(Arc<Event>),
    Tick(u64),
    ShowRunning,
    Finish,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut self.lock());
        self.came.notify_one();
    }

    fn next(&self) -> Next {
        let mut queue = self.lock();
        loop {
            if let Some(event) = queue.events.pop_front() {
                return Next::Event(event);
            }
            if let Some(now) = queue.tick.take() {
                return Next::Tick(now);
            }
            if std::mem::take(&mut queue.asked) {
                return Next::ShowRunning;
            }
            if queue.over {
                return Next::Finish;
            }
            queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queue {
    /// Adds an event; growth of a log that is still to be shown becomes growth to the new size.
    fn add(&mut self, event: Arc<Event>) {
        if let Fact::OutputGrew { session, attempt, to, .. } = &event.fact {
            let waits = self.events.iter_mut().rev().find(|waiting| is_growth_of(waiting, session, *attempt));
            if let Some(waits) = waits
                && let Fact::OutputGrew { to: end, .. } = &mut Arc::make_mut(waits).fact
            {
                *end = *to;
                return;
            }
        }
        self.events.push_back(event);
    }
}

fn is_growth_of(event: &Event, name: &crate::project::SessionName, number: u32) -> bool {
    matches!(&event.fact, Fact::OutputGrew { session, attempt, .. } if session == name && *attempt == number)
}

impl Showing {
    /// Has the reporter show a run whose folder is `folder`; `progress` counts what its streams take.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn begin(mut reporter: Box<dyn Reporter>, folder: PathBuf, progress: Progress) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let queue = Arc::clone(&shared);
        let (alive, over) = channel();
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            // Dropped when this thread is over, by a panic too.
            let _alive: std::sync::mpsc::Sender<()> = alive;
            let mut trouble = None;
            loop {
                let next = queue.next();
                let last = matches!(next, Next::Finish);
                // One that failed is asked no more; what comes is taken all the same, so that the queue stays short.
                if trouble.is_none() {
                    let shown = match next {
                        Next::Event(event) => reporter.event(&event, &folder),
                        Next::Tick(now) => reporter.tick(now),
                        Next::ShowRunning => reporter.show_running(),
                        Next::Finish => reporter.finish(),
                    };
                    trouble = shown.err();
                }
                if last {
                    return trouble;
                }
            }
        })?;
        Ok(Self { shared, progress, over, thread })
    }

    /// Shows an event, soon.
    pub fn event(&self, event: Arc<Event>) {
        self.shared.tell(|queue| queue.add(event));
    }

    /// Time has passed.
    pub fn tick(&self, now: u64) {
        self.shared.tell(|queue| queue.tick = Some(now));
    }

    /// Somebody asked what runs now.
    pub fn show_running(&self) {
        self.shared.tell(|queue| queue.asked = true);
    }

    /// Nothing more comes.
    pub fn over(&self) {
        self.shared.tell(|queue| queue.over = true);
    }

    /// Waits until all is shown, and gives what went wrong.
    ///
    /// With a patience it waits no longer than that for a reader that takes nothing.
    ///
    /// # Errors
    /// When nobody took anything for so long; what was not shown is lost.
    pub fn end(self, patience: Option<Duration>) -> Result<Option<io::Error>, Stuck> {
        self.over();
        let mut before = self.progress.0.load(Ordering::Relaxed);
        loop {
            let waited = match patience {
                Some(patience) => self.over.recv_timeout(patience),
                None => self.over.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if waited != Err(RecvTimeoutError::Timeout) {
                // A panic over there is one here.
                return Ok(self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            let now = self.progress.0.load(Ordering::Relaxed);
            if std::mem::replace(&mut before, now) == now {
                return Err(Stuck);
            }
        }
    }
}

/// Nobody reads what is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the output")]
pub struct Stuck;

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

    impl Reporter for Noted {
        fn event(&mut self, event: &Event, _: &Path) -> io::Result<()> {
            match &event.fact {
                Fact::OutputGrew { session, from, to, .. } => self.note(format!("{session} {from}..{to}")),
                Fact::Notice { text } if text == "fail" => Err(io::Error::other("as told")),
                Fact::Notice { text } if text == "panic" => panic!("as told"),
                Fact::Notice { text } => self.note(text.clone()),
                _ => Ok(()),
            }
        }

        fn tick(&mut self, now: u64) -> io::Result<()> {
            self.note(format!("tick {now}"))
        }

        fn show_running(&mut self) -> io::Result<()> {
            self.note("running".to_owned())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.note("finish".to_owned())
        }
    }

    fn begin() -> (Showing, Receiver<String>, std::sync::mpsc::SyncSender<()>) {
        let (tell, told) = channel();
        let (allow, may) = sync_channel(99);
        let reporter = Box::new(Noted(tell, may));
        (Showing::begin(reporter, PathBuf::new(), Progress::default()).unwrap(), told, allow)
    }

    fn notice(text: &str) -> Arc<Event> {
        Arc::new(Event { at: 1, fact: Fact::Notice { text: text.to_owned() } })
    }

    fn grew(name: &str, attempt: u32, from: u64, to: u64) -> Arc<Event> {
        let session = SessionName::new(name);
        Arc::new(Event { at: 1, fact: Fact::OutputGrew { session, attempt, from, to } })
    }

    #[test]
    fn what_waits_is_told_in_order_and_growth_becomes_one() {
        let (showing, told, allow) = begin();
        showing.event(notice("one"));
        for (at, name) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
            let at = at as u64;
            showing.event(grew(name, 1, at, at + 1));
            showing.tick(at);
        }
        showing.event(grew("a", 2, 0, 9));
        showing.show_running();
        showing.over();
        drop(allow);
        assert_eq!(showing.end(None).unwrap().map(|error| error.to_string()), None);
        let told: Vec<String> = told.iter().collect();
        let tail = ["a 0..9", "tick 4", "running", "finish"];
        // The first may have been taken off the queue before the others came.
        assert_eq!(told, [&["one", "a 0..4", "b 1..5"][..], &tail].concat());
    }

    #[test]
    fn one_that_fails_is_asked_no_more() {
        let (showing, told, allow) = begin();
        drop(allow);
        showing.event(notice("fail"));
        showing.event(notice("more"));
        showing.tick(3);
        let trouble = showing.end(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(trouble.unwrap().to_string(), "as told");
        assert_eq!(told.iter().count(), 0);
    }

    #[test]
    fn one_that_nobody_reads_is_left_and_one_that_moves_is_not() {
        let (showing, _told, allow) = begin();
        showing.event(notice("stuck"));
        assert_eq!(showing.end(Some(Duration::from_millis(1))).unwrap_err(), Stuck);
        drop(allow);
        let (showing, told, allow) = begin();
        let mut streams = Streams {
            out: Box::new(io::sink()),
            err: Box::new(io::sink()),
            size: Arc::new(|| None),
            events: Some(Box::new(io::sink())),
        }
        .counted(&showing.progress);
        showing.event(notice("slow"));
        let moving = std::thread::spawn(move || {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(5));
                streams.out.write_all(b"x").unwrap();
                streams.out.flush().unwrap();
            }
            drop(allow);
        });
        assert!(showing.end(Some(Duration::from_secs(20))).is_ok());
        moving.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["slow", "finish"]);
    }

    #[test]
    #[should_panic(expected = "as told")]
    fn its_panic_is_ours() {
        let (showing, ..) = begin();
        showing.event(notice("panic"));
        let _ = showing.end(None);
    }
}

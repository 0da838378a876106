//! Session logs: output goes to disk as it comes, in bounded memory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::SecretRedactor;

/// Bytes read at once.
const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Maximum number of chunks to read after a stop was requested: more than a pipe can hold.
const MAX_CHUNKS_AFTER_STOP: usize = 32;

/// A thread that writes one attempt's output to its log file.
#[derive(Debug)]
pub(crate) struct LogWriter {
    written: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    stop: Option<OwnedFd>,
    ended: Receiver<Option<io::Error>>,
}

impl LogWriter {
    /// Writes `source` to a new file at `path`, and to `copy` if given.
    ///
    /// `closed` is called once, when every process has closed the output or [`LogWriter::finish`] was called.
    ///
    /// A file that cannot be created (disk full, directory deleted) is reported at the end and does not stop the
    /// session.
    ///
    /// # Errors
    /// When no thread or pipe can be created.
    pub(crate) fn spawn_writer(
        source: OwnedFd,
        path: &Path,
        copy: Option<&Path>,
        redactor: SecretRedactor,
        closed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let mut first_error = None;
        let mut open = |path: &Path| create_log_file(path).map_err(|error| first_error.get_or_insert(error)).ok();
        let (log, copy) = (open(path), copy.and_then(open));
        let (wake, stop) = io::pipe()?;
        let (written, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut copier = LogCopier {
            source,
            wake: wake.into(),
            log,
            copy,
            redactor,
            held_back: Vec::new(),
            written: Arc::clone(&written),
            received: Arc::clone(&received),
            first_error,
        };
        let (report, ended) = channel();
        run_on_thread(Box::new(move || {
            copier.copy_output();
            closed();
            // Sending fails if the `LogWriter` was dropped.
            let _ = report.send(copier.first_error);
        }))?;
        Ok(Self { written, received, stop: Some(stop.into()), ended })
    }

    /// Returns the size of the log file so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the bytes received so far, whether or not they are on disk yet.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Reads the buffered output and stops, even if a process still has the output open; returns the size of the log.
    ///
    /// # Errors
    /// The first write error; it did not stop the session.
    pub(crate) fn finish(mut self) -> (u64, io::Result<()>) {
        drop(self.stop.take());
        let first_error = self.ended.recv().ok().flatten();
        (self.written_bytes(), first_error.map_or(Ok(()), Err))
    }
}

type LogTask = Box<dyn FnOnce() + Send>;

/// Threads that wait for the next log. Starting a thread for each log would take a sixth of noxide's time per session.
static IDLE_THREADS: Mutex<Vec<Sender<LogTask>>> = Mutex::new(Vec::new());

/// Runs a task on an idle thread or a new one.
fn run_on_thread(task: LogTask) -> io::Result<()> {
    let gone = |_| io::Error::other("an idle log thread is gone");
    if let Some(idle) = { IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
        return idle.send(task).map_err(gone);
    }
    let (sender, tasks) = channel::<LogTask>();
    sender.send(task).map_err(gone)?;
    let work = move || {
        for task in tasks {
            task();
            IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(sender.clone());
        }
    };
    std::thread::Builder::new().name("log".to_owned()).stack_size(256 * 1024).spawn(work)?;
    Ok(())
}

/// Creates a file, and its directory if a session deleted it (`git clean`).
fn create_log_file(path: &Path) -> io::Result<File> {
    match fs_err::File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs_err::create_dir_all(path.parent().unwrap_or(path))?;
            Ok(fs_err::File::create(path)?.into())
        }
        created => Ok(created?.into()),
    }
}

struct LogCopier {
    source: OwnedFd,
    wake: OwnedFd,
    log: Option<File>,
    copy: Option<File>,
    redactor: SecretRedactor,
    held_back: Vec<u8>,
    written: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    first_error: Option<io::Error>,
}

impl LogCopier {
    fn copy_output(&mut self) {
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        // Chunks left to read after a stop was requested: a process that writes without end must not delay the stop.
        let mut chunks_left: Option<usize> = None;
        loop {
            let mut poll_fds = [PollFd::new(&self.source, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut poll_fds, chunks_left.map(|_| &at_once)) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(_) => {}
            }
            let (readable, stop_requested) = (!poll_fds[0].revents().is_empty(), !poll_fds[1].revents().is_empty());
            if readable {
                match rustix::io::read(&self.source, &mut chunk) {
                    Ok(0) => break,
                    Ok(count) => {
                        self.received.fetch_add(count as u64, Ordering::Release);
                        self.write_redacted(&chunk[..count], false);
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // A pseudo-terminal gives EIO where a pipe gives the end of file.
                    Err(_) => break,
                }
            }
            match &mut chunks_left {
                None if stop_requested => chunks_left = Some(MAX_CHUNKS_AFTER_STOP),
                None => {}
                Some(0) => break,
                Some(_) if !readable => break,
                Some(chunks) => *chunks -= 1,
            }
        }
        self.write_redacted(&[], true);
    }

    /// Writes to log and copy. One that fails (disk full) is closed; the session goes on.
    fn write_redacted(&mut self, bytes: &[u8], last: bool) {
        let bytes = self.redactor.redact_chunk(&mut self.held_back, bytes, last);
        for file in [&mut self.log, &mut self.copy] {
            if let Some(Err(error)) = file.as_mut().map(|file| file.write_all(&bytes)) {
                *file = None;
                self.first_error.get_or_insert(error);
            }
        }
        if self.log.is_some() {
            self.written.fetch_add(bytes.len() as u64, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::process::open_output_channel;
    use std::sync::mpsc;

    #[test]
    fn bytes_reach_log_and_copy_and_the_end_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let (path, copy) = (directory.path().join("a.log"), directory.path().join("b.log"));
        let channel = open_output_channel(None).unwrap();
        let (sender, receiver) = mpsc::channel();
        let closed = move || sender.send(()).unwrap();
        let log = LogWriter::spawn_writer(channel.read, &path, Some(&copy), SecretRedactor::default(), closed).unwrap();
        rustix::io::write(&channel.write, b"one\xfftwo").unwrap();
        drop(channel.write);
        receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        let (bytes, result) = log.finish();
        assert!(result.is_ok());
        assert_eq!(bytes, 7);
        assert_eq!(fs_err::read(&path).unwrap(), b"one\xfftwo");
        assert_eq!(fs_err::read(&copy).unwrap(), b"one\xfftwo");
    }

    #[test]
    fn stops_while_a_process_still_writes() {
        let directory = tempfile::tempdir().unwrap();
        let channel = open_output_channel(None).unwrap();
        let mut child = std::process::Command::new("yes").stdout(channel.write).spawn().unwrap();
        let log = LogWriter::spawn_writer(
            channel.read,
            &directory.path().join("a.log"),
            None,
            SecretRedactor::default(),
            || (),
        )
        .unwrap();
        while log.written_bytes() == 0 {
            std::thread::yield_now();
        }
        let (bytes, result) = log.finish();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(bytes > 0 && result.is_ok());
    }

    #[test]
    fn a_full_disk_is_reported_and_never_blocks_the_session() {
        let channel = open_output_channel(None).unwrap();
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(full, directory.path().join("a.log")).unwrap();
        let log = LogWriter::spawn_writer(
            channel.read,
            &directory.path().join("a.log"),
            None,
            SecretRedactor::default(),
            || (),
        )
        .unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&channel.write, rest).unwrap()..];
        }
        let (bytes, result) = log.finish();
        assert_eq!(bytes, 0);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

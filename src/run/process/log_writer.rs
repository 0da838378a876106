//! A session's log: bytes go from its output to disk as they come, in bounded memory.

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

/// How much is read at once.
const READ_CHUNK_BYTES: usize = 64 * 1024;

/// How many chunks are read at most once told to stop: more than a pipe holds.
const MAX_CHUNKS_AFTER_STOP: usize = 32;

/// A thread that carries one attempt's output to its log file.
#[derive(Debug)]
pub(crate) struct LogWriter {
    written: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    stop: Option<OwnedFd>,
    ended: Receiver<Option<io::Error>>,
}

impl LogWriter {
    /// Follows `source` into a new file at `path`, and into `copy` as well where one is asked for.
    ///
    /// `closed` is called once, when the last process that held the output is gone or [`Log::finish`] said stop.
    ///
    /// A file that cannot be made (disk full, its folder swept away) is told of at the end: no reason not to run.
    ///
    /// # Errors
    /// When no thread or pipe can be had.
    pub(crate) fn spawn_writer(
        source: OwnedFd,
        path: &Path,
        copy: Option<&Path>,
        mask: SecretRedactor,
        closed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let mut trouble = None;
        let mut open = |path: &Path| create_log_file(path).map_err(|error| trouble.get_or_insert(error)).ok();
        let (log, copy) = (open(path), copy.and_then(open));
        let (wake, stop) = io::pipe()?;
        let (bytes, heard) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut carrier = LogCopier {
            source,
            wake: wake.into(),
            log,
            copy,
            redactor: mask,
            held_back: Vec::new(),
            written: Arc::clone(&bytes),
            received: Arc::clone(&heard),
            first_error: trouble,
        };
        let (tell, ended) = channel();
        run_on_thread(Box::new(move || {
            carrier.copy_output();
            closed();
            // Whoever dropped the log does not ask.
            let _ = tell.send(carrier.first_error);
        }))?;
        Ok(Self { written: bytes, received: heard, stop: Some(stop.into()), ended })
    }

    /// Bytes in the log file so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Bytes that came so far, whether the disk took them or not.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Takes what is there, stops reading even where a process still holds the output, and gives the log's size.
    ///
    /// # Errors
    /// The first thing that went wrong on disk; the session itself was never stopped by it.
    pub(crate) fn finish(mut self) -> (u64, io::Result<()>) {
        drop(self.stop.take());
        let trouble = self.ended.recv().ok().flatten();
        (self.written_bytes(), trouble.map_or(Ok(()), Err))
    }
}

type LogTask = Box<dyn FnOnce() + Send>;

/// Threads that carried a log and wait for the next: new ones would be a sixth of what noxide spends on a session.
static IDLE_THREADS: Mutex<Vec<Sender<LogTask>>> = Mutex::new(Vec::new());

/// Has a thread do this, one that waits or a new one.
fn run_on_thread(job: LogTask) -> io::Result<()> {
    let gone = |_| io::Error::other("a thread that waited is gone");
    if let Some(idle) = { IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
        return idle.send(job).map_err(gone);
    }
    let (sender, jobs) = channel::<LogTask>();
    sender.send(job).map_err(gone)?;
    let work = move || {
        for job in jobs {
            job();
            IDLE_THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(sender.clone());
        }
    };
    std::thread::Builder::new().name("log".to_owned()).stack_size(256 * 1024).spawn(work)?;
    Ok(())
}

/// A new file; its folder is made again where a session swept it away (`git clean`).
fn create_log_file(path: &Path) -> io::Result<File> {
    match fs_err::File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs_err::create_dir_all(path.parent().unwrap_or(path))?;
            Ok(fs_err::File::create(path)?.into())
        }
        made => Ok(made?.into()),
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
        // How much more is read once told to stop: a process that writes without end must not keep us here.
        let mut left: Option<usize> = None;
        loop {
            let mut ends = [PollFd::new(&self.source, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut ends, left.map(|_| &at_once)) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(_) => {}
            }
            let (readable, told) = (!ends[0].revents().is_empty(), !ends[1].revents().is_empty());
            if readable {
                match rustix::io::read(&self.source, &mut chunk) {
                    Ok(0) => break,
                    Ok(count) => {
                        self.received.fetch_add(count as u64, Ordering::Release);
                        self.write_redacted(&chunk[..count], false);
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // A pseudo-terminal whose last holder is gone says EIO where a pipe says end.
                    Err(_) => break,
                }
            }
            match &mut left {
                None if told => left = Some(MAX_CHUNKS_AFTER_STOP),
                None => {}
                Some(0) => break,
                Some(_) if !readable => break,
                Some(left) => *left -= 1,
            }
        }
        self.write_redacted(&[], true);
    }

    /// Writes to log and copy. One that refuses (disk full) is given up; the session goes on.
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
    fn bytes_reach_log_and_copy_and_the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("a.log"), folder.path().join("b.log"));
        let channel = open_output_channel(None).unwrap();
        let (tell, told) = mpsc::channel();
        let closed = move || tell.send(()).unwrap();
        let log = LogWriter::spawn_writer(channel.read, &path, Some(&copy), SecretRedactor::default(), closed).unwrap();
        rustix::io::write(&channel.write, b"one\xfftwo").unwrap();
        drop(channel.write);
        told.recv().unwrap();
        let (bytes, trouble) = log.finish();
        assert!(trouble.is_ok());
        assert_eq!(bytes, 7);
        assert_eq!(fs_err::read(&path).unwrap(), b"one\xfftwo");
        assert_eq!(fs_err::read(&copy).unwrap(), b"one\xfftwo");
    }

    #[test]
    fn stops_though_a_process_holds_the_output_and_writes_on() {
        let folder = tempfile::tempdir().unwrap();
        let channel = open_output_channel(None).unwrap();
        let mut child = std::process::Command::new("yes").stdout(channel.write).spawn().unwrap();
        let log =
            LogWriter::spawn_writer(channel.read, &folder.path().join("a.log"), None, SecretRedactor::default(), || ())
                .unwrap();
        while log.written_bytes() == 0 {
            std::thread::yield_now();
        }
        let (bytes, trouble) = log.finish();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(bytes > 0 && trouble.is_ok());
    }

    #[test]
    fn a_full_disk_is_told_and_never_blocks_the_session() {
        let channel = open_output_channel(None).unwrap();
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(full, folder.path().join("a.log")).unwrap();
        let log =
            LogWriter::spawn_writer(channel.read, &folder.path().join("a.log"), None, SecretRedactor::default(), || ())
                .unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(&channel.write, rest).unwrap()..];
        }
        let (bytes, trouble) = log.finish();
        assert_eq!(bytes, 0);
        assert_eq!(trouble.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

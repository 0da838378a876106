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

use super::Mask;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// How many chunks are read at most once told to stop: more than a pipe holds.
const CHUNKS_AFTER_STOP: usize = 32;

/// A thread that carries one attempt's output to its log file.
#[derive(Debug)]
pub struct Log {
    bytes: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
    stop: Option<OwnedFd>,
    ended: Receiver<Option<io::Error>>,
}

impl Log {
    /// Follows `source` into a new file at `path`, and into `copy` as well where one is asked for.
    ///
    /// `closed` is called once, when the last process that held the output is gone or [`Log::finish`] said stop.
    ///
    /// A file that cannot be made (disk full, its folder swept away) is told of at the end: no reason not to run.
    ///
    /// # Errors
    /// When no thread or pipe can be had.
    pub fn follow(
        source: OwnedFd,
        path: &Path,
        copy: Option<&Path>,
        mask: Mask,
        closed: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let mut trouble = None;
        let mut open = |path: &Path| create(path).map_err(|error| trouble.get_or_insert(error)).ok();
        let (log, copy) = (open(path), copy.and_then(open));
        let (wake, stop) = io::pipe()?;
        let (bytes, heard) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut carrier = Carrier {
            source,
            wake: wake.into(),
            log,
            copy,
            mask,
            held: Vec::new(),
            bytes: Arc::clone(&bytes),
            heard: Arc::clone(&heard),
            trouble,
        };
        let (tell, ended) = channel();
        on_thread(Box::new(move || {
            carrier.carry();
            closed();
            // Whoever dropped the log does not ask.
            let _ = tell.send(carrier.trouble);
        }))?;
        Ok(Self { bytes, heard, stop: Some(stop.into()), ended })
    }

    /// Bytes in the log file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Bytes that came so far, whether the disk took them or not.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// Takes what is there, stops reading even where a process still holds the output, and gives the log's size.
    ///
    /// # Errors
    /// The first thing that went wrong on disk; the session itself was never stopped by it.
    pub fn finish(mut self) -> (u64, io::Result<()>) {
        drop(self.stop.take());
        let trouble = self.ended.recv().ok().flatten();
        (self.bytes(), trouble.map_or(Ok(()), Err))
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that carried a log and wait for the next: new ones would be a sixth of what noxide spends on a session.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// Has a thread do this, one that waits or a new one.
fn on_thread(job: Job) -> io::Result<()> {
    let gone = |_| io::Error::other("a thread that waited is gone");
    if let Some(idle) = { IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
        return idle.send(job).map_err(gone);
    }
    let (sender, jobs) = channel::<Job>();
    sender.send(job).map_err(gone)?;
    let work = move || {
        for job in jobs {
            job();
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(sender.clone());
        }
    };
    std::thread::Builder::new().name("log".to_owned()).stack_size(256 * 1024).spawn(work)?;
    Ok(())
}

/// A new file; its folder is made again where a session swept it away (`git clean`).
fn create(path: &Path) -> io::Result<File> {
    match fs_err::File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs_err::create_dir_all(path.parent().unwrap_or(path))?;
            Ok(fs_err::File::create(path)?.into())
        }
        made => Ok(made?.into()),
    }
}

struct Carrier {
    source: OwnedFd,
    wake: OwnedFd,
    log: Option<File>,
    copy: Option<File>,
    mask: Mask,
    held: Vec<u8>,
    bytes: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
    trouble: Option<io::Error>,
}

impl Carrier {
    fn carry(&mut self) {
        let mut chunk = vec![0; CHUNK];
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
                        self.heard.fetch_add(count as u64, Ordering::Release);
                        self.write(&chunk[..count], false);
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    // A pseudo-terminal whose last holder is gone says EIO where a pipe says end.
                    Err(_) => break,
                }
            }
            match &mut left {
                None if told => left = Some(CHUNKS_AFTER_STOP),
                None => {}
                Some(0) => break,
                Some(_) if !readable => break,
                Some(left) => *left -= 1,
            }
        }
        self.write(&[], true);
    }

    /// Writes to log and copy. One that refuses (disk full) is given up; the session goes on.
    fn write(&mut self, bytes: &[u8], last: bool) {
        let bytes = self.mask.pass(&mut self.held, bytes, last);
        for file in [&mut self.log, &mut self.copy] {
            if let Some(Err(error)) = file.as_mut().map(|file| file.write_all(&bytes)) {
                *file = None;
                self.trouble.get_or_insert(error);
            }
        }
        if self.log.is_some() {
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::process::open_channel;
    use std::sync::mpsc;

    #[test]
    fn bytes_reach_log_and_copy_and_the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("a.log"), folder.path().join("b.log"));
        let channel = open_channel(None).unwrap();
        let (tell, told) = mpsc::channel();
        let closed = move || tell.send(()).unwrap();
        let log = Log::follow(channel.read, &path, Some(&copy), Mask::default(), closed).unwrap();
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
        let channel = open_channel(None).unwrap();
        let mut child = std::process::Command::new("yes").stdout(channel.write).spawn().unwrap();
        let log = Log::follow(channel.read, &folder.path().join("a.log"), None, Mask::default(), || ()).unwrap();
        while log.bytes() == 0 {
            std::thread::yield_now();
        }
        let (bytes, trouble) = log.finish();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(bytes > 0 && trouble.is_ok());
    }

    #[test]
    fn a_full_disk_is_told_and_never_blocks_the_session() {
        let channel = open_channel(None).unwrap();
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(full, folder.path().join("a.log")).unwrap();
        let log = Log::follow(channel.read, &folder.path().join("a.log"), None, Mask::default(), || ()).unwrap();
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

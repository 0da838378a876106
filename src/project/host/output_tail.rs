//! Last part of a process's output, in bounded memory.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{ioctl_fionread, retry_on_intr};

/// Maximum number of bytes to store: noxfiles may print megabytes while they load.
const MAX_TAIL_BYTES: usize = 64 * 1024;

/// The tail of a pipe, read by a thread of its own.
#[derive(Debug)]
pub(super) struct OutputTail {
    tail: Arc<Mutex<PipeTail>>,
    ended: Receiver<()>,
}

/// A pipe and the last bytes that were read from it.
#[derive(Debug)]
struct PipeTail {
    pipe: PipeReader,
    bytes: VecDeque<u8>,
    /// Whether earlier bytes were dropped.
    is_cut: bool,
}

impl PipeTail {
    /// Reads what the pipe has buffered, without waiting for more. Returns whether there was anything.
    fn read_buffered(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 8192];
        let mut found = false;
        while ioctl_fionread(&self.pipe)? > 0 {
            let size = self.pipe.read(&mut chunk)?;
            let surplus = (self.bytes.len() + size).saturating_sub(MAX_TAIL_BYTES);
            self.is_cut |= surplus > 0;
            self.bytes.drain(..surplus);
            self.bytes.extend(&chunk[..size]);
            found = true;
        }
        Ok(found)
    }
}

impl OutputTail {
    /// Starts to read `pipe`; the thread ends when the last process closes the other end.
    pub(super) fn follow(pipe: PipeReader) -> io::Result<Self> {
        let polled = pipe.try_clone()?;
        let tail =
            Arc::new(Mutex::new(PipeTail { pipe, bytes: VecDeque::with_capacity(MAX_TAIL_BYTES), is_cut: false }));
        let (sender, ended) = sync_channel(1);
        let target = Arc::clone(&tail);
        thread::spawn(move || {
            loop {
                // Without the lock, because this waits. It also reports the end of the pipe.
                let mut ends = [PollFd::new(&polled, PollFlags::IN)];
                if retry_on_intr(|| poll(&mut ends, None)).is_err() {
                    break;
                }
                let has_ended = ends[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
                match target.lock().unwrap_or_else(PoisonError::into_inner).read_buffered() {
                    Ok(true) => {}
                    Ok(false) if !has_ended => {}
                    Ok(false) | Err(_) => break,
                }
            }
            sender.send(()).ok();
        });
        Ok(Self { tail, ended })
    }

    fn lock_tail(&self) -> MutexGuard<'_, PipeTail> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.read_buffered().ok(); // the thread may not have read it yet
        tail
    }

    /// Returns the tail so far, as text: everything that was written before this call.
    pub(super) fn text(&self) -> String {
        let tail = self.lock_tail();
        let bytes: Vec<u8> = tail.bytes.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns whether the output is longer than its tail.
    pub(super) fn is_cut(&self) -> bool {
        self.lock_tail().is_cut
    }

    /// Returns the tail once the pipe is closed, or after `timeout`: a child process may leave it open forever.
    pub(super) fn final_text(&self, timeout: Duration) -> String {
        self.ended.recv_timeout(timeout).ok();
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_the_tail_is_stored() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let tail = OutputTail::follow(reader).unwrap();
        for _ in 0..40 {
            writer.write_all(&[b'x'; 8192]).unwrap();
        }
        writer.write_all("the end é\n".as_bytes()).unwrap();
        drop(writer);
        let text = tail.final_text(Duration::from_secs(20));
        assert!(tail.is_cut());
        assert_eq!(text.len(), MAX_TAIL_BYTES);
        assert!(text.ends_with("xthe end é\n"));
    }

    #[test]
    fn a_pipe_that_stays_open_is_read_up_to_the_timeout() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let tail = OutputTail::follow(reader).unwrap();
        writer.write_all(b"so far").unwrap();
        assert_eq!(tail.text(), "so far", "all that was written is read");
        writer.write_all(b", and on").unwrap();
        assert_eq!(tail.final_text(Duration::from_millis(1)), "so far, and on");
        assert!(!tail.is_cut());
    }
}

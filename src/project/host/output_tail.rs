//! Last part of a process's output, in bounded memory.

use std::collections::VecDeque;
use std::io::{PipeReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of bytes to store: noxfiles may print megabytes while they load.
const MAX_TAIL_BYTES: usize = 64 * 1024;

/// The tail of a pipe, read by a thread of its own.
#[derive(Debug)]
pub(super) struct OutputTail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    ended: Receiver<()>,
}

impl OutputTail {
    /// Starts to read `pipe`; the thread ends when the last process closes the other end.
    pub(super) fn follow(mut pipe: PipeReader) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(MAX_TAIL_BYTES)));
        let (sender, ended) = sync_channel(1);
        let target = Arc::clone(&tail);
        thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(size @ 1..) = pipe.read(&mut chunk) {
                let mut tail = target.lock().unwrap_or_else(PoisonError::into_inner);
                let surplus = (tail.len() + size).saturating_sub(MAX_TAIL_BYTES);
                tail.drain(..surplus);
                tail.extend(&chunk[..size]);
            }
            sender.send(()).ok();
        });
        Self { bytes: tail, ended }
    }

    /// Returns the tail so far, as text.
    pub(super) fn text(&self) -> String {
        let tail = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
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
        let tail = OutputTail::follow(reader);
        for _ in 0..40 {
            writer.write_all(&[b'x'; 8192]).unwrap();
        }
        writer.write_all("the end é\n".as_bytes()).unwrap();
        drop(writer);
        let text = tail.final_text(Duration::from_secs(20));
        assert_eq!(text.len(), MAX_TAIL_BYTES);
        assert!(text.ends_with("xthe end é\n"));
    }

    #[test]
    fn a_pipe_that_stays_open_is_read_up_to_the_timeout() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let tail = OutputTail::follow(reader);
        writer.write_all(b"so far").unwrap();
        while tail.text().is_empty() {
            thread::yield_now();
        }
        assert_eq!(tail.final_text(Duration::from_millis(1)), "so far");
    }
}

//! Writer that stays silent after its stream is closed, so that a closed pipe never fails a run.

use std::io::{self, BufWriter, Write};

/// A buffered writer that discards everything after its first error; an error other than a closed pipe is returned once.
pub(crate) struct BestEffortWriter {
    writer: BufWriter<Box<dyn Write + Send>>,
    closed: bool,
}

impl BestEffortWriter {
    pub(crate) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self { writer: BufWriter::with_capacity(32 * 1024, writer), closed: false }
    }

    /// Writes text and a line end.
    pub(crate) fn write_line(&mut self, text: &str) -> io::Result<()> {
        self.write_text(&format!("{text}\n"))
    }

    /// Writes text unchanged.
    pub(crate) fn write_text(&mut self, text: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.writer.write_all(text.as_bytes());
        self.close_on_error(written)
    }

    /// Flushes the buffer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.writer.flush();
        self.close_on_error(flushed)
    }

    fn close_on_error(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                self.closed = true;
                if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer whose content tests can read.
    #[derive(Clone, Default)]
    pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

    impl Capture {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer that fails after a number of bytes.
    pub(crate) struct Failing(pub(crate) usize, pub(crate) io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let accepted = bytes.len().min(self.0);
            self.0 -= accepted;
            Ok(accepted)
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.1.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let mut writer = BestEffortWriter::new(Box::new(Failing(3, io::ErrorKind::BrokenPipe)));
        writer.write_line("one").unwrap();
        writer.flush().unwrap();
        assert!(writer.closed);
        writer.write_line("two").unwrap();
        writer.flush().unwrap();
    }

    #[test]
    fn a_full_disk_is_reported_once() {
        let mut writer = BestEffortWriter::new(Box::new(Failing(0, io::ErrorKind::StorageFull)));
        assert!(writer.write_line(&"x".repeat(99_999)).is_err());
        assert!(writer.write_line("two").is_ok());
        let mut writer = BestEffortWriter::new(Box::new(Failing(9, io::ErrorKind::StorageFull)));
        writer.write_line("one").unwrap();
        assert!(writer.flush().is_err());
        assert!(writer.flush().is_ok());
    }
}

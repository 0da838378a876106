//! Event fan-out to the recorder and the reporters of a run.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::event_reporter::EventReporter;
use super::reporter_thread::{ReporterThread, WriteCounter};
use crate::record::{EventSubscriber, RunEvent, RunRecorder};

/// An interrupted run waits this long for a blocked reader of its output.
const BLOCKED_READER_TIMEOUT: Duration = Duration::from_secs(2);

/// The recorder and the reporters of one run. The recorder is called directly, each reporter on its own thread: a reader
/// that stops reading delays neither the run nor the record.
pub(crate) struct Subscribers {
    /// Writes the run to disk.
    pub(crate) recorder: RunRecorder,
    reporters: Vec<ReporterThread>,
    /// Errors of the recorder and the reporters, to print after the run.
    pub(crate) warnings: Vec<String>,
}

impl Subscribers {
    /// Starts the reporters; `write_counter` counts the writes to their streams.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn new(
        recorder: RunRecorder,
        reporters: Vec<Box<dyn EventReporter>>,
        write_counter: &WriteCounter,
    ) -> io::Result<Self> {
        let spawn = |reporter| ReporterThread::spawn(reporter, recorder.run_dir().to_path_buf(), write_counter.clone());
        let reporters = reporters.into_iter().map(spawn).collect::<io::Result<_>>()?;
        Ok(Self { recorder, reporters, warnings: Vec::new() })
    }

    /// Writes the final record.
    pub(crate) fn close_record(&mut self) {
        if let Err(error) = self.recorder.write_final_record() {
            self.warnings.push(format!("cannot write the record: {error}"));
        }
    }

    /// Waits until the reporters have printed everything, and returns the warnings; none if the reader is blocked.
    ///
    /// An interrupted run does not wait for a reader that stopped reading.
    pub(crate) fn finish_reporters(mut self, is_interrupted: bool) -> Vec<String> {
        let timeout = is_interrupted.then_some(BLOCKED_READER_TIMEOUT);
        self.reporters.iter().for_each(ReporterThread::close);
        let mut is_blocked = false;
        for reporter in self.reporters {
            match reporter.join(timeout) {
                Ok(error) => self.warnings.extend(error.map(|error| format!("cannot write output: {error}"))),
                Err(_) => is_blocked = true,
            }
        }
        // Standard error may be the same pipe.
        if is_blocked { Vec::new() } else { self.warnings }
    }
}

impl EventSubscriber for Subscribers {
    fn on_event(&mut self, event: &RunEvent) {
        self.recorder.record_event(event);
        self.warnings.extend(self.recorder.take_disk_error());
        let event = Arc::new(event.clone());
        self.reporters.iter().for_each(|reporter| reporter.send_event(Arc::clone(&event)));
    }

    fn on_tick(&mut self, now: u64) {
        self.reporters.iter().for_each(|reporter| reporter.send_tick(now));
    }

    fn on_status_request(&mut self) {
        self.reporters.iter().for_each(ReporterThread::request_show_running);
    }
}

//! Who watches a run: the recorder and the reporters, all told the same.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::output::{EventReporter, ReporterThread, WriteCounter};
use crate::record::{EventSubscriber, RunEvent, RunRecorder};

/// How long the end of a run that was told to end waits for a reader that takes nothing.
const STUCK_READER_TIMEOUT: Duration = Duration::from_secs(2);

/// The recorder and the reporters of one run. The recorder is told at once, each reporter on a thread of its own: a
/// reader that takes nothing holds up neither the run nor the record.
pub(super) struct Subscribers {
    /// Keeps the run on disk.
    pub(super) recorder: RunRecorder,
    reporters: Vec<ReporterThread>,
    /// What went wrong in showing and recording; said when the run is over.
    pub(super) warnings: Vec<String>,
}

impl Subscribers {
    /// An audience of these; `progress` counts what the reporters' streams take.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn new(
        recorder: RunRecorder,
        reporters: Vec<Box<dyn EventReporter>>,
        progress: &WriteCounter,
    ) -> io::Result<Self> {
        let begin = |reporter| ReporterThread::spawn(reporter, recorder.run_dir().to_path_buf(), progress.clone());
        let showings = reporters.into_iter().map(begin).collect::<io::Result<_>>()?;
        Ok(Self { recorder, reporters: showings, warnings: Vec::new() })
    }

    /// The run is over: the record is written.
    pub(super) fn close_record(&mut self) {
        if let Err(error) = self.recorder.write_final_record() {
            self.warnings.push(format!("the record could not be written: {error}"));
        }
    }

    /// Waits until all is shown and screens are left as they were; gives what went wrong, where anybody reads.
    ///
    /// A run that was told to end does not wait for a reader that takes nothing.
    pub(super) fn finish_reporters(mut self, told_to_end: bool) -> Vec<String> {
        let patience = told_to_end.then_some(STUCK_READER_TIMEOUT);
        self.reporters.iter().for_each(ReporterThread::close);
        let mut stuck = false;
        for showing in self.reporters {
            match showing.join(patience) {
                Ok(trouble) => self.warnings.extend(trouble.map(|error| format!("output: {error}"))),
                Err(_) => stuck = true,
            }
        }
        // The error stream may be the same pipe.
        if stuck { Vec::new() } else { self.warnings }
    }
}

impl EventSubscriber for Subscribers {
    fn on_event(&mut self, event: &RunEvent) {
        self.recorder.record_event(event);
        self.warnings.extend(self.recorder.take_disk_error());
        let event = Arc::new(event.clone());
        self.reporters.iter().for_each(|showing| showing.send_event(Arc::clone(&event)));
    }

    fn on_tick(&mut self, now: u64) {
        self.reporters.iter().for_each(|showing| showing.send_tick(now));
    }

    fn on_status_request(&mut self) {
        self.reporters.iter().for_each(ReporterThread::request_show_running);
    }
}

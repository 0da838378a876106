//! Who watches a run: the recorder and the reporters, all told the same.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::output::{Progress, Reporter, Showing};
use crate::record::{Event, Recorder, Subscriber};

/// How long the end of a run that was told to end waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// The recorder and the reporters of one run. The recorder is told at once, each reporter on a thread of its own: a
/// reader that takes nothing holds up neither the run nor the record.
pub(super) struct Audience {
    /// Keeps the run on disk.
    pub(super) recorder: Recorder,
    showings: Vec<Showing>,
    /// What went wrong in showing and recording; said when the run is over.
    pub(super) troubles: Vec<String>,
}

impl Audience {
    /// An audience of these; `progress` counts what the reporters' streams take.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn new(recorder: Recorder, reporters: Vec<Box<dyn Reporter>>, progress: &Progress) -> io::Result<Self> {
        let begin = |reporter| Showing::begin(reporter, recorder.folder().to_path_buf(), progress.clone());
        let showings = reporters.into_iter().map(begin).collect::<io::Result<_>>()?;
        Ok(Self { recorder, showings, troubles: Vec::new() })
    }

    /// The run is over: the record is written.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.recorder.close() {
            self.troubles.push(format!("the record could not be written: {error}"));
        }
    }

    /// Waits until all is shown and screens are left as they were; gives what went wrong, where anybody reads.
    ///
    /// A run that was told to end does not wait for a reader that takes nothing.
    pub(super) fn dismiss(mut self, told_to_end: bool) -> Vec<String> {
        let patience = told_to_end.then_some(PATIENCE);
        self.showings.iter().for_each(Showing::over);
        let mut stuck = false;
        for showing in self.showings {
            match showing.end(patience) {
                Ok(trouble) => self.troubles.extend(trouble.map(|error| format!("output: {error}"))),
                Err(_) => stuck = true,
            }
        }
        // The error stream may be the same pipe.
        if stuck { Vec::new() } else { self.troubles }
    }
}

impl Subscriber for Audience {
    fn event(&mut self, event: &Event) {
        self.recorder.event(event);
        self.troubles.extend(self.recorder.trouble());
        let event = Arc::new(event.clone());
        self.showings.iter().for_each(|showing| showing.event(Arc::clone(&event)));
    }

    fn tick(&mut self, now: u64) {
        self.showings.iter().for_each(|showing| showing.tick(now));
    }

    fn tell(&mut self) {
        self.showings.iter().for_each(Showing::show_running);
    }
}

//! Who watches a run: the recorder and the reporters, all told the same.

use std::path::PathBuf;

use crate::output::Reporter;
use crate::record::{Event, Recorder, Subscriber};

/// The recorder and the reporters of one run.
pub(super) struct Audience {
    /// Keeps the run on disk.
    pub(super) recorder: Recorder,
    folder: PathBuf,
    reporters: Vec<Box<dyn Reporter>>,
    /// What went wrong in showing and recording; said when the run is over.
    pub(super) troubles: Vec<String>,
}

impl Audience {
    /// An audience of these.
    pub(super) fn new(recorder: Recorder, reporters: Vec<Box<dyn Reporter>>) -> Self {
        Self { folder: recorder.folder().to_path_buf(), recorder, reporters, troubles: Vec::new() }
    }

    /// Has every reporter do the same; one that fails is told of and asked no more.
    fn each(&mut self, mut show: impl FnMut(&mut dyn Reporter) -> std::io::Result<()>) {
        let troubles = &mut self.troubles;
        self.reporters.retain_mut(|reporter| match show(reporter.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                troubles.push(format!("output: {error}"));
                false
            }
        });
    }

    /// The run is over: screens are left as they were, the record is written.
    pub(super) fn close(&mut self) {
        self.each(|reporter| reporter.finish());
        if let Err(error) = self.recorder.close() {
            self.troubles.push(format!("the record could not be written: {error}"));
        }
    }
}

impl Subscriber for Audience {
    fn event(&mut self, event: &Event) {
        self.recorder.event(event);
        self.troubles.extend(self.recorder.trouble());
        let folder = std::mem::take(&mut self.folder);
        self.each(|reporter| reporter.event(event, &folder));
        self.folder = folder;
    }

    fn tick(&mut self, now: u64) {
        self.each(|reporter| reporter.tick(now));
    }

    fn tell(&mut self) {
        self.each(|reporter| reporter.show_running());
    }
}

//! JSON reporter (`--format json`): one document with the run and the results of its sessions, at the end.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::output::options::{OutputOptions, OutputStreams};
use crate::output::run_summary::{outcome_counts, session_total_ms};
use crate::output::{BestEffortWriter, EventReporter, RunState};
use crate::record::{AttemptResult, EventKind, Outcome, RunEvent, SessionNeed, SessionResult};
use crate::text::escape_json_document;

/// The document of a run.
#[derive(Debug, Serialize)]
pub(crate) struct RunDocument<'a> {
    /// Version of the format.
    version: u32,
    /// Run identifier.
    run_id: Option<&'a str>,
    /// Wall clock at the start, RFC 3339.
    started_at: Option<&'a str>,
    /// The project's root.
    root: Option<Cow<'a, str>>,
    /// Run directory, which contains record and logs.
    run_dir: Cow<'a, str>,
    /// Git commit, if any.
    commit: Option<&'a str>,
    /// Tools and their versions.
    versions: serde_json::Map<String, serde_json::Value>,
    /// Number of slots.
    slots: Option<usize>,
    /// Exit code; `null` if the run did not finish.
    exit_code: Option<u8>,
    /// Cause of an interruption.
    interrupt_cause: Option<&'a str>,
    /// Wall time in milliseconds.
    wall_ms: u64,
    /// Sum of the sessions' wall times in milliseconds.
    session_total_ms: u64,
    /// Number of sessions by outcome; flaky ones are not counted as passed.
    totals: serde_json::Map<String, serde_json::Value>,
    /// Notices shown during the run.
    notices: &'a [String],
    /// All sessions, in nox's order.
    sessions: Vec<SessionDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct SessionDocument<'a> {
    name: &'a str,
    description: &'a str,
    /// `null` if the session did not finish.
    outcome: Option<Outcome>,
    reason: &'a str,
    flaky: bool,
    leaky: bool,
    wall_ms: Option<u64>,
    usual_ms: Option<u64>,
    cpus: usize,
    exclusive: bool,
    locks: &'a [String],
    needs: &'a [SessionNeed],
    attempts: &'a [AttemptResult],
}

impl<'a> RunDocument<'a> {
    /// Creates the document of a run from its current state.
    pub(crate) fn from_state(state: &'a RunState, run_dir: &'a Path) -> Self {
        let metadata = state.run_metadata();
        let sessions = state.sessions().iter().map(|view| {
            let result = match &view.status {
                crate::output::SessionStatus::Done(result) => Some(result),
                _ => None,
            };
            let attempts = result.map(|result| result.attempts.as_slice()).unwrap_or_default();
            SessionDocument {
                name: view.spec.name.as_str(),
                description: &view.spec.description,
                outcome: result.map(|result| result.outcome),
                reason: result.map(|result| result.reason.as_str()).unwrap_or_default(),
                flaky: result.is_some_and(|result| result.flaky),
                leaky: attempts.iter().any(|attempt| attempt.leaky),
                wall_ms: result.filter(|_| !attempts.is_empty()).map(SessionResult::wall_time),
                usual_ms: view.spec.usual_ms,
                cpus: view.spec.cpus,
                exclusive: view.spec.exclusive,
                locks: &view.spec.locks,
                needs: &view.spec.needs,
                attempts,
            }
        });
        Self {
            version: 2,
            run_id: metadata.map(|metadata| metadata.run_id.as_str()),
            started_at: metadata.map(|metadata| metadata.started_at.as_str()),
            root: metadata.map(|metadata| metadata.root.to_string_lossy()),
            run_dir: run_dir.to_string_lossy(),
            commit: metadata.and_then(|metadata| metadata.commit.as_deref()),
            versions: metadata
                .map(|metadata| {
                    metadata.versions.iter().map(|(tool, version)| (tool.clone(), version.clone().into())).collect()
                })
                .unwrap_or_default(),
            slots: metadata.map(|metadata| metadata.slots),
            exit_code: state.exit_code(),
            interrupt_cause: state.interrupt_cause(),
            wall_ms: state.elapsed_ms(),
            session_total_ms: session_total_ms(state),
            totals: outcome_counts(state).into_iter().map(|(word, _, count)| (word.to_owned(), count.into())).collect(),
            notices: state.notices(),
            sessions: sessions.collect(),
        }
    }
}

/// Writes the document when the run is over.
pub(crate) struct JsonReporter {
    writer: BestEffortWriter,
    state: RunState,
    run_dir: PathBuf,
    written: bool,
}

impl JsonReporter {
    /// Opens the reporter for `--format json`.
    pub(crate) fn open(options: &OutputOptions, streams: &mut OutputStreams) -> Option<Box<dyn EventReporter>> {
        options.json.then(|| Box::new(Self::new(streams.take_stdout())) as _)
    }

    /// Creates a reporter that writes one document to a stream.
    pub(crate) fn new(stream: Box<dyn io::Write + Send>) -> Self {
        Self {
            writer: BestEffortWriter::new(stream),
            state: RunState::default(),
            run_dir: PathBuf::new(),
            written: false,
        }
    }

    fn write_document(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.written, true) {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&RunDocument::from_state(&self.state, &self.run_dir))?;
        self.writer.write_line(&escape_json_document(&text))?;
        self.writer.flush()
    }
}

impl EventReporter for JsonReporter {
    fn on_event(&mut self, event: &RunEvent, run_dir: &Path) -> io::Result<()> {
        if self.run_dir != run_dir {
            self.run_dir = run_dir.to_path_buf();
        }
        self.state.apply_event(event);
        if matches!(event.kind, EventKind::RunFinished { .. }) { self.write_document() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.state.run_metadata().is_some() { self.write_document() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;
    use crate::output::event_builder::{RunEventBuilder, session_spec_with_usual};

    fn document(builder: &RunEventBuilder) -> String {
        let capture = Capture::default();
        builder.feed_reporter(&mut JsonReporter::new(Box::new(capture.clone())));
        builder.replace_root(&capture.text())
    }

    #[test]
    fn the_document_is_complete() {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_400, &[]),
            session_spec_with_usual("docs", 100, &["lint"]),
        ]);
        builder.start_session(1, "lint").finish_session(3_001, "lint", Outcome::Failed, "exit code 1");
        builder
            .finish_session(3_002, "docs", Outcome::Aborted, "lint did not pass")
            .add_notice(3_002, "a notice")
            .finish_run(3_003, 1);
        insta::assert_snapshot!(document(&builder));
    }

    #[test]
    fn a_truncated_run_has_a_document() {
        let mut builder = RunEventBuilder::new(&["lint"]);
        builder.start_session(1, "lint");
        let value: serde_json::Value = serde_json::from_str(&document(&builder)).unwrap();
        assert_eq!(value["version"], 2);
        assert!(value["exit_code"].is_null() && value["sessions"][0]["outcome"].is_null());
        builder.events.clear();
        assert_eq!(document(&builder), "");
    }
}

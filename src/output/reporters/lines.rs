//! Line reporter for pipes and CI: starts, ends, logs in one of four styles, and a heartbeat after long silence.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::options::{OutputOptions, OutputStreams, SessionOutputStyle};
use crate::output::run_printer::RunPrinter;
use crate::output::session_rows::{self, SessionRows};
use crate::output::theme::TextStyle;
use crate::output::{BestEffortWriter, EventReporter, RunState, estimate_remaining, render_running_sessions};
use crate::project::SessionName;
use crate::record::log_reader::{LineSplitter, read_log_range};
use crate::record::{EventKind, RunEvent, SessionResult};
use crate::text::format_whole_seconds;

/// A heartbeat line is printed after this much silence: CI systems kill silent jobs.
const MAX_SILENCE_MS: u64 = 55_000;

/// Shows a run as lines.
pub(crate) struct LineReporter {
    printer: RunPrinter,
    state: RunState,
    run_dir: PathBuf,
    log_followers: HashMap<SessionName, LogFollower>,
    last_output_at: u64,
    summary_printed: bool,
}

/// State of a log that is printed while it grows.
struct LogFollower {
    path: PathBuf,
    offset: u64,
    splitter: LineSplitter,
}

impl LineReporter {
    /// Opens the reporter if there is no board.
    pub(crate) fn open(options: &OutputOptions, streams: &mut OutputStreams) -> Option<Box<dyn EventReporter>> {
        (!options.uses_board()).then(|| Box::new(Self::new(streams.take_human_stream(options), options.clone())) as _)
    }

    /// Creates a reporter that writes lines to a stream.
    pub(crate) fn new(stream: Box<dyn io::Write + Send>, options: OutputOptions) -> Self {
        let options = OutputOptions { is_interactive: false, ..options };
        Self {
            printer: RunPrinter::new(BestEffortWriter::new(stream), options),
            state: RunState::default(),
            run_dir: PathBuf::new(),
            log_followers: HashMap::new(),
            last_output_at: 0,
            summary_printed: false,
        }
    }

    fn print_line(&mut self, line: &str) -> io::Result<()> {
        self.last_output_at = self.state.elapsed_ms();
        self.printer.print_line(line)
    }

    fn is_quiet(&self) -> bool {
        self.printer.options.effective_style() == SessionOutputStyle::Quiet
    }

    fn session_rows(&self) -> SessionRows {
        SessionRows::for_run(&self.state, self.printer.options.theme, None)
    }

    fn print_event(&mut self, event: &RunEvent) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted(metadata) if !self.is_quiet() => {
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_run_start(metadata, estimate_remaining(&self.state))
            }
            EventKind::SessionAdded { session, notified_by: by } if !self.is_quiet() => {
                self.print_line(&self.session_rows().added_row(&session.name.display_name(), &by.display_name()))
            }
            EventKind::SessionStarted { session, attempt, log, .. } => {
                let path = self.run_dir.join(log);
                self.log_followers
                    .insert(session.clone(), LogFollower { path, offset: 0, splitter: LineSplitter::default() });
                match self.state.find_session(session) {
                    Some(view) if !self.is_quiet() => {
                        self.print_line(&self.session_rows().started_row(&view.spec, *attempt))
                    }
                    _ => Ok(()),
                }
            }
            EventKind::SessionRestored { session, cache } if !self.is_quiet() => {
                self.printer.print_cache_restore(&session.display_name(), cache)
            }
            EventKind::OutputGrew { session, to_offset: to, .. } => self.print_log_growth(session, *to),
            EventKind::SessionRetried { session, attempt, delay_ms: delay } => {
                self.print_log_end(session, attempt.log_bytes)?;
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_retry(&self.state, &session.display_name(), attempt, *delay, &self.run_dir)
            }
            EventKind::SessionHeld { session, attempt, waits_for } if !self.is_quiet() => {
                let rows = self.session_rows();
                self.print_line(&rows.held_row(&session.display_name(), attempt, &waits_for.display_name()))
            }
            EventKind::SessionFinished(result) => self.print_session_end(result),
            EventKind::RunInterrupted { cause } => {
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_interruption(&self.state, cause)
            }
            EventKind::Notice { text } => {
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_notice(text)
            }
            EventKind::RunFinished { .. } => self.print_summary(),
            EventKind::RunStarted(_)
            | EventKind::SessionAdded { .. }
            | EventKind::SessionHeld { .. }
            | EventKind::SessionRestoring { .. }
            | EventKind::SessionRestored { .. } => Ok(()),
        }
    }

    fn print_session_end(&mut self, result: &SessionResult) -> io::Result<()> {
        self.print_log_end(&result.session, result.last_attempt().map_or(0, |last| last.log_bytes))?;
        self.last_output_at = self.state.elapsed_ms();
        self.printer.print_session_end(&self.state, result, &self.run_dir)
    }

    /// Shows new log content, in the styles that show logs while they grow.
    fn print_log_growth(&mut self, session: &SessionName, to: u64) -> io::Result<()> {
        let prefix = match self.printer.options.effective_style() {
            SessionOutputStyle::Stream => String::new(),
            SessionOutputStyle::Labelled => self.session_prefix(session),
            SessionOutputStyle::Grouped | SessionOutputStyle::Quiet => return Ok(()),
        };
        let Some(follower) = self.log_followers.get_mut(session) else {
            return Ok(());
        };
        let (printer, splitter) = (&mut self.printer, &mut follower.splitter);
        let mut write_error = None;
        let read = read_log_range(&follower.path, follower.offset, to, &mut |chunk| {
            splitter
                .push(chunk, &mut |line| printer.print_output_line(&prefix, line))
                .inspect_err(|error| write_error = Some(error.kind()))
        });
        self.last_output_at = self.state.elapsed_ms();
        match read {
            Ok(offset) => follower.offset = offset,
            Err(error) if write_error.is_some() => return Err(error),
            // An unreadable log does not end the run; the recorder reports it.
            Err(_) => follower.offset = to,
        }
        Ok(())
    }

    /// Shows the rest of an attempt's log, including an incomplete last line.
    fn print_log_end(&mut self, session: &SessionName, bytes: u64) -> io::Result<()> {
        self.print_log_growth(session, bytes)?;
        let prefix = if self.printer.options.effective_style() == SessionOutputStyle::Labelled {
            self.session_prefix(session)
        } else {
            String::new()
        };
        match self.log_followers.remove(session) {
            Some(mut follower) => follower.splitter.finish(&mut |line| self.printer.print_output_line(&prefix, line)),
            None => Ok(()),
        }
    }

    fn session_prefix(&self, session: &SessionName) -> String {
        let theme = self.printer.options.theme;
        let width = session_rows::session_name_width(&self.state);
        let name = session.display_name();
        let padded = console::pad_str(&name, width, console::Alignment::Left, None);
        format!("{} {} ", theme.style_session_name(session.as_str(), &padded), theme.style_text(TextStyle::Dim, "|"))
    }

    fn print_summary(&mut self) -> io::Result<()> {
        self.summary_printed = true;
        self.printer.print_summary(&self.state, &self.run_dir)
    }

    /// Returns `… still running after 3m 20s: unit_tests (2m 10s of ~4m 00s), docs (1m 02s)`.
    fn heartbeat_line(&self) -> Option<String> {
        let running: Vec<String> = self
            .state
            .running_sessions()
            .into_iter()
            .map(|(spec, running)| {
                let elapsed = format_whole_seconds(self.state.elapsed_ms().saturating_sub(running.started_at));
                let usual =
                    spec.usual_ms.map(|usual| format!(" of ~{}", format_whole_seconds(usual))).unwrap_or_default();
                format!("{} ({elapsed}{usual})", spec.name)
            })
            .collect();
        let more = running.len().saturating_sub(8);
        let mut names = running.get(..running.len().min(8))?.join(", ");
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        let theme = self.printer.options.theme;
        let elapsed = format_whole_seconds(self.state.elapsed_ms());
        let status = match names.as_str() {
            "" => format!("still waiting after {elapsed}"),
            names => format!("still running after {elapsed}: {names}"),
        };
        Some(theme.style_text(TextStyle::Dim, &format!("{} {status}", theme.ellipsis())))
    }
}

impl EventReporter for LineReporter {
    fn on_event(&mut self, event: &RunEvent, run_dir: &Path) -> io::Result<()> {
        if self.run_dir != run_dir {
            self.run_dir = run_dir.to_path_buf();
        }
        self.state.apply_event(event);
        self.print_event(event)?;
        self.printer.writer.flush()
    }

    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        self.state.advance_clock(now);
        let options = &self.printer.options;
        let is_silent = now.saturating_sub(self.last_output_at) >= MAX_SILENCE_MS;
        if is_silent
            && !self.summary_printed
            && self.state.run_metadata().is_some()
            && (options.is_ci || !self.is_quiet())
        {
            if let Some(line) = self.heartbeat_line() {
                self.print_line(&line)?;
            }
            self.printer.writer.flush()?;
        }
        Ok(())
    }

    fn show_running(&mut self) -> io::Result<()> {
        let text = render_running_sessions(&self.state, &self.run_dir, self.printer.options.theme);
        text.split('\n').try_for_each(|line| self.print_line(line))?;
        self.printer.writer.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.summary_printed && self.state.run_metadata().is_some() {
            self.print_summary()?;
        }
        self.printer.writer.flush()
    }
}

#[cfg(test)]
mod tests;

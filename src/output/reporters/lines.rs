//! A run as lines, for pipes and CI: starts, ends, logs in one of four styles, and a sign of life in long silence.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::log_reader::{LineSplitter, read_log_range};
use crate::output::options::{OutputOptions, SessionOutputStyle};
use crate::output::run_printer::RunPrinter;
use crate::output::session_row::{self, SessionRows};
use crate::output::theme::TextStyle;
use crate::output::{BestEffortWriter, EventReporter, RunState, estimate_remaining, render_running_sessions};
use crate::project::SessionName;
use crate::record::{EventKind, RunEvent, SessionResult};
use crate::text::format_whole_seconds;

/// Silence this long is broken: CI ends runs that say nothing for too long.
const MAX_SILENCE_MS: u64 = 55_000;

/// Shows a run as lines.
pub(crate) struct LineReporter {
    printer: RunPrinter,
    state: RunState,
    run_folder: PathBuf,
    log_followers: HashMap<SessionName, LogFollower>,
    last_output_at: u64,
    summary_printed: bool,
}

/// How far a session's log has been shown.
struct LogFollower {
    path: PathBuf,
    offset: u64,
    splitter: LineSplitter,
}

impl LineReporter {
    /// A reporter that writes lines to this stream.
    pub(crate) fn new(stream: Box<dyn io::Write + Send>, options: OutputOptions) -> Self {
        let options = OutputOptions { is_interactive: false, ..options };
        Self {
            printer: RunPrinter::new(BestEffortWriter::new(stream), options),
            state: RunState::default(),
            run_folder: PathBuf::new(),
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
        match &event.fact {
            EventKind::RunStarted(facts) if !self.is_quiet() => {
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_run_start(facts, estimate_remaining(&self.state))
            }
            EventKind::SessionAdded { session, by } if !self.is_quiet() => {
                self.print_line(&self.session_rows().added_row(session.name.as_str(), by.as_str()))
            }
            EventKind::SessionStarted { session, attempt, log, .. } => {
                let path = self.run_folder.join(log);
                self.log_followers
                    .insert(session.clone(), LogFollower { path, offset: 0, splitter: LineSplitter::default() });
                match self.state.find_session(session) {
                    Some(view) if !self.is_quiet() => {
                        self.print_line(&self.session_rows().started_row(&view.facts, *attempt))
                    }
                    _ => Ok(()),
                }
            }
            EventKind::SessionRestored { session, cache } if !self.is_quiet() => {
                self.printer.print_cache_restore(session.as_str(), cache)
            }
            EventKind::OutputGrew { session, to, .. } => self.print_log_growth(session, *to),
            EventKind::SessionRetried { session, attempt, delay } => {
                self.print_log_end(session, attempt.log_bytes)?;
                self.last_output_at = self.state.elapsed_ms();
                self.printer.print_retry(&self.state, session.as_str(), attempt, *delay, &self.run_folder)
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
            | EventKind::SessionRestoring { .. }
            | EventKind::SessionRestored { .. } => Ok(()),
        }
    }

    fn print_session_end(&mut self, result: &SessionResult) -> io::Result<()> {
        self.print_log_end(&result.session, result.last_attempt().map_or(0, |last| last.log_bytes))?;
        self.last_output_at = self.state.elapsed_ms();
        self.printer.print_session_end(&self.state, result, &self.run_folder)
    }

    /// Shows what a session's log gained, in the styles that show logs as they grow.
    fn print_log_growth(&mut self, session: &SessionName, to: u64) -> io::Result<()> {
        let prefix = match self.printer.options.effective_style() {
            SessionOutputStyle::Stream => String::new(),
            SessionOutputStyle::Labelled => self.session_prefix(session),
            SessionOutputStyle::Grouped | SessionOutputStyle::Quiet => return Ok(()),
        };
        let Some(follow) = self.log_followers.get_mut(session) else {
            return Ok(());
        };
        let (screen, cutter) = (&mut self.printer, &mut follow.splitter);
        let mut failed = None;
        let read = read_log_range(&follow.path, follow.offset, to, &mut |chunk| {
            cutter
                .push(chunk, &mut |line| screen.print_output_line(&prefix, line))
                .inspect_err(|error| failed = Some(error.kind()))
        });
        self.last_output_at = self.state.elapsed_ms();
        match read {
            Ok(at) => follow.offset = at,
            Err(error) if failed.is_some() => return Err(error),
            // A log that cannot be read is no reason to end the run: its recorder tells of it.
            Err(_) => follow.offset = to,
        }
        Ok(())
    }

    /// Shows the rest of an attempt's log, its unfinished last line included.
    fn print_log_end(&mut self, session: &SessionName, bytes: u64) -> io::Result<()> {
        self.print_log_growth(session, bytes)?;
        let prefix = if self.printer.options.effective_style() == SessionOutputStyle::Labelled {
            self.session_prefix(session)
        } else {
            String::new()
        };
        match self.log_followers.remove(session) {
            Some(mut follow) => follow.splitter.finish(&mut |line| self.printer.print_output_line(&prefix, line)),
            None => Ok(()),
        }
    }

    fn session_prefix(&self, session: &SessionName) -> String {
        let paint = self.printer.options.theme;
        let width = session_row::session_name_width(&self.state);
        let padded = console::pad_str(session.as_str(), width, console::Alignment::Left, None);
        format!("{} {} ", paint.style_session_name(session.as_str(), &padded), paint.style_text(TextStyle::Dim, "|"))
    }

    fn print_summary(&mut self) -> io::Result<()> {
        self.summary_printed = true;
        self.printer.print_summary(&self.state, &self.run_folder)
    }

    /// `… still running after 3m 20s: unit_tests (2m 10s of ~4m 00s), docs (1m 02s)`
    fn heartbeat_line(&self) -> Option<String> {
        let running: Vec<String> = self
            .state
            .running_sessions()
            .into_iter()
            .map(|(facts, running)| {
                let elapsed = format_whole_seconds(self.state.elapsed_ms().saturating_sub(running.started_at));
                let usual =
                    facts.usual.map(|usual| format!(" of ~{}", format_whole_seconds(usual))).unwrap_or_default();
                format!("{} ({elapsed}{usual})", facts.name)
            })
            .collect();
        let more = running.len().saturating_sub(8);
        let mut names = running.get(..running.len().min(8))?.join(", ");
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        let paint = self.printer.options.theme;
        let elapsed = format_whole_seconds(self.state.elapsed_ms());
        let what = match names.as_str() {
            "" => format!("still waiting after {elapsed}"),
            names => format!("still running after {elapsed}: {names}"),
        };
        Some(paint.style_text(TextStyle::Dim, &format!("{} {what}", paint.ellipsis())))
    }
}

impl EventReporter for LineReporter {
    fn on_event(&mut self, event: &RunEvent, folder: &Path) -> io::Result<()> {
        if self.run_folder != folder {
            self.run_folder = folder.to_path_buf();
        }
        self.state.apply_event(event);
        self.print_event(event)?;
        self.printer.writer.flush()
    }

    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        self.state.advance_clock(now);
        let options = &self.printer.options;
        let silent = now.saturating_sub(self.last_output_at) >= MAX_SILENCE_MS;
        if silent && !self.summary_printed && self.state.run_facts().is_some() && (options.is_ci || !self.is_quiet()) {
            if let Some(line) = self.heartbeat_line() {
                self.print_line(&line)?;
            }
            self.printer.writer.flush()?;
        }
        Ok(())
    }

    fn show_running(&mut self) -> io::Result<()> {
        let text = render_running_sessions(&self.state, &self.run_folder, self.printer.options.theme);
        self.print_line(&text)?;
        self.printer.writer.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.summary_printed && self.state.run_facts().is_some() {
            self.print_summary()?;
        }
        self.printer.writer.flush()
    }
}

#[cfg(test)]
mod tests;

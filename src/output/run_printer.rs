//! What is printed for good about a run's sessions: ends, logs, recaps, the summary. Boards and lines share it.

use std::io;
use std::path::{Path, PathBuf};

use super::failure_location::{self, FailureLocation};
use super::log_reader::{self, OmittedLog};
use super::options::{OutputOptions, SessionOutputStyle};
use super::session_row::{self, SessionRows};
use super::theme::TextStyle;
use super::workflow_command::{self, AllowedCommands, CommandGuard};
use super::{BestEffortWriter, RunState, run_summary};
use crate::record::{AttemptResult, CacheStats, Outcome, RunMetadata, SessionResult};
use crate::text::{format_duration, format_size, format_whole_seconds, pluralize, sanitize_line};

/// A recap shows at most this many lines of a log.
pub(crate) const RECAP_LINES: usize = 200;
/// Lines of a failed session's log shown at once above the board.
const SHORT_TAIL_LINES: usize = 6;
/// GitHub shows at most this many errors of a step.
const MAX_ANNOTATIONS: usize = 10;

/// The stream that people or a forge's log read, and how to speak to it.
pub(crate) struct RunPrinter {
    pub(crate) writer: BestEffortWriter,
    pub(crate) options: OutputOptions,
    /// Columns, where the stream is a terminal.
    pub(crate) terminal_width: Option<usize>,
    command_guard: CommandGuard,
    /// The session whose whole log was the last thing printed.
    last_printed_log: Option<crate::project::SessionName>,
    /// Whether sessions' logs have been printed before the recap.
    has_printed_logs: bool,
}

impl RunPrinter {
    pub(crate) fn new(pipe: BestEffortWriter, options: OutputOptions) -> Self {
        let guard = CommandGuard::new(options.actions.as_ref().map(|actions| actions.stop_token.clone()));
        Self {
            writer: pipe,
            options,
            terminal_width: None,
            command_guard: guard,
            last_printed_log: None,
            has_printed_logs: false,
        }
    }

    /// Prints a line of our own.
    pub(crate) fn print_line(&mut self, line: &str) -> io::Result<()> {
        self.command_guard.resume_commands(&mut self.writer)?;
        self.last_printed_log = None;
        self.writer.write_line(line)
    }

    /// Prints a line of a session's output.
    pub(crate) fn print_output_line(&mut self, prefix: &str, line: &[u8]) -> io::Result<()> {
        let text = sanitize_line(line, self.options.theme.color);
        self.last_printed_log = None;
        self.has_printed_logs = true;
        if prefix.is_empty()
            || self.options.actions.is_some()
                && workflow_command::is_allowed_command(&text, AllowedCommands::AnnotationsAndMasks)
        {
            return self.command_guard.write_output_line(&mut self.writer, &text, AllowedCommands::AnnotationsAndMasks);
        }
        self.writer.write_line(&format!("{prefix}{text}"))
    }

    /// Prints the first line of a run.
    pub(crate) fn print_run_start(
        &mut self,
        facts: &RunMetadata,
        left: Option<super::RemainingTime>,
    ) -> io::Result<()> {
        let mut text = format!("{} on {}", pluralize(facts.sessions.len(), "session"), pluralize(facts.slots, "slot"));
        if let Some(left) = left.filter(|left| left.ms >= 1_000) {
            let about = if left.is_lower_bound { "at least" } else { "about" };
            text.push_str(&format!(", {about} {}", format_whole_seconds(left.ms)));
        }
        self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        if self.options.verbose > 0 {
            let versions: Vec<String> =
                facts.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
            let text = format!("run {} in {} ({})", facts.run, facts.root.display(), versions.join(", "));
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        Ok(())
    }

    /// Prints a session's end, with its log where the style asks for it.
    pub(crate) fn print_session_end(
        &mut self,
        state: &RunState,
        result: &SessionResult,
        folder: &Path,
    ) -> io::Result<()> {
        let failed = result.outcome.is_failure();
        let quiet = self.options.effective_style() == SessionOutputStyle::Quiet;
        if quiet && (!failed || self.options.quiet > 1) {
            return Ok(());
        }
        let line = SessionRows::for_run(state, self.options.theme, self.terminal_width).finished_row(result);
        let shows_log = match (self.options.effective_style(), failed) {
            (SessionOutputStyle::Grouped, true) => true,
            (SessionOutputStyle::Grouped, false) => self.options.should_show_passed(),
            _ => false,
        };
        let Some(last) = result.last_attempt().filter(|last| shows_log && last.log_bytes > 0) else {
            return self.print_line(&line);
        };
        if self.options.is_interactive && self.options.verbose == 0 {
            self.print_line(&line)?;
            return self.print_short_tail(last, folder);
        }
        if failed {
            self.print_result_rule(result)?;
            self.print_log(last, folder)?;
            self.print_line("")?;
            self.last_printed_log = Some(result.session.clone());
            return Ok(());
        }
        self.print_log_group(&session_row::result_title(result), &line, last, folder)
    }

    /// Prints that an attempt failed and another follows.
    pub(crate) fn print_retry(
        &mut self,
        state: &RunState,
        name: &str,
        attempt: &AttemptResult,
        delay: u64,
        folder: &Path,
    ) -> io::Result<()> {
        if self.options.effective_style() == SessionOutputStyle::Quiet {
            return Ok(());
        }
        let line =
            SessionRows::for_run(state, self.options.theme, self.terminal_width).retried_row(name, attempt, delay);
        if !self.options.should_show_passed() || attempt.log_bytes == 0 {
            return self.print_line(&line);
        }
        let title = format!(
            "{name} attempt {} {}: {}",
            attempt.number,
            attempt.outcome,
            session_row::to_single_line(&attempt.reason)
        );
        self.print_log_group(&title, &line, attempt, folder)
    }

    /// A log in a fold where the forge has folds, else behind its line.
    fn print_log_group(&mut self, title: &str, line: &str, attempt: &AttemptResult, folder: &Path) -> io::Result<()> {
        if self.options.actions.is_none() {
            self.print_line(line)?;
            self.print_log(attempt, folder)?;
            return self.print_line("");
        }
        self.print_line(&workflow_command::group_command(title))?;
        self.print_log(attempt, folder)?;
        self.print_line(workflow_command::END_GROUP)
    }

    /// A line across the screen with the session's end in it.
    fn print_result_rule(&mut self, result: &SessionResult) -> io::Result<()> {
        let paint = self.options.theme;
        let dash = paint.pick_glyph("─", "-");
        let title = format!("{} {}", paint.outcome_mark(result.outcome), session_row::result_title(result));
        let across = self.terminal_width.unwrap_or(80).min(80);
        // On a terminal a long reason would wrap, and is told in full by the log and the record.
        let title = match self.terminal_width {
            Some(width) => console::truncate_str(&title, width.saturating_sub(6), paint.ellipsis()).into_owned(),
            None => title,
        };
        let room = across.saturating_sub(console::measure_text_width(&title) + 5).max(2);
        let (left, right) =
            (paint.style_text(TextStyle::Dim, &dash.repeat(2)), paint.style_text(TextStyle::Dim, &dash.repeat(room)));
        let title = paint.style_text(TextStyle::for_outcome(result.outcome, result.flaky), &title);
        self.print_line(&format!("{left} {title} {right}"))
    }

    /// Prints that the run is being ended before its time.
    pub(crate) fn print_interruption(&mut self, state: &RunState, cause: &str) -> io::Result<()> {
        let what = match state.status_counts().running {
            0 => "ending the run".to_owned(),
            1 => "ending 1 running session".to_owned(),
            count => format!("ending {count} running sessions"),
        };
        self.print_line(&self.options.theme.style_text(TextStyle::Warning, &format!("{cause}: {what}")))
    }

    /// Prints something that people should know.
    pub(crate) fn print_notice(&mut self, text: &str) -> io::Result<()> {
        self.print_line(
            &self.options.theme.style_text(TextStyle::Warning, &format!("note: {}", session_row::to_single_line(text))),
        )
    }

    /// Prints what was restored for a session; nothing where nothing was.
    pub(crate) fn print_cache_restore(&mut self, session: &str, cache: &CacheStats) -> io::Result<()> {
        if cache.bytes == 0 {
            return Ok(());
        }
        let (bytes, time) = (format_size(cache.bytes), format_duration(cache.ms));
        let text = format!("cache: {bytes} restored for {} in {time}", session_row::to_single_line(session));
        self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))
    }

    /// Prints a whole log, in bounded memory.
    fn print_log(&mut self, attempt: &AttemptResult, folder: &Path) -> io::Result<()> {
        let (path, mut cutter) = (folder.join(&attempt.log), log_reader::LineSplitter::default());
        let mut failed = None;
        let read = log_reader::read_log_range(&path, 0, attempt.log_bytes, &mut |chunk| {
            cutter
                .push(chunk, &mut |line| self.print_output_line("", line))
                .inspect_err(|error| failed = Some(error.kind()))
        });
        cutter.finish(&mut |line| self.print_output_line("", line))?;
        self.command_guard.resume_commands(&mut self.writer)?;
        match read {
            Err(error) if failed.is_none() => self.print_log_error(&path, &error),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn print_log_error(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        self.print_line(&format!("(its log cannot be read: {}: {error})", path.display()))
    }

    /// Prints the very last lines of a log, cut to the screen: the rest comes with the recap, and the board
    /// should not jump about.
    fn print_short_tail(&mut self, attempt: &AttemptResult, folder: &Path) -> io::Result<()> {
        let tail = log_reader::read_log_tail(&folder.join(&attempt.log), attempt.log_bytes, SHORT_TAIL_LINES)
            .unwrap_or_default();
        let paint = self.options.theme;
        for line in tail.lines {
            let text = sanitize_line(&line, false).replace('\t', "    ");
            let room = self.terminal_width.unwrap_or(80).saturating_sub(5);
            let text = console::truncate_str(&text, room, paint.ellipsis()).into_owned();
            self.print_line(&paint.style_text(TextStyle::Dim, &format!("  {} {text}", paint.pick_glyph("│", "|"))))?;
        }
        Ok(())
    }

    /// Prints the last lines of a log, and what is above them.
    fn print_log_tail(&mut self, state: &RunState, attempt: &AttemptResult, folder: &Path) -> io::Result<()> {
        let path = folder.join(&attempt.log);
        let tail = match log_reader::read_log_tail(&path, attempt.log_bytes, RECAP_LINES) {
            Ok(tail) => tail,
            Err(error) => return self.print_log_error(&path, &error),
        };
        let pass =
            if self.has_printed_logs { AllowedCommands::MasksOnly } else { AllowedCommands::AnnotationsAndMasks };
        let above = match tail.omitted {
            OmittedLog::Nothing => None,
            OmittedLog::Lines(count) => Some(pluralize(count, "line")),
            OmittedLog::Bytes(count) => Some(format_size(count)),
        };
        if let Some(above) = above {
            let shown = display_path(state, &path);
            let text = format!("{} {above} above, in {}", self.options.theme.ellipsis(), shown.display());
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        for line in tail.lines {
            let text = sanitize_line(&line, self.options.theme.color);
            self.command_guard.write_output_line(&mut self.writer, &text, pass)?;
        }
        self.command_guard.resume_commands(&mut self.writer)
    }

    /// Prints the end of a run: failures' logs once more, their places, the table and the totals.
    pub(crate) fn print_summary(&mut self, state: &RunState, folder: &Path) -> io::Result<()> {
        let failed: Vec<&SessionResult> = state
            .session_results()
            .map(|(_, result)| result)
            .filter(|result| {
                result.outcome.is_failure() && result.last_attempt().is_some_and(|last| last.log_bytes > 0)
            })
            .collect();
        if self.options.quiet < 2 {
            for result in &failed {
                if failed.len() == 1 && self.last_printed_log.as_ref() == Some(&result.session) {
                    continue;
                }
                self.print_line("")?;
                self.print_result_rule(result)?;
                if let Some(last) = result.last_attempt() {
                    self.print_log_tail(state, last, folder)?;
                }
            }
        }
        self.print_annotations(state, folder)?;
        if self.options.quiet < 2 {
            self.print_line("")?;
            for row in self.summary_rows(state) {
                self.print_line(&row)?;
            }
            self.print_line("")?;
        }
        self.print_line(&run_summary::totals_sentence(state, self.options.theme, self.terminal_width))?;
        if self.options.quiet < 2 && state.run_facts().is_some() {
            let text = format!("record: {}", display_path(state, folder).display());
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        Ok(())
    }

    fn summary_rows(&self, state: &RunState) -> Vec<String> {
        let (paint, verbose) = (self.options.theme, self.options.verbose > 0);
        let rows = run_summary::summary_table(state, paint, self.terminal_width, verbose);
        let unremarkable = state.session_results().all(|(_, result)| result.outcome == Outcome::Passed);
        if self.options.effective_style() == SessionOutputStyle::Quiet && unremarkable { Vec::new() } else { rows }
    }

    /// Marks for the forge, or the places as text where it shows no marks.
    fn print_annotations(&mut self, state: &RunState, folder: &Path) -> io::Result<()> {
        let Some(forge) = self.options.actions.as_ref().map(|actions| actions.forge) else {
            return Ok(());
        };
        let failed: Vec<&SessionResult> = state
            .session_results()
            .map(|(_, result)| result)
            .filter(|result| result.outcome.is_failure() && !result.attempts.is_empty())
            .take(MAX_ANNOTATIONS)
            .collect();
        let share = MAX_ANNOTATIONS / failed.len().max(1);
        for result in failed {
            let (places, own) = session_failure_locations(state, result, folder);
            if forge.can_annotate() {
                // A session that marks lines itself needs no help.
                if own && self.has_printed_logs {
                    continue;
                }
                if places.is_empty() {
                    let title = format!("{} {}", result.session, session_row::outcome_word(result));
                    self.print_line(&workflow_command::error_command(
                        &title,
                        None,
                        &session_row::result_title(result),
                    ))?;
                }
            }
            for place in places.into_iter().take(share) {
                let line = if forge.can_annotate() {
                    let at = Some((place.file.as_str(), place.line, place.column));
                    workflow_command::error_command(result.session.as_str(), at, &place.message)
                } else {
                    format!("{}:{}: {} ({})", place.file, place.line, place.message, result.session)
                };
                self.print_line(&line)?;
            }
        }
        Ok(())
    }
}

/// Places that a failed session's log names, and whether it annotates lines by itself.
fn session_failure_locations(state: &RunState, result: &SessionResult, folder: &Path) -> (Vec<FailureLocation>, bool) {
    let Some((facts, last)) = state.run_facts().zip(result.last_attempt()) else {
        return (Vec::new(), false);
    };
    let tail = log_reader::read_log_tail(&folder.join(&last.log), last.log_bytes, RECAP_LINES).unwrap_or_default();
    let lines: Vec<String> = tail.lines.iter().map(|line| sanitize_line(line, false)).collect();
    let own = lines.iter().any(|line| line.trim_start().starts_with("::error "));
    (
        failure_location::find_failure_locations(&lines, &|path| {
            failure_location::project_relative_file(&facts.root, path)
        }),
        own,
    )
}

/// A path as people would type it in the project's root.
fn display_path(state: &RunState, path: &Path) -> PathBuf {
    let root = state.run_facts().map_or(Path::new(""), |facts| facts.root.as_path());
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

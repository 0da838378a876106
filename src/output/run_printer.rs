//! Permanent output of a run, shared by board and lines: ends of sessions, logs, failed logs again, the summary.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::failure_location::{self, FailureLocation};
use super::options::{OutputOptions, SessionOutputStyle};
use super::run_state::{SessionStatus, SessionView};
use super::session_rows::{self, SessionRows};
use super::theme::TextStyle;
use super::workflow_command::{self, AllowedCommands, CommandGuard};
use super::{BestEffortWriter, RunState, run_summary};
use crate::project::SessionName;
use crate::record::log_reader::{self, OmittedLog};
use crate::record::{AttemptResult, CacheStats, Outcome, RunMetadata, SessionResult};
use crate::text::{
    break_commands, format_duration, format_size, format_whole_seconds, pluralize, sanitize_line, to_safe_lines,
    to_single_line,
};

/// Maximum number of log lines shown per failed session at the end of the run.
pub(crate) const RECAP_LINES: usize = 200;
/// Log lines shown above the board when a session fails.
const SHORT_TAIL_LINES: usize = 6;
/// Failed sessions whose logs are named at the end.
const MAX_LOG_PATHS: usize = 10;
/// GitHub shows at most this many error annotations per step.
const MAX_ANNOTATIONS: usize = 10;

/// Printer to the stream that is read by people or the log viewer of a forge.
pub(crate) struct RunPrinter {
    pub(crate) writer: BestEffortWriter,
    pub(crate) options: OutputOptions,
    /// Columns, if the stream is a terminal.
    pub(crate) terminal_width: Option<usize>,
    command_guard: CommandGuard,
    /// Failed sessions whose complete log was printed when they ended.
    printed_failures: HashSet<SessionName>,
    /// Whether logs were printed before the end of the run.
    has_printed_logs: bool,
}

impl RunPrinter {
    pub(crate) fn new(writer: BestEffortWriter, options: OutputOptions) -> Self {
        let guard = CommandGuard::new(options.actions.as_ref().map(|actions| actions.stop_token.clone()));
        Self {
            writer,
            options,
            terminal_width: None,
            command_guard: guard,
            printed_failures: HashSet::new(),
            has_printed_logs: false,
        }
    }

    /// Prints one of noxide's own lines. It may contain names and messages of sessions, so it is never more than one line,
    /// and never a command to a runner.
    pub(crate) fn print_line(&mut self, line: &str) -> io::Result<()> {
        self.print_trusted(&to_safe_lines(&line.replace('\n', " ")))
    }

    /// Prints text that cannot come from a session, or was made safe; it may be a command to the runner.
    fn print_trusted(&mut self, text: &str) -> io::Result<()> {
        self.command_guard.resume_commands(&mut self.writer)?;
        self.writer.write_line(text)
    }

    /// Returns which commands of a log may reach the runner: none of a recorded run, which may be that of another runner.
    fn allowed_commands(&self, allowed: AllowedCommands) -> AllowedCommands {
        let is_recorded = self.options.actions.as_ref().is_some_and(|actions| !actions.is_live);
        if is_recorded { AllowedCommands::None } else { allowed }
    }

    /// Prints a line of a session's output.
    pub(crate) fn print_output_line(&mut self, prefix: &str, line: &[u8]) -> io::Result<()> {
        let text = sanitize_line(line, self.options.theme.color);
        self.has_printed_logs = true;
        let allowed = self.allowed_commands(AllowedCommands::AnnotationsAndMasks);
        if prefix.is_empty() || self.options.actions.is_some() && workflow_command::is_allowed_command(&text, allowed) {
            return self.command_guard.write_output_line(&mut self.writer, &text, allowed);
        }
        // After a prefix `::` is no command, but `##[` is.
        let line = format!("{prefix}{text}");
        self.writer.write_line(&if self.options.actions.is_some() { break_commands(&line) } else { line })
    }

    /// Prints the first line of a run.
    pub(crate) fn print_run_start(
        &mut self,
        metadata: &RunMetadata,
        left: Option<super::RemainingTime>,
    ) -> io::Result<()> {
        let mut text =
            format!("{} on {}", pluralize(metadata.sessions.len(), "session"), pluralize(metadata.slots, "slot"));
        if let Some(left) = left.filter(|left| left.ms >= 1_000) {
            let about = if left.is_partial { "at least" } else { "about" };
            text.push_str(&format!(", {about} {}", format_whole_seconds(left.ms)));
        }
        self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        if self.options.verbose > 0 {
            let versions: Vec<String> =
                metadata.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
            let text = format!("run {} in {} ({})", metadata.run_id, metadata.root.display(), versions.join(", "));
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        Ok(())
    }

    /// Prints the end of a session, with its log if the style includes it.
    pub(crate) fn print_session_end(
        &mut self,
        state: &RunState,
        result: &SessionResult,
        run_dir: &Path,
    ) -> io::Result<()> {
        let failed = result.outcome.is_failure();
        let quiet = self.options.effective_style() == SessionOutputStyle::Quiet;
        // How many will not start is said once, when the run is interrupted.
        if quiet && (!failed || self.options.quiet > 1) || run_summary::is_unstarted(state, result) {
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
            // The log of a cancelled session follows at the end, which is near.
            let is_cancelled = result.outcome == Outcome::Cancelled;
            return if is_cancelled { Ok(()) } else { self.print_short_tail(last, run_dir) };
        }
        if failed {
            self.print_separator(result)?;
            self.print_log(last, run_dir)?;
            self.print_line("")?;
            self.printed_failures.insert(result.session.clone());
            return Ok(());
        }
        self.print_log_group(&session_rows::result_title(result), &line, last, run_dir)
    }

    /// Prints that an attempt failed and is retried.
    pub(crate) fn print_retry(
        &mut self,
        state: &RunState,
        name: &str,
        attempt: &AttemptResult,
        delay: u64,
        run_dir: &Path,
    ) -> io::Result<()> {
        if self.options.effective_style() == SessionOutputStyle::Quiet {
            return Ok(());
        }
        let line =
            SessionRows::for_run(state, self.options.theme, self.terminal_width).retried_row(name, attempt, delay);
        if !self.options.should_show_passed() || attempt.log_bytes == 0 {
            return self.print_line(&line);
        }
        let title =
            format!("{name} attempt {} {}: {}", attempt.number, attempt.outcome, to_single_line(&attempt.reason));
        self.print_log_group(&title, &line, attempt, run_dir)
    }

    /// Prints a log: in a group on a forge, else after its line.
    fn print_log_group(&mut self, title: &str, line: &str, attempt: &AttemptResult, run_dir: &Path) -> io::Result<()> {
        if self.options.actions.is_none() {
            self.print_line(line)?;
            self.print_log(attempt, run_dir)?;
            return self.print_line("");
        }
        self.print_trusted(&workflow_command::group_command(title))?;
        self.print_log(attempt, run_dir)?;
        self.print_trusted(workflow_command::END_GROUP)
    }

    /// Prints a horizontal rule with the result of a session.
    fn print_separator(&mut self, result: &SessionResult) -> io::Result<()> {
        let theme = self.options.theme;
        let dash = theme.pick_glyph("─", "-");
        let title = format!("{} {}", theme.outcome_mark(result.outcome), session_rows::result_title(result));
        let rule_width = self.terminal_width.unwrap_or(80).min(80);
        // On a terminal a long reason would wrap; log and record have it in full.
        let title = match self.terminal_width {
            Some(width) => session_rows::shorten_middle(&title, width.saturating_sub(6), theme).into_owned(),
            None => title,
        };
        let dash_count = rule_width.saturating_sub(console::measure_text_width(&title) + 5).max(2);
        let (left, right) = (
            theme.style_text(TextStyle::Dim, &dash.repeat(2)),
            theme.style_text(TextStyle::Dim, &dash.repeat(dash_count)),
        );
        let title = theme.style_text(TextStyle::for_outcome(result.outcome, result.flaky), &title);
        self.print_line(&format!("{left} {title} {right}"))
    }

    /// Prints that the run is interrupted.
    pub(crate) fn print_interruption(&mut self, state: &RunState, cause: &str) -> io::Result<()> {
        let is_waiting = |view: &&SessionView| matches!(view.status, SessionStatus::Waiting);
        let waiting = state.sessions().iter().filter(is_waiting).count();
        let mut action = match state.status_counts().running {
            0 => "stopping the run".to_owned(),
            count => format!("stopping {}", pluralize(count, "running session")),
        };
        if waiting > 0 {
            action.push_str(&format!("; {} will not start", pluralize(waiting, "waiting session")));
        }
        let cause = crate::record::describe_interrupt(cause);
        self.print_line(&self.options.theme.style_text(TextStyle::Warning, &format!("{cause}: {action}")))
    }

    /// Prints a notice.
    pub(crate) fn print_notice(&mut self, text: &str) -> io::Result<()> {
        self.print_line(&self.options.theme.style_text(TextStyle::Warning, &format!("note: {}", to_single_line(text))))
    }

    /// Prints what was restored for a session, if anything.
    pub(crate) fn print_cache_restore(&mut self, session: &str, cache: &CacheStats) -> io::Result<()> {
        if cache.restored_bytes == 0 {
            return Ok(());
        }
        let (bytes, time) = (format_size(cache.restored_bytes), format_duration(cache.restore_ms));
        let text = format!("cache: {bytes} restored for {} in {time}", to_single_line(session));
        self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))
    }

    /// Prints a complete log, in bounded memory.
    fn print_log(&mut self, attempt: &AttemptResult, run_dir: &Path) -> io::Result<()> {
        let (path, mut splitter) = (run_dir.join(&attempt.log), log_reader::LineSplitter::default());
        let mut write_error = None;
        let read = log_reader::read_log_range(&path, 0, attempt.log_bytes, &mut |chunk| {
            splitter
                .push(chunk, &mut |line| self.print_output_line("", line))
                .inspect_err(|error| write_error = Some(error.kind()))
        });
        splitter.finish(&mut |line| self.print_output_line("", line))?;
        self.command_guard.resume_commands(&mut self.writer)?;
        match read {
            Err(error) if write_error.is_none() => self.print_log_error(&path, &error),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn print_log_error(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        self.print_line(&format!("(cannot read the log {}: {error})", path.display()))
    }

    /// Prints the last few lines of a log, truncated to the width, so that the board stays in view; more lines are shown
    /// at the end of the run.
    fn print_short_tail(&mut self, attempt: &AttemptResult, run_dir: &Path) -> io::Result<()> {
        let tail = log_reader::read_log_tail(&run_dir.join(&attempt.log), attempt.log_bytes, SHORT_TAIL_LINES)
            .unwrap_or_default();
        let theme = self.options.theme;
        for line in tail.lines {
            let text = sanitize_line(&line, false).replace('\t', "    ");
            let max_width = self.terminal_width.unwrap_or(80).saturating_sub(5);
            let text = console::truncate_str(&text, max_width, theme.ellipsis()).into_owned();
            self.print_line(&theme.style_text(TextStyle::Dim, &format!("  {} {text}", theme.pick_glyph("│", "|"))))?;
        }
        Ok(())
    }

    /// Prints the last lines of a log, and how much is omitted above them.
    fn print_log_tail(&mut self, state: &RunState, attempt: &AttemptResult, run_dir: &Path) -> io::Result<()> {
        let path = run_dir.join(&attempt.log);
        let tail = match log_reader::read_log_tail(&path, attempt.log_bytes, RECAP_LINES) {
            Ok(tail) => tail,
            Err(error) => return self.print_log_error(&path, &error),
        };
        let allowed =
            if self.has_printed_logs { AllowedCommands::MasksOnly } else { AllowedCommands::AnnotationsAndMasks };
        let allowed = self.allowed_commands(allowed);
        let omitted = match tail.omitted {
            OmittedLog::Nothing => None,
            OmittedLog::Lines(count) => Some(pluralize(count, "line")),
            OmittedLog::Bytes(count) => Some(format_size(count)),
        };
        if let Some(omitted) = omitted {
            let shown = display_path(state, &path);
            let text = format!("{} {omitted} above, in {}", self.options.theme.ellipsis(), shown.display());
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        for line in tail.lines {
            let text = sanitize_line(&line, self.options.theme.color);
            self.command_guard.write_output_line(&mut self.writer, &text, allowed)?;
        }
        self.command_guard.resume_commands(&mut self.writer)
    }

    /// Prints the end of a run: logs of failed sessions that were not printed completely, their locations, the table, the
    /// totals, and where the logs are.
    pub(crate) fn print_summary(&mut self, state: &RunState, run_dir: &Path) -> io::Result<()> {
        let failed: Vec<&SessionResult> = state
            .session_results()
            .map(|(_, result)| result)
            .filter(|result| {
                result.outcome.is_failure() && result.last_attempt().is_some_and(|last| last.log_bytes > 0)
            })
            .collect();
        if self.options.quiet < 2 {
            for result in &failed {
                if self.printed_failures.contains(&result.session) {
                    continue;
                }
                self.print_line("")?;
                self.print_separator(result)?;
                if let Some(last) = result.last_attempt() {
                    self.print_log_tail(state, last, run_dir)?;
                }
            }
        }
        self.print_annotations(state, run_dir)?;
        if self.options.quiet < 2 {
            self.print_line("")?;
            for row in self.summary_rows(state) {
                self.print_line(&row)?;
            }
            self.print_line("")?;
        }
        self.print_line(&run_summary::totals_sentence(state, self.options.theme, self.terminal_width))?;
        if self.options.quiet < 2 && state.run_metadata().is_some() {
            self.print_log_paths(state, &failed, run_dir)?;
            let text = format!("record: {}", display_path(state, run_dir).display());
            self.print_line(&self.options.theme.style_text(TextStyle::Dim, &text))?;
        }
        Ok(())
    }

    /// Prints which sessions failed and where their logs are: what was printed may be far above.
    fn print_log_paths(&mut self, state: &RunState, failed: &[&SessionResult], run_dir: &Path) -> io::Result<()> {
        let theme = self.options.theme;
        for result in failed.iter().take(MAX_LOG_PATHS) {
            let Some(last) = result.last_attempt() else { continue };
            let word = format!("{} {}", session_rows::outcome_word(result), result.session);
            let word = theme.style_text(TextStyle::for_outcome(result.outcome, result.flaky), &word);
            let path = display_path(state, &run_dir.join(&last.log)).display().to_string();
            self.print_line(&format!("{word}: {}", theme.style_text(TextStyle::Dim, &path)))?;
        }
        match failed.len().checked_sub(MAX_LOG_PATHS) {
            None | Some(0) => Ok(()),
            Some(more) => self.print_line(&format!("{} and {more} more: see `noxide logs`", theme.ellipsis())),
        }
    }

    fn summary_rows(&self, state: &RunState) -> Vec<String> {
        let (theme, verbose) = (self.options.theme, self.options.verbose > 0);
        let rows = run_summary::summary_table(state, theme, self.terminal_width, verbose);
        let all_passed = state.session_results().all(|(_, result)| result.outcome == Outcome::Passed);
        if self.options.effective_style() == SessionOutputStyle::Quiet && all_passed { Vec::new() } else { rows }
    }

    /// Prints annotations for the forge, or the locations as text if it shows no annotations.
    fn print_annotations(&mut self, state: &RunState, run_dir: &Path) -> io::Result<()> {
        let Some(forge) = self.options.actions.as_ref().map(|actions| actions.forge) else {
            return Ok(());
        };
        let failed: Vec<&SessionResult> = state
            .session_results()
            .map(|(_, result)| result)
            .filter(|result| result.outcome.is_failure() && !result.attempts.is_empty())
            .take(MAX_ANNOTATIONS)
            .collect();
        let max_per_session = MAX_ANNOTATIONS / failed.len().max(1);
        for result in failed {
            let (locations, has_own_annotations) = session_failure_locations(state, result, run_dir);
            if forge.can_annotate() {
                // The annotations of the session were already printed with its log.
                if has_own_annotations && self.has_printed_logs {
                    continue;
                }
                if locations.is_empty() {
                    let title = format!("{} {}", result.session, session_rows::outcome_word(result));
                    self.print_trusted(&workflow_command::error_command(
                        &title,
                        None,
                        &session_rows::result_title(result),
                    ))?;
                }
            }
            for location in locations.into_iter().take(max_per_session) {
                if forge.can_annotate() {
                    let position = Some((location.file.as_str(), location.line, location.column));
                    let title = result.session.display_name();
                    self.print_trusted(&workflow_command::error_command(&title, position, &location.message))?;
                } else {
                    self.print_line(&format!(
                        "{}:{}: {} ({})",
                        location.file, location.line, location.message, result.session
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the source locations in a failed session's log, and whether the session printed annotations of its own.
fn session_failure_locations(state: &RunState, result: &SessionResult, run_dir: &Path) -> (Vec<FailureLocation>, bool) {
    let Some((metadata, last)) = state.run_metadata().zip(result.last_attempt()) else {
        return (Vec::new(), false);
    };
    let tail = log_reader::read_log_tail(&run_dir.join(&last.log), last.log_bytes, RECAP_LINES).unwrap_or_default();
    let lines: Vec<String> = tail.lines.iter().map(|line| sanitize_line(line, false)).collect();
    let has_own_annotations = lines.iter().any(|line| line.trim_start().starts_with("::error "));
    (
        failure_location::find_failure_locations(&lines, &|path| {
            failure_location::project_relative_file(&metadata.root, path)
        }),
        has_own_annotations,
    )
}

/// Returns a path relative to the project's root, if it is inside.
fn display_path(state: &RunState, path: &Path) -> PathBuf {
    let root = state.run_metadata().map_or(Path::new(""), |metadata| metadata.root.as_path());
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

//! Board reporter for terminals: rows that are redrawn below permanent lines.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::board_view::{BoardView, render_board};
use crate::output::options::{OutputOptions, OutputStreams, TerminalSizeQuery};
use crate::output::run_printer::RunPrinter;
use crate::output::session_rows::SessionRows;
use crate::output::{BestEffortWriter, EventReporter, RunState, estimate_remaining, render_running_sessions};
use crate::project::SessionName;
use crate::record::{EventKind, RunEvent, log_reader};
use crate::text::{last_visible_line, sanitize_line};

/// Minimum time between redraws.
const REDRAW_INTERVAL_MS: u64 = 100;
/// Assumed size of a terminal that does not report one.
const DEFAULT_TERMINAL_SIZE: (usize, usize) = (80, 24);

/// Shows a run on a terminal.
///
/// The cursor is never hidden and the screen never switched, so the terminal stays usable if noxide is killed.
pub(crate) struct BoardReporter {
    printer: RunPrinter,
    terminal_size: TerminalSizeQuery,
    state: RunState,
    run_dir: PathBuf,
    /// Last output line of each running session.
    last_lines: HashMap<SessionName, String>,
    /// Length of the log when the last line was read.
    read_log_bytes: HashMap<SessionName, u64>,
    /// Widths of the lines currently on the screen.
    drawn_widths: Vec<usize>,
    drawn_at: Option<u64>,
    summary_printed: bool,
}

impl BoardReporter {
    /// Opens the reporter for an interactive terminal with grouped output.
    pub(crate) fn open(options: &OutputOptions, streams: &mut OutputStreams) -> Option<Box<dyn EventReporter>> {
        if !options.uses_board() {
            return None;
        }
        let stream = streams.take_human_stream(options);
        Some(Box::new(Self::new(stream, streams.terminal_size.clone(), options.clone())))
    }

    /// Creates a reporter that draws on a terminal.
    pub(crate) fn new(stream: Box<dyn io::Write + Send>, size: TerminalSizeQuery, options: OutputOptions) -> Self {
        Self {
            printer: RunPrinter::new(BestEffortWriter::new(stream), options),
            terminal_size: size,
            state: RunState::default(),
            run_dir: PathBuf::new(),
            last_lines: HashMap::new(),
            read_log_bytes: HashMap::new(),
            drawn_widths: Vec::new(),
            drawn_at: None,
            summary_printed: false,
        }
    }

    fn terminal_size(&self) -> (usize, usize) {
        (self.terminal_size)().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(DEFAULT_TERMINAL_SIZE)
    }

    /// Returns the sequence that erases the rows; rows that a narrower window wraps occupy several lines.
    fn erase_sequence(&mut self) -> String {
        if self.drawn_widths.is_empty() {
            return String::new();
        }
        let (width, height) = self.terminal_size();
        let lines: usize = self.drawn_widths.drain(..).map(|drawn| drawn.div_ceil(width).max(1)).sum();
        format!("\r\x1b[{}A\x1b[J", lines.min(height))
    }

    fn draw_board(&mut self) -> io::Result<()> {
        let now = self.state.elapsed_ms();
        self.drawn_at = Some(now);
        self.read_last_lines();
        let (width, height) = self.terminal_size();
        let theme = self.printer.options.theme;
        let board = BoardView { run_state: &self.state, last_lines: &self.last_lines, theme };
        let lines = render_board(&board, width, height, now);
        let mut text = self.erase_sequence();
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn_widths =
            lines.iter().map(|line| console::measure_text_width(&sanitize_line(line.as_bytes(), false))).collect();
        self.printer.writer.write_text(&text)?;
        self.printer.writer.flush()
    }

    fn read_last_lines(&mut self) {
        for (spec, running) in self.state.running_sessions() {
            if self.read_log_bytes.get(&spec.name) == Some(&running.log_bytes) {
                continue;
            }
            self.read_log_bytes.insert(spec.name.clone(), running.log_bytes);
            let bytes = log_reader::read_last_bytes(&self.run_dir.join(&running.log_path), running.log_bytes)
                .unwrap_or_default();
            if let Some(line) = last_visible_line(&bytes) {
                self.last_lines.insert(spec.name.clone(), line);
            }
        }
    }

    fn remove_last_line(&mut self, session: &SessionName) {
        self.last_lines.remove(session);
        self.read_log_bytes.remove(session);
    }

    /// Prints the permanent lines of an event.
    fn print_event(&mut self, event: &RunEvent) -> io::Result<()> {
        self.printer.terminal_width = Some(self.terminal_size().0);
        let rows = SessionRows::for_run(&self.state, self.printer.options.theme, self.printer.terminal_width);
        match &event.kind {
            EventKind::RunStarted(metadata) => {
                self.printer.print_run_start(metadata, estimate_remaining(&self.state))?;
            }
            EventKind::SessionAdded { session, notified_by: by } => {
                self.printer.print_line(&rows.added_row(&session.name.display_name(), &by.display_name()))?;
            }
            EventKind::SessionRetried { session, attempt, delay_ms: delay } => {
                self.remove_last_line(session);
                self.printer.print_retry(&self.state, &session.display_name(), attempt, *delay, &self.run_dir)?;
            }
            EventKind::SessionHeld { session, attempt, waits_for } => {
                self.remove_last_line(session);
                let row = rows.held_row(&session.display_name(), attempt, &waits_for.display_name());
                self.printer.print_line(&row)?;
            }
            EventKind::SessionFinished(result) => {
                self.remove_last_line(&result.session);
                self.printer.print_session_end(&self.state, result, &self.run_dir)?;
            }
            EventKind::RunInterrupted { cause } => self.printer.print_interruption(&self.state, cause)?,
            EventKind::Notice { text } => self.printer.print_notice(text)?,
            EventKind::RunFinished { .. } => self.print_summary()?,
            EventKind::SessionRestored { session, cache } => {
                self.printer.print_cache_restore(&session.display_name(), cache)?;
            }
            EventKind::SessionRestoring { .. } | EventKind::SessionStarted { .. } | EventKind::OutputGrew { .. } => {}
        }
        Ok(())
    }

    fn print_summary(&mut self) -> io::Result<()> {
        self.summary_printed = true;
        self.printer.terminal_width = Some(self.terminal_size().0);
        self.printer.print_summary(&self.state, &self.run_dir)
    }

    fn is_redraw_due(&self) -> bool {
        self.drawn_at.is_none_or(|at| self.state.elapsed_ms().saturating_sub(at) >= REDRAW_INTERVAL_MS)
    }
}

impl EventReporter for BoardReporter {
    fn on_event(&mut self, event: &RunEvent, run_dir: &Path) -> io::Result<()> {
        if self.run_dir != run_dir {
            self.run_dir = run_dir.to_path_buf();
        }
        self.state.apply_event(event);
        if matches!(
            event.kind,
            EventKind::SessionRestoring { .. } | EventKind::SessionStarted { .. } | EventKind::OutputGrew { .. }
        ) {
            return if self.is_redraw_due() { self.draw_board() } else { Ok(()) };
        }
        let erased = self.erase_sequence();
        self.printer.writer.write_text(&erased)?;
        self.print_event(event)?;
        if self.summary_printed { self.printer.writer.flush() } else { self.draw_board() }
    }

    fn on_tick(&mut self, now: u64) -> io::Result<()> {
        self.state.advance_clock(now);
        if self.is_redraw_due() && !self.summary_printed && self.state.run_metadata().is_some() {
            self.draw_board()
        } else {
            Ok(())
        }
    }

    fn show_running(&mut self) -> io::Result<()> {
        let text = self.erase_sequence()
            + &render_running_sessions(&self.state, &self.run_dir, self.printer.options.theme)
            + "\n";
        self.printer.writer.write_text(&text)?;
        self.draw_board()
    }

    fn finish(&mut self) -> io::Result<()> {
        let erased = self.erase_sequence();
        self.printer.writer.write_text(&erased)?;
        if !self.summary_printed && self.state.run_metadata().is_some() {
            self.print_summary()?;
        }
        self.printer.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::output::best_effort_writer::tests::{Capture, Failing};
    use crate::output::event_builder::{RunEventBuilder, session_spec, session_spec_with_usual};
    use crate::output::virtual_terminal::VirtualTerminal;
    use crate::record::Outcome;

    /// A board on a terminal with a variable width.
    struct TestTerminal {
        board: BoardReporter,
        capture: Capture,
        screen: VirtualTerminal,
        width: Arc<AtomicUsize>,
    }

    impl TestTerminal {
        fn new(width: usize, height: usize) -> Self {
            let (capture, width_cell) = (Capture::default(), Arc::new(AtomicUsize::new(width)));
            let current_width = width_cell.clone();
            let size: TerminalSizeQuery = Arc::new(move || Some((current_width.load(Ordering::Relaxed), height)));
            let options = OutputOptions { is_interactive: true, ..OutputOptions::plain() };
            let board = BoardReporter::new(Box::new(capture.clone()), size, options);
            Self { board, capture, screen: VirtualTerminal::new(width, height), width: width_cell }
        }

        fn feed(&mut self, builder: &RunEventBuilder, from: usize) -> String {
            for event in &builder.events[from..] {
                self.board.on_event(event, builder.run_dir()).unwrap();
                self.screen.write_text(&self.capture.take());
            }
            builder.replace_root(&self.screen.screen_text())
        }

        fn tick(&mut self, now: u64) -> String {
            self.board.on_tick(now).unwrap();
            self.screen.write_text(&self.capture.take());
            self.screen.screen_text()
        }
    }

    fn sample_run() -> RunEventBuilder {
        let mut builder = RunEventBuilder::from_sessions(vec![
            session_spec_with_usual("lint", 3_000, &[]),
            session_spec_with_usual("tests", 20_000, &[]),
            session_spec("docs"),
        ]);
        builder.start_session(0, "lint").start_session(0, "tests").append_output(
            900,
            "tests",
            b"collecting\rcollected 12 items\n",
        );
        builder.append_output(2_900, "lint", b"src/a.py:1:1: F401\nFound 1 error.\n");
        builder.finish_session(3_000, "lint", Outcome::Failed, "exit code 1").start_session(3_001, "docs");
        builder
    }

    #[test]
    fn rows_are_redrawn_below_permanent_lines() {
        let mut terminal = TestTerminal::new(80, 24);
        let mut builder = sample_run();
        insta::assert_snapshot!("running", terminal.feed(&builder, 0));
        let before = builder.events.len();
        assert!(terminal.tick(5_000).contains("5s / ~20s"));
        builder.add_session(6_000, "deploy", "tests").add_notice(6_500, "the directory is read-only").retry_session(
            7_000,
            "tests",
            "exit code 3",
            0,
        );
        builder
            .start_session(7_001, "tests")
            .finish_session(9_000, "tests", Outcome::Passed, "")
            .interrupt_run(9_500, "SIGINT");
        builder.finish_session(9_900, "docs", Outcome::Cancelled, "SIGINT").finish_run(10_000, 130);
        insta::assert_snapshot!("over", terminal.feed(&builder, before));
        terminal.board.finish().unwrap();
        terminal.board.on_tick(99_000).unwrap();
        assert_eq!(terminal.capture.take(), "", "nothing is drawn after the end");
    }

    #[test]
    fn at_most_ten_redraws_per_second() {
        let mut terminal = TestTerminal::new(80, 24);
        let mut builder = RunEventBuilder::new(&["tests"]);
        builder.start_session(100, "tests");
        terminal.feed(&builder, 0);
        let mut redraws = 0;
        for at in 0..1_000 {
            builder.append_output(101 + at, "tests", b"x\n");
            terminal.board.on_event(builder.events.last().unwrap(), builder.run_dir()).unwrap();
            redraws += usize::from(!terminal.capture.take().is_empty());
        }
        assert!((9..=10).contains(&redraws), "{redraws}");
    }

    #[test]
    fn a_narrower_window_leaves_no_rows_behind() {
        let mut terminal = TestTerminal::new(100, 24);
        let builder = sample_run();
        terminal.feed(&builder, 0);
        terminal.width.store(50, Ordering::Relaxed);
        terminal.screen.shrink_width(50);
        let text = terminal.tick(6_000);
        assert_eq!(text.matches("tests").count(), 1, "{text}");
        assert_eq!(text.matches("2 running").count(), 1, "{text}");
        assert!(text.contains("Found 1 error."), "permanent lines are not erased: {text}");
    }

    #[test]
    fn running_sessions_are_shown_on_request() {
        let mut terminal = TestTerminal::new(80, 24);
        terminal.feed(&sample_run(), 0);
        terminal.board.show_running().unwrap();
        terminal.screen.write_text(&terminal.capture.take());
        assert!(terminal.screen.screen_text().contains("after 3s: 2 running, 0 done, 1 failed, 0 waiting"));
    }

    #[test]
    fn truncated_events_leave_a_summary_and_no_rows() {
        let mut terminal = TestTerminal::new(80, 24);
        terminal.feed(&sample_run(), 0);
        terminal.board.finish().unwrap();
        terminal.screen.write_text(&terminal.capture.take());
        let text = terminal.screen.screen_text();
        assert!(text.contains("3 sessions: 1 failed, 2 unfinished") && !text.contains("3s ·"), "{text}");
    }

    #[test]
    fn hostile_output_cannot_move_the_cursor() {
        let mut terminal = TestTerminal::new(60, 12);
        let mut builder = RunEventBuilder::new(&["evil"]);
        builder.start_session(0, "evil").append_output(
            1,
            "evil",
            b"\x1b[2J\x1b]0;pwned\x07\x1b[99Aboo\x08\xff\xfe\x1b[5m\n",
        );
        builder
            .add_notice(5, "clean \x1b[2J me")
            .finish_session(10, "evil", Outcome::Failed, "\x1b[2Jbad")
            .finish_run(11, 1);
        assert!(terminal.feed(&builder, 0).contains("boo"));
    }

    #[test]
    fn a_terminal_that_is_closed_or_has_no_size_is_no_error() {
        let options = OutputOptions { is_interactive: true, ..OutputOptions::plain() };
        let mut board = BoardReporter::new(Box::new(Capture::default()), Arc::new(|| None), options.clone());
        sample_run().feed_reporter(&mut board);
        let closed_pipe = Failing(10, io::ErrorKind::BrokenPipe);
        let mut board = BoardReporter::new(Box::new(closed_pipe), Arc::new(|| Some((0, 0))), options);
        sample_run().feed_reporter(&mut board);
    }
}

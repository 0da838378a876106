//! The board on a terminal: rows that are redrawn in place, below lines that stay.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::board::{BoardState, frame};
use crate::output::options::{OutputOptions, Size};
use crate::output::row::Rows;
use crate::output::screen::Screen;
use crate::output::{Pipe, Reporter, RunState, clean, log, remaining, snapshot_running};
use crate::project::SessionName;
use crate::record::{Event, Fact};

/// At most ten pictures a second.
const FRAME: u64 = 100;
/// The size of a terminal that does not tell its own.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// Shows a run on a terminal.
///
/// The cursor is never hidden and the screen never switched: whatever happens to noxide, the terminal stays usable.
pub struct Board {
    screen: Screen,
    size: Size,
    state: RunState,
    folder: PathBuf,
    /// Of each running session the last line, and the length of the log it was read at.
    last_lines: HashMap<SessionName, String>,
    read: HashMap<SessionName, u64>,
    /// Widths of the lines that stand on the screen.
    drawn: Vec<usize>,
    drawn_at: Option<u64>,
    summed_up: bool,
}

impl Board {
    /// A reporter that draws on this terminal.
    pub fn new(stream: Box<dyn io::Write + Send>, size: Size, options: OutputOptions) -> Self {
        Self {
            screen: Screen::new(Pipe::new(stream), options),
            size,
            state: RunState::default(),
            folder: PathBuf::new(),
            last_lines: HashMap::new(),
            read: HashMap::new(),
            drawn: Vec::new(),
            drawn_at: None,
            summed_up: false,
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.size)().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(USUAL_SIZE)
    }

    /// What takes the rows off the screen again. Rows that a narrower window has wrapped take more lines than they did.
    fn erase(&mut self) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        let (width, height) = self.size();
        let lines: usize = self.drawn.drain(..).map(|drawn| drawn.div_ceil(width).max(1)).sum();
        format!("\r\x1b[{}A\x1b[J", lines.min(height))
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = self.state.now();
        self.drawn_at = Some(now);
        self.read_last_lines();
        let (width, height) = self.size();
        let paint = self.screen.options.paint;
        let board = BoardState { run: &self.state, last_lines: &self.last_lines, paint };
        let lines = frame(&board, width, height, now);
        let mut text = self.erase();
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn =
            lines.iter().map(|line| console::measure_text_width(&clean::clean_line(line.as_bytes(), false))).collect();
        self.screen.pipe.text(&text)?;
        self.screen.pipe.flush()
    }

    fn read_last_lines(&mut self) {
        for (facts, running) in self.state.running() {
            if self.read.get(&facts.name) == Some(&running.bytes) {
                continue;
            }
            self.read.insert(facts.name.clone(), running.bytes);
            let bytes = log::last_bytes(&self.folder.join(&running.log), running.bytes).unwrap_or_default();
            if let Some(line) = clean::last_line(&bytes) {
                self.last_lines.insert(facts.name.clone(), line);
            }
        }
    }

    fn forget(&mut self, session: &SessionName) {
        self.last_lines.remove(session);
        self.read.remove(session);
    }

    /// Prints what stays on the screen of this event.
    fn stays(&mut self, event: &Event) -> io::Result<()> {
        self.screen.width = Some(self.size().0);
        let rows = Rows::of(&self.state, self.screen.options.paint, self.screen.width);
        match &event.fact {
            Fact::RunStarted(facts) => self.screen.opening(facts, remaining(&self.state))?,
            Fact::SessionAdded { session, by } => {
                self.screen.say(&rows.added(session.name.as_str(), by.as_str()))?;
            }
            Fact::SessionRetried { session, attempt, delay } => {
                self.forget(session);
                self.screen.retried(&self.state, session.as_str(), attempt, *delay, &self.folder)?;
            }
            Fact::SessionFinished(result) => {
                self.forget(&result.session);
                self.screen.finished(&self.state, result, &self.folder)?;
            }
            Fact::RunInterrupted { cause } => self.screen.interrupted(&self.state, cause)?,
            Fact::Notice { text } => self.screen.notice(text)?,
            Fact::RunFinished { .. } => self.sum_up()?,
            Fact::SessionRestored { session, cache } => self.screen.restored(session.as_str(), cache)?,
            Fact::SessionRestoring { .. } | Fact::SessionStarted { .. } | Fact::OutputGrew { .. } => {}
        }
        Ok(())
    }

    fn sum_up(&mut self) -> io::Result<()> {
        self.summed_up = true;
        self.screen.width = Some(self.size().0);
        self.screen.summary(&self.state, &self.folder)
    }

    fn due(&self) -> bool {
        self.drawn_at.is_none_or(|at| self.state.now().saturating_sub(at) >= FRAME)
    }
}

impl Reporter for Board {
    fn event(&mut self, event: &Event, folder: &Path) -> io::Result<()> {
        if self.folder != folder {
            self.folder = folder.to_path_buf();
        }
        self.state.apply(event);
        if matches!(event.fact, Fact::SessionRestoring { .. } | Fact::SessionStarted { .. } | Fact::OutputGrew { .. }) {
            return if self.due() { self.draw() } else { Ok(()) };
        }
        let erased = self.erase();
        self.screen.pipe.text(&erased)?;
        self.stays(event)?;
        if self.summed_up { self.screen.pipe.flush() } else { self.draw() }
    }

    fn tick(&mut self, now: u64) -> io::Result<()> {
        self.state.tick(now);
        if self.due() && !self.summed_up && self.state.facts().is_some() { self.draw() } else { Ok(()) }
    }

    fn show_running(&mut self) -> io::Result<()> {
        let text = self.erase() + &snapshot_running(&self.state, &self.folder, self.screen.options.paint) + "\n";
        self.screen.pipe.text(&text)?;
        self.draw()
    }

    fn finish(&mut self) -> io::Result<()> {
        let erased = self.erase();
        self.screen.pipe.text(&erased)?;
        if !self.summed_up && self.state.facts().is_some() {
            self.sum_up()?;
        }
        self.screen.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::output::pipe::tests::{Capture, Failing};
    use crate::output::story::{Story, session, usual};
    use crate::output::terminal::Terminal;
    use crate::record::Outcome;

    /// A board on a terminal whose width can change.
    struct Desk {
        board: Board,
        capture: Capture,
        terminal: Terminal,
        width: Arc<AtomicUsize>,
    }

    impl Desk {
        fn new(width: usize, height: usize) -> Self {
            let (capture, known) = (Capture::default(), Arc::new(AtomicUsize::new(width)));
            let asked = known.clone();
            let size: Size = Arc::new(move || Some((asked.load(Ordering::Relaxed), height)));
            let options = OutputOptions { board: true, ..OutputOptions::plain() };
            let board = Board::new(Box::new(capture.clone()), size, options);
            Self { board, capture, terminal: Terminal::new(width, height), width: known }
        }

        fn feed(&mut self, story: &Story, from: usize) -> String {
            for event in &story.events[from..] {
                self.board.event(event, story.folder()).unwrap();
                self.terminal.show(&self.capture.take());
            }
            story.stable(&self.terminal.picture())
        }

        fn tick(&mut self, now: u64) -> String {
            self.board.tick(now).unwrap();
            self.terminal.show(&self.capture.take());
            self.terminal.picture()
        }
    }

    fn story() -> Story {
        let mut story = Story::of(vec![usual("lint", 3_000, &[]), usual("tests", 20_000, &[]), session("docs")]);
        story.start(0, "lint").start(0, "tests").grew(900, "tests", b"collecting\rcollected 12 items\n");
        story.grew(2_900, "lint", b"src/a.py:1:1: F401\nFound 1 error.\n");
        story.finish(3_000, "lint", Outcome::Failed, "exit code 1").start(3_001, "docs");
        story
    }

    #[test]
    fn rows_are_redrawn_below_lines_that_stay() {
        let mut desk = Desk::new(80, 24);
        let mut story = story();
        insta::assert_snapshot!("running", desk.feed(&story, 0));
        let before = story.events.len();
        assert!(desk.tick(5_000).contains("5s / ~20s"));
        story.add(6_000, "deploy", "tests").notice(6_500, "the folder is read-only").retry(
            7_000,
            "tests",
            "exit code 3",
            0,
        );
        story.start(7_001, "tests").finish(9_000, "tests", Outcome::Passed, "").interrupt(9_500, "SIGINT");
        story.finish(9_900, "docs", Outcome::Cancelled, "SIGINT").over(10_000, 130);
        insta::assert_snapshot!("over", desk.feed(&story, before));
        desk.board.finish().unwrap();
        desk.board.tick(99_000).unwrap();
        assert_eq!(desk.capture.take(), "", "nothing is drawn after the end");
    }

    #[test]
    fn at_most_ten_pictures_a_second() {
        let mut desk = Desk::new(80, 24);
        let mut story = Story::new(&["tests"]);
        story.start(100, "tests");
        desk.feed(&story, 0);
        let mut pictures = 0;
        for at in 0..1_000 {
            story.grew(101 + at, "tests", b"x\n");
            desk.board.event(story.events.last().unwrap(), story.folder()).unwrap();
            pictures += usize::from(!desk.capture.take().is_empty());
        }
        assert!((9..=10).contains(&pictures), "{pictures}");
    }

    #[test]
    fn a_narrower_window_leaves_no_rows_behind() {
        let mut desk = Desk::new(100, 24);
        let story = story();
        desk.feed(&story, 0);
        desk.width.store(50, Ordering::Relaxed);
        desk.terminal.narrow(50);
        let picture = desk.tick(6_000);
        assert_eq!(picture.matches("tests").count(), 1, "{picture}");
        assert_eq!(picture.matches("running").count(), 1, "{picture}");
        assert!(picture.contains("Found 1 error."), "what stays is not erased: {picture}");
    }

    #[test]
    fn somebody_asks_what_runs() {
        let mut desk = Desk::new(80, 24);
        desk.feed(&story(), 0);
        desk.board.show_running().unwrap();
        desk.terminal.show(&desk.capture.take());
        assert!(desk.terminal.picture().contains("after 3s: 2 running, 0 done, 1 failed, 0 waiting"));
    }

    #[test]
    fn events_that_end_early_leave_a_summary_and_no_rows() {
        let mut desk = Desk::new(80, 24);
        desk.feed(&story(), 0);
        desk.board.finish().unwrap();
        desk.terminal.show(&desk.capture.take());
        let picture = desk.terminal.picture();
        assert!(picture.contains("3 sessions: 1 failed, 2 unfinished") && !picture.contains("3s ·"), "{picture}");
    }

    #[test]
    fn hostile_output_moves_no_cursor() {
        let mut desk = Desk::new(60, 12);
        let mut story = Story::new(&["evil"]);
        story.start(0, "evil").grew(1, "evil", b"\x1b[2J\x1b]0;pwned\x07\x1b[99Aboo\x08\xff\xfe\x1b[5m\n");
        story.notice(5, "clean \x1b[2J me").finish(10, "evil", Outcome::Failed, "\x1b[2Jbad").over(11, 1);
        assert!(desk.feed(&story, 0).contains("boo"));
    }

    #[test]
    fn a_terminal_without_size_or_gone_ends_no_run() {
        let options = OutputOptions { board: true, ..OutputOptions::plain() };
        let mut board = Board::new(Box::new(Capture::default()), Arc::new(|| None), options.clone());
        story().feed(&mut board);
        let gone = Failing(10, io::ErrorKind::BrokenPipe);
        let mut board = Board::new(Box::new(gone), Arc::new(|| Some((0, 0))), options);
        story().feed(&mut board);
    }
}

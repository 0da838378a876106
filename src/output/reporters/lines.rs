//! A run as lines, for pipes and CI: starts, ends, logs in one of four styles, and a sign of life in long silence.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::duration::rough;
use crate::output::log::{LineCutter, read_range};
use crate::output::options::{OutputOptions, Style};
use crate::output::paint::Tone;
use crate::output::row::{self, Rows};
use crate::output::screen::Screen;
use crate::output::{Pipe, Reporter, RunState, remaining, snapshot_running};
use crate::project::SessionName;
use crate::record::{Event, Fact, SessionResult};

/// Silence this long is broken: CI ends runs that say nothing for too long.
const SILENCE: u64 = 55_000;

/// Shows a run as lines.
pub struct Lines {
    screen: Screen,
    state: RunState,
    folder: PathBuf,
    follows: HashMap<SessionName, Follow>,
    spoke: u64,
    summed_up: bool,
}

/// How far a session's log has been shown.
struct Follow {
    path: PathBuf,
    at: u64,
    cutter: LineCutter,
}

impl Lines {
    /// A reporter that writes lines to this stream.
    pub fn new(stream: Box<dyn io::Write + Send>, options: OutputOptions) -> Self {
        let options = OutputOptions { board: false, ..options };
        Self {
            screen: Screen::new(Pipe::new(stream), options),
            state: RunState::default(),
            folder: PathBuf::new(),
            follows: HashMap::new(),
            spoke: 0,
            summed_up: false,
        }
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.spoke = self.state.now();
        self.screen.say(line)
    }

    fn quiet(&self) -> bool {
        self.screen.options.style() == Style::Quiet
    }

    fn rows(&self) -> Rows {
        Rows::of(&self.state, self.screen.options.paint, None)
    }

    fn take(&mut self, event: &Event) -> io::Result<()> {
        match &event.fact {
            Fact::RunStarted(facts) if !self.quiet() => {
                self.spoke = self.state.now();
                self.screen.opening(facts, remaining(&self.state))
            }
            Fact::SessionAdded { session, by } if !self.quiet() => {
                self.say(&self.rows().added(session.name.as_str(), by.as_str()))
            }
            Fact::SessionStarted { session, attempt, log, .. } => {
                let path = self.folder.join(log);
                self.follows.insert(session.clone(), Follow { path, at: 0, cutter: LineCutter::default() });
                match self.state.session(session) {
                    Some(view) if !self.quiet() => self.say(&self.rows().started(&view.facts, *attempt)),
                    _ => Ok(()),
                }
            }
            Fact::OutputGrew { session, to, .. } => self.follow(session, *to),
            Fact::SessionRetried { session, attempt, delay } => {
                self.end_of_log(session, attempt.log_bytes)?;
                self.spoke = self.state.now();
                self.screen.retried(&self.state, session.as_str(), attempt, *delay, &self.folder)
            }
            Fact::SessionFinished(result) => self.finished(result),
            Fact::RunInterrupted { cause } => {
                self.spoke = self.state.now();
                self.screen.interrupted(&self.state, cause)
            }
            Fact::Notice { text } => {
                self.spoke = self.state.now();
                self.screen.notice(text)
            }
            Fact::RunFinished { .. } => self.sum_up(),
            Fact::RunStarted(_) | Fact::SessionAdded { .. } => Ok(()),
        }
    }

    fn finished(&mut self, result: &SessionResult) -> io::Result<()> {
        self.end_of_log(&result.session, result.last().map_or(0, |last| last.log_bytes))?;
        self.spoke = self.state.now();
        self.screen.finished(&self.state, result, &self.folder)
    }

    /// Shows what a session's log gained, in the styles that show logs as they grow.
    fn follow(&mut self, session: &SessionName, to: u64) -> io::Result<()> {
        let prefix = match self.screen.options.style() {
            Style::Stream => String::new(),
            Style::Labelled => self.label(session),
            Style::Grouped | Style::Quiet => return Ok(()),
        };
        let Some(follow) = self.follows.get_mut(session) else {
            return Ok(());
        };
        let (screen, cutter) = (&mut self.screen, &mut follow.cutter);
        let mut failed = None;
        let read = read_range(&follow.path, follow.at, to, &mut |chunk| {
            cutter
                .push(chunk, &mut |line| screen.output(&prefix, line))
                .inspect_err(|error| failed = Some(error.kind()))
        });
        self.spoke = self.state.now();
        match read {
            Ok(at) => follow.at = at,
            Err(error) if failed.is_some() => return Err(error),
            // A log that cannot be read is no reason to end the run: its recorder tells of it.
            Err(_) => follow.at = to,
        }
        Ok(())
    }

    /// Shows the rest of an attempt's log, its unfinished last line included.
    fn end_of_log(&mut self, session: &SessionName, bytes: u64) -> io::Result<()> {
        self.follow(session, bytes)?;
        let prefix = if self.screen.options.style() == Style::Labelled { self.label(session) } else { String::new() };
        match self.follows.remove(session) {
            Some(mut follow) => follow.cutter.finish(&mut |line| self.screen.output(&prefix, line)),
            None => Ok(()),
        }
    }

    fn label(&self, session: &SessionName) -> String {
        let paint = self.screen.options.paint;
        let width = row::name_width(&self.state);
        let padded = console::pad_str(session.as_str(), width, console::Alignment::Left, None);
        format!("{} {} ", paint.label(session.as_str(), &padded), paint.tone(Tone::Dim, "|"))
    }

    fn sum_up(&mut self) -> io::Result<()> {
        self.summed_up = true;
        self.screen.summary(&self.state, &self.folder)
    }

    /// `… still running after 3m 20s: unit_tests (2m 10s of ~4m 00s), docs (1m 02s)`
    fn sign_of_life(&self) -> Option<String> {
        let running: Vec<String> = self
            .state
            .running()
            .into_iter()
            .map(|(facts, running)| {
                let elapsed = rough(self.state.now().saturating_sub(running.since));
                let usual = facts.usual.map(|usual| format!(" of ~{}", rough(usual))).unwrap_or_default();
                format!("{} ({elapsed}{usual})", facts.name)
            })
            .collect();
        let more = running.len().saturating_sub(8);
        let mut names = running.get(..running.len().min(8))?.join(", ");
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        let paint = self.screen.options.paint;
        let elapsed = rough(self.state.now());
        let what = match names.as_str() {
            "" => format!("still waiting after {elapsed}"),
            names => format!("still running after {elapsed}: {names}"),
        };
        Some(paint.tone(Tone::Dim, &format!("{} {what}", paint.ellipsis())))
    }
}

impl Reporter for Lines {
    fn event(&mut self, event: &Event, folder: &Path) -> io::Result<()> {
        if self.folder != folder {
            self.folder = folder.to_path_buf();
        }
        self.state.apply(event);
        self.take(event)?;
        self.screen.pipe.flush()
    }

    fn tick(&mut self, now: u64) -> io::Result<()> {
        self.state.tick(now);
        let options = &self.screen.options;
        let silent = now.saturating_sub(self.spoke) >= SILENCE;
        if silent && !self.summed_up && self.state.facts().is_some() && (options.ci || !self.quiet()) {
            if let Some(line) = self.sign_of_life() {
                self.say(&line)?;
            }
            self.screen.pipe.flush()?;
        }
        Ok(())
    }

    fn show_running(&mut self) -> io::Result<()> {
        let text = snapshot_running(&self.state, &self.folder, self.screen.options.paint);
        self.say(&text)?;
        self.screen.pipe.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.summed_up && self.state.facts().is_some() {
            self.sum_up()?;
        }
        self.screen.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::options::{Actions, Forge};
    use crate::output::pipe::tests::{Capture, Failing};
    use crate::output::story::{Story, session, usual};
    use crate::record::Outcome;

    fn show(story: &Story, options: OutputOptions) -> String {
        let capture = Capture::default();
        story.feed(&mut Lines::new(Box::new(capture.clone()), options));
        story.stable(&capture.text())
    }

    fn on(forge: Forge) -> OutputOptions {
        let actions = Actions { forge, stop_token: "t0k3n".to_owned() };
        OutputOptions { ci: true, actions: Some(actions), ..OutputOptions::plain() }
    }

    fn styled(style: Style) -> OutputOptions {
        OutputOptions { style, ..OutputOptions::plain() }
    }

    fn story() -> Story {
        let mut story = Story::of(vec![usual("lint", 3_000, &[]), usual("tests", 20_000, &[]), session("docs")]);
        fs_err::create_dir(story.root().join("src")).unwrap();
        fs_err::write(story.root().join("src/a.py"), "import os\n").unwrap();
        story.start(0, "lint").start(0, "tests").grew(900, "tests", b"collecting\rcoll");
        story.grew(2_900, "lint", b"src/a.py:1:8: F401 `os` unused\n::set-env name=PATH::/evil\n");
        story.grew(2_950, "tests", b"ected 2 items\n\x1b[32m..\x1b[0m no end");
        story.finish(3_000, "lint", Outcome::Failed, "exit code 1").retry(3_500, "tests", "exit code 3", 500);
        story.start(4_000, "tests").grew(4_100, "tests", b"2 passed\n").finish(9_000, "tests", Outcome::Passed, "");
        story.finish(9_001, "docs", Outcome::Skipped, "Python 3.9 not found").over(9_100, 1);
        story
    }

    #[test]
    fn grouped_shows_only_failures_logs_outside_ci() {
        insta::assert_snapshot!("grouped", show(&story(), styled(Style::Grouped)));
        let verbose = show(&story(), OutputOptions { verbose: 1, ..OutputOptions::plain() });
        assert!(verbose.contains("\n2 passed\n") && verbose.contains("nox 2026.10.20"), "{verbose}");
    }

    #[test]
    fn streams_of_lines_never_mix() {
        insta::assert_snapshot!("stream", show(&story(), styled(Style::Stream)));
        insta::assert_snapshot!("labelled", show(&story(), styled(Style::Labelled)));
    }

    #[test]
    fn quiet_shows_failures_and_totals() {
        insta::assert_snapshot!("quiet", show(&story(), styled(Style::Quiet)));
        let quieter = show(&story(), OutputOptions { quiet: 2, ..OutputOptions::plain() });
        assert_eq!(quieter.lines().count(), 1, "{quieter}");
        let mut good = Story::new(&["lint"]);
        good.start(0, "lint").finish(5, "lint", Outcome::Passed, "").over(6, 0);
        assert_eq!(show(&good, styled(Style::Quiet)).trim().lines().count(), 2);
    }

    #[test]
    fn each_forge_gets_folds_and_what_it_shows_of_annotations() {
        insta::assert_snapshot!("github", show(&story(), on(Forge::GitHub)));
        insta::assert_snapshot!("forgejo", show(&story(), on(Forge::Forgejo)));
    }

    #[test]
    fn sessions_own_annotations_reach_github_once_and_streams_stay_guarded() {
        let mut story = Story::new(&["lint", "types"]);
        story.start(0, "lint").grew(1, "lint", b"::error file=a.py,line=1::bad\n::endgroup::\n");
        story.start(1, "types").finish(2, "types", Outcome::Failed, "exit code 2");
        story.finish(2, "lint", Outcome::Failed, "exit code 1").over(3, 1);
        insta::assert_snapshot!("own", show(&story, on(Forge::GitHub)));
        let streamed = show(&story, OutputOptions { style: Style::Stream, ..on(Forge::GitHub) });
        let commands: Vec<&str> = streamed.lines().filter(|line| line.starts_with("::")).take(4).collect();
        assert_eq!(
            commands,
            ["::error file=a.py,line=1::bad", "::stop-commands::t0k3n", "::endgroup::", "::t0k3n::"],
            "{streamed}"
        );
        let labelled = show(&story, OutputOptions { style: Style::Labelled, ..on(Forge::GitHub) });
        assert!(
            labelled.contains("\nlint  | ::endgroup::\n") && labelled.contains("\n::error file=a.py"),
            "{labelled}"
        );
    }

    #[test]
    fn a_long_log_is_shown_whole_once_and_its_end_again() {
        let mut story = Story::new(&["tests", "docs"]);
        let log: String = (1..=1_000).map(|n| format!("line {n}\n")).collect();
        story.start(0, "tests").write("tests", log.as_bytes()).finish(5, "tests", Outcome::Failed, "exit code 1");
        story.start(5, "docs").finish(9, "docs", Outcome::Passed, "").over(9, 1);
        let text = show(&story, styled(Style::Grouped));
        assert_eq!(text.matches("line 800\n").count(), 1);
        assert_eq!(text.matches("line 801\n").count(), 2);
        assert!(text.contains("… 800 lines above, in .noxide/runs/1/tests-1.log"), "{text}");
        let mut alone = Story::new(&["tests"]);
        alone.start(0, "tests").write("tests", b"only once\n").finish(5, "tests", Outcome::Failed, "").over(6, 1);
        assert_eq!(show(&alone, styled(Style::Grouped)).matches("only once").count(), 1);
    }

    #[test]
    fn silence_is_broken_about_once_a_minute() {
        let mut story = Story::of(vec![usual("tests", 240_000, &[]), session("docs")]);
        story.start(0, "tests").start(1_000, "docs");
        let capture = Capture::default();
        let mut lines = Lines::new(Box::new(capture.clone()), OutputOptions::plain());
        story.events.iter().for_each(|event| lines.event(event, story.folder()).unwrap());
        capture.take();
        (0..200).for_each(|second| lines.tick(second * 1_000).unwrap());
        insta::assert_snapshot!(capture.take(), @r"
        … still running after 56s: tests (56s of ~4m 00s), docs (55s)
        … still running after 1m 51s: tests (1m 51s of ~4m 00s), docs (1m 50s)
        … still running after 2m 46s: tests (2m 46s of ~4m 00s), docs (2m 45s)
        ");
        story.finish(199_500, "tests", Outcome::Passed, "").finish(199_600, "docs", Outcome::Passed, "");
        story.events[3..].iter().for_each(|event| lines.event(event, story.folder()).unwrap());
        capture.take();
        lines.tick(300_000).unwrap();
        assert_eq!(capture.take(), "… still waiting after 5m 00s\n");
        let mut quiet = Lines::new(Box::new(capture.clone()), styled(Style::Quiet));
        quiet.event(&story.events[0], story.folder()).unwrap();
        quiet.tick(99_000).unwrap();
        assert_eq!(capture.take(), "");
    }

    #[test]
    fn a_crowd_is_named_in_part_and_asked_for_in_whole() {
        let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
        let mut story = Story::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        names.iter().for_each(|name| {
            story.start(0, name);
        });
        let capture = Capture::default();
        let mut lines = Lines::new(Box::new(capture.clone()), OutputOptions::plain());
        story.events.iter().for_each(|event| lines.event(event, story.folder()).unwrap());
        lines.tick(60_000).unwrap();
        assert!(capture.take().ends_with("s7 (1m 00s) and 4 more\n"));
        lines.show_running().unwrap();
        assert_eq!(capture.take().lines().count(), 13);
    }

    #[test]
    fn a_lost_log_or_a_closed_pipe_ends_no_run() {
        let mut story = story();
        story.interrupt(9_200, "SIGTERM").notice(9_300, "odd").add(9_400, "late", "tests");
        for style in [Style::Grouped, Style::Stream] {
            let pipe = Failing(40, io::ErrorKind::BrokenPipe);
            story.feed(&mut Lines::new(Box::new(pipe), styled(style)));
            let full = Failing(40, io::ErrorKind::StorageFull);
            let mut lines = Lines::new(Box::new(full), styled(style));
            let told = story.events.iter().filter(|event| lines.event(event, story.folder()).is_err()).count();
            assert_eq!(told, 1, "a full disk is told once");
        }
        fs_err::remove_file(story.folder().join("lint-1.log")).unwrap();
        let text = show(&story, styled(Style::Grouped));
        assert!(text.contains("its log cannot be read") && text.contains("SIGTERM: ending the run"), "{text}");
        assert!(show(&story, styled(Style::Stream)).contains("late"));
    }

    #[test]
    fn events_that_end_early_still_get_a_summary() {
        let mut story = Story::new(&["a", "b"]);
        story.start(0, "a");
        assert!(show(&story, OutputOptions::plain()).contains("2 sessions: 2 unfinished in 0ms"));
        story.events.clear();
        assert_eq!(show(&story, OutputOptions::plain()), "");
    }
}

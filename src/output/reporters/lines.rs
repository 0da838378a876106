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
            Fact::SessionRestored { session, cache } if !self.quiet() => self.screen.restored(session.as_str(), cache),
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
            Fact::RunStarted(_)
            | Fact::SessionAdded { .. }
            | Fact::SessionRestoring { .. }
            | Fact::SessionRestored { .. } => Ok(()),
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
mod tests;

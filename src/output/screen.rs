//! What is printed for good about a run's sessions: ends, logs, recaps, the summary. Boards and lines share it.

use std::io;
use std::path::{Path, PathBuf};

use super::log::{self, Above};
use super::options::{OutputOptions, Style};
use super::paint::Tone;
use super::place::{self, Place};
use super::row::{self, Rows};
use super::workflow_command::{self, Guard, Pass};
use super::{Pipe, RunState, clean, duration, size, summary};
use crate::record::{Attempt, CacheUse, Outcome, RunFacts, SessionResult};

/// A recap shows at most this many lines of a log.
pub(crate) const RECAP: usize = 200;
/// Lines of a failed session's log shown at once above the board.
const GLANCE: usize = 6;
/// GitHub shows at most this many errors of a step.
const MOST_ANNOTATIONS: usize = 10;

/// The stream that people or a forge's log read, and how to speak to it.
pub(crate) struct Screen {
    pub(crate) pipe: Pipe,
    pub(crate) options: OutputOptions,
    /// Columns, where the stream is a terminal.
    pub(crate) width: Option<usize>,
    guard: Guard,
    /// The session whose whole log was the last thing printed.
    fresh: Option<crate::project::SessionName>,
    /// Whether sessions' logs have been printed before the recap.
    logs_shown: bool,
}

impl Screen {
    pub(crate) fn new(pipe: Pipe, options: OutputOptions) -> Self {
        let guard = Guard::new(options.actions.as_ref().map(|actions| actions.stop_token.clone()));
        Self { pipe, options, width: None, guard, fresh: None, logs_shown: false }
    }

    /// Prints a line of our own.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        self.guard.close(&mut self.pipe)?;
        self.fresh = None;
        self.pipe.line(line)
    }

    /// Prints a line of a session's output.
    pub(crate) fn output(&mut self, prefix: &str, line: &[u8]) -> io::Result<()> {
        let text = clean::clean_line(line, self.options.paint.color);
        self.fresh = None;
        self.logs_shown = true;
        if prefix.is_empty() || self.options.actions.is_some() && workflow_command::may_pass(&text, Pass::Notes) {
            return self.guard.line(&mut self.pipe, &text, Pass::Notes);
        }
        self.pipe.line(&format!("{prefix}{text}"))
    }

    /// Prints the first line of a run.
    pub(crate) fn opening(&mut self, facts: &RunFacts, left: Option<super::Left>) -> io::Result<()> {
        let count = |many: usize, one: &str| format!("{many} {one}{}", if many == 1 { "" } else { "s" });
        let mut text = format!("{} on {}", count(facts.sessions.len(), "session"), count(facts.slots, "slot"));
        if let Some(left) = left.filter(|left| left.ms >= 1_000) {
            let about = if left.at_least { "at least" } else { "about" };
            text.push_str(&format!(", {about} {}", duration::rough(left.ms)));
        }
        self.say(&self.options.paint.tone(Tone::Dim, &text))?;
        if self.options.verbose > 0 {
            let versions: Vec<String> =
                facts.versions.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
            let text = format!("run {} in {} ({})", facts.run, facts.root.display(), versions.join(", "));
            self.say(&self.options.paint.tone(Tone::Dim, &text))?;
        }
        Ok(())
    }

    /// Prints a session's end, with its log where the style asks for it.
    pub(crate) fn finished(&mut self, state: &RunState, result: &SessionResult, folder: &Path) -> io::Result<()> {
        let failed = result.outcome.is_failure();
        let quiet = self.options.style() == Style::Quiet;
        if quiet && (!failed || self.options.quiet > 1) {
            return Ok(());
        }
        let line = Rows::of(state, self.options.paint, self.width).finished(result);
        let shows_log = match (self.options.style(), failed) {
            (Style::Grouped, true) => true,
            (Style::Grouped, false) => self.options.shows_passed(),
            _ => false,
        };
        let Some(last) = result.last().filter(|last| shows_log && last.log_bytes > 0) else {
            return self.say(&line);
        };
        if self.options.board && self.options.verbose == 0 {
            self.say(&line)?;
            return self.glance(last, folder);
        }
        if failed {
            self.rule(result)?;
            self.log(last, folder)?;
            self.say("")?;
            self.fresh = Some(result.session.clone());
            return Ok(());
        }
        self.group(&row::title(result), &line, last, folder)
    }

    /// Prints that an attempt failed and another follows.
    pub(crate) fn retried(
        &mut self,
        state: &RunState,
        name: &str,
        attempt: &Attempt,
        delay: u64,
        folder: &Path,
    ) -> io::Result<()> {
        if self.options.style() == Style::Quiet {
            return Ok(());
        }
        let line = Rows::of(state, self.options.paint, self.width).retried(name, attempt, delay);
        if !self.options.shows_passed() || attempt.log_bytes == 0 {
            return self.say(&line);
        }
        let title =
            format!("{name} attempt {} {}: {}", attempt.number, attempt.outcome, row::one_line(&attempt.reason));
        self.group(&title, &line, attempt, folder)
    }

    /// A log in a fold where the forge has folds, else behind its line.
    fn group(&mut self, title: &str, line: &str, attempt: &Attempt, folder: &Path) -> io::Result<()> {
        if self.options.actions.is_none() {
            self.say(line)?;
            self.log(attempt, folder)?;
            return self.say("");
        }
        self.say(&workflow_command::group(title))?;
        self.log(attempt, folder)?;
        self.say(workflow_command::END_GROUP)
    }

    /// A line across the screen with the session's end in it.
    fn rule(&mut self, result: &SessionResult) -> io::Result<()> {
        let paint = self.options.paint;
        let dash = paint.pick("─", "-");
        let title = format!("{} {}", paint.mark(result.outcome), row::title(result));
        let across = self.width.unwrap_or(80).min(80);
        // On a terminal a long reason would wrap, and is told in full by the log and the record.
        let title = match self.width {
            Some(width) => console::truncate_str(&title, width.saturating_sub(6), paint.ellipsis()).into_owned(),
            None => title,
        };
        let room = across.saturating_sub(console::measure_text_width(&title) + 5).max(2);
        let (left, right) = (paint.tone(Tone::Dim, &dash.repeat(2)), paint.tone(Tone::Dim, &dash.repeat(room)));
        let title = paint.tone(Tone::of(result.outcome, result.flaky), &title);
        self.say(&format!("{left} {title} {right}"))
    }

    /// Prints that the run is being ended before its time.
    pub(crate) fn interrupted(&mut self, state: &RunState, cause: &str) -> io::Result<()> {
        let what = match state.counts().running {
            0 => "ending the run".to_owned(),
            1 => "ending 1 running session".to_owned(),
            count => format!("ending {count} running sessions"),
        };
        self.say(&self.options.paint.tone(Tone::Warn, &format!("{cause}: {what}")))
    }

    /// Prints something that people should know.
    pub(crate) fn notice(&mut self, text: &str) -> io::Result<()> {
        self.say(&self.options.paint.tone(Tone::Warn, &format!("note: {}", row::one_line(text))))
    }

    /// Prints what was restored for a session; nothing where nothing was.
    pub(crate) fn restored(&mut self, session: &str, cache: &CacheUse) -> io::Result<()> {
        if cache.bytes == 0 {
            return Ok(());
        }
        let (bytes, time) = (size(cache.bytes), duration(cache.ms));
        let text = format!("cache: {bytes} restored for {} in {time}", row::one_line(session));
        self.say(&self.options.paint.tone(Tone::Dim, &text))
    }

    /// Prints a whole log, in bounded memory.
    fn log(&mut self, attempt: &Attempt, folder: &Path) -> io::Result<()> {
        let (path, mut cutter) = (folder.join(&attempt.log), log::LineCutter::default());
        let mut failed = None;
        let read = log::read_range(&path, 0, attempt.log_bytes, &mut |chunk| {
            cutter.push(chunk, &mut |line| self.output("", line)).inspect_err(|error| failed = Some(error.kind()))
        });
        cutter.finish(&mut |line| self.output("", line))?;
        self.guard.close(&mut self.pipe)?;
        match read {
            Err(error) if failed.is_none() => self.unread(&path, &error),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn unread(&mut self, path: &Path, error: &io::Error) -> io::Result<()> {
        self.say(&format!("(its log cannot be read: {}: {error})", path.display()))
    }

    /// Prints the very last lines of a log, cut to the screen: the rest comes with the recap, and the board
    /// should not jump about.
    fn glance(&mut self, attempt: &Attempt, folder: &Path) -> io::Result<()> {
        let tail = log::tail(&folder.join(&attempt.log), attempt.log_bytes, GLANCE).unwrap_or_default();
        let paint = self.options.paint;
        for line in tail.lines {
            let text = clean::clean_line(&line, false).replace('\t', "    ");
            let room = self.width.unwrap_or(80).saturating_sub(5);
            let text = console::truncate_str(&text, room, paint.ellipsis()).into_owned();
            self.say(&paint.tone(Tone::Dim, &format!("  {} {text}", paint.pick("│", "|"))))?;
        }
        Ok(())
    }

    /// Prints the last lines of a log, and what is above them.
    fn tail(&mut self, state: &RunState, attempt: &Attempt, folder: &Path) -> io::Result<()> {
        let path = folder.join(&attempt.log);
        let tail = match log::tail(&path, attempt.log_bytes, RECAP) {
            Ok(tail) => tail,
            Err(error) => return self.unread(&path, &error),
        };
        let pass = if self.logs_shown { Pass::Masks } else { Pass::Notes };
        let above = match tail.above {
            Above::Nothing => None,
            Above::Lines(1) => Some("1 line".to_owned()),
            Above::Lines(count) => Some(format!("{count} lines")),
            Above::Bytes(count) => Some(size::size(count)),
        };
        if let Some(above) = above {
            let shown = shown_path(state, &path);
            let text = format!("{} {above} above, in {}", self.options.paint.ellipsis(), shown.display());
            self.say(&self.options.paint.tone(Tone::Dim, &text))?;
        }
        for line in tail.lines {
            let text = clean::clean_line(&line, self.options.paint.color);
            self.guard.line(&mut self.pipe, &text, pass)?;
        }
        self.guard.close(&mut self.pipe)
    }

    /// Prints the end of a run: failures' logs once more, their places, the table and the totals.
    pub(crate) fn summary(&mut self, state: &RunState, folder: &Path) -> io::Result<()> {
        let failed: Vec<&SessionResult> = state
            .results()
            .map(|(_, result)| result)
            .filter(|result| result.outcome.is_failure() && result.last().is_some_and(|last| last.log_bytes > 0))
            .collect();
        if self.options.quiet < 2 {
            for result in &failed {
                if failed.len() == 1 && self.fresh.as_ref() == Some(&result.session) {
                    continue;
                }
                self.say("")?;
                self.rule(result)?;
                if let Some(last) = result.last() {
                    self.tail(state, last, folder)?;
                }
            }
        }
        self.annotations(state, folder)?;
        if self.options.quiet < 2 {
            self.say("")?;
            for row in self.table(state) {
                self.say(&row)?;
            }
            self.say("")?;
        }
        self.say(&summary::totals(state, self.options.paint, self.width))?;
        if self.options.quiet < 2 && state.facts().is_some() {
            let text = format!("record: {}", shown_path(state, folder).display());
            self.say(&self.options.paint.tone(Tone::Dim, &text))?;
        }
        Ok(())
    }

    fn table(&self, state: &RunState) -> Vec<String> {
        let (paint, verbose) = (self.options.paint, self.options.verbose > 0);
        let rows = summary::table(state, paint, self.width, verbose);
        let unremarkable = state.results().all(|(_, result)| result.outcome == Outcome::Passed);
        if self.options.style() == Style::Quiet && unremarkable { Vec::new() } else { rows }
    }

    /// Marks for the forge, or the places as text where it shows no marks.
    fn annotations(&mut self, state: &RunState, folder: &Path) -> io::Result<()> {
        let Some(forge) = self.options.actions.as_ref().map(|actions| actions.forge) else {
            return Ok(());
        };
        let failed: Vec<&SessionResult> = state
            .results()
            .map(|(_, result)| result)
            .filter(|result| result.outcome.is_failure() && !result.attempts.is_empty())
            .take(MOST_ANNOTATIONS)
            .collect();
        let share = MOST_ANNOTATIONS / failed.len().max(1);
        for result in failed {
            let (places, own) = named_places(state, result, folder);
            if forge.shows_annotations() {
                // A session that marks lines itself needs no help.
                if own && self.logs_shown {
                    continue;
                }
                if places.is_empty() {
                    let title = format!("{} {}", result.session, row::word(result));
                    self.say(&workflow_command::error(&title, None, &row::title(result)))?;
                }
            }
            for place in places.into_iter().take(share) {
                let line = if forge.shows_annotations() {
                    let at = Some((place.file.as_str(), place.line, place.column));
                    workflow_command::error(result.session.as_str(), at, &place.text)
                } else {
                    format!("{}:{}: {} ({})", place.file, place.line, place.text, result.session)
                };
                self.say(&line)?;
            }
        }
        Ok(())
    }
}

/// Places that a failed session's log names, and whether it annotates lines by itself.
fn named_places(state: &RunState, result: &SessionResult, folder: &Path) -> (Vec<Place>, bool) {
    let Some((facts, last)) = state.facts().zip(result.last()) else {
        return (Vec::new(), false);
    };
    let tail = log::tail(&folder.join(&last.log), last.log_bytes, RECAP).unwrap_or_default();
    let lines: Vec<String> = tail.lines.iter().map(|line| clean::clean_line(line, false)).collect();
    let own = lines.iter().any(|line| line.trim_start().starts_with("::error "));
    (place::places(&lines, &|path| place::project_file(&facts.root, path)), own)
}

/// A path as people would type it in the project's root.
fn shown_path(state: &RunState, path: &Path) -> PathBuf {
    let root = state.facts().map_or(Path::new(""), |facts| facts.root.as_path());
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

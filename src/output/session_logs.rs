//! Logs of a recorded run: a list with their paths, their content, and what is added to them while the run goes on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use super::options::SessionOutputStyle;
use super::reporters::open_reporters;
use super::theme::TextStyle;
use super::workflow_command::AllowedCommands;
use super::{BestEffortWriter, OutputContext, OutputTheme};
use crate::project::SessionName;
use crate::record::log_reader::{LineSplitter, read_log_range};
use crate::record::{EventKind, Outcome, RunEvent, check_event_logs, open_run_file, parse_event, read_events};
use crate::text::{did_you_mean, format_size, sanitize_line, to_single_line};

/// How often a log that is followed is read again.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// Sessions of a recorded run with the logs of their attempts.
#[derive(Debug)]
pub(crate) struct RecordedLogs {
    run_dir: PathBuf,
    /// All sessions, in nox's order.
    sessions: Vec<SessionName>,
    /// Attempts of each session, in order.
    attempts: HashMap<SessionName, Vec<LoggedAttempt>>,
}

/// An attempt of a session and its log.
#[derive(Debug)]
struct LoggedAttempt {
    number: u32,
    /// `None` while it runs, or if noxide was killed.
    outcome: Option<Outcome>,
    path: PathBuf,
}

impl RecordedLogs {
    /// Reads which logs a run has.
    ///
    /// # Errors
    /// When its events cannot be read.
    pub(crate) fn read(run_dir: &Path) -> io::Result<Self> {
        let mut logs = Self { run_dir: run_dir.to_path_buf(), sessions: Vec::new(), attempts: HashMap::new() };
        for event in read_events(&run_dir.join("events.jsonl"))? {
            // The logs may be those of another runner: no link on the way to one is followed.
            check_event_logs(&event, run_dir)?;
            logs.apply_event(event);
        }
        Ok(logs)
    }

    fn apply_event(&mut self, event: RunEvent) {
        match event.kind {
            EventKind::RunStarted(metadata) => {
                self.sessions.extend(metadata.sessions.into_iter().map(|session| session.name));
            }
            EventKind::SessionAdded { session, .. } => self.sessions.push(session.name),
            EventKind::SessionStarted { session, attempt: number, log, .. } => {
                let path = self.run_dir.join(log);
                self.attempts.entry(session).or_default().push(LoggedAttempt { number, outcome: None, path });
            }
            EventKind::SessionRetried { session, attempt, .. } => self.set_outcome(&session, attempt.outcome),
            EventKind::SessionFinished(result) => self.set_outcome(&result.session, result.outcome),
            _ => {}
        }
    }

    fn set_outcome(&mut self, session: &SessionName, outcome: Outcome) {
        if let Some(attempt) = self.attempts.get_mut(session).and_then(|attempts| attempts.last_mut()) {
            attempt.outcome = Some(outcome);
        }
    }

    /// Returns the sessions with these names, or the base name of several (`tests` for `tests-3.12`).
    ///
    /// # Errors
    /// What is wrong, to follow the run's identifier.
    pub(crate) fn matching_sessions(&self, names: &[String]) -> Result<Vec<&SessionName>, String> {
        let mut found = Vec::new();
        for name in names {
            let before = found.len();
            found.extend(self.sessions.iter().filter(|session| session.is_selected_by(name)));
            if found.len() == before {
                let hint = did_you_mean(name, self.sessions.iter().map(SessionName::as_str));
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                return Err(format!("has no session `{name}`{hint}"));
            }
        }
        Ok(found)
    }

    /// Returns the sessions that failed.
    pub(crate) fn failed_sessions(&self) -> Vec<&SessionName> {
        let failed = |session: &&SessionName| {
            self.last_attempt(session).and_then(|attempt| attempt.outcome).is_some_and(Outcome::is_failure)
        };
        self.sessions.iter().filter(failed).collect()
    }

    fn last_attempt(&self, session: &SessionName) -> Option<&LoggedAttempt> {
        self.attempts.get(session)?.last()
    }

    /// Renders one row for each log: outcome, session, size, path.
    pub(crate) fn render_list(&self, theme: OutputTheme) -> String {
        let mut rows: Vec<(&LoggedAttempt, String, String)> = Vec::new();
        let mut listed = HashSet::new();
        for session in self.sessions.iter().filter(|session| listed.insert(*session)) {
            let attempts = self.attempts.get(session).map(Vec::as_slice).unwrap_or_default();
            for attempt in attempts {
                let is_retried = attempts.last().is_some_and(|last| last.number != attempt.number);
                let suffix = if is_retried { format!(" (attempt {})", attempt.number) } else { String::new() };
                let size = fs_err::metadata(&attempt.path)
                    .map_or_else(|_| "missing".to_owned(), |file| format_size(file.len()));
                rows.push((attempt, format!("{session}{suffix}"), size));
            }
        }
        let name_width = rows.iter().map(|(_, name, _)| measure_text_width(name)).max().unwrap_or(0);
        let size_width = rows.iter().map(|(.., size)| size.len()).max().unwrap_or(0);
        let row = |(attempt, name, size): &(&LoggedAttempt, String, String)| {
            let path = attempt.path.strip_prefix(".").unwrap_or(&attempt.path).display();
            let name = pad_str(name, name_width, Alignment::Left, None);
            format!("{}  {name}  {size:>size_width$}  {path}\n", outcome_cell(attempt.outcome, theme))
        };
        rows.iter().map(row).collect()
    }
}

fn outcome_cell(outcome: Option<Outcome>, theme: OutputTheme) -> String {
    let (style, mark, word) = match outcome {
        Some(outcome) => (TextStyle::for_outcome(outcome, false), theme.outcome_mark(outcome), outcome.as_str()),
        None => (TextStyle::Dim, "?", "unfinished"),
    };
    theme.style_text(style, &format!("{mark} {word:<10}"))
}

impl OutputContext {
    /// Prints the log of the last attempt of each session, below its name if there are several.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub(crate) fn print_logs(&self, logs: &RecordedLogs, sessions: &[&SessionName]) -> io::Result<()> {
        let theme = self.stdout_theme;
        let mut writer = BestEffortWriter::new(Box::new(io::stdout()));
        // The logs may be those of another runner.
        let mut guard = self.command_guard();
        for session in sessions {
            let attempt = logs.last_attempt(session);
            if sessions.len() > 1 || attempt.is_none() {
                let dashes = theme.style_text(TextStyle::Dim, &theme.pick_glyph("─", "-").repeat(2));
                let outcome =
                    attempt.map_or_else(|| "did not start".to_owned(), |one| outcome_cell(one.outcome, theme));
                guard.resume_commands(&mut writer)?;
                writer.write_line(&format!("{dashes} {}: {}", to_single_line(session.as_str()), outcome.trim_end()))?;
            }
            let Some(attempt) = attempt else { continue };
            let mut splitter = LineSplitter::default();
            let mut print = |line: &[u8]| {
                let line = sanitize_line(line, theme.color);
                guard.write_output_line(&mut writer, &line, AllowedCommands::None)
            };
            read_log_range(&attempt.path, 0, u64::MAX, &mut |chunk| splitter.push(chunk, &mut print))?;
            splitter.finish(&mut print)?;
        }
        guard.resume_commands(&mut writer)?;
        writer.flush()
    }

    /// Prints what these sessions, or all, print, until they have ended or the run has; `is_active` returns whether
    /// noxide still runs it.
    ///
    /// # Errors
    /// When the events or a log cannot be read.
    pub(crate) fn follow_logs(
        &self,
        logs: &RecordedLogs,
        sessions: &[&SessionName],
        is_active: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let style = if sessions.len() == 1 { SessionOutputStyle::Stream } else { SessionOutputStyle::Labelled };
        let mut options = self.output_options(Some(style), false, false);
        (options.is_interactive, options.step_summary) = (false, None);
        let mut reporters = open_reporters(&options, self.open_streams(None));
        let mut unfinished: BTreeSet<&SessionName> = sessions.iter().copied().collect();
        let mut tail = EventTail::open(&logs.run_dir.join("events.jsonl"))?;
        loop {
            let was_active = is_active();
            let events = tail.read_new_events()?;
            let is_idle = events.is_empty();
            for event in events {
                check_event_logs(&event, &logs.run_dir)?;
                let shown =
                    sessions.is_empty() || event_session(&event.kind).is_some_and(|one| sessions.contains(&one));
                if shown {
                    reporters.iter_mut().try_for_each(|reporter| reporter.on_event(&event, &logs.run_dir))?;
                }
                if let EventKind::SessionFinished(result) = &event.kind {
                    unfinished.remove(&result.session);
                }
                let is_over = !sessions.is_empty() && unfinished.is_empty();
                if is_over || matches!(event.kind, EventKind::RunFinished { .. }) {
                    return Ok(());
                }
            }
            if is_idle && !was_active {
                return Ok(());
            }
            std::thread::sleep(FOLLOW_INTERVAL);
        }
    }
}

/// Returns the session whose output an event announces, or whose start or end it is.
fn event_session(event: &EventKind) -> Option<&SessionName> {
    match event {
        EventKind::SessionStarted { session, .. }
        | EventKind::OutputGrew { session, .. }
        | EventKind::SessionRetried { session, .. } => Some(session),
        EventKind::SessionFinished(result) => Some(&result.session),
        _ => None,
    }
}

/// Events of a run that may be written to while they are read.
struct EventTail {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl EventTail {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(open_run_file(path)?), line: Vec::new() })
    }

    /// Returns the events that are complete and were not returned before.
    fn read_new_events(&mut self) -> io::Result<Vec<RunEvent>> {
        let mut events = Vec::new();
        while self.reader.read_until(b'\n', &mut self.line)? > 0 && self.line.ends_with(b"\n") {
            events.push(parse_event(&self.line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?);
            self.line.clear();
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::event_builder::RunEventBuilder;

    fn recorded(builder: &RunEventBuilder) -> RecordedLogs {
        let lines: String = builder.events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
        fs_err::write(builder.run_dir().join("events.jsonl"), lines).unwrap();
        RecordedLogs::read(builder.run_dir()).unwrap()
    }

    #[test]
    fn logs_are_listed_and_selected_by_name() {
        let mut builder = RunEventBuilder::new(&["lint", "tests-3.11", "tests-3.12", "docs"]);
        builder.start_session(0, "lint").append_output(1, "lint", b"bad\n").retry_session(2, "lint", "exit code 1", 0);
        builder.start_session(3, "lint").finish_session(4, "lint", Outcome::Failed, "exit code 1");
        builder.start_session(4, "tests-3.11").finish_session(5, "tests-3.11", Outcome::Passed, "");
        builder.start_session(4, "tests-3.12");
        let logs = recorded(&builder);
        let list = logs.render_list(OutputTheme { color: false, unicode: true });
        let list = list.replace(&builder.run_dir().display().to_string(), "RUN");
        insta::assert_snapshot!(list, @r"
        ✗ failed      lint (attempt 1)  4 B  RUN/lint-1.log
        ✗ failed      lint              0 B  RUN/lint-2.log
        ✓ passed      tests-3.11        0 B  RUN/tests-3.11-1.log
        ? unfinished  tests-3.12        0 B  RUN/tests-3.12-1.log
        ");
        let select = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            logs.matching_sessions(&names).map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(select(&["tests", "docs"]), Ok(["tests-3.11", "tests-3.12", "docs"].map(str::to_owned).to_vec()));
        assert_eq!(select(&["lnit"]), Err("has no session `lnit`; did you mean `lint`?".to_owned()));
        assert_eq!(logs.failed_sessions(), [&SessionName::from("lint")]);
    }

    #[test]
    fn an_incomplete_event_is_read_once_it_is_complete() {
        let builder = RunEventBuilder::new(&["lint"]);
        let path = builder.run_dir().join("tail.jsonl");
        let line = serde_json::to_string(&builder.events[0]).unwrap() + "\n";
        fs_err::write(&path, &line[..20]).unwrap();
        let mut tail = EventTail::open(&path).unwrap();
        assert!(tail.read_new_events().unwrap().is_empty());
        fs_err::write(&path, &line).unwrap();
        assert_eq!(tail.read_new_events().unwrap(), builder.events[..1]);
        assert!(tail.read_new_events().unwrap().is_empty());
    }
}

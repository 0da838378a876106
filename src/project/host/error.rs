//! Errors while the host starts and loads the noxfile, with traceback and output.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::text::{closest_matches, shorten_text};

/// Maximum length of a message in characters: it may name every word of a long command line.
const MAX_MESSAGE_CHARS: usize = 4_000;

/// Reasons why the host did not send a manifest.
#[derive(Debug, Error)]
pub enum HostError {
    /// The interpreter could not be started.
    #[error("cannot run {}: {source}", executable.display())]
    Start {
        /// The interpreter.
        executable: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// nox or the noxfile failed.
    #[error("{}", shorten_text(&.0.message, MAX_MESSAGE_CHARS))]
    Load(Box<LoadFailure>),
    /// The noxfile did not load in time.
    #[error("{}", hang_message(noxfile, *waited, frames))]
    LoadTimeout {
        /// Path of the noxfile, as the arguments name it.
        noxfile: PathBuf,
        /// The timeout.
        waited: Duration,
        /// The traceback, innermost frame last.
        frames: Vec<TracebackFrame>,
        /// The last output of the process.
        output: String,
    },
    /// The process exited while it loaded the noxfile.
    #[error("the process that loads the noxfile exited early ({status})")]
    Died {
        /// Its exit status, such as `exit status: 3`.
        status: String,
        /// Its last output.
        output: String,
    },
}

fn hang_message(noxfile: &std::path::Path, waited: Duration, frames: &[TracebackFrame]) -> String {
    let mut text = format!("{} did not load within {} s", noxfile.display(), waited.as_secs_f64());
    if let Some(frame) = frames.last() {
        text.push_str(&format!("; it hangs at {}, line {}", frame.file.display(), frame.line));
    }
    text
}

impl HostError {
    /// Returns the last output of the process: that of the noxfile and nox.
    pub fn output(&self) -> &str {
        match self {
            Self::Start { .. } => "",
            Self::Load(failure) => &failure.output,
            Self::LoadTimeout { output, .. } | Self::Died { output, .. } => output,
        }
    }

    /// Returns the frames of the user's code, outermost first.
    pub fn frames(&self) -> &[TracebackFrame] {
        match self {
            Self::Start { .. } | Self::Died { .. } => &[],
            Self::Load(failure) => &failure.frames,
            Self::LoadTimeout { frames, .. } => frames,
        }
    }
}

/// Unknown names for which similar ones are searched: a long list is not a list of typing errors.
const MAX_HINTED_NAMES: usize = 20;
/// Lines of output that a message quotes.
const MAX_OUTPUT_LINES: usize = 12;

impl HostError {
    /// Returns the last lines of the output that the message does not contain already.
    pub(crate) fn last_output_lines(&self) -> Vec<&str> {
        // What nox logged is the message already; the noxfile's own output may explain more.
        let message = match self {
            Self::Load(failure) => failure.message.clone(),
            other => other.to_string(),
        };
        let is_new = |line: &&str| !message.contains(line.trim_start_matches("nox > "));
        let lines: Vec<&str> = self.output().lines().filter(is_new).collect();
        lines[lines.len().saturating_sub(MAX_OUTPUT_LINES)..].to_vec()
    }
}

impl LoadFailure {
    /// Returns whether the selection is valid, but no session matches it.
    pub(crate) fn selects_nothing(&self) -> bool {
        // nox's messages, the same in all its versions; its exit code does not tell them from other errors.
        const MESSAGES: [&str; 3] =
            ["caused no sessions to be selected", "No sessions selected after filtering", "No sessions found in"];
        self.stage == LoadStage::Selection && MESSAGES.iter().any(|message| self.message.contains(message))
    }

    /// Returns what to do: about a failed selection, the nearest session for each name that nox did not find.
    pub(crate) fn hints(&self) -> Vec<String> {
        if self.stage != LoadStage::Selection {
            return self.advice.iter().cloned().collect();
        }
        // Only what follows are names that the user wrote: `Sessions not found: lnit, tets`.
        let unknown =
            self.message.split_once("not found: ").map_or("", |(_, names)| names.lines().next().unwrap_or(""));
        let known: Vec<&str> = self.session_names.iter().map(String::as_str).collect();
        let mut hints: Vec<String> = unknown
            .split(", ")
            .filter(|name| !name.is_empty() && !known.contains(name))
            .take(MAX_HINTED_NAMES)
            .filter_map(|name| closest_matches(name, known.iter().copied()).first().map(|near| (name, *near)))
            .map(|(name, near)| format!("did you mean `{near}` instead of `{name}`?"))
            .collect();
        if hints.is_empty() && !known.is_empty() {
            hints.push("list all sessions with `noxide list`".to_owned());
        }
        hints
    }
}

/// A failure of nox or the noxfile while loading.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadFailure {
    /// The stage that failed.
    pub stage: LoadStage,
    /// The exit code that nox would have returned.
    pub exit_code: Option<i32>,
    /// nox's message, if it had one.
    pub message: String,
    /// All session names if they are known, to suggest a similar one.
    #[serde(default)]
    pub session_names: Vec<String>,
    /// The user's own frames, outermost first.
    #[serde(default, rename = "traceback")]
    pub frames: Vec<TracebackFrame>,
    /// The last lines of the exception, such as `ValueError: no`; of a syntax error with source line and caret.
    #[serde(default)]
    pub exception: Option<String>,
    /// The last output of the process.
    #[serde(default)]
    pub output: String,
    /// What to do about it, if that is known.
    #[serde(skip)]
    pub advice: Option<String>,
}

/// Stages of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadStage {
    /// nox itself: missing, broken, or unable to create the noxfile's own environment.
    Nox,
    /// nox's arguments.
    Options,
    /// The noxfile.
    Noxfile,
    /// The selection of sessions.
    Selection,
}

/// One frame of a Python traceback.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TracebackFrame {
    /// The source file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The function.
    pub function: String,
    /// The line's text, or empty.
    #[serde(default)]
    pub text: String,
}

impl fmt::Display for TracebackFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in {}", self.file.display(), self.line, self.function)
    }
}

/// Parses the frames of the last `faulthandler` dump in a process's output, outermost first.
///
/// Leaves out frames of the host program, of nox and of the import machinery.
pub(super) fn parse_faulthandler_frames(output: &str) -> Vec<TracebackFrame> {
    let Some((_, dump)) = output.rsplit_once("(most recent call first):") else {
        return Vec::new();
    };
    let mut frames: Vec<TracebackFrame> = dump
        .lines()
        .skip(1)
        .map_while(|line| {
            let (file, rest) = line.strip_prefix("  File \"")?.rsplit_once("\", line ")?;
            let (line, function) = rest.split_once(" in ")?;
            let function = function.to_owned();
            Some(TracebackFrame { file: file.into(), line: line.parse().ok()?, function, text: String::new() })
        })
        .filter(|frame| {
            let file = frame.file.to_string_lossy();
            !file.starts_with('<') && !file.contains("/site-packages/nox/")
        })
        .collect();
    frames.reverse();
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_gives_the_users_frames() {
        let output = "noise (most recent call first):\nStack (most recent call first):\n  \
                      File \"/p/a b.py\", line 7 in wait\n  File \"/p/noxfile.py\", line 3 in <module>\n  \
                      File \"<frozen importlib._bootstrap>\", line 241 in _call_with_frames_removed\n  \
                      File \"/v/lib/python3.11/site-packages/nox/tasks.py\", line 84 in load\nnox > after\n";
        let frames = parse_faulthandler_frames(output);
        let shown: Vec<String> = frames.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["/p/noxfile.py:3 in <module>", "/p/a b.py:7 in wait"]);
        let error = HostError::LoadTimeout {
            noxfile: "noxfile.py".into(),
            waited: Duration::from_secs(2),
            frames,
            output: output.to_owned(),
        };
        assert_eq!(error.to_string(), "noxfile.py did not load within 2 s; it hangs at /p/a b.py, line 7");
        assert_eq!((error.frames().len(), error.output()), (2, output));
        assert!(parse_faulthandler_frames("nothing").is_empty());
    }

    #[test]
    fn errors_without_frames_have_none() {
        let error = HostError::Start { executable: "py".into(), source: io::ErrorKind::NotFound.into() };
        assert!(error.to_string().starts_with("cannot run py: "));
        assert!(error.frames().is_empty() && error.output().is_empty());
        let error = HostError::Died { status: "exit code 3".to_owned(), output: "o".to_owned() };
        assert!(error.frames().is_empty() && error.output() == "o");
        assert!(error.to_string().ends_with("(exit code 3)"));
    }
}

//! Workflow commands of Actions runners: folds, annotations, and the guard that keeps logs from giving commands.

use std::io;

use super::Pipe;

/// Opens a fold.
pub(crate) fn group(title: &str) -> String {
    format!("::group::{}", data(title))
}

/// Closes a fold.
pub(crate) const END_GROUP: &str = "::endgroup::";

/// An error that GitHub shows beside its line, or with the run where it has none.
pub(crate) fn error(title: &str, place: Option<(&str, usize, Option<usize>)>, text: &str) -> String {
    let mut properties = String::new();
    if let Some((file, line, column)) = place {
        properties = format!("file={},line={line},", property(file));
        if let Some(column) = column {
            properties.push_str(&format!("col={column},"));
        }
    }
    format!("::error {properties}title={}::{}", property(title), data(text))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What of a session's own workflow commands still reaches the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Annotations, and masks for secrets.
    Notes,
    /// Masks only: its annotations were given before.
    Masks,
}

/// Whether a line is a command that a session may give: it marks a line or hides a secret and changes nothing else.
pub(crate) fn may_pass(line: &str, pass: Pass) -> bool {
    let Some((command, _)) = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::")) else {
        return false;
    };
    let name = command.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "add-mask" => true,
        "error" | "warning" | "notice" => pass == Pass::Notes,
        _ => false,
    }
}

/// Keeps what sessions print from being read as commands by the runner.
#[derive(Debug)]
pub(crate) struct Guard {
    token: Option<String>,
    open: bool,
}

impl Guard {
    /// A guard with this token; none where no runner reads along.
    pub(crate) fn new(token: Option<String>) -> Self {
        Self { token, open: false }
    }

    /// Prints a line of a session's output; a command that may pass is given to the runner.
    pub(crate) fn line(&mut self, pipe: &mut Pipe, line: &str, pass: Pass) -> io::Result<()> {
        let Some(token) = &self.token else {
            return pipe.line(line);
        };
        if may_pass(line, pass) {
            self.close(pipe)?;
        } else if !self.open {
            pipe.line(&format!("::stop-commands::{token}"))?;
            self.open = true;
        }
        // Frontends fold by this older spelling whatever the runner was told.
        if line.trim_start().starts_with("##[") { pipe.line(&format!(" {line}")) } else { pipe.line(line) }
    }

    /// Lets our own commands through again.
    pub(crate) fn close(&mut self, pipe: &mut Pipe) -> io::Result<()> {
        match &self.token {
            Some(token) if std::mem::take(&mut self.open) => pipe.line(&format!("::{token}::")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::pipe::tests::Capture;

    #[test]
    fn text_cannot_leave_its_command() {
        assert_eq!(group("100% a\nb"), "::group::100%25 a%0Ab");
        assert_eq!(
            error("a:b,c", Some(("src/a,b.py", 3, Some(7))), "x: y\n::add-path::/evil"),
            "::error file=src/a%2Cb.py,line=3,col=7,title=a%3Ab%2Cc::x: y%0A::add-path::/evil"
        );
        assert_eq!(error("lint", None, "exit code 1"), "::error title=lint::exit code 1");
    }

    #[test]
    fn only_harmless_commands_pass() {
        for line in ["::error file=a.py,line=1::no", "  ::WARNING::x", "::notice title=x::y"] {
            assert!(may_pass(line, Pass::Notes) && !may_pass(line, Pass::Masks), "{line}");
        }
        assert!(may_pass("::add-mask::secret", Pass::Masks));
        for line in ["::set-env name=PATH::x", "::endgroup::", "::group::x", "::error", "text ::error::x", "##[error]x"]
        {
            assert!(!may_pass(line, Pass::Notes), "{line}");
        }
    }

    #[test]
    fn logs_are_guarded_and_the_guard_closes_once() {
        let capture = Capture::default();
        let mut pipe = Pipe::new(Box::new(capture.clone()));
        let mut guard = Guard::new(Some("t0k3n".to_owned()));
        for line in ["::set-env name=A::b", "plain", "::error::seen", "##[group]more"] {
            guard.line(&mut pipe, line, Pass::Notes).unwrap();
        }
        guard.close(&mut pipe).unwrap();
        guard.close(&mut pipe).unwrap();
        Guard::new(None).line(&mut pipe, "::group::free", Pass::Masks).unwrap();
        pipe.flush().unwrap();
        insta::assert_snapshot!(capture.text(), @r"
        ::stop-commands::t0k3n
        ::set-env name=A::b
        plain
        ::t0k3n::
        ::error::seen
        ::stop-commands::t0k3n
         ##[group]more
        ::t0k3n::
        ::group::free
        ");
    }
}

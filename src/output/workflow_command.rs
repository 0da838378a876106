//! Workflow commands of Actions runners: folds, annotations, and the guard that keeps logs from giving commands.

use std::io;

use super::BestEffortWriter;

/// Opens a fold.
pub(crate) fn group_command(title: &str) -> String {
    format!("::group::{}", escape_data(title))
}

/// Closes a fold.
pub(crate) const END_GROUP: &str = "::endgroup::";

/// An error that GitHub shows beside its line, or with the run where it has none.
pub(crate) fn error_command(title: &str, place: Option<(&str, usize, Option<usize>)>, text: &str) -> String {
    let mut properties = String::new();
    if let Some((file, line, column)) = place {
        properties = format!("file={},line={line},", escape_property(file));
        if let Some(column) = column {
            properties.push_str(&format!("col={column},"));
        }
    }
    format!("::error {properties}title={}::{}", escape_property(title), escape_data(text))
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What of a session's own workflow commands still reaches the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllowedCommands {
    /// Annotations, and masks for secrets.
    AnnotationsAndMasks,
    /// Masks only: its annotations were given before.
    MasksOnly,
}

/// Whether a line is a command that a session may give: it marks a line or hides a secret and changes nothing else.
pub(crate) fn is_allowed_command(line: &str, pass: AllowedCommands) -> bool {
    let Some((command, _)) = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::")) else {
        return false;
    };
    let name = command.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "add-mask" => true,
        "error" | "warning" | "notice" => pass == AllowedCommands::AnnotationsAndMasks,
        _ => false,
    }
}

/// Keeps what sessions print from being read as commands by the runner.
#[derive(Debug)]
pub(crate) struct CommandGuard {
    stop_token: Option<String>,
    commands_stopped: bool,
}

impl CommandGuard {
    /// A guard with this token; none where no runner reads along.
    pub(crate) fn new(token: Option<String>) -> Self {
        Self { stop_token: token, commands_stopped: false }
    }

    /// Prints a line of a session's output; a command that may pass is given to the runner.
    pub(crate) fn write_output_line(
        &mut self,
        pipe: &mut BestEffortWriter,
        line: &str,
        pass: AllowedCommands,
    ) -> io::Result<()> {
        let Some(token) = &self.stop_token else {
            return pipe.write_line(line);
        };
        if is_allowed_command(line, pass) {
            self.resume_commands(pipe)?;
        } else if !self.commands_stopped {
            pipe.write_line(&format!("::stop-commands::{token}"))?;
            self.commands_stopped = true;
        }
        // Frontends fold by this older spelling whatever the runner was told.
        if line.trim_start().starts_with("##[") { pipe.write_line(&format!(" {line}")) } else { pipe.write_line(line) }
    }

    /// Lets our own commands through again.
    pub(crate) fn resume_commands(&mut self, pipe: &mut BestEffortWriter) -> io::Result<()> {
        match &self.stop_token {
            Some(token) if std::mem::take(&mut self.commands_stopped) => pipe.write_line(&format!("::{token}::")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;

    #[test]
    fn text_cannot_leave_its_command() {
        assert_eq!(group_command("100% a\nb"), "::group::100%25 a%0Ab");
        assert_eq!(
            error_command("a:b,c", Some(("src/a,b.py", 3, Some(7))), "x: y\n::add-path::/evil"),
            "::error file=src/a%2Cb.py,line=3,col=7,title=a%3Ab%2Cc::x: y%0A::add-path::/evil"
        );
        assert_eq!(error_command("lint", None, "exit code 1"), "::error title=lint::exit code 1");
    }

    #[test]
    fn only_harmless_commands_pass() {
        for line in ["::error file=a.py,line=1::no", "  ::WARNING::x", "::notice title=x::y"] {
            assert!(
                is_allowed_command(line, AllowedCommands::AnnotationsAndMasks)
                    && !is_allowed_command(line, AllowedCommands::MasksOnly),
                "{line}"
            );
        }
        assert!(is_allowed_command("::add-mask::secret", AllowedCommands::MasksOnly));
        for line in ["::set-env name=PATH::x", "::endgroup::", "::group::x", "::error", "text ::error::x", "##[error]x"]
        {
            assert!(!is_allowed_command(line, AllowedCommands::AnnotationsAndMasks), "{line}");
        }
    }

    #[test]
    fn logs_are_guarded_and_the_guard_closes_once() {
        let capture = Capture::default();
        let mut pipe = BestEffortWriter::new(Box::new(capture.clone()));
        let mut guard = CommandGuard::new(Some("t0k3n".to_owned()));
        for line in ["::set-env name=A::b", "plain", "::error::seen", "##[group]more"] {
            guard.write_output_line(&mut pipe, line, AllowedCommands::AnnotationsAndMasks).unwrap();
        }
        guard.resume_commands(&mut pipe).unwrap();
        guard.resume_commands(&mut pipe).unwrap();
        CommandGuard::new(None).write_output_line(&mut pipe, "::group::free", AllowedCommands::MasksOnly).unwrap();
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

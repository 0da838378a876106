//! Workflow commands of Actions runners: groups, annotations, and the guard that prevents logs from sending commands.

use std::io;

use super::BestEffortWriter;
use crate::text::strip_control_sequences;

/// Returns the command that opens a log group.
pub(crate) fn group_command(title: &str) -> String {
    format!("::group::{}", escape_data(title))
}

/// Command that closes a log group.
pub(crate) const END_GROUP: &str = "::endgroup::";

/// Returns an error annotation; GitHub shows it at the location, or with the run if there is none.
pub(crate) fn error_command(title: &str, location: Option<(&str, usize, Option<usize>)>, text: &str) -> String {
    let mut properties = String::new();
    if let Some((file, line, column)) = location {
        properties = format!("file={},line={line},", escape_property(file));
        if let Some(column) = column {
            properties.push_str(&format!("col={column},"));
        }
    }
    format!("::error {properties}title={}::{}", escape_property(title), escape_data(text))
}

/// Escapes text for a command; it may have several lines, but no control sequences.
pub(super) fn escape_data(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(strip_control_sequences).collect();
    lines.join("\n").replace('%', "%25").replace('\n', "%0A").replace("##[", "## [")
}

pub(super) fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Workflow commands of sessions that are passed on to the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllowedCommands {
    /// Annotations and masks of secrets.
    AnnotationsAndMasks,
    /// Only masks: the annotations were printed before.
    MasksOnly,
    /// None: the log may be that of another runner, and a mask changes what this one prints and hands on.
    None,
}

/// Returns whether a line is a harmless command: it annotates a line or masks a secret and changes nothing else.
pub(crate) fn is_allowed_command(line: &str, allowed: AllowedCommands) -> bool {
    let Some((command, _)) = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::")) else {
        return false;
    };
    let name = command.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "add-mask" => allowed != AllowedCommands::None,
        "error" | "warning" | "notice" => allowed == AllowedCommands::AnnotationsAndMasks,
        _ => false,
    }
}

/// Prevents the runner from reading session output as workflow commands.
#[derive(Debug)]
pub(crate) struct CommandGuard {
    stop_token: Option<String>,
    commands_stopped: bool,
}

impl CommandGuard {
    /// Creates a guard with a stop token; with `None` (no runner) it passes everything through.
    pub(crate) fn new(token: Option<String>) -> Self {
        Self { stop_token: token, commands_stopped: false }
    }

    /// Writes a line of a session's output; allowed commands reach the runner.
    pub(crate) fn write_output_line(
        &mut self,
        writer: &mut BestEffortWriter,
        line: &str,
        allowed: AllowedCommands,
    ) -> io::Result<()> {
        let Some(token) = &self.stop_token else {
            return writer.write_line(line);
        };
        if is_allowed_command(line, allowed) {
            self.resume_commands(writer)?;
        } else if !self.commands_stopped {
            writer.write_line(&format!("::stop-commands::{token}"))?;
            self.commands_stopped = true;
        }
        // Web frontends group by this older spelling even while commands are stopped.
        if line.trim_start().starts_with("##[") {
            writer.write_line(&format!(" {line}"))
        } else {
            writer.write_line(line)
        }
    }

    /// Ends the stopped section, so that noxide's own commands are read again.
    pub(crate) fn resume_commands(&mut self, writer: &mut BestEffortWriter) -> io::Result<()> {
        match &self.stop_token {
            Some(token) if std::mem::take(&mut self.commands_stopped) => writer.write_line(&format!("::{token}::")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::best_effort_writer::tests::Capture;

    #[test]
    fn text_is_escaped_in_commands() {
        assert_eq!(group_command("100% a\nb"), "::group::100%25 a%0Ab");
        assert_eq!(
            error_command("a:b,c", Some(("src/a,b.py", 3, Some(7))), "x: y\n::add-path::/evil"),
            "::error file=src/a%2Cb.py,line=3,col=7,title=a%3Ab%2Cc::x: y%0A::add-path::/evil"
        );
        assert_eq!(error_command("lint", None, "exit code 1"), "::error title=lint::exit code 1");
    }

    #[test]
    fn only_harmless_commands_are_allowed() {
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
    fn logs_are_guarded_and_resumed_once() {
        let capture = Capture::default();
        let mut writer = BestEffortWriter::new(Box::new(capture.clone()));
        let mut guard = CommandGuard::new(Some("t0k3n".to_owned()));
        for line in ["::set-env name=A::b", "plain", "::error::seen", "##[group]more"] {
            guard.write_output_line(&mut writer, line, AllowedCommands::AnnotationsAndMasks).unwrap();
        }
        guard.resume_commands(&mut writer).unwrap();
        guard.resume_commands(&mut writer).unwrap();
        CommandGuard::new(None).write_output_line(&mut writer, "::group::free", AllowedCommands::MasksOnly).unwrap();
        writer.flush().unwrap();
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

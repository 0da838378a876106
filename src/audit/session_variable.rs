//! Value of `NOXSESSION`, which selects the sessions of a call of nox without `-s`.

use super::shell::{ControlOperator, ShellCommand};
use super::workflow::{Workflow, WorkflowJob, WorkflowStep};

/// What `NOXSESSION` selects for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionVariable {
    /// It is not set: nox runs its default sessions.
    Unset,
    /// Its value, as written.
    Value(String),
    /// A script sets it in a way that the file does not tell.
    Unknown,
}

const NAME: &str = "NOXSESSION";

impl SessionVariable {
    /// Returns whether a script may set it for later commands.
    pub(crate) fn is_exported(commands: &[ShellCommand]) -> bool {
        commands.iter().any(|command| exported_value(command).is_some())
    }

    /// Finds the value for a command; `before` are the commands before it in the same script, or none if the script does not
    /// export it.
    pub(crate) fn find(
        workflow: &Workflow,
        job: &WorkflowJob,
        step: &WorkflowStep,
        before: &[ShellCommand],
        command: &ShellCommand,
    ) -> Self {
        if let Some((_, value)) = command.assignments.iter().find(|(name, _)| name == NAME) {
            return Self::Value(value.clone());
        }
        if let Some(found) = before.iter().rev().find_map(exported_value) {
            return found;
        }
        if let Some((_, value)) = step.env.iter().find(|(key, _)| key.value == NAME) {
            return Self::Value(value.value.clone());
        }
        let earlier = job.steps.iter().take(step.index);
        let written = earlier.rev().find_map(|step| {
            let value = written_value(&step.commands, NAME)?;
            Some(if step.runs_on_success() { value } else { Self::Unknown })
        });
        if let Some(found) = written {
            return found;
        }
        let value = workflow.resolve_variable(job, None, NAME);
        value.map_or(Self::Unset, |text| Self::Value(text.value.clone()))
    }
}

/// Returns the value that `export` gives to the commands after it.
fn exported_value(command: &ShellCommand) -> Option<SessionVariable> {
    let is_mentioned = command.words.iter().any(|word| word.text.contains(NAME));
    if !is_mentioned || !matches!(command.program_name(), "export" | "declare" | "set" | "unset" | "$env:NOXSESSION") {
        return None;
    }
    let assigned = command.words.iter().skip(1).find_map(|word| word.text.strip_prefix("NOXSESSION="));
    let is_certain = command.program_name() == "export" && !command.is_conditional && command.enclosing_loop.is_none();
    Some(as_value(assigned.filter(|_| is_certain)))
}

/// Returns the value of a variable that a script writes last to the environment of later steps.
pub(crate) fn written_value(commands: &[ShellCommand], name: &str) -> Option<SessionVariable> {
    let written = |(index, command): (usize, &ShellCommand)| {
        let next = commands.get(index + 1).filter(|next| next.preceding_operator == ControlOperator::Pipe);
        command_value(command, next, name)
    };
    commands.iter().enumerate().rev().find_map(written)
}

/// Returns the value of a variable that a command writes to the environment of later steps, itself or by the command that
/// reads its output.
fn command_value(command: &ShellCommand, reader: Option<&ShellCommand>, name: &str) -> Option<SessionVariable> {
    let mentions = |text: &str| text.contains(name);
    let is_env_file = |text: &str| text.trim_end_matches('}').ends_with("_ENV");
    let writes_env =
        |command: &ShellCommand| command.output_files.iter().chain(&command.words).any(|word| is_env_file(&word.text));
    let writes = writes_env(command) || reader.is_some_and(writes_env);
    if !writes && !command.words.iter().any(|word| word.text.contains("::set-env")) {
        return None;
    }
    command.words.iter().any(|word| mentions(&word.text)).then_some(())?;
    let assigned = command.words.get(1).and_then(|word| word.text.strip_prefix(name)?.strip_prefix('='));
    let is_certain = command.program_name() == "echo" && !command.is_conditional && command.words.len() == 2;
    Some(as_value(assigned.filter(|_| is_certain)))
}

/// Returns a value; one that the shell computes is unknown.
fn as_value(text: Option<&str>) -> SessionVariable {
    let is_computed = |text: &str| text.replace("${{", "").contains(['$', '`']);
    let value = text.filter(|text| !text.is_empty() && !is_computed(text));
    value.map_or(SessionVariable::Unknown, |text| SessionVariable::Value(text.to_owned()))
}

//! Fix that joins several nox calls into one `noxide run`, with a log per session if there were logs before.

use super::super::fix::{Fix, SemanticChange, TextEdit};
use super::super::project::{JobInstall, JobNoxCall, JobView};
use super::super::shell::{ControlOperator, NoxCallSelection, PackageInstaller, ShellCommand};
use super::super::source::Span;
use super::super::workflow::WorkflowStep;
use super::super::yaml::{YamlKind, YamlStyle};
use super::run_script::{expand_to_script_lines, insert_script_word, rewrite_script};
use super::text_edit::{self, indent_at, mark_display_only, quote_scalar, unsafe_fix};

/// The sessions, arguments and logs of the calls of a step, combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JoinedCalls {
    /// Sessions without arguments, without duplicates.
    pub(crate) sessions: Vec<String>,
    /// Sessions that get arguments after `--`, with these arguments.
    pub(crate) sessions_with_posargs: Vec<(Vec<String>, Vec<String>)>,
    /// Whether the other sessions ignore such arguments.
    pub(crate) rest_ignores_posargs: bool,
    /// Directory of the logs.
    pub(crate) log_dir: Option<String>,
    /// Replaced log files, each with the sessions whose logs replace it.
    pub(crate) replaced_logs: Vec<(String, Vec<String>)>,
    /// Span of the script from the first call to the last.
    pub(crate) script_span: Span,
}

/// Log name of a session in the joined run.
const LOG_NAME_TEMPLATE: &str = "nox-{session}-output.log";

impl JoinedCalls {
    /// Combines the calls of a step; `None` if a call has options of its own.
    pub(super) fn from_step(view: &JobView, step: &WorkflowStep) -> Option<Self> {
        let calls: Vec<&JobNoxCall> =
            view.analysis.nox_calls.iter().filter(|call| call.step_index == step.index).collect();
        let mut joined = Self { rest_ignores_posargs: true, ..Self::default() };
        for call in &calls {
            joined.add_call(view, step, call)?;
        }
        let (first, last) = (calls.first()?, calls.last()?);
        let last_index = last.command_index + usize::from(tee_target(step, last.command_index).is_some());
        // No other command is between the calls.
        let is_part_of_call = |at: usize| {
            calls.iter().any(|call| {
                call.command_index == at || call.command_index + 1 == at && is_piped_from_previous(step, at)
            })
        };
        if !(first.command_index..=last_index).all(is_part_of_call) {
            return None;
        }
        joined.script_span =
            Span::new(step.commands.get(first.command_index)?.span.start, step.commands.get(last_index)?.span.end);
        Some(joined)
    }

    fn add_call(&mut self, view: &JobView, step: &WorkflowStep, call: &JobNoxCall) -> Option<()> {
        let command = step.commands.get(call.command_index)?;
        let is_simple = command.program_name() == "nox"
            && command.assignments.is_empty()
            && !command.is_conditional
            && !command.has_heredoc
            && command.enclosing_loop.is_none()
            && command.output_files.is_empty()
            && matches!(command.preceding_operator, ControlOperator::Sequence | ControlOperator::And)
            && call.parsed.launcher.is_none()
            && matches!(call.parsed.selection, NoxCallSelection::Names(_))
            && has_only_session_flags(command)
            && call.sessions.iter().all(|(name, _)| is_plain_word(name));
        is_simple.then_some(())?;
        let names: Vec<String> = call.sessions.iter().map(|(name, _)| name.clone()).collect();
        if let Some(file) = tee_target(step, call.command_index) {
            let directory = file.rsplit_once('/').map_or(".", |(directory, _)| directory).to_owned();
            is_plain_word(&directory).then_some(())?;
            (self.log_dir.as_ref().is_none_or(|known| *known == directory)).then_some(())?;
            self.log_dir = Some(directory);
            self.replaced_logs.push((file, names.clone()));
        } else if is_piped_from_previous(step, call.command_index + 1) {
            return None;
        }
        let posargs = &call.parsed.posargs;
        posargs.iter().all(|word| is_plain_word(word)).then_some(())?;
        self.add_sessions(view, names, posargs);
        Some(())
    }

    fn add_sessions(&mut self, view: &JobView, names: Vec<String>, posargs: &[String]) {
        let new: Vec<String> =
            names.into_iter().filter(|name| !self.session_names().any(|known| known == name)).collect();
        if posargs.is_empty() {
            self.rest_ignores_posargs &=
                new.iter().all(|name| view.noxfile_session(name).is_some_and(|session| !session.uses_posargs));
            self.sessions.extend(new);
        } else if let Some((sessions, _)) = self.sessions_with_posargs.iter_mut().find(|(_, known)| *known == posargs) {
            sessions.extend(new);
        } else if !new.is_empty() {
            self.sessions_with_posargs.push((new, posargs.to_vec()));
        }
    }

    fn session_names(&self) -> impl Iterator<Item = &String> {
        self.sessions_with_posargs.iter().flat_map(|(names, _)| names).chain(&self.sessions)
    }

    /// Adds the calls of another step; the script span stays that of this one.
    pub(super) fn merge(mut self, view: &JobView, other: Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (&self.log_dir, &other.log_dir) {
            (a == b).then_some(())?;
        }
        self.log_dir = self.log_dir.or(other.log_dir);
        self.replaced_logs.extend(other.replaced_logs);
        self.add_sessions(view, other.sessions, &[]);
        for (sessions, posargs) in other.sessions_with_posargs {
            self.add_sessions(view, sessions, &posargs);
        }
        Some(self)
    }

    /// Returns the commands: one, unless arguments after `--` would reach other sessions.
    pub(super) fn to_commands(&self) -> Vec<String> {
        if let ([(names, posargs)], true) = (self.sessions_with_posargs.as_slice(), self.rest_ignores_posargs) {
            return vec![self.format_command(&[&self.sessions[..], names].concat(), posargs)];
        }
        let with_posargs =
            self.sessions_with_posargs.iter().map(|(names, posargs)| self.format_command(names, posargs));
        let rest = (!self.sessions.is_empty()).then(|| self.format_command(&self.sessions, &[]));
        with_posargs.chain(rest).collect()
    }

    /// Returns a script that runs every command, even after a failure.
    pub(super) fn to_script(&self) -> String {
        let commands = self.to_commands();
        if let [one] = commands.as_slice() {
            return format!("{one}\n");
        }
        let each: String = commands.iter().map(|command| format!("{command} || status=$?\n")).collect();
        format!("status=0\n{each}exit $status\n")
    }

    fn format_command(&self, sessions: &[String], posargs: &[String]) -> String {
        let mut text = format!("noxide run -s {}", sessions.join(" "));
        if let Some(directory) = &self.log_dir {
            text.push_str(&format!(" --logs {directory} --log-name '{LOG_NAME_TEMPLATE}'"));
        }
        if !posargs.is_empty() {
            text.push_str(&format!(" -- {}", posargs.join(" ")));
        }
        text
    }

    /// Returns the log of a session, if logs were written before.
    pub(super) fn session_log_path(&self, session: &str) -> Option<String> {
        let name = LOG_NAME_TEMPLATE.replace("{session}", session);
        self.log_dir
            .as_deref()
            .map(|directory| if directory == "." { name.clone() } else { format!("{directory}/{name}") })
    }

    /// Returns the lines of an upload's `path`, with the old logs replaced by the new ones.
    pub(super) fn replace_log_paths(&self, old: &str) -> Vec<String> {
        let new = |line: &str| match self.replaced_logs.iter().find(|(file, _)| file == line) {
            Some((_, sessions)) => sessions.iter().filter_map(|name| self.session_log_path(name)).collect(),
            None => vec![line.to_owned()],
        };
        old.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(new).collect()
    }
}

/// Returns the file that `tee` writes a call's output to.
fn tee_target(step: &WorkflowStep, command: usize) -> Option<String> {
    let next = step
        .commands
        .get(command + 1)
        .filter(|next| next.preceding_operator == ControlOperator::Pipe && next.program_name() == "tee")?;
    let [_, file] = next.words.as_slice() else { return None };
    is_plain_word(&file.text).then(|| file.text.clone())
}

fn is_piped_from_previous(step: &WorkflowStep, command: usize) -> bool {
    step.commands.get(command).is_some_and(|next| next.preceding_operator == ControlOperator::Pipe)
}

/// Whether the text is one shell word without quoting.
pub(super) fn is_plain_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c))
}

/// Whether a call has only flags that select sessions.
fn has_only_session_flags(command: &ShellCommand) -> bool {
    let mut words = command.words.iter().skip(1).map(|word| word.text.as_str()).take_while(|word| *word != "--");
    words.all(|word| matches!(word, "-s" | "-e" | "--session" | "--sessions") || !word.starts_with('-'))
}

/// Returns the fix if the job has noxide, or with an edit that installs it beside nox if the setting `install` says from
/// where; otherwise as a patch to review: a fix must not write a call of a program that is not installed.
#[must_use]
pub(crate) fn require_noxide(view: &JobView, fix: Fix) -> Fix {
    if view.has_noxide() {
        return fix;
    }
    if let Some(install) = install_beside_nox(view, &fix) {
        let edits = fix.edits.into_iter().chain(install.edits).collect();
        let changes = fix.changes.into_iter().chain(install.changes).collect();
        return Fix { title: format!("{}, install noxide", fix.title), edits, changes, ..fix };
    }
    mark_display_only(Fix { title: format!("{} (requires noxide on the runner)", fix.title), ..fix })
}

/// Returns the edit that adds noxide to the command that installs nox, if that is pip and in a step that the fix does
/// not change.
fn install_beside_nox(view: &JobView, fix: &Fix) -> Option<Fix> {
    let argument = view.project.options.install.as_ref()?.pip_argument()?;
    let is_pip = |install: &&JobInstall| install.install.installer == PackageInstaller::Pip;
    let (install, word) = view
        .analysis
        .installs
        .iter()
        .filter(is_pip)
        .find_map(|install| Some((install, install.install.find_package("nox")?)))?;
    let step = view.step(install.step_index)?;
    let script = step.script.as_ref()?;
    let is_edited =
        fix.edits.iter().any(|edit| script.span.start <= edit.span.start && edit.span.end <= script.span.end);
    let is_unquoted = script.text.get(word.span.start..word.span.end)? == word.text;
    if is_edited || !is_unquoted {
        return None;
    }
    // A command of its own: that of the job stays as it is.
    insert_script_word(view, step, install.install.span.end, &format!(" && pip install {argument}"), "")
}

/// Joins all calls of a step into one command, and uploads the new logs.
pub(crate) fn join_step_calls(view: &JobView) -> Option<Fix> {
    let index = view.analysis.nox_calls.first()?.step_index;
    let step = view.step(index).filter(|_| view.analysis.nox_calls.iter().all(|call| call.step_index == index))?;
    let joined = JoinedCalls::from_step(view, step).filter(|joined| joined.session_names().count() > 1)?;
    let commands = joined.to_commands();
    let [command] = commands.as_slice() else { return None };
    let text = &step.script.as_ref()?.text;
    let lines = Span::new(expand_to_script_lines(text, joined.script_span).start, joined.script_span.end);
    let new = format!("{}{command}{}", text.get(..lines.start)?, text.get(lines.end..)?);
    let (edit, change) = rewrite_script(view, step, &new)?;
    let (mut edits, mut changes) = (vec![edit], vec![change]);
    for upload in view.job.steps.iter().filter(|step| step.is_artifact_upload()) {
        let Some(path) = upload.input_value("path") else { continue };
        let paths = joined.replace_log_paths(&path.value);
        if paths != path.value.lines().map(str::trim).collect::<Vec<_>>() {
            let (edit, change) = replace_upload_paths(view, upload, &paths)?;
            edits.push(edit);
            changes.push(change);
        }
    }
    Some(require_noxide(view, unsafe_fix(view, "run the sessions in parallel", edits, changes)))
}

/// Replaces the `path` of an upload.
pub(super) fn replace_upload_paths(
    view: &JobView,
    step: &WorkflowStep,
    lines: &[String],
) -> Option<(TextEdit, SemanticChange)> {
    let with = step.node.get("with").filter(|with| !with.is_flow && !with.aliased)?;
    let (key, old) = with.get_entry("path")?;
    let YamlKind::Scalar(_, style) = &old.kind else { return None };
    let source = view.source();
    let block = *style == YamlStyle::Literal || lines.len() > 1;
    let value = if block { format!("{}\n", lines.join("\n")) } else { lines.concat() };
    let edit = match style {
        YamlStyle::Plain | YamlStyle::Quoted if !block => TextEdit { span: old.span, text: value.clone() },
        YamlStyle::Literal => {
            let indent = format!("{}{}", source.line_ending(), indent_at(source, old.span.start));
            TextEdit { span: old.span, text: lines.join(&indent) }
        }
        YamlStyle::Folded => return None,
        _ => {
            let indent = format!("{}{}  ", source.line_ending(), indent_at(source, key.span.start));
            TextEdit { span: old.span, text: format!("|{indent}{}", lines.join(&indent)) }
        }
    };
    Some((
        edit,
        SemanticChange::Set(text_edit::step_path(view, step, Some("with")), "path".to_owned(), quote_scalar(&value)),
    ))
}

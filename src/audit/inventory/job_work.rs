//! Work of a job: its installs and sessions, and what may hide more of them.

use super::super::project::{JobInstall, JobNoxCall, JobView, find_local_action};
use super::super::shell::{
    ControlOperator, FILE_RUNNERS, NoxCallSelection, PackageInstaller, SHELLS, ShellCommand, find_substitutions,
    parse_install, parse_nox_call, parse_script, plain_command,
};
use super::super::source::Span;
use super::super::workflow::{ActionRef, WorkflowStep};
use super::known_actions::action_effect;
use super::other_installs::other_installer;
use super::session_names::known_sessions;
use super::step_condition::{ActionCall, StepCondition};
use super::table::{HiddenWork, InstallRow, JobSessionRow};

/// Installs, sessions and hidden work of a job.
#[derive(Debug, Default)]
pub(super) struct JobWork {
    pub(super) installs: Vec<InstallRow>,
    pub(super) sessions: Vec<JobSessionRow>,
    pub(super) hidden: Vec<HiddenWork>,
}

/// Options of `uv run`, `uvx` and `pipx run` that have a value.
const LAUNCHER_VALUE_OPTIONS: [&str; 14] = [
    "--with",
    "--with-editable",
    "--with-requirements",
    "--from",
    "--spec",
    "--python",
    "-p",
    "--group",
    "--only-group",
    "--extra",
    "--index-url",
    "--directory",
    "--project",
    "--env-file",
];
/// Returns the work of a job, or of a local action that `call` uses.
pub(super) fn find_job_work(
    view: &JobView,
    call: Option<ActionCall>,
    usual_ms: &dyn Fn(&str) -> Option<u64>,
) -> JobWork {
    let mut work = JobWork::default();
    for step in &view.job.steps {
        let condition = StepCondition::of_step(step, call);
        if condition != StepCondition::Never {
            add_step_work(view, step, condition.text().as_ref(), usual_ms, &mut work);
        }
    }
    work.installs.sort_by_key(|row| row.line);
    work.hidden.dedup();
    work
}

fn add_step_work(
    view: &JobView,
    step: &WorkflowStep,
    condition: Option<&String>,
    usual_ms: &dyn Fn(&str) -> Option<u64>,
    work: &mut JobWork,
) {
    let line = |span: Span| view.source().position_at(span.start).line;
    if let (Some(action), Some(uses)) = (&step.action, &step.uses) {
        let used = ActionUse { action, line: line(uses.span), uses: &uses.value, condition };
        add_action_work(view, step, used, usual_ms, work);
    }
    for (index, command) in step.commands.iter().enumerate() {
        let span = step.file_span(command.span);
        let when =
            condition.cloned().or_else(|| command.is_conditional.then(|| "a condition of the script".to_owned()));
        let is_known = |install: &&JobInstall| install.step_index == step.index && install.install.span == command.span;
        let known = view.analysis.installs.iter().find(is_known);
        let nox_call = parse_nox_call(command);
        let installer = match known {
            _ if installs_nothing(view, step, command) => None,
            Some(known) => Some(installer_name(known.install.installer, command)),
            None if nox_call.as_ref().is_some_and(|call| call.only_installs) => Some("nox"),
            None => other_installer(command),
        };
        if let Some(installer) = installer {
            let written = step.script.as_ref().and_then(|script| script.text.get(command.span.start..command.span.end));
            let text = written.map_or_else(|| command.command_line(), str::to_owned);
            work.installs.push(InstallRow { line: line(span), installer, command: text, condition: when.clone() });
        }
        let calls: Vec<&JobNoxCall> =
            view.analysis.nox_calls.iter().filter(|call| call.is_made_by(step, index, command)).collect();
        if !calls.is_empty() {
            match known_sessions_of_all(view, &calls) {
                Some(sessions) => work.sessions.extend(sessions.into_iter().map(|(name, span)| JobSessionRow {
                    line: line(span),
                    usual_ms: usual_ms(&name),
                    session: name,
                    condition: when.clone(),
                })),
                None => {
                    let what = command.command_line();
                    work.hidden.push(HiddenWork {
                        line: line(span),
                        what,
                        hides_installs: false,
                        hides_sessions: true,
                    });
                }
            }
        } else if let Some(what) = hidden_command(command, &|module| view.project.has_module(module)) {
            work.hidden.push(HiddenWork { line: line(span), what, hides_installs: true, hides_sessions: true });
        } else if nox_call
            .as_ref()
            .is_some_and(|call| call.selection != NoxCallSelection::Nothing && !call.runs_noxfile)
        {
            // A call of nox that the analysis left out: the matrix provides words of it.
            let what = command.command_line();
            work.hidden.push(HiddenWork { line: line(span), what, hides_installs: false, hides_sessions: true });
        }
        if nox_call.is_some_and(|call| call.runs_noxfile) && known.is_none() {
            // A noxfile that is a script may install its own dependencies.
            let what = command.command_line();
            work.hidden.push(HiddenWork { line: line(span), what, hides_installs: true, hides_sessions: false });
        }
    }
    add_substitutions(view, step, condition, work);
    let text = step.script.as_ref().map_or("", |script| script.text.as_str());
    let may_install = ["subprocess", "system", "pip", "nox"].iter().any(|word| text.contains(word));
    if let Some(language) = step.script_language.filter(|_| may_install) {
        let what = format!("a {language} script ({})", step.display_name());
        work.hidden.push(HiddenWork { line: line(step.span), what, hides_installs: true, hides_sessions: true });
    }
}

/// Adds what the command substitutions of a script install and run.
fn add_substitutions(view: &JobView, step: &WorkflowStep, condition: Option<&String>, work: &mut JobWork) {
    let Some(script) = step.script.as_ref().filter(|_| step.script_language.is_none()) else { return };
    for substitution in find_substitutions(&script.text) {
        for command in parse_script(script.text.get(substitution.start..substitution.end).unwrap_or_default()) {
            let start = substitution.start + command.span.start;
            let line = view.source().position_at(step.file_span(Span::new(start, start + 1)).start).line;
            let installer = parse_install(&command)
                .map(|install| installer_name(install.installer, &command))
                .or_else(|| other_installer(&command));
            if let Some(installer) = installer.filter(|_| !installs_nothing(view, step, &command)) {
                let (command, condition) = (command.command_line(), condition.cloned());
                work.installs.push(InstallRow { line, installer, command, condition });
            }
            let runs_sessions =
                parse_nox_call(&command).is_some_and(|call| call.selection != NoxCallSelection::Nothing);
            if runs_sessions || hidden_command(&command, &|module| view.project.has_module(module)).is_some() {
                let what = command.command_line();
                work.hidden.push(HiddenWork { line, what, hides_installs: true, hides_sessions: true });
            }
        }
    }
}

/// Whether a command is told to use the environment as it is.
fn installs_nothing(view: &JobView, step: &WorkflowStep, command: &ShellCommand) -> bool {
    let words = command.words_after_prefix();
    let is_word = |index: usize, text: &str| words.get(index).is_some_and(|word| word.text == text);
    let is_uv_run = is_word(0, "uv") && is_word(1, "run");
    let has_option =
        |option: &str| words.iter().any(|word| word.text == option || word.text.starts_with(&format!("{option}=")));
    let variable = view.workflow.resolve_variable(view.job, Some(step), "UV_NO_SYNC");
    let is_set = variable.is_some_and(|text| matches!(text.value.as_str(), "1" | "true"));
    is_uv_run
        && (is_set || has_option("--no-sync") || has_option("--no-project"))
        && !["--with", "--with-requirements", "--with-editable", "--script"].into_iter().any(has_option)
}

/// Returns the sessions of all calls that one command makes in the jobs of the matrix, each name once.
fn known_sessions_of_all(view: &JobView, calls: &[&JobNoxCall]) -> Option<Vec<(String, Span)>> {
    let mut sessions: Vec<(String, Span)> = Vec::new();
    for call in calls {
        for (name, span) in known_sessions(view, call)? {
            if calls.len() == 1 || !sessions.iter().any(|(known, _)| *known == name) {
                sessions.push((name, span));
            }
        }
    }
    Some(sessions)
}

/// An action as a step uses it.
#[derive(Clone, Copy)]
struct ActionUse<'a> {
    action: &'a ActionRef,
    /// Line of `uses`.
    line: usize,
    /// Value of `uses`.
    uses: &'a str,
    condition: Option<&'a String>,
}

/// Adds what an action installs and runs.
fn add_action_work(
    view: &JobView,
    step: &WorkflowStep,
    ActionUse { action, line, uses, condition }: ActionUse,
    usual_ms: &dyn Fn(&str) -> Option<u64>,
    work: &mut JobWork,
) {
    let install = |installer| InstallRow { line, installer, command: uses.to_owned(), condition: condition.cloned() };
    let hidden = |what: String| HiddenWork { line, what, hides_installs: true, hides_sessions: true };
    if let Some(directory) = action.local_directory() {
        let read = find_local_action(view.project, directory).and_then(|workflow| {
            let uses_itself = workflow.index == view.workflow.index;
            view.project.workflow_job_views(workflow).next().filter(|_| !uses_itself)
        });
        match read {
            // From an action, only one that uses no other action is followed.
            Some(inner) if is_leaf_or_workflow(view, &inner) => {
                let inner = find_job_work(&inner, Some(ActionCall { step, action: inner.workflow }), usual_ms);
                // The action installs unconditionally if one of its installs does.
                let row = inner.installs.iter().find(|row| row.condition.is_none()).or(inner.installs.first());
                let row = row.map(|row| row.condition.clone());
                work.installs.extend(
                    row.map(|inner| InstallRow { condition: condition.cloned().or(inner), ..install("action") }),
                );
                let rows = inner.sessions.into_iter();
                work.sessions.extend(rows.map(|row| JobSessionRow {
                    line,
                    condition: condition.cloned().or(row.condition),
                    ..row
                }));
                let more = inner.hidden.into_iter();
                work.hidden.extend(more.map(|row| HiddenWork { line, what: format!("{} in {uses}", row.what), ..row }));
            }
            _ => work.hidden.push(hidden(uses.to_owned())),
        }
        return;
    }
    let effect = action_effect(step);
    if action.is_named("pypa/cibuildwheel") {
        // Its variables contain commands.
        let scopes = [&step.env, &view.job.env, &view.workflow.env];
        let runs_nox = scopes
            .into_iter()
            .flatten()
            .any(|(name, value)| name.value.starts_with("CIBW_") && value.value.contains("nox"));
        work.hidden.push(HiddenWork { hides_sessions: runs_nox, ..hidden(uses.to_owned()) });
    }
    if effect.is_some_and(|effect| effect.installs) {
        work.installs.push(install("action"));
    }
    let has_command = step.with.iter().any(|(_, value)| {
        let words: Vec<&str> = value.value.split_whitespace().collect();
        let is_install =
            words.windows(2).any(|pair| matches!(pair, ["pip" | "uv" | "poetry" | "pdm", "install" | "sync"]));
        words.len() > 1 && (is_install || words.iter().any(|word| matches!(*word, "nox" | "uvx" | "make" | "tox")))
    });
    let may_run_sessions = action.name.contains("nox") || has_command || action.name.starts_with("docker://");
    match effect {
        Some(effect) if effect.installs => {}
        _ if may_run_sessions => work.hidden.push(hidden(uses.to_owned())),
        Some(_) => {}
        None => work.hidden.push(HiddenWork { hides_sessions: false, ..hidden(uses.to_owned()) }),
    }
}

/// Whether an action may be followed: it is used by a workflow, or uses no local action itself.
fn is_leaf_or_workflow(view: &JobView, inner: &JobView) -> bool {
    let uses_local = |step: &WorkflowStep| step.action.as_ref().is_some_and(|action| action.is_local);
    !inner.job.steps.iter().any(uses_local) || view.workflow.kind != inner.workflow.kind
}

/// Returns the name of the tool that installs: that of the program where several share one kind.
fn installer_name(installer: PackageInstaller, command: &ShellCommand) -> &'static str {
    match installer {
        PackageInstaller::Other => {
            let known = ["poetry", "pdm", "hatch"];
            known.into_iter().find(|name| *name == command.program_name()).unwrap_or("poetry, pdm or hatch")
        }
        known => known.as_str(),
    }
}

/// Whether a variable names the program, rather than being compared or assigned as in PowerShell and `[[ … ]]`.
fn is_variable_program(program: &str, next: Option<&str>) -> bool {
    let is_operator = |word: &str| {
        let is_named = ["-eq", "-ne", "-le", "-lt", "-ge", "-gt", "-z", "-n", "-match", "-like"].contains(&word);
        is_named || word.starts_with(['=', '!', '+', '|'])
    };
    let is_name = program.starts_with('$') && program.len() > 1;
    is_name && !program.contains("++") && !next.is_some_and(is_operator)
}

/// Whether a shell or an interpreter reads its script from the command before it.
fn reads_script(command: &ShellCommand, argument: &str) -> bool {
    command.preceding_operator == ControlOperator::Pipe && matches!(argument, "" | "-") && !command.has_word("-c")
}

fn is_python_program(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    name.starts_with("python") || name == "py"
}

/// Returns the text of a command that runs what another file, a module of the project or a here-document says.
fn hidden_command(command: &ShellCommand, is_project_module: &dyn Fn(&str) -> bool) -> Option<String> {
    let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
    let words = plain_command(&words);
    let mut rest = words.iter().copied();
    let mut program = rest.next()?;
    if is_python_program(program) && rest.clone().next() == Some("-m") {
        program = rest.by_ref().nth(1)?;
        if is_project_module(program) && other_installer(command).is_none() {
            return Some(command.command_line());
        }
    }
    let subcommands = match (program, rest.clone().next()) {
        ("uvx", _) => Some(0),
        ("uv", Some("run")) | ("pipx", Some("run")) => Some(1),
        ("uv", Some("tool")) if rest.clone().nth(1) == Some("run") => Some(2),
        _ => None,
    };
    if let Some(subcommands) = subcommands {
        let mut words = rest.by_ref().skip(subcommands);
        program = loop {
            match words.next()? {
                word if LAUNCHER_VALUE_OPTIONS.contains(&word) => drop(words.next()),
                word if !word.starts_with('-') => break word,
                _ => {}
            }
        };
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    let argument = rest.clone().find(|word| !word.starts_with('-')).unwrap_or_default();
    let is_script =
        |word: &str| [".sh", ".bash", ".py", ".pyz", ".ps1", ".bat", ".cmd"].iter().any(|end| word.ends_with(end));
    let is_python = is_python_program(name);
    let activates =
        matches!(name, "source" | ".") && argument.rsplit('/').next().is_some_and(|file| file.starts_with("activate"));
    if activates {
        return None;
    }
    let is_own_file = program.contains('/') && !program.starts_with('/') && !program.contains("bin/");
    let asks_only = rest.clone().eq(["--version"]);
    let is_hidden = (FILE_RUNNERS.contains(&name) && !asks_only)
        || matches!(name, "source" | ".")
        || (name == "env" && words.contains(&"-S"))
        || is_own_file
        || is_script(name)
        || (name.contains("install") && !matches!(name, "install" | "easy_install"))
        || is_variable_program(program, words.get(1).copied())
        || ((SHELLS.contains(&name) || is_python) && reads_script(command, argument))
        || (SHELLS.contains(&name) && (command.has_heredoc || !argument.is_empty() || words.contains(&"-c")))
        || (is_python && (is_script(argument) || (command.has_heredoc && words.len() <= 2)))
        || (name == "hatch" && matches!(argument, "run" | "test" | "fmt"))
        || (matches!(name, "pdm" | "poetry" | "pipenv" | "rye") && argument == "run");
    is_hidden.then(|| command.command_line())
}

#[cfg(test)]
mod tests {
    use super::super::super::shell::parse_script;
    use super::*;

    #[test]
    fn commands_that_hide_work_are_recognized() {
        let is_hidden = |command: &ShellCommand| hidden_command(command, &|module| module == "own.cli").is_some();
        for script in [
            "make test",
            "./ci/run.sh x",
            "sudo make",
            "bash ci.sh",
            "python ci/install.py",
            "uv run noxfile.py -s a",
            "bash <<'E'\npip install x\nE",
            "source env",
            "$RUN tests",
            "docker run x",
            "hatch run test",
            "uvx --with tox-uv tox run -f lint",
            "uv run --group ci tox run",
            "uv tool run tox",
            "pipx run hatch run test",
            "python pipx.pyz install x",
            "python3 - <<E\nE",
            "python -m tox",
            "cmake --build .",
            "curl -L https://forge.example/x.sh | bash",
            "curl -L https://forge.example/x.py | python3 -",
            "bash <(curl -L https://forge.example/x.sh)",
            "spin build",
            "tool_install_extras",
            "env X=1 make",
            "timeout 5m ./ci.sh",
            "env -S 'nox -s a'",
            "coverage run -p --source x tests/validate.py",
            "coverage run -m tox",
            "python -m own.cli x",
            "coverage run -m own.cli x",
        ] {
            assert!(parse_script(script).iter().any(is_hidden), "{script}");
        }
        for script in [
            "pytest",
            "uv run pytest",
            "echo make",
            "git diff",
            "source .venv/bin/activate",
            "nox -s a",
            "/usr/bin/env",
            "python -m build",
            "echo 1 | python -c x",
            "ninja --version",
            "python --version",
            "[[ $A == x ]]",
            "$i = 1",
            "$i++",
            "cat <<E > f\nE",
            "env",
            "timeout 60 pytest",
            "coverage run -m pytest",
            "coverage run --source=x",
            "python -m other.cli x",
        ] {
            assert!(!parse_script(script).iter().any(is_hidden), "{script}");
        }
    }
}

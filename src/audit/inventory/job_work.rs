//! Work of a job: its installs and sessions, and what may hide more of them.

use super::super::project::{JobView, find_local_action};
use super::super::shell::{PackageInstaller, ShellCommand};
use super::super::source::Span;
use super::super::workflow::{ActionRef, WorkflowStep};
use super::session_names::known_sessions;
use super::table::{HiddenWork, InstallRow, JobSessionRow};

/// Installs, sessions and hidden work of a job.
#[derive(Debug, Default)]
pub(super) struct JobWork {
    pub(super) installs: Vec<InstallRow>,
    pub(super) sessions: Vec<JobSessionRow>,
    pub(super) hidden: Vec<HiddenWork>,
}

/// Actions that install Python packages.
const INSTALLING_ACTIONS: [&str; 11] = [
    "wntrblm/nox",
    "theacodes/nox",
    "excitedleigh/setup-nox",
    "pre-commit/action",
    "tox-dev/action-pre-commit-uv",
    "pypa/cibuildwheel",
    "pypa/hatch",
    "hynek/build-and-inspect-python-package",
    "psf/black",
    "snok/install-poetry",
    "pdm-project/setup-pdm",
];
/// Programs that run what another file says.
const FILE_RUNNERS: [&str; 21] = [
    "make",
    "gmake",
    "just",
    "task",
    "invoke",
    "inv",
    "tox",
    "poe",
    "doit",
    "duty",
    "npm",
    "pnpm",
    "yarn",
    "npx",
    "docker",
    "docker-compose",
    "podman",
    "eval",
    "xargs",
    "source",
    ".",
];
const SHELLS: [&str; 5] = ["sh", "bash", "zsh", "dash", "ksh"];
/// Installers that rules do not look at.
const OTHER_INSTALLERS: [&str; 8] =
    ["conda", "mamba", "micromamba", "pixi", "pipenv", "rye", "easy_install", "pip-sync"];

/// Returns the work of a job.
pub(super) fn find_job_work(view: &JobView, usual_ms: &dyn Fn(&str) -> Option<u64>) -> JobWork {
    let mut work = JobWork::default();
    for step in &view.job.steps {
        add_step_work(view, step, usual_ms, &mut work);
    }
    work.installs.sort_by_key(|row| row.line);
    work.hidden.dedup();
    work
}

fn add_step_work(view: &JobView, step: &WorkflowStep, usual_ms: &dyn Fn(&str) -> Option<u64>, work: &mut JobWork) {
    let line = |span: Span| view.source().position_at(span.start).line;
    let condition = step.condition.as_ref().map(|text| text.value.clone());
    if let (Some(action), Some(uses)) = (&step.action, &step.uses) {
        add_action_work(view, step, action, (line(uses.span), &uses.value), usual_ms, work);
    }
    for (index, command) in step.commands.iter().enumerate() {
        let span = step.file_span(command.span);
        let when = condition.clone().or_else(|| command.is_conditional.then(|| "a condition of the script".to_owned()));
        let known =
            view.analysis.installs.iter().find(|install| install.step_index == step.index && install.span == span);
        let installer = match known {
            Some(known) => Some(installer_name(known.install.installer, command)),
            None => other_installer(command),
        };
        if let Some(installer) = installer {
            let text = view.source().slice(span);
            let text = if text.is_empty() { command.command_line() } else { text.to_owned() };
            work.installs.push(InstallRow { line: line(span), installer, command: text, condition: when.clone() });
        }
        let mut calls = view.analysis.nox_calls.iter();
        if let Some(call) = calls.find(|call| call.step_index == step.index && call.command_index == index) {
            match known_sessions(view, call) {
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
        } else if let Some(what) = hidden_command(command) {
            work.hidden.push(HiddenWork { line: line(span), what, hides_installs: true, hides_sessions: true });
        }
    }
    let shell = step.node.get("shell").and_then(|node| node.as_str()).or_else(|| view.default_shell());
    let text = step.script.as_ref().map_or("", |script| script.text.as_str());
    let may_install = ["subprocess", "os.system", "pip", "nox"].iter().any(|word| text.contains(word));
    if shell.is_some_and(|shell| shell.contains("python")) && may_install {
        let what = format!("a Python script ({})", step.display_name());
        work.hidden.push(HiddenWork { line: line(step.span), what, hides_installs: true, hides_sessions: true });
    }
}

/// Adds what an action installs and runs.
fn add_action_work(
    view: &JobView,
    step: &WorkflowStep,
    action: &ActionRef,
    (line, uses): (usize, &str),
    usual_ms: &dyn Fn(&str) -> Option<u64>,
    work: &mut JobWork,
) {
    let condition = step.condition.as_ref().map(|text| text.value.clone());
    let install = |installer| InstallRow { line, installer, command: uses.to_owned(), condition: condition.clone() };
    let hidden = |what: String| HiddenWork { line, what, hides_installs: true, hides_sessions: true };
    if let Some(directory) = action.local_directory() {
        let read = find_local_action(view.project, directory).and_then(|workflow| {
            let is_nested = workflow.index == view.workflow.index;
            view.project.workflow_job_views(workflow).next().filter(|_| !is_nested)
        });
        match read {
            // An action that uses another one is not followed further.
            Some(inner) if view.workflow.index != inner.workflow.index && is_leaf_or_workflow(view, &inner) => {
                let inner = find_job_work(&inner, usual_ms);
                work.installs.extend((!inner.installs.is_empty()).then(|| install("action")));
                let rows = inner.sessions.into_iter();
                work.sessions.extend(rows.map(|row| JobSessionRow { line, condition: condition.clone(), ..row }));
                let more = inner.hidden.into_iter();
                work.hidden.extend(more.map(|row| HiddenWork { line, what: format!("{} in {uses}", row.what), ..row }));
            }
            _ => work.hidden.push(hidden(uses.to_owned())),
        }
        return;
    }
    if INSTALLING_ACTIONS.contains(&action.name.as_str()) {
        work.installs.push(install("action"));
        return;
    }
    let has_command = step.with.iter().any(|(_, value)| {
        let words: Vec<&str> = value.value.split_whitespace().collect();
        let is_install =
            words.windows(2).any(|pair| matches!(pair, ["pip" | "uv" | "poetry" | "pdm", "install" | "sync"]));
        words.len() > 1 && (is_install || words.iter().any(|word| matches!(*word, "nox" | "uvx" | "make" | "tox")))
    });
    if action.name.contains("nox") || has_command || action.name.starts_with("docker://") {
        work.hidden.push(hidden(uses.to_owned()));
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

/// Returns the tool of an install that the parser of installs does not know: options before `install`, an interpreter
/// in a variable, conda.
fn other_installer(command: &ShellCommand) -> Option<&'static str> {
    let words: Vec<&str> = command.words.iter().map(|word| word.text.rsplit('/').next().unwrap_or_default()).collect();
    let program = words.iter().find(|word| !matches!(**word, "sudo" | "env" | "-E" | "command"))?;
    if let Some(known) = OTHER_INSTALLERS.into_iter().find(|name| name == program) {
        let installs = known == "easy_install"
            || known == "pip-sync"
            || words.iter().any(|word| matches!(*word, "install" | "create" | "sync" | "update"));
        return installs.then_some(known);
    }
    let is_echo = matches!(*program, "echo" | "printf" | "grep" | "git" | "gh");
    let pip = words.iter().position(|word| matches!(*word, "pip" | "pip3"))?;
    let is_launcher =
        pip == 0 || words.get(pip.checked_sub(1)?).is_some_and(|word| matches!(*word, "-m" | "-Im" | "sudo" | "run"));
    let installs = words.iter().skip(pip + 1).find(|word| !word.starts_with('-')) == Some(&"install");
    (installs && is_launcher && !is_echo).then_some("pip")
}

/// Whether a variable names the program, rather than being compared or assigned as in PowerShell and `[[ … ]]`.
fn is_variable_program(program: &str, next: Option<&str>) -> bool {
    let is_operator = |word: &str| {
        let is_named = ["-eq", "-ne", "-le", "-lt", "-ge", "-gt", "-z", "-n", "-match", "-like"].contains(&word);
        is_named || word.starts_with(['=', '!', '+', '|'])
    };
    program.starts_with('$') && !program.contains("++") && !next.is_some_and(is_operator)
}

/// Returns the text of a command that runs what another file or a here-document says.
fn hidden_command(command: &ShellCommand) -> Option<String> {
    let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
    let mut rest =
        words.iter().copied().skip_while(|word| matches!(*word, "sudo" | "env" | "-E" | "xvfb-run" | "time"));
    let mut program = rest.next()?;
    if program == "uv" && rest.clone().next() == Some("run") {
        program = rest.by_ref().skip(1).find(|word| !word.starts_with('-'))?;
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    let argument = rest.clone().find(|word| !word.starts_with('-')).unwrap_or_default();
    let is_script = |word: &str| [".sh", ".bash", ".py", ".ps1", ".bat", ".cmd"].iter().any(|end| word.ends_with(end));
    let is_python = name.starts_with("python") || name == "py";
    let is_own_file = program.contains('/') && !program.starts_with('/') && !program.contains("bin/");
    let is_hidden = FILE_RUNNERS.contains(&name)
        || is_own_file
        || is_script(name)
        || is_variable_program(program, words.get(1).copied())
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
            "python3 - <<E\nE",
        ] {
            assert!(parse_script(script).iter().any(|command| hidden_command(command).is_some()), "{script}");
        }
        for script in [
            "pytest",
            "uv run pytest",
            "echo make",
            "git diff",
            "nox -s a",
            "/usr/bin/env",
            "python -m build",
            "python --version",
            "[[ $A == x ]]",
            "$i = 1",
            "$i++",
            "cat <<E > f\nE",
        ] {
            assert!(parse_script(script).iter().all(|command| hidden_command(command).is_none()), "{script}");
        }
    }

    #[test]
    fn installs_in_unusual_forms_are_recognized() {
        for (script, expected) in [
            ("pip -q install x", Some("pip")),
            ("sudo pip install x", Some("pip")),
            ("py -3.9 -m pip install x", Some("pip")),
            ("\"$PYTHON\" -Im pip install -e .", Some("pip")),
            ("conda env create -f x.yml", Some("conda")),
            ("mamba install x", Some("mamba")),
            ("conda info", None),
            ("pip list", None),
            ("echo pip install x", None),
        ] {
            assert_eq!(parse_script(script).iter().find_map(other_installer), expected, "{script}");
        }
    }
}

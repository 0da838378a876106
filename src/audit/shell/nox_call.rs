//! Calls of nox and `noxide run`: selected sessions, options and launcher.

use super::super::source::Span;
use super::command::{ShellCommand, ShellWord};
use super::command_prefix::coverage_run_target;
use super::downloads::{is_python, requirement_name};

/// Most names of a call that are read, with the values of loops in place of their variables.
const MAX_NAMES: usize = 1_000;

/// Sessions selected by a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoxCallSelection {
    /// Names (`-s`); a loop variable is replaced by its values.
    Names(Vec<ShellWord>),
    /// Tags (`-t`).
    Tags(Vec<String>),
    /// A keyword expression (`-k`).
    Keywords(String),
    /// No selection: the default sessions of the noxfile, or those of NOXSESSION.
    Default,
    /// No session runs: the call only lists sessions, installs what they need, or prints help.
    Nothing,
    /// A variable or an expression provides options, which may select anything.
    Unknown,
}

/// A call of nox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoxCall {
    /// Whether the call is `noxide run` or `noxide ci`.
    pub(crate) is_noxide: bool,
    /// Whether the call restores and saves packages itself (`noxide ci`).
    pub(crate) restores_packages: bool,
    /// Whether noxide's cache is off (`--cache off`).
    pub(crate) cache_disabled: bool,
    pub(crate) selection: NoxCallSelection,
    /// Arguments after `--`.
    pub(crate) posargs: Vec<String>,
    /// Noxfile given by `-f`.
    pub(crate) noxfile: Option<String>,
    /// Whether environments are reused (`-r`, `-R`, `--no-install`).
    pub(crate) reuses_environments: bool,
    /// Backend given by `-db` or `-fb`.
    pub(crate) backend: Option<String>,
    /// Whether it runs only the sessions of given interpreters (`-p`), which excludes those without one.
    pub(crate) selects_interpreters: bool,
    /// Whether it only installs what the sessions need (`--install-only`).
    pub(crate) only_installs: bool,
    /// Span of the word `nox`, or of the noxfile.
    pub(crate) program_span: Span,
    /// Whether the program is the noxfile itself: it runs sessions only if it calls `nox.main()`.
    pub(crate) runs_noxfile: bool,
    /// Tool that installs nox and starts it (`uvx`, `pipx run`).
    pub(crate) launcher: Option<NoxLauncher>,
}

/// Tool that installs nox and starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoxLauncher {
    /// `uvx`, `pipx run` or `uv run`.
    pub(crate) tool: &'static str,
    /// Whether its arguments pin the version of nox.
    pub(crate) pinned: bool,
}

/// Parses a command as a call of nox.
pub fn parse_nox_call(command: &ShellCommand) -> Option<NoxCall> {
    let words = command.words_after_prefix();
    let (index, is_noxide, launcher) = locate_program(words)?;
    let program = words.get(index)?;
    let program_span = program.span;
    let mut call = NoxCall {
        is_noxide,
        restores_packages: is_noxide && words.get(index + 1).is_some_and(|word| word.text == "ci"),
        cache_disabled: false,
        selection: NoxCallSelection::Default,
        posargs: Vec::new(),
        noxfile: None,
        reuses_environments: false,
        backend: None,
        selects_interpreters: false,
        only_installs: false,
        program_span,
        runs_noxfile: is_noxfile(&program.text),
        launcher,
    };
    let skip = index + 1 + usize::from(is_noxide);
    let mut words = words.iter().skip(skip).peekable();
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        let (flag, inline_value) = match word.text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.text.as_str(), None),
        };
        let mut value =
            || inline_value.clone().or_else(|| words.next().map(|word| word.text.clone())).unwrap_or_default();
        match flag {
            "--" => {
                call.posargs = words.map(|word| word.text.clone()).collect();
                break;
            }
            "-s" | "-e" | "--session" | "--sessions" => {
                if let Some(name) = inline_value {
                    names.push(ShellWord { text: name, span: word.span });
                }
                while let Some(word) = words.next_if(|word| !word.text.starts_with('-')) {
                    names.extend(loop_values(command, word).iter().take(MAX_NAMES + 1).cloned());
                    names.truncate(MAX_NAMES + 1);
                }
                call.selection = NoxCallSelection::Names(Vec::new());
            }
            "-t" | "--tags" => {
                let mut tags: Vec<String> = inline_value.into_iter().collect();
                while let Some(word) = words.next_if(|word| !word.text.starts_with('-')) {
                    tags.push(word.text.clone());
                }
                call.selection = NoxCallSelection::Tags(tags);
            }
            "-k" | "--keywords" => call.selection = NoxCallSelection::Keywords(value()),
            "--cache" => call.cache_disabled = value() == "off",
            "-f" | "--noxfile" => call.noxfile = Some(value()),
            "-db" | "--default-venv-backend" | "-fb" | "--force-venv-backend" => call.backend = Some(value()),
            "-l" | "--list" | "--list-sessions" | "-h" | "--help" | "--version" => {
                call.selection = NoxCallSelection::Nothing;
                call.only_installs = false;
                return Some(call);
            }
            "--install-only" => call.only_installs = true,
            "-r" | "-R" | "--no-install" | "--reuse-existing-virtualenvs" | "--reuse-venv" => {
                call.reuses_environments = true;
            }
            "-p" | "--python" | "--pythons" => {
                call.selects_interpreters = true;
                words.next_if(|word| !word.text.starts_with('-'));
            }
            "--envdir" | "--report" | "-P" | "--extra-pythons" | "-x" | "--force-python" | "-j" | "--parallel" => {
                words.next_if(|word| !word.text.starts_with('-'));
            }
            text if text.starts_with(['$', '`']) && call.selection == NoxCallSelection::Default => {
                call.selection = NoxCallSelection::Unknown;
            }
            _ => {}
        }
    }
    Some(call.with_names(names))
}

impl NoxCall {
    /// Completes a call that selects sessions by name.
    fn with_names(mut self, names: Vec<ShellWord>) -> Self {
        self.selection = match self.selection {
            _ if self.only_installs => NoxCallSelection::Nothing,
            NoxCallSelection::Names(_) if names.len() > MAX_NAMES => NoxCallSelection::Unknown,
            NoxCallSelection::Names(_) => NoxCallSelection::Names(names),
            other => other,
        };
        self
    }
}

/// Finds the index of the word `nox` or `noxide`, whether it is noxide, and the launcher.
fn locate_program(words: &[ShellWord]) -> Option<(usize, bool, Option<NoxLauncher>)> {
    let text = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
    let name = text(0).rsplit('/').next().unwrap_or_default();
    match name {
        "nox" => Some((0, false, None)),
        "coverage" => {
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            let start = coverage_run_target(&texts)?;
            (text(start) == "-m" && text(start + 1) == "nox").then_some((start + 1, false, None))
        }
        "noxide" if matches!(text(1), "run" | "ci") => Some((0, true, None)),
        _ if is_python(name) && text(1) == "-m" && text(2) == "nox" => Some((2, false, None)),
        _ if is_noxfile(text(0)) => Some((0, false, None)),
        _ if is_python(name) && is_noxfile(text(1)) => Some((1, false, None)),
        "poetry" | "pdm" | "hatch" if text(1) == "run" && text(2) == "nox" => Some((2, false, None)),
        "uvx" | "uv" | "pipx" => {
            let (tool, first_argument) = match (name, text(1), text(2)) {
                ("uvx", ..) => ("uvx", 1),
                ("uv", "tool", "run") => ("uvx", 3),
                ("uv", "run", _) => ("uv run", 2),
                ("pipx", "run", _) => ("pipx run", 2),
                _ => return None,
            };
            let nox_index = (first_argument..words.len()).find(|index| {
                let word = text(*index);
                let is_program = *index == first_argument
                    || !matches!(text(index - 1), "--from" | "--spec" | "--with" | "-p" | "--python");
                let is_script =
                    || tool == "uv run" && is_noxfile(word) && has_only_options(words, first_argument, *index);
                is_program && (is_nox_requirement(word) || is_script())
            })?;
            let has_version = words.iter().skip(first_argument).take(nox_index + 1 - first_argument).any(|word| {
                word.text.contains("nox==") || word.text.contains("nox@") || word.text.contains("nox[uv]==")
            });
            Some((nox_index, false, Some(NoxLauncher { tool, pinned: has_version || tool == "uv run" })))
        }
        _ => None,
    }
}

/// Whether a word is the noxfile, which a script runs itself if it calls `nox.main()`.
fn is_noxfile(word: &str) -> bool {
    matches!(word, "noxfile.py" | "./noxfile.py")
}

/// Whether the words of a range are options of `uv run` and their values, so that the next word is the program.
fn has_only_options(words: &[ShellWord], start: usize, end: usize) -> bool {
    let takes_value = |word: &str| matches!(word, "--with" | "-p" | "--python" | "--group" | "--extra");
    let between = words.get(start..end).unwrap_or_default();
    between.iter().enumerate().all(|(index, word)| {
        let is_value =
            || index.checked_sub(1).and_then(|at| between.get(at)).is_some_and(|word| takes_value(&word.text));
        word.text.starts_with('-') || is_value()
    })
}

fn is_nox_requirement(word: &str) -> bool {
    requirement_name(word) == "nox"
}

/// Returns a session name, or the values of the loop if the name is its variable.
fn loop_values<'a>(command: &'a ShellCommand, word: &'a ShellWord) -> &'a [ShellWord] {
    let variable = word.text.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
    let enclosing = command.enclosing_loop.as_ref().filter(|enclosing| Some(enclosing.variable.as_str()) == variable);
    enclosing.map_or_else(|| std::slice::from_ref(word), |enclosing| &enclosing.values)
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse_script;
    use super::*;

    fn call(script: &str) -> Option<NoxCall> {
        parse_script(script).iter().find_map(parse_nox_call)
    }

    fn names(script: &str) -> Vec<String> {
        match call(script).unwrap().selection {
            NoxCallSelection::Names(names) => names.into_iter().map(|word| word.text).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sessions_are_parsed_in_every_form() {
        assert_eq!(names("nox -s lint tests -- -x y"), ["lint", "tests"]);
        assert_eq!(names("python -m nox -r --session=lint"), ["lint"]);
        assert_eq!(names("uvx --from 'nox[uv]==1' nox -e a -p 3.12"), ["a"]);
        assert_eq!(names("sudo nox -f x.py --sessions a b"), ["a", "b"]);
        assert_eq!(names("for s in a b; do nox -s $s; done"), ["a", "b"]);
        assert_eq!(names("for s in a b; do nox -s \"${s}-3\"; done"), ["${s}-3"]);
        assert_eq!(names("noxide run -s a b"), ["a", "b"]);
        assert_eq!(names("nox -s 'tests-3.12' -j 4"), ["tests-3.12"]);
        let values = "s ".repeat(100);
        let repeated = |uses: usize| format!("for x in {values}; do nox -s {}; done", "$x ".repeat(uses));
        assert_eq!(names(&repeated(10)).len(), MAX_NAMES);
        assert_eq!(call(&repeated(11)).unwrap().selection, NoxCallSelection::Unknown);
        assert_eq!(names("env X=1 nox -s a"), ["a"]);
        assert_eq!(names("timeout 60 uvx nox -s a"), ["a"]);
        assert_eq!(names("coverage run -p --source x -m nox -s a"), ["a"]);
        assert!(call("coverage run -m pytest -m nox").is_none() && call("coverage report -m nox").is_none());
        assert_eq!(names(&format!("{}nox -s a", "env ".repeat(16))), ["a"]);
        assert!(call(&format!("{}nox -s a", "env ".repeat(100_000))).is_none());
    }

    #[test]
    fn options_and_launchers_are_parsed() {
        assert_eq!(call("nox -t ci lint").unwrap().selection, NoxCallSelection::Tags(vec!["ci".into(), "lint".into()]));
        assert_eq!(call("nox --tags=ci").unwrap().selection, NoxCallSelection::Tags(vec!["ci".into()]));
        assert_eq!(call("nox -k 'a and b'").unwrap().selection, NoxCallSelection::Keywords("a and b".into()));
        assert_eq!(call("nox").unwrap().selection, NoxCallSelection::Default);
        assert_eq!(call("nox -l").unwrap().selection, NoxCallSelection::Nothing);
        let install_only = call("nox -s lint --install-only").unwrap();
        assert!(install_only.only_installs && install_only.selection == NoxCallSelection::Nothing);
        for script in ["nox $ARGS", "nox ${{ inputs.args }}", "nox -r \"$ARGS\""] {
            assert_eq!(call(script).unwrap().selection, NoxCallSelection::Unknown, "{script}");
        }
        for script in ["nox -p $PYTHON", "nox -- $ARGS"] {
            assert_eq!(call(script).unwrap().selection, NoxCallSelection::Default, "{script}");
        }
        let full = call("nox -R -f other.py -db uv --report r.json -- a b").unwrap();
        assert_eq!(
            (full.reuses_environments, full.noxfile.as_deref(), full.backend.as_deref(), full.posargs.len()),
            (true, Some("other.py"), Some("uv"), 2)
        );
        assert!(call("noxide run").unwrap().is_noxide && call("noxide list").is_none());
        let ci = call("noxide ci --remote off -s lint tests -- -x").unwrap();
        assert!(ci.is_noxide && ci.restores_packages && !call("noxide run").unwrap().restores_packages);
        assert_eq!(names("noxide ci -s lint tests -- -x"), ["lint", "tests"]);
        assert!(
            call("noxide run --cache off -s a").unwrap().cache_disabled
                && !call("noxide run --cache=auto").unwrap().cache_disabled
        );
        for (script, pinned) in [
            ("uvx nox", false),
            ("uvx nox@2026.1 -s a", true),
            ("pipx run nox==1", true),
            ("uv run nox", true),
            ("uv tool run nox", false),
            ("pipx run nox[uv] -s lint", false),
            ("uvx 'nox[uv]==1' -s lint", true),
        ] {
            assert_eq!(call(script).unwrap().launcher.unwrap().pinned, pinned, "{script}");
        }
        for script in [
            "uv run noxfile.py -s a",
            "uv run --script noxfile.py -s a",
            "python3 noxfile.py -s a",
            "./noxfile.py -s a",
        ] {
            assert!(call(script).unwrap().runs_noxfile && names(script) == ["a"], "{script}");
        }
        for script in ["poetry run nox -s a", "pdm run nox -s a", "hatch run nox -s a"] {
            assert!(!call(script).unwrap().runs_noxfile && names(script) == ["a"], "{script}");
        }
        for script in ["cat noxfile.py", "ruff check noxfile.py", "uvx ruff noxfile.py", "uv run ruff check noxfile.py"]
        {
            assert!(call(script).is_none(), "{script}");
        }
        for script in
            ["pip install nox", "uv sync", "uvx --from nox x", "echo nox", "pipx install nox", "python -m pip"]
        {
            assert!(call(script).is_none(), "{script}");
        }
    }
}

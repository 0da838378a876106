//! Known work of sessions: whether one contains another, repeats its tests, or may run beside it.

use super::model::{NoxfileSession, SessionCall, SessionStatement};

/// What a session changes, as far as its commands tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionEffect {
    /// It only reads the project.
    ReadOnly,
    /// It runs tests.
    Tests,
    /// It writes documentation.
    Documentation,
    /// It writes distributions.
    Distributions,
}

/// Commands that only read the project.
const READ_ONLY_PROGRAMS: [&str; 31] = [
    "actionlint",
    "bandit",
    "basedpyright",
    "check-manifest",
    "codespell",
    "darglint",
    "deptry",
    "doc8",
    "flake8",
    "interrogate",
    "lint-imports",
    "mypy",
    "pip-audit",
    "pydocstyle",
    "pylint",
    "pyrefly",
    "pyright",
    "pyroma",
    "radon",
    "reuse",
    "rstcheck",
    "safety",
    "semgrep",
    "slotscheck",
    "ty",
    "typos",
    "vulture",
    "xenon",
    "yamllint",
    "zizmor",
    "zuban",
];
/// Formatters, which rewrite sources unless they only check.
const FORMATTERS: [&str; 4] = ["black", "isort", "ruff", "docformatter"];
const CHECK_FLAGS: [&str; 4] = ["--check", "--check-only", "--diff", "-c"];
/// Functions that a session may call without changing anything that another session reads.
const HARMLESS_CALLS: [&str; 9] =
    ["str", "len", "int", "bool", "print", "Path", "pathlib.Path", "os.getenv", "os.environ.get"];
/// Methods of a session that run nothing and change nothing.
const QUIET_METHODS: [&str; 5] = ["log", "debug", "warn", "error", "skip"];
const INSTALL_METHODS: [&str; 3] = ["install", "conda_install", "poetry.install"];
const COVERAGE_TOOLS: [&str; 2] = ["coverage", "slipcover"];

/// Commands that finish within seconds in most projects.
const QUICK_PROGRAMS: [&str; 22] = [
    "actionlint",
    "black",
    "check-manifest",
    "codespell",
    "darglint",
    "deptry",
    "doc8",
    "docformatter",
    "flake8",
    "interrogate",
    "isort",
    "lint-imports",
    "pip",
    "pydocstyle",
    "pyroma",
    "radon",
    "reuse",
    "rstcheck",
    "ruff",
    "typos",
    "vulture",
    "yamllint",
];

/// Whether a session runs a command that may take long.
pub(crate) fn runs_long(session: &NoxfileSession) -> bool {
    session.run_calls().any(|run| {
        let words: Vec<&str> = run.args.iter().map(String::as_str).collect();
        let program = match words.as_slice() {
            ["python" | "python3", "-m", module, ..] => module,
            [program, ..] => program,
            [] => return false,
        };
        !QUICK_PROGRAMS.contains(program)
    })
}

/// Returns what a session changes when it gets these arguments; `None` if its commands do not tell.
pub(crate) fn session_effect(session: &NoxfileSession, posargs: &[String]) -> Option<SessionEffect> {
    let is_harmless = |name: &String| {
        HARMLESS_CALLS.contains(&name.as_str()) || name.ends_with("mkdir") || name.ends_with(".joinpath")
    };
    if !session.foreign_calls.iter().all(is_harmless) {
        return None;
    }
    let mut effect = SessionEffect::ReadOnly;
    let mut runs = 0;
    for call in &session.calls {
        let method = call.method.as_str();
        if method == "call" || QUIET_METHODS.contains(&method) || INSTALL_METHODS.contains(&method) {
            continue;
        }
        if !matches!(method, "run" | "run_always") {
            return None;
        }
        runs += 1;
        match command_effect(call, posargs)? {
            SessionEffect::ReadOnly => {}
            other if effect == SessionEffect::ReadOnly || effect == other => effect = other,
            _ => return None,
        }
    }
    (runs > 0).then_some(effect)
}

fn command_effect(call: &SessionCall, posargs: &[String]) -> Option<SessionEffect> {
    let mut words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    if let ["python" | "python3", "-m", ..] = words.as_slice() {
        words.drain(..2);
    }
    let (program, arguments) = words.split_first()?;
    let gets_posargs = arguments.iter().any(|word| is_posargs(word));
    let given = if gets_posargs { posargs } else { &[] };
    let only_checks = || {
        let has_flag = |word: &str| CHECK_FLAGS.contains(&word);
        arguments.iter().any(|word| has_flag(word)) || given.iter().any(|word| has_flag(word))
    };
    let fixes = arguments.iter().copied().chain(given.iter().map(String::as_str)).any(|word| {
        matches!(word, "--fix" | "--write" | "-w" | "-i" | "--in-place" | "--unsafe-fixes" | "--install-types")
    });
    match (*program, arguments.first().copied()) {
        _ if fixes => None,
        ("ruff", Some("check")) => Some(SessionEffect::ReadOnly),
        (program, _) if FORMATTERS.contains(&program) => only_checks().then_some(SessionEffect::ReadOnly),
        (program, _) if READ_ONLY_PROGRAMS.contains(&program) => Some(SessionEffect::ReadOnly),
        ("twine", Some("check")) | ("pip", Some("check" | "list" | "freeze")) => Some(SessionEffect::ReadOnly),
        ("pytest" | "unittest", _) => Some(SessionEffect::Tests),
        ("mkdocs", Some("build")) | ("sphinx-build" | "sphinx", _) => Some(SessionEffect::Documentation),
        ("build" | "pyproject-build", _) => Some(SessionEffect::Distributions),
        _ => None,
    }
}

fn is_posargs(word: &str) -> bool {
    word.starts_with('*') && word.ends_with(".posargs")
}

/// Whether a word is a literal, and not a variable, call or unpacked list.
fn is_literal(word: &str) -> bool {
    !word.starts_with(['<', '*'])
}

fn is_docstring(statement: &SessionStatement) -> bool {
    statement.text.starts_with(['\'', '"'])
}

/// Whether a statement changes the environment or directory of the commands after it.
fn changes_context(statement: &SessionStatement) -> bool {
    statement.method.contains("chdir") || statement.text.contains("environ") || statement.text.contains(".env[")
}

/// Whether a session runs every command of another one, and more, with the same interpreter, installs and variables.
pub(crate) fn contains_session(larger: &NoxfileSession, smaller: &NoxfileSession) -> bool {
    let is_comparable = |session: &NoxfileSession| {
        session.is_straight_line && !session.is_parametrized && !session.statements.iter().any(changes_context)
    };
    let is_literal_call = |statement: &SessionStatement| {
        statement.args.iter().all(|(word, _)| is_literal(word))
            && statement
                .keywords
                .iter()
                .all(|(name, _)| matches!(name.as_str(), "success_codes" | "external" | "silent"))
    };
    let work: Vec<&SessionStatement> = smaller
        .statements
        .iter()
        .filter(|statement| !is_docstring(statement) && !QUIET_METHODS.contains(&statement.method.as_str()))
        .collect();
    let is_known_work = |statement: &&SessionStatement| {
        matches!(statement.method.as_str(), "install" | "run" | "run_always") && is_literal_call(statement)
    };
    let runs = |session: &NoxfileSession| session.run_calls().count();
    let has_work = |statement: &&SessionStatement| larger.statements.iter().any(|other| other.text == statement.text);
    let accepts_failure =
        |statement: &&SessionStatement| statement.keywords.iter().any(|(name, _)| name == "success_codes");
    larger.name != smaller.name
        && is_comparable(larger)
        && is_comparable(smaller)
        && larger.session_parameter == smaller.session_parameter
        && larger.python == smaller.python
        && larger.venv_backend == smaller.venv_backend
        && runs(smaller) > 0
        && runs(larger) > runs(smaller)
        && work.iter().all(is_known_work)
        && work.iter().all(has_work)
        && !work.iter().any(accepts_failure)
}

/// Returns the test runner that a session starts with coverage measurement.
pub(crate) fn measured_test_runner(session: &NoxfileSession) -> Option<String> {
    session.run_calls().find_map(|run| {
        let words: Vec<&str> = run.args.iter().map(String::as_str).collect();
        if words.iter().any(|word| COVERAGE_TOOLS.contains(word)) {
            let last = words.iter().rposition(|word| *word == "-m")?;
            let module = *words.get(last + 1)?;
            return (!COVERAGE_TOOLS.contains(&module) && is_literal(module)).then(|| module.to_owned());
        }
        let runner = words.iter().find(|word| !matches!(**word, "python" | "-m"))?;
        let measures = words.iter().any(|word| word.starts_with("--cov"));
        (measures && is_literal(runner)).then(|| (*runner).to_owned())
    })
}

/// Whether `coverage` runs the tests of `tests` again with the same packages and variables, and only adds coverage
/// measurement.
pub(crate) fn repeats_tests(tests: &NoxfileSession, coverage: &NoxfileSession, runner: &str) -> bool {
    let measures = |words: &[String]| {
        words.iter().any(|word| COVERAGE_TOOLS.contains(&word.as_str()) || word.starts_with("--cov"))
    };
    // Variables of a single run are not compared.
    let has_variables = |statement: &&SessionStatement| statement.keywords.iter().any(|(name, _)| name == "env");
    let test_runs = |session: &NoxfileSession, measured: bool| -> Vec<Vec<String>> {
        let runs = session.statements.iter().filter(|statement| statement.method == "run");
        let runs = runs.filter(|statement| !has_variables(statement));
        let words = runs.map(|statement| statement.args.iter().map(|(word, _)| word.clone()).collect::<Vec<_>>());
        words.filter(|words| measures(words) == measured && words.iter().any(|word| word == runner)).collect()
    };
    let (plain, measured) = (test_runs(tests, false), test_runs(coverage, true));
    let ([plain], [measured]) = (plain.as_slice(), measured.as_slice()) else { return false };
    let (Some(selected), Some(reselected)) = (selected_tests(plain, runner), selected_tests(measured, runner)) else {
        return false;
    };
    tests.name != coverage.name
        && selected == reselected
        && tests.is_straight_line
        && coverage.is_straight_line
        && tests.python == coverage.python
        && !tests.is_parametrized
        && !coverage.is_parametrized
        && tests.venv_backend == coverage.venv_backend
        && tests.session_parameter == coverage.session_parameter
        && has_same_setup(tests, coverage)
}

/// Returns the tests that a command selects; `None` if they are not written out.
fn selected_tests(words: &[String], runner: &str) -> Option<Vec<String>> {
    let at = words.iter().rposition(|word| word == runner)?;
    let mut selected = Vec::new();
    let mut rest = words.iter().skip(at + 1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            // The number of workers selects nothing.
            "-n" | "--numprocesses" | "--processes" => {
                rest.next();
            }
            "-q" | "-v" | "-vv" | "-s" => {}
            word if is_posargs(word) || word.starts_with("--cov") || word.starts_with("--numprocesses=") => {}
            word if is_literal(word) => selected.push(word.to_owned()),
            _ => return None,
        }
    }
    selected.sort();
    Some(selected)
}

/// Whether both sessions have the same installs and variables, except that the coverage session adds coverage tools.
fn has_same_setup(tests: &NoxfileSession, coverage: &NoxfileSession) -> bool {
    let setup = |session: &NoxfileSession| -> Vec<(String, bool)> {
        let statements = session.statements.iter().filter(|statement| {
            statement.method.contains("install") || statement.method == "call" || changes_context(statement)
        });
        let is_of_coverage = |statement: &SessionStatement| {
            let is_tool = |word: &str| COVERAGE_TOOLS.iter().any(|tool| word.starts_with(tool)) || word == "pytest-cov";
            let installs_tool = statement.method == "install" && statement.args.iter().all(|(word, _)| is_tool(word));
            installs_tool || (changes_context(statement) && statement.text.to_uppercase().contains("COV"))
        };
        statements.map(|statement| (statement.text.clone(), is_of_coverage(statement))).collect()
    };
    let (own, other) = (setup(tests), setup(coverage));
    let is_literal_install = |session: &NoxfileSession| {
        let mut installs = session.statements.iter().filter(|statement| statement.method.contains("install"));
        installs.all(|statement| statement.args.iter().all(|(word, _)| is_literal(word)))
    };
    let has = |all: &[(String, bool)], text: &str| all.iter().any(|(known, _)| known == text);
    is_literal_install(tests)
        && is_literal_install(coverage)
        && own.iter().all(|(text, _)| has(&other, text))
        && other.iter().all(|(text, is_of_coverage)| *is_of_coverage || has(&own, text))
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::noxfile;
    use super::*;

    fn effect(body: &str, posargs: &[&str]) -> Option<SessionEffect> {
        let text = format!(
            "import shutil\nimport nox\ndef helper(s):\n    s.run('mypy')\n@nox.session\ndef a(session):\n{body}"
        );
        let posargs: Vec<String> = posargs.iter().map(|word| (*word).to_owned()).collect();
        session_effect(noxfile(&text).find_session("a").unwrap(), &posargs)
    }

    #[test]
    fn effects_are_known_only_from_known_commands() {
        for (body, posargs, expected) in [
            (
                "    session.install('x')\n    session.run('ruff', 'check', 'src')\n",
                &[][..],
                Some(SessionEffect::ReadOnly),
            ),
            (
                "    session.run('python', '-m', 'mypy', *session.posargs)\n    helper(session)\n",
                &[],
                Some(SessionEffect::ReadOnly),
            ),
            ("    session.run('ruff', 'format', *session.posargs)\n", &["--check"], Some(SessionEffect::ReadOnly)),
            ("    session.run('pytest', *session.posargs)\n", &["-x"], Some(SessionEffect::Tests)),
            (
                "    session.run('mypy')\n    session.run('sphinx-build', 'a', 'b')\n",
                &[],
                Some(SessionEffect::Documentation),
            ),
            ("    session.run('python', '-m', 'build')\n", &[], Some(SessionEffect::Distributions)),
            ("    session.run('python', '-m', 'sphinx', 'a', 'b')\n", &[], Some(SessionEffect::Documentation)),
            ("    session.run('python', '-m', 'sphinx_autobuild', 'a', 'b')\n", &[], None),
            ("    session.run('ruff', 'format', *session.posargs)\n", &[], None),
            ("    session.run('ruff', 'check', '--fix')\n", &[], None),
            ("    session.run('ruff', 'check', *session.posargs)\n", &["--fix"], None),
            ("    session.run('git', 'tag', 'x')\n", &[], None),
            ("    command = ['mypy']\n    session.run(*command)\n", &[], Some(SessionEffect::ReadOnly)),
            ("    command = ['mypy']\n    command.append('x')\n    session.run(*command)\n", &[], None),
            ("    session.run('pytest')\n    session.run('python', '-m', 'build')\n", &[], None),
            ("    shutil.rmtree('x')\n    session.run('mypy')\n", &[], None),
            ("    session.run('mypy')\n    session.notify('b')\n", &[], None),
            ("    session.install('x')\n", &[], None),
        ] {
            assert_eq!(effect(body, posargs), expected, "{body}");
        }
    }

    fn compared(first: &str, second: &str) -> (bool, bool) {
        let text = format!("import nox\nEXTRA = ['x']\n{first}\n{second}");
        let file = noxfile(&text);
        let (a, b) = (file.find_session("a").unwrap(), file.find_session("b").unwrap());
        (contains_session(a, b), measured_test_runner(b).is_some_and(|runner| repeats_tests(a, b, &runner)))
    }

    const LARGER: &str = "@nox.session\ndef a(session):\n    session.install('x', 'y')\n    session.run('x', 'src')\n    session.run('y')\n";
    const SMALLER: &str =
        "@nox.session\ndef b(session):\n    '''Y alone.'''\n    session.install('x', 'y')\n    session.run('y')\n";

    #[test]
    fn a_session_contains_another_only_if_all_of_it_is_equal() {
        assert!(compared(LARGER, SMALLER).0);
        for (first, second) in [
            (LARGER.replace("'x', 'y')", "'y')"), SMALLER.to_owned()),
            (LARGER.to_owned(), SMALLER.replace("@nox.session", "@nox.session(python='3.9')")),
            (LARGER.to_owned(), SMALLER.replace("@nox.session", "@nox.session(venv_backend='uv')")),
            (LARGER.to_owned(), SMALLER.replace("run('y')", "run('y', env={'A': '1'})")),
            (LARGER.to_owned(), SMALLER.replace("run('y')", "run('y', *session.posargs)")),
            (LARGER.to_owned(), SMALLER.replace("    session.run", "    session.env['A'] = '1'\n    session.run")),
            (
                LARGER.replace("    session.run('y')", "    session.chdir('z')\n    session.run('y')"),
                SMALLER.to_owned(),
            ),
            (LARGER.replace("session.run('y')", "if x:\n        session.run('y')"), SMALLER.to_owned()),
            (
                LARGER.replace("    session.run('y')", "    f = ['1']\n    session.run(*f)"),
                SMALLER.replace("    session.run('y')", "    f = ['2']\n    session.run(*f)"),
            ),
            (
                LARGER.to_owned(),
                SMALLER
                    .replace("@nox.session", "@nox.session\n@nox.parametrize('p', [1, 2])")
                    .replace("(session)", "(session, p)"),
            ),
            (
                LARGER.replace("run('y')", "run('y', success_codes=[0, 1])"),
                SMALLER.replace("run('y')", "run('y', success_codes=[0, 1])"),
            ),
        ] {
            assert!(!compared(&first, &second).0, "{first}{second}");
        }
    }

    const TESTS: &str = "@nox.session\ndef a(session):\n    session.install('.[t]')\n    session.run('pytest', '-n', '4', 'tests', *session.posargs)\n";
    const COVERAGE: &str = "@nox.session\ndef b(session):\n    session.install('.[t]')\n    session.install('coverage')\n    session.env['COVERAGE_CORE'] = 'ctrace'\n    session.run('coverage', 'run', '-m', 'pytest', 'tests')\n    session.run('coverage', 'report')\n";

    #[test]
    fn a_second_test_run_is_known_only_if_all_of_it_is_equal() {
        assert!(compared(TESTS, COVERAGE).1);
        let with_plugin = "@nox.session\ndef b(session):\n    session.install('.[t]')\n    session.run('pytest', '--cov=x', 'tests')\n";
        assert!(compared(TESTS, with_plugin).1);
        for (old, new) in [
            ("'pytest', 'tests'", "'pytest', 'tests/unit'"),
            ("'pytest', 'tests'", "'pytest', *session.posargs"),
            ("'pytest', 'tests'", "'pytest', *EXTRA"),
            ("'pytest', 'tests'", "'pytest', 'tests', env={'A': '1'}"),
            ("'.[t]'", "'.[t,more]'"),
            ("'.[t]'", "'--resolution=lowest-direct', '.[t]'"),
            ("@nox.session", "@nox.session(python='3.9')"),
            ("@nox.session", "@nox.session(python=['3.9', '3.10'])"),
            ("    session.env['COVERAGE_CORE']", "    session.env['OTHER']"),
            ("    session.run('coverage', 'run'", "    for e in EXTRA: session.run('coverage', 'run'"),
        ] {
            let changed = COVERAGE.replacen(old, new, 1);
            assert!(changed != COVERAGE && !compared(TESTS, &changed).1, "{changed}");
        }
    }
}

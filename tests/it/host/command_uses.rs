//! What the host knows by a command: the trees it builds, the environments and other resources it shares.

use std::path::Path;
use std::process::Command;

use crate::support::{CommandDeadline as _, Project, python};

/// The files of the host program that classify commands.
const PROGRAM: [&str; 7] = [
    "install_facts.py",
    "command_words.py",
    "source_trees.py",
    "environments.py",
    "resource_lock.py",
    "command_uses.py",
    "coverage_data.py",
];

/// Reads commands as JSON and prints what each uses, a line for each use.
const DRIVER: &str = r#"
REPORTS = ("combine", "report", "xml", "html", "json", "lcov", "annotate")
def read_toml(path):
    import tomllib
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError:
        return {}
def read_ini(path, section):
    import configparser
    parser = configparser.RawConfigParser()
    parser.read(path)
    return dict(parser.items(section)) if parser.has_section(section) else None
root = os.path.realpath(".")
for words in json.load(sys.stdin):
    variables = {"PATH": os.environ["PATH"]}
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    context = CommandContext(root, [os.path.join(root, ".nox", "own")], root, variables, [])
    uses = ["%s %s %s" % (use.name, use.mode.name, "until end" if use.until_end else "during command")
            for use in command_uses(words, context)]
    for call in program_calls(words):
        data = coverage_call(call, root, variables, [])
        if data:
            uses.append("coverage %s %s%s" % (data.action, context.shown(os.path.dirname(data.data)) + "/" + os.path.basename(data.data), " chosen" if data.is_chosen else ""))
    print(json.dumps(uses))
"#;

fn uses_of(project: &Project, commands: &[&str]) -> Vec<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/project/host/program");
    let mut program = "import contextlib, functools, json, os, re, sys, tempfile, time\n".to_owned();
    for name in PROGRAM {
        program.push_str(&std::fs::read_to_string(directory.join(name)).unwrap());
    }
    program.push_str(DRIVER);
    let script = project.outer_dir().join("driver.py");
    fs_err::write(&script, program).unwrap();
    let words: Vec<Vec<String>> = commands.iter().map(|line| shell_words::split(line)).collect();
    let input = project.outer_dir().join("commands.json");
    fs_err::write(&input, serde_json::to_string(&words).unwrap()).unwrap();
    let mut command = Command::new(python());
    command.arg(&script).current_dir(project.root()).stdin(std::fs::File::open(&input).unwrap());
    let output = command.finish();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Splits words at spaces, with single quotes.
mod shell_words {
    pub(super) fn split(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for char in line.chars() {
            match char {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(char),
            }
        }
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }
}

fn monorepo() -> Project {
    let project = Project::empty();
    let package = "[build-system]\nrequires = ['setuptools']\n[project]\nname = 'x'\nversion = '1'\n";
    project.write("pyproject.toml", format!("{package}[tool.uv.sources]\na = {{ path = 'a', editable = true }}\n"));
    project.write("a/pyproject.toml", package);
    project.write("b/setup.py", "");
    project.write("requirements.txt", "-r more/dev.txt\nattrs # no path\n");
    project.write("more/dev.txt", "pytest\n-e ./b[x]\n");
    project.write("tools/pyproject.toml", "[tool.ruff]\n");
    project.write(".venv/pyvenv.cfg", "");
    project.write(".venv/bin/pytest", "");
    project.write(".venv/bin/python", "");
    project
}

fn check(project: &Project, cases: &[(&str, &[&str])]) {
    let commands: Vec<&str> = cases.iter().map(|(command, _)| *command).collect();
    for ((command, expected), found) in cases.iter().zip(uses_of(project, &commands)) {
        // The environment of the interpreter on PATH differs from machine to machine.
        let found: Vec<&String> = found
            .iter()
            .filter(|line| !line.starts_with("environment /") && !line.starts_with("environment pip"))
            .collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{command}");
    }
}

#[test]
fn trees_that_a_command_builds() {
    let (own, a, b) = (
        "build of . exclusive during command",
        "build of a exclusive during command",
        "build of b exclusive during command",
    );
    let (uv_own, uv_a, uv_b) =
        ("build of . sync during command", "build of a sync during command", "build of b sync during command");
    let dist = "directory dist exclusive until end";
    check(
        &monorepo(),
        &[
            ("python -m pip install .", &[own, a]),
            ("pip install -e.[x] attrs", &[own, a]),
            ("pip install --editable=./a", &[a]),
            ("pip3 install -r requirements.txt", &[b]),
            ("pip wheel --no-deps ./b -w wheels", &[b]),
            ("pip install 'x @ file:b'", &[b]),
            ("pip install attrs a b tools ./tools", &[]),
            ("sh -ec 'cd x && python3.11 -m pip install -e ./b; true'", &[b]),
            ("VIRTUAL_ENV=.nox/own uv pip install ./b", &[uv_b]),
            ("VIRTUAL_ENV=.nox/own uv pip install --no-cache ./b", &[b]),
            ("VIRTUAL_ENV=.nox/own uv pip --no-cache install ./b", &[b]),
            ("VIRTUAL_ENV=.nox/own uv --color never pip --cache-dir own install ./b", &[b]),
            ("VIRTUAL_ENV=.nox/own uv pip --quiet install ./b", &[uv_b]),
            ("VIRTUAL_ENV=.nox/own UV_CACHE_DIR=own uv pip install ./b", &[b]),
            ("pip --cache-dir own --no-input install ./b", &[b]),
            ("python -m pip --log pip.log wheel ./b", &[b]),
            ("UV_PROJECT_ENVIRONMENT=.nox/own uv sync --frozen", &[uv_own, uv_a]),
            ("UV_PROJECT_ENVIRONMENT=.nox/own uv sync --no-install-project", &[]),
            ("python -m build --sdist", &[own, a, dist]),
            ("uvx --from build pyproject-build b -o .nox/own/x", &[b]),
            ("uv build", &[own, a, dist]),
            ("python setup.py sdist bdist_wheel", &[own, a, dist]),
            ("maturin develop -r", &[own, a]),
            ("flit build", &[own, a, dist]),
            ("hatch run test", &[]),
            ("cibuildwheel", &[own, a]),
        ],
    );
}

#[test]
fn environments_that_a_command_shares() {
    let (synced, used, changed) = (
        "environment .venv sync until end",
        "environment .venv use until end",
        "environment .venv exclusive until end",
    );
    let files = "files pyproject.toml and uv.lock exclusive until end";
    let project = monorepo();
    project.write("pyproject.toml", "[tool.uv]\npackage = false\n");
    check(
        &project,
        &[
            ("uv sync --group docs", &[synced]),
            ("uv sync --reinstall", &[changed]),
            ("uv --directory tools sync", &["environment tools/.venv sync until end"]),
            ("uv run --group docs -m sphinx", &[used]),
            ("uv run --python 3.12 pytest", &[changed]),
            ("uv run --no-project script.py", &[]),
            ("uv add attrs", &[changed, files]),
            ("uv add --script x.py attrs", &[]),
            ("uv lock", &[files]),
            ("uv lock --check", &[]),
            ("uv version", &[]),
            ("uv version --bump minor", &[files]),
            ("uv venv", &[changed]),
            ("uv pip install attrs", &[changed]),
            ("uv --quiet pip --no-cache install attrs", &[changed]),
            ("uv pip install --python .venv attrs", &[changed]),
            ("uv pip list", &[]),
            ("VIRTUAL_ENV=.nox/own uv pip install attrs", &[]),
            (".venv/bin/pytest", &[used]),
            (".venv/bin/python -m pip install attrs", &[changed]),
            (".venv/bin/python -m pip list", &[]),
            ("poetry install", &[changed]),
            ("poetry run pytest", &[used]),
            ("pdm sync", &[changed]),
            ("pdm add attrs", &[changed, files]),
            ("conda install -n work attrs", &["environment conda work exclusive until end"]),
            // As nox creates the environment of a session.
            ("uv venv -p python3.11 .nox/own --clear", &[]),
            ("python -m virtualenv .nox/own -p python3.11", &[]),
            ("uv venv --python=3.11 --prompt x .venv", &[changed]),
            ("virtualenv .nox/own", &[]),
            ("virtualenv .venv", &[changed]),
        ],
    );
}

#[test]
fn packages_ports_and_coverage_data() {
    let port = "port 8123 exclusive during command";
    let project = monorepo();
    project.write("mkdocs.yml", "site_name: x\ndev_addr: 127.0.0.1:8123\n");
    project.write("setup.cfg", "[tool:pytest]\npostgresql_port = 8123\naddopts = -q --cov=x\n");
    check(
        &project,
        &[
            ("twine check dist/x-1.whl", &["directory dist use until end"]),
            ("twine check other/x-1.whl", &[]),
            ("mkdocs serve", &[port]),
            ("mkdocs serve -a localhost:9000", &["port 9000 exclusive during command"]),
            ("mkdocs build", &[]),
            ("python manage.py runserver 0.0.0.0:8123", &[port]),
            ("python -m http.server 8123", &[port]),
            ("sphinx-autobuild --port 0 docs out", &[]),
            ("sphinx-autobuild docs out", &["port 8000 exclusive during command"]),
            ("pytest --no-cov", &[port]),
            ("pytest -x", &[port, "coverage write ./.coverage"]),
            ("python -m pytest --cov-append", &[port, "coverage append ./.coverage"]),
            ("coverage run -p -m pytest --append", &["coverage write ./.coverage"]),
            ("coverage run -a --source x x.py", &["coverage append ./.coverage"]),
            ("coverage run --data-file=a/data x.py", &["coverage write a/data chosen"]),
            ("COVERAGE_FILE=.coverage.x coverage run x.py", &["coverage write ./.coverage.x chosen"]),
            ("python -m coverage html", &["coverage report ./.coverage"]),
            ("coverage combine", &["coverage combine ./.coverage"]),
            ("coverage --version", &[]),
        ],
    );
}

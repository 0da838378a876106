//! Installs of Python packages in forms that rules do not look at: other tools, builds, hooks, unusual command lines.

use super::super::noxfile::NoxfileSession;
use super::super::shell::{ShellCommand, plain_command};

/// A tool with the subcommands that install; without subcommands, it always installs.
struct InstallTool {
    program: &'static str,
    subcommands: &'static [&'static str],
    /// Name of the tool in the inventory.
    installer: &'static str,
}

const fn tool(program: &'static str, subcommands: &'static [&'static str], installer: &'static str) -> InstallTool {
    InstallTool { program, subcommands, installer }
}

/// A subcommand of two words, such as `self add`, must stand at the start of the arguments. Builds install what the
/// project's build requires.
const TOOLS: [InstallTool; 25] = [
    tool("asv", &["run", "continuous", "profile"], "asv"),
    tool("build", &[], "pip"),
    tool("cibuildwheel", &[], "pip"),
    tool("conda", &["install", "create", "update", "env create", "env update"], "conda"),
    tool("easy_install", &[], "easy_install"),
    tool("ensurepip", &[], "pip"),
    tool("hatch", &["build", "env create"], "hatch"),
    tool("mamba", &["install", "create", "update", "env create", "env update"], "mamba"),
    tool("maturin", &["develop"], "maturin"),
    tool("micromamba", &["install", "create", "update", "env create", "env update"], "micromamba"),
    tool("pdm", &["install", "sync", "add", "update", "build", "self add", "self update", "plugin add"], "pdm"),
    tool("pip", &["install", "wheel", "download"], "pip"),
    tool("pip-sync", &[], "pip-sync"),
    tool("pip3", &["install", "wheel", "download"], "pip"),
    tool("pipenv", &["install", "sync", "update", "upgrade"], "pipenv"),
    tool(
        "pipx",
        &["install", "run", "inject", "upgrade", "upgrade-all", "reinstall", "reinstall-all", "runpip"],
        "pipx",
    ),
    tool("pixi", &["install", "add", "update", "run", "global install", "exec"], "pixi"),
    tool("poetry", &["install", "sync", "add", "update", "build", "self add", "self install", "self update"], "poetry"),
    tool("pre-commit", &["run", "install-hooks", "try-repo"], "pre-commit"),
    tool("prek", &["run", "install-hooks", "prepare-hooks"], "prek"),
    tool("pyodide", &["build", "xbuildenv install"], "pyodide"),
    tool("pyproject-build", &[], "pip"),
    tool("rye", &["install", "sync", "add", "tools install"], "rye"),
    tool(
        "uv",
        &["add", "build", "sync", "run", "pip install", "pip sync", "tool install", "tool run", "tool upgrade"],
        "uv",
    ),
    tool("uvx", &[], "uv"),
];

/// Number of words that are shown of a session's command.
const MAX_SHOWN_WORDS: usize = 2;

/// Returns the tool with which a command installs Python packages.
pub(super) fn other_installer(command: &ShellCommand) -> Option<&'static str> {
    let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
    installer_of_words(&words)
}

/// Returns what a session installs: its requirements, sorted, and the commands with which it installs by another tool, such
/// as `uv sync`.
pub(super) fn session_installs(session: &NoxfileSession) -> Vec<String> {
    let mut packages: Vec<String> = Vec::new();
    let mut commands: Vec<String> = Vec::new();
    for call in &session.calls {
        let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
        if installer_of_words(&words).is_some() && call.method.starts_with("run") {
            let words = words.strip_prefix(&["python", "-m"]).unwrap_or(&words);
            // Words after an option may be its value.
            let leading = 1 + words.iter().skip(1).take_while(|word| word.starts_with('-')).count();
            let shown = words.iter().skip(leading).take_while(|word| !word.starts_with('-')).take(MAX_SHOWN_WORDS - 1);
            commands.push(words.iter().take(1).chain(shown).copied().collect::<Vec<_>>().join(" "));
        } else if call.method == "install_and_run_script" {
            packages.extend(words.first().map(|script| format!("script {script}")));
        } else if call.method.contains("install") && !call.method.starts_with("run") {
            packages.extend(requirements(&words));
        }
    }
    packages.sort();
    packages.dedup();
    for command in commands {
        if !packages.contains(&command) {
            packages.push(command);
        }
    }
    packages
}

/// Returns the requirements among the arguments of an install; a file of requirements as `-r FILE`.
fn requirements(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            option @ ("-r" | "--requirement" | "--requirements" | "--group" | "--file") => {
                let option = if option.starts_with("--requirement") { "-r" } else { option };
                found.extend(words.next().map(|file| format!("{option} {file}")));
            }
            "-c" | "--constraint" | "--index-url" | "-i" | "--extra-index-url" | "--find-links" | "-f" | "--python"
            | "--only-binary" | "--no-binary" | "--config-settings" | "-C" | "--resolution" | "-t" | "--target"
            | "--implementation" | "--platform" | "--abi" | "--python-version" | "--prefix" | "--root" | "-p"
            | "--upgrade-package" | "-P" | "--cache-dir" | "--progress-bar" | "--timeout" | "--trusted-host" => {
                words.next();
            }
            text if text.starts_with("-e.") => found.push(text[2..].to_owned()),
            text if ["--group=", "--requirement=", "-r"].iter().any(|start| text.starts_with(start)) => {
                found.push(text.to_owned());
            }
            text if text.starts_with(['-', '<', '*']) => {}
            text => found.push(text.to_owned()),
        }
    }
    found
}

fn installer_of_words(words: &[&str]) -> Option<&'static str> {
    let words = plain_command(words);
    let (program, arguments) = program_and_arguments(&words)?;
    let plain: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let asks_only =
        arguments.iter().any(|word| matches!(*word, "--version" | "-V" | "--help" | "-h" | "--python=same"));
    let known = TOOLS.iter().find(|tool| tool.program == program)?;
    let is_subcommand = |subcommand: &&str| {
        let mut expected = subcommand.split(' ').zip(&plain);
        plain.len() >= subcommand.split(' ').count() && expected.all(|(expected, word)| expected == *word)
    };
    let isolates = !arguments.iter().any(|word| matches!(*word, "--no-isolation" | "-n")) || program != "build";
    let installs_hooks = program == "pre-commit" && arguments.contains(&"--install-hooks");
    let installs = known.subcommands.is_empty() || known.subcommands.iter().any(is_subcommand) || installs_hooks;
    (installs && isolates && !asks_only).then_some(known.installer)
}

/// Returns the program of a command and its arguments; of `python -m module` and of a program that another tool runs in
/// its environment, those.
fn program_and_arguments<'a>(words: &'a [&'a str]) -> Option<(&'a str, &'a [&'a str])> {
    let (first, rest) = words.split_first()?;
    let name = first.rsplit(['/', '\\']).next().unwrap_or(first);
    let name = name.strip_suffix(".exe").unwrap_or(name);
    // The shell parser takes the backslashes of a Windows path as escapes.
    let is_python = name.starts_with("python") || name.ends_with("python") || name == "py" || first.starts_with('$');
    let module = rest.iter().position(|word| matches!(*word, "-m" | "-Im" | "-sm" | "-Ism"));
    if let Some(module) = module.filter(|at| is_python && rest.iter().take(*at).all(|word| word.starts_with('-'))) {
        let name = match *rest.get(module + 1)? {
            "pre_commit" => "pre-commit",
            other => other,
        };
        return Some((name, rest.get(module + 2..)?));
    }
    // `build` is a module of Python only: any program may have that name.
    if matches!(name, "build" | "ensurepip") {
        return None;
    }
    match (name, rest) {
        ("poetry" | "pdm" | "pipenv" | "rye", ["run", inner @ ..]) => program_and_arguments(inner),
        ("conda" | "mamba" | "micromamba", ["run", inner @ ..]) => {
            let takes_value = |word: &str| matches!(word, "-n" | "-p" | "--name" | "--prefix" | "--cwd");
            let is_value =
                |index: usize| index.checked_sub(1).and_then(|at| inner.get(at)).is_some_and(|word| takes_value(word));
            let start = (0..inner.len()).find(|index| !inner[*index].starts_with('-') && !is_value(*index))?;
            program_and_arguments(inner.get(start..)?)
        }
        _ => Some((name, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shell::parse_script;
    use super::*;

    #[test]
    fn requirements_are_listed_without_options() {
        let words = [
            "-e.[test]",
            "--group=test",
            "-r",
            "x.txt",
            "-r=y.txt",
            "--only-binary",
            "y",
            "-t",
            "dir",
            "-U",
            "<z>",
            "pytest>=8",
            "-e",
            ".",
        ];
        assert_eq!(requirements(&words), [".[test]", "--group=test", "-r x.txt", "-r=y.txt", "pytest>=8", "."]);
    }

    #[test]
    fn installs_in_unusual_forms_are_recognized() {
        for (script, expected) in [
            ("pip -q install x", Some("pip")),
            ("sudo pip install x", Some("pip")),
            ("env -u CI A=1 cibuildwheel x", Some("pip")),
            ("sudo env X=1 pip install x", Some("pip")),
            ("env --unset=X -i pip install x", Some("pip")),
            ("timeout 60 uv sync", Some("uv")),
            ("coverage run -m pip install y", Some("pip")),
            ("pyodide build x --outdir y", Some("pyodide")),
            ("py -3.9 -m pip install x", Some("pip")),
            ("\"$PYTHON\" -Im pip install -e .", Some("pip")),
            (".venv\\Scripts\\python.exe -m pip install x", Some("pip")),
            ("pip wheel .", Some("pip")),
            ("conda env create -f x.yml", Some("conda")),
            ("mamba install x", Some("mamba")),
            ("pipx inject nox nox-uv", Some("pipx")),
            ("pdm self add pdm-packer", Some("pdm")),
            ("poetry self add x", Some("poetry")),
            ("poetry run pip install x", Some("pip")),
            ("conda run -n tests --no-capture-output pip install x", Some("pip")),
            ("pre-commit run --all-files", Some("pre-commit")),
            ("pre-commit install --install-hooks", Some("pre-commit")),
            ("python -m build --sdist", Some("pip")),
            ("uv build", Some("uv")),
            ("hatch env create", Some("hatch")),
            ("conda info", None),
            ("poetry env info", None),
            ("poetry run pytest", None),
            ("pip list", None),
            ("pip --version", None),
            ("echo pip install x", None),
            ("pre-commit install", None),
            ("python -m build --no-isolation", None),
            ("build x", None),
            ("uv lock", None),
            ("pipx environment", None),
            ("pyodide venv x", None),
            ("env A=1 echo pip install x", None),
        ] {
            assert_eq!(parse_script(script).iter().find_map(other_installer), expected, "{script}");
        }
    }
}

"""Command lines of a session as programs with arguments, including those that shells and runners start.

Part of noxide's host program.
Names from the other parts are used without import: see load.py.
"""

import shlex

PYTHON_NAME = re.compile(r"(?:python|pypy)[0-9.]*$")
SHELL_NAMES = ("sh", "bash", "dash", "zsh")
# Runners, the subcommand that runs a program, and their options that take a value.
UV_VALUE_OPTIONS = (
    "--extra", "--no-extra", "--group", "--no-group", "--only-group", "--with", "-w", "--with-editable",
    "--with-requirements", "--package", "--python", "-p", "--project", "--directory", "--env-file", "--index",
    "--default-index", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-C", "--config-setting",
    "--link-mode", "--resolution", "--prerelease", "--exclude-newer", "-P", "--upgrade-package", "--refresh-package",
    "--reinstall-package", "--config-file", "--cache-dir", "--color", "--index-strategy", "--keyring-provider",
    "--no-build-package", "--no-binary-package", "--python-platform", "--from", "--constraints", "-c", "--overrides",
    "--allow-insecure-host", "--fork-strategy", "--build-constraints", "-b", "-o", "--out-dir", "--target", "--prefix",
    "-r", "--requirements", "-e", "--editable", "--bounds", "--branch", "--tag", "--rev", "--marker", "-m",
)
PIP_VALUE_OPTIONS = (
    "--python", "--log", "--log-file", "--local-log", "--keyring-provider", "--proxy", "--retries", "--timeout",
    "--exists-action", "--trusted-host", "--cert", "--client-cert", "--cache-dir", "--use-feature", "--use-deprecated",
    "--resume-retries",
)
RUNNER_VALUE_OPTIONS = ("-p", "--project", "-C", "--directory", "--spec", "--python", "-e", "--env", "--pip-args")


class ProgramCall:
    """One program of a command line, with its arguments."""

    def __init__(self, name, args, program):
        self.name = name
        self.args = args
        # As written in the command line: the interpreter of `python -m`.
        self.program = program

    def subcommand(self):
        """Returns the first argument that is no option, and the arguments after it."""
        index = self.subcommand_index()
        return ("", []) if index is None else (self.args[index], self.args[index + 1 :])

    def subcommand_index(self):
        index = 0
        values = UV_VALUE_OPTIONS if self.name == "uv" else RUNNER_VALUE_OPTIONS
        values = PIP_VALUE_OPTIONS if self.name in ("pip", "pip3") else values
        while index < len(self.args):
            if not self.args[index].startswith("-"):
                return index
            index += 2 if self.args[index] in values else 1
        return None

    def uv_pip_subcommand(self):
        """Returns the subcommand of `uv pip`, which options may precede, and the arguments after it."""
        subcommand, rest = self.subcommand()
        is_uv_pip = self.name == "uv" and subcommand == "pip"
        return ProgramCall(self.name, rest, self.program).subcommand() if is_uv_pip else ("", [])


def program_calls(words, depth=0):
    """Returns the programs that a command line starts: its own, and those of `sh -c`, `python -m`, `uv run` and so on."""
    words = [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in words]
    if not words or depth > 4:
        return []
    program, rest = words[0], words[1:]
    name = os.path.basename(program)
    if PYTHON_NAME.match(name):
        return [python_call(name, rest, program)]
    call = ProgramCall(name, rest, program)
    if name in SHELL_NAMES:
        return [call] + [found for line in shell_commands(rest) for found in program_calls(line, depth + 1)]
    return [call] + program_calls(nested_words(call), depth + 1)


def python_call(name, rest, program):
    index = 0
    while index < len(rest) and rest[index].startswith("-") and rest[index][:2] not in ("-m", "-c"):
        index += 2 if rest[index] in ("-W", "-X") else 1
    if index < len(rest) and rest[index].startswith("-m"):
        module = [rest[index][2:]] if len(rest[index]) > 2 else []
        words = module + rest[index + 1 :]
        return ProgramCall(words[0] if words else name, words[1:], program)
    if index < len(rest) and rest[index].endswith(".py"):
        return ProgramCall(os.path.basename(rest[index]), rest[index + 1 :], program)
    return ProgramCall(name, rest, program)


def nested_words(call):
    """Returns the command line that a runner such as `uv run` starts; empty for another program."""
    index = call.subcommand_index()
    if call.name == "env":
        start = next((i for i, word in enumerate(call.args) if "=" not in word and not word.startswith("-")), None)
        return [] if start is None else call.args[start:]
    if call.name == "uvx":
        return [] if index is None else call.args[index:]
    if index is None:
        return []
    subcommand, rest = call.args[index], call.args[index + 1 :]
    if call.name == "uv" and subcommand == "tool" and rest[:1] == ["run"]:
        return nested_words(ProgramCall("uvx", rest[1:], call.program))
    if subcommand != "run" or call.name not in ("uv", "poetry", "pdm", "pipenv", "rye", "pipx", "hatch"):
        return []
    _, words = split_run_options(call.name, rest)
    if call.name == "hatch" and words:  # an environment before the command
        words = [words[0].rpartition(":")[2]] + words[1:]
    return words


def split_run_options(runner, rest):
    """Splits the arguments after `run` into the runner's own options and the command that it starts."""
    index = 0
    values = UV_VALUE_OPTIONS if runner == "uv" else RUNNER_VALUE_OPTIONS
    while index < len(rest):
        word = rest[index]
        if word == "--":
            return rest[:index], rest[index + 1 :]
        if runner == "uv" and word in ("-m", "--module"):
            return rest[:index], ["python", "-m"] + rest[index + 1 :]
        if not word.startswith("-"):
            words = rest[index:]
            return rest[:index], ["python"] + words if word.endswith(".py") else words
        index += 2 if word in values else 1
    return rest, []


def shell_commands(args):
    """Returns the simple commands of a script after `-c`, as words; empty if there is none."""
    for index, word in enumerate(args):
        if word.startswith("-") and not word.startswith("--") and "c" in word and index + 1 < len(args):
            try:
                lexer = shlex.shlex(args[index + 1].replace("\n", " ; "), posix=True, punctuation_chars=True)
                lexer.whitespace_split = True
                words = list(lexer)
            except ValueError:
                return []
            commands = [[]]
            for part in words:
                if part and all(char in "();<>|&" for char in part):
                    commands.append([])
                else:
                    commands[-1].append(part)
            return [without_assignments(command) for command in commands]
        if not word.startswith("-"):
            break
    return []


def without_assignments(words):
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        words = words[1:]
    return words


def option_values(args, *names):
    """Returns the values of an option: `--name value`, `--name=value`, `-n value` and `-nvalue`."""
    values = []
    for index, word in enumerate(args):
        for name in names:
            if word == name and index + 1 < len(args):
                values.append(args[index + 1])
            elif name.startswith("--") and word.startswith(name + "="):
                values.append(word[len(name) + 1 :])
            elif len(name) == 2 and word.startswith(name) and len(word) > 2 and not word.startswith("--"):
                values.append(word[2:].lstrip("="))
    return values


def has_option(args, *names):
    return any(word == name or name.startswith("--") and word.startswith(name + "=") for word in args for name in names)

"""Environments that a command changes or uses, apart from those that belong to its session alone.

Part of noxide's host program.
Names from the other parts are used without import: see load.py.
"""

PIP_CHANGES = ("install", "uninstall", "sync")
# Subcommands that install into the project's environment.
PROJECT_INSTALLERS = {
    "poetry": ("install", "sync", "add", "remove", "update", "self"), "pdm": ("install", "sync", "add", "remove", "update"),
    "pipenv": ("install", "sync", "update", "uninstall", "clean"), "rye": ("sync", "add", "remove"),
}
# Options of `uv sync` and `uv run` that select what is installed.
UV_SELECTIONS = {
    "--extra": True, "--no-extra": True, "--group": True, "--no-group": True, "--only-group": True, "--package": True,
    "--all-extras": False, "--all-groups": False, "--no-default-groups": False, "--dev": False, "--no-dev": False,
    "--only-dev": False, "--all-packages": False, "--no-install-project": False, "--no-install-workspace": False,
    "--no-editable": False, "--inexact": False, "--exact": False, "--no-dev-groups": False,
}
# Options with which uv replaces packages that satisfy the lock file, or the environment itself.
UV_REPLACEMENTS = ("--reinstall", "--reinstall-package", "--upgrade", "-U", "--upgrade-package", "-P", "--refresh",
                   "--refresh-package", "--python", "-p", "--exact")
CONDA_CHANGES = ("install", "create", "update", "remove", "uninstall", "env")


# Options of `uv venv` and virtualenv whose value is the next word.
CREATION_VALUES = (
    "-p", "--python", "--prompt", "--index-strategy", "--keyring-provider", "--link-mode", "--refresh-package", "-i",
    "--default-index", "--index", "--index-url", "--extra-index-url", "-f", "--find-links", "--exclude-newer", "--cache-dir",
    "--color", "--directory", "--project", "--config-file", "--python-preference", "--allow-insecure-host", "--app-data",
    "--discovery", "--creator", "--activators", "--pip", "--setuptools", "--wheel", "--extra-search-dir",
    "--try-first-with",
)


def created_directory(words):
    """Returns the directory in which `uv venv` or virtualenv creates an environment; None if no word names it."""
    index = 0
    while index < len(words):
        if not words[index].startswith("-"):
            return words[index]
        index += 2 if words[index] in CREATION_VALUES else 1
    return None


class EnvironmentUse:
    """How a command uses an environment.

    `exclusive`: it changes it in any way. `sync`: it makes it hold what `key` selects. `use`: it runs programs in it.
    """

    def __init__(self, path, mode, key=""):
        self.path = path
        self.mode = mode
        self.key = key


def environment_use(call, cwd, variables, paths):
    """Returns the `EnvironmentUse` of a program; None if it uses no Python environment. `paths` are searched first."""
    subcommand, rest = call.subcommand()
    if call.name in ("pip", "pip3"):
        if subcommand not in PIP_CHANGES or has_option(rest, "--dry-run"):
            return None
        return EnvironmentUse(pip_target(call, rest, cwd, variables, paths), "exclusive")
    if call.name == "uv":
        return uv_environment_use(call, subcommand, rest, cwd, variables, paths)
    if call.name in PROJECT_INSTALLERS:
        if subcommand in PROJECT_INSTALLERS[call.name]:
            return EnvironmentUse(tool_environment(call, cwd, variables), "exclusive")
        return EnvironmentUse(tool_environment(call, cwd, variables), "use") if subcommand == "run" else None
    if call.name in ("virtualenv", "venv"):
        directory = created_directory(call.args)
        return EnvironmentUse(os.path.join(cwd, directory), "exclusive") if directory else None
    if call.name in ("conda", "mamba", "micromamba"):
        named = option_values(rest, "-p", "--prefix") or option_values(rest, "-n", "--name")
        return EnvironmentUse("%s %s" % (call.name, named[-1] if named else "base"), "exclusive") if (
            subcommand in CONDA_CHANGES) else None
    prefix = program_prefix(call, cwd, variables, paths)
    return EnvironmentUse(prefix, "use") if prefix else None


def uv_environment_use(call, subcommand, rest, cwd, variables, paths):
    if subcommand == "pip":
        pip_subcommand, pip_args = call.uv_pip_subcommand()
        if pip_subcommand in PIP_CHANGES and not has_option(pip_args, "--dry-run"):
            return EnvironmentUse(uv_pip_target(pip_args, cwd, variables, paths), "exclusive")
        return None
    if subcommand == "venv":
        return EnvironmentUse(os.path.join(cwd, created_directory(rest) or ".venv"), "exclusive")
    if subcommand not in ("sync", "run", "add", "remove"):
        return None
    options = split_run_options("uv", rest)[0] if subcommand == "run" else rest
    if has_option(options, "--no-project", "--isolated", "--script", "--dry-run", "--check", "--no-sync"):
        return EnvironmentUse(uv_project_environment(call, cwd, variables), "use") if has_option(
            options, "--no-sync") and subcommand == "run" else None
    if subcommand in ("add", "remove") or has_option(options, *UV_REPLACEMENTS):
        return EnvironmentUse(uv_project_environment(call, cwd, variables), "exclusive")
    mode = "sync" if subcommand == "sync" else "use"
    return EnvironmentUse(uv_project_environment(call, cwd, variables), mode, "uv " + " ".join(uv_selection(options)))


def uv_selection(options):
    """Returns the options that select what uv installs, in a fixed order."""
    found, index = [], 0
    while index < len(options):
        name, has_value, value = options[index].partition("=")
        if name in UV_SELECTIONS:
            if UV_SELECTIONS[name] and not has_value and index + 1 < len(options):
                index += 1
                value = options[index]
            found.append("%s=%s" % (name, value) if value else name)
        index += 1
    return sorted(found)


def uv_project_environment(call, cwd, variables):
    active = variables.get("VIRTUAL_ENV")
    if active and has_option(call.args, "--active"):
        return active
    root = outermost = project_root(call.args, cwd)
    while os.path.dirname(outermost) != outermost:
        if "[tool.uv.workspace]" in read_text(os.path.join(outermost, "pyproject.toml")):
            root = outermost
        outermost = os.path.dirname(outermost)
    return os.path.join(root, variables.get("UV_PROJECT_ENVIRONMENT") or ".venv")


def uv_pip_target(rest, cwd, variables, paths):
    given = option_values(rest, "--target", "-t", "--prefix")
    if given:
        return os.path.join(cwd, given[-1])
    python = option_values(rest, "--python", "-p")
    if python or has_option(rest, "--system") or variables.get("UV_SYSTEM_PYTHON"):
        python = python[-1] if python else "python"
        directory = os.path.join(cwd, python)
        return directory if os.path.isdir(directory) else interpreter_prefix(python, cwd, variables, paths) or python
    active = variables.get("VIRTUAL_ENV") or variables.get("CONDA_PREFIX")
    if active:
        return active
    directory = cwd
    while not os.path.isdir(os.path.join(directory, ".venv")) and os.path.dirname(directory) != directory:
        directory = os.path.dirname(directory)
    return os.path.join(directory if os.path.isdir(os.path.join(directory, ".venv")) else cwd, ".venv")


def pip_target(call, rest, cwd, variables, paths):
    given = option_values(rest, "--target", "-t", "--prefix", "--root")
    if given:
        return os.path.join(cwd, given[-1])
    python = option_values(call.args, "--python")
    return interpreter_prefix(python[-1] if python else call.program, cwd, variables, paths) or call.program


def tool_environment(call, cwd, variables):
    """Returns the environment of a tool that manages one for each project, or a name for it if its path is unknown."""
    root = project_root(call.args, cwd)
    own = os.path.join(root, ".venv")
    saved = call.name == "pdm" and os.path.isfile(os.path.join(root, ".pdm-python")) and not variables.get(
        "PDM_IGNORE_SAVED_PYTHON")
    if variables.get("VIRTUAL_ENV") and not saved and call.name != "rye":
        return variables["VIRTUAL_ENV"]
    in_project = "POETRY_VIRTUALENVS_IN_PROJECT" if call.name == "poetry" else "PIPENV_VENV_IN_PROJECT"
    if call.name in ("pdm", "rye") or os.path.isdir(own) or variables.get(in_project):
        return own
    return "%s of %s" % (call.name, root)


def interpreter_prefix(program, cwd, variables, paths):
    """Returns the directory of the environment that a program belongs to; None if the program is not found."""
    import shutil

    if os.sep in program:
        path = os.path.join(cwd, program)
    else:
        path = shutil.which(program, path=os.pathsep.join(paths)) if paths else None
        path = path or shutil.which(program, path=variables.get("PATH"))
    if path is None or not os.path.exists(path):
        return None
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    if os.path.isfile(os.path.join(prefix, "pyvenv.cfg")):
        return prefix
    return os.path.dirname(os.path.dirname(os.path.realpath(path)))


def program_prefix(call, cwd, variables, paths):
    """Returns the environment in which a program runs; None unless it is a Python interpreter or script."""
    import shutil

    program = call.program
    if PYTHON_NAME.match(os.path.basename(program)):
        return interpreter_prefix(program, cwd, variables, paths)
    prefix = interpreter_prefix(program, cwd, variables, paths)
    if prefix is None or os.path.isfile(os.path.join(prefix, "pyvenv.cfg")):
        return prefix
    path = os.path.join(cwd, program) if os.sep in program else shutil.which(program, path=variables.get("PATH"))
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except (OSError, TypeError):
        return None
    interpreter = line[2:].split()[:1] if line.startswith(b"#!") else []
    if not interpreter or not PYTHON_NAME.match(os.path.basename(os.fsdecode(interpreter[0]))):
        return None
    return interpreter_prefix(os.fsdecode(interpreter[0]), cwd, variables, paths)

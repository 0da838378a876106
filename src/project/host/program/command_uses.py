"""Resources that a command shares with other sessions: source trees, environments, project files, packages, ports.

Part of noxide's host program.
Names from the other parts are used without import: see load.py.
"""

# Programs that rewrite pyproject.toml or a lock file, and the subcommands that do; None: all of them.
PROJECT_WRITERS = {
    "uv": ("add", "remove", "lock", "version"), "poetry": ("add", "remove", "lock", "update", "version"),
    "pdm": ("add", "remove", "lock", "update"), "hatch": ("version",), "rye": ("add", "remove", "lock", "version"),
    "pipenv": ("install", "lock", "update", "upgrade"), "bump2version": None, "bumpversion": None,
    "bump-my-version": ("bump",), "tbump": None, "bumpver": ("update",),
}
READ_ONLY_OPTIONS = ("--check", "--locked", "--frozen", "--dry-run", "--short", "--help", "--check-exists", "-n")
# Programs that write packages into `dist`, with their options for another directory.
PACKERS = {
    "build": ("-o", "--outdir"), "pyproject-build": ("-o", "--outdir"), "uv": ("-o", "--out-dir"),
    "poetry": ("-o", "--output"), "pdm": ("-d", "--dest"), "hatch": (), "hatchling": ("-d", "--directory"), "flit": (),
    "setup.py": ("-d", "--dist-dir"), "rye": ("-o", "--out"), "maturin": ("-o", "--out"),
}
PACK_COMMANDS = ("build", "sdist", "bdist", "bdist_wheel", "publish")
# Servers with the port that they listen on unless an option says otherwise; None: no fixed one.
SERVERS = {
    "sphinx-autobuild": 8000, "http.server": 8000, "uvicorn": 8000, "gunicorn": 8000, "hypercorn": 8000,
    "mkdocs": 8000, "zensical": 8000, "manage.py": 8000, "django-admin": 8000, "flask": 5000, "locust": 8089,
    "pytest": None, "py.test": None, "daphne": 8000,
}
SERVER_COMMANDS = {"mkdocs": ("serve",), "zensical": ("serve",), "manage.py": ("runserver",),
                   "django-admin": ("runserver",), "flask": ("run",)}
PORT_OPTIONS = ("--port", "--web-port", "--live-server-port", "--bind", "-b", "-a", "--dev-addr", "--liveserver")
PORT_SETTING = re.compile(r"""(?m)^\s*["']?(\w+_port|live-server-port)["']?\s*=\s*["']?(\d{2,5})["']?\s*(?:#.*)?$""")
PORT_FLAG = re.compile(r"--(?:live-server-port|liveserver)[= ]\"?(?:[\w.]+:)?(\d{2,5})")


# Words before the target of each kind of resource.
KIND_PHRASES = {"build": "build of", "environment": "environment", "files": "files", "directory": "directory",
                "port": "port", "coverage-data": "coverage data"}


class CommandUse:
    """One resource that a command uses."""

    def __init__(self, kind, target, mode, until_end, command):
        self.kind = kind
        self.target = target
        self.mode = mode
        # Whether the session needs the resource until it ends, or only while the command runs.
        self.until_end = until_end
        self.command = command
        self.name = "%s %s" % (KIND_PHRASES[kind], target)

    def facts(self):
        return {"kind": self.kind, "target": self.target, "mode": self.mode.name, "key": self.mode.key,
                "until_end": self.until_end, "command": self.command}


class CommandContext:
    """Where a command runs, and what belongs to its session alone."""

    def __init__(self, root, private_directories, cwd, variables, paths):
        self.root = root
        self.private_directories = private_directories
        self.cwd = cwd
        self.variables = variables
        self.paths = paths

    def is_private(self, path):
        path = os.path.realpath(path)
        return any(path == directory or path.startswith(os.path.join(directory, ""))
                   for directory in self.private_directories)

    def shown(self, path):
        """Returns a path as it is shown: relative to the project if it is inside."""
        if not os.path.isabs(path):
            return path  # a name of an environment whose path is unknown
        path = os.path.realpath(path)
        if path == self.root:
            return "."
        return path[len(self.root) + 1 :] if path.startswith(os.path.join(self.root, "")) else path


def command_uses(args, context):
    """Returns the resources that a command uses, without those that belong to its session alone."""
    command = " ".join(shlex.quote(str(word)) for word in args[:12])
    uses = []
    for call in program_calls(args):
        for kind, target, mode, until_end in call_uses(call, context):
            found = CommandUse(kind, target, mode, until_end, command)
            if all(found.facts() != known.facts() for known in uses):
                uses.append(found)
    return uses


def call_uses(call, context):
    build = tree_build(call, context.cwd, context.variables)
    for tree in build.trees if build else []:
        if not context.is_private(tree):
            mode = UseMode("sync", build.shared_by) if build.shared_by else UseMode("exclusive")
            yield "build", context.shown(tree), mode, False
    environment = environment_use(call, context.cwd, context.variables, context.paths)
    if environment and not context.is_private(environment.path):
        yield "environment", context.shown(environment.path), UseMode(environment.mode, environment.key), True
    if writes_project_files(call, context):
        yield PROJECT_FILES[0], PROJECT_FILES[1], UseMode("exclusive"), True
    packed = packages_directory(call, context)
    if packed and not context.is_private(packed):
        yield "directory", context.shown(packed), UseMode("exclusive"), True
    elif not packed:
        for directory in used_packages(call, context):
            yield "directory", context.shown(directory), UseMode("use"), True
    for port in fixed_ports(call, context.cwd):
        yield "port", str(port), UseMode("exclusive"), False


PROJECT_FILES = ("files", "pyproject.toml and uv.lock")


def writes_project_files(call, context):
    if call.name not in PROJECT_WRITERS or has_option(call.args, *READ_ONLY_OPTIONS):
        return False
    known = PROJECT_WRITERS[call.name]
    subcommand, rest = call.subcommand()
    if known is not None and subcommand not in known or has_option(rest, "--script"):
        return False
    if subcommand == "version" and all(word.startswith("-") for word in rest) and not has_option(rest, "--bump"):
        return False  # it prints the version
    if call.name == "pipenv" and subcommand == "install" and all(word.startswith("-") for word in rest):
        return False
    root = os.path.realpath(project_root(call.args, context.cwd))
    return root == context.root or root.startswith(os.path.join(context.root, "")) and not context.is_private(root)


def packages_directory(call, context):
    """Returns the directory to which a program writes packages; None if it writes none."""
    if call.name not in PACKERS:
        return None
    subcommand, rest = call.subcommand()
    if call.name not in ("build", "pyproject-build"):
        words = call.args if call.name == "setup.py" else [subcommand]
        if not any(word in PACK_COMMANDS for word in words):
            return None
    given = option_values(call.args, *PACKERS[call.name]) if PACKERS[call.name] else []
    if given:
        return os.path.join(context.cwd, given[-1])
    names = call.args if call.name in ("build", "pyproject-build") else rest
    tree = next((os.path.join(context.cwd, word) for word in names if is_project(os.path.join(context.cwd, word))), None)
    tree = tree or project_root(call.args, context.cwd)
    return os.path.join(tree, "target", "wheels") if call.name == "maturin" else os.path.join(tree, "dist")


def used_packages(call, context):
    """Returns the `dist` directories below the project whose files a program gets as arguments."""
    found = []
    for word in call.args:
        path = os.path.normpath(os.path.join(context.cwd, word.rpartition("=")[2]))
        for directory in (path, os.path.dirname(path)):
            inside = os.path.realpath(directory).startswith(os.path.join(context.root, ""))
            if os.path.basename(directory) == "dist" and inside and directory not in found:
                found.append(directory)
    return [directory for directory in found if not context.is_private(directory)]


def fixed_ports(call, cwd):
    """Returns the ports on which a program listens by its options, the settings of its tool or that tool's default."""
    if call.name not in SERVERS:
        return []
    subcommand, rest = call.subcommand()
    if call.name in SERVER_COMMANDS and subcommand not in SERVER_COMMANDS[call.name]:
        return []
    options = PORT_OPTIONS + (("-p",) if call.name in ("flask", "http.server") else ())
    if call.name in ("pytest", "py.test"):
        options = ("--live-server-port", "--liveserver")
    given = [value.rpartition(":")[2] for value in option_values(call.args, *options)]
    if call.name in ("manage.py", "django-admin", "http.server"):
        given += [word.rpartition(":")[2] for word in (rest if call.name != "http.server" else call.args)
                  if not word.startswith("-")]
    numbers = [int(value) for value in given if value.isdigit()]
    if call.name in ("pytest", "py.test") and not numbers:
        return pytest_ports(cwd)
    if call.name in ("mkdocs", "zensical") and not numbers:
        address = re.search(r"(?m)^dev_addr:\s*[\"']?[\w.]*:(\d+)", read_text(os.path.join(cwd, "mkdocs.yml")))
        numbers = [int(address.group(1))] if address else []
    default = SERVERS[call.name]
    return [number for number in (numbers or ([default] if default else [])) if number]


def pytest_ports(cwd):
    """Returns the fixed ports in pytest's settings, such as `postgresql_port`."""
    for name, start in (("pytest.ini", r"\[pytest\]"), ("pyproject.toml", r"\[tool\.pytest\.ini_options\]"),
                        ("tox.ini", r"\[pytest\]"), ("setup.cfg", r"\[tool:pytest\]")):
        table = re.search(r"(?ms)^%s\s*$(.*?)(?=^\[|\Z)" % start, read_text(os.path.join(cwd, name)))
        if table:
            ports = [value for _, value in PORT_SETTING.findall(table.group(1))] + PORT_FLAG.findall(table.group(1))
            return sorted(set(int(value) for value in ports if int(value)))
    return []

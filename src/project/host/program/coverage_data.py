"""Coverage data of a session, kept apart from that of sessions that run at the same time.

Part of noxide's host program. A command that starts to measure writes to a data file of its own (`COVERAGE_FILE`), unless
the user, the session or the project's configuration chooses the file. noxide moves it to where the command would have
written it when the session has ended.
Names from the other parts are used without import: see load.py.
"""

COVERAGE_NAME = re.compile(r"coverage(?:3|-3\.\d+)?$")
COVERAGE_RUN_VALUES = ("--source", "--source-pkgs", "--source-dirs", "--include", "--omit", "--rcfile", "--context",
                       "--concurrency", "--data-file", "--save-signal", "-m")
TARGET_FILE = "target.json"


class CoverageCall:
    """How a program uses coverage data."""

    def __init__(self, action, data, is_chosen, own_suffix, configured):
        # "write", "append", "erase", "combine" or "report".
        self.action = action
        # Where the program has its data, and whether the user, the session or the configuration chooses the file.
        self.data = data
        self.is_chosen = is_chosen
        # Whether it adds a suffix to the file's name that no other process has.
        self.own_suffix = own_suffix
        self.configured = configured


def coverage_call(call, cwd, variables, own_files):
    """Returns the `CoverageCall` of a program; None if it has nothing to do with coverage data."""
    if COVERAGE_NAME.match(call.name):
        action, rest = call.subcommand()
        options = run_options(rest) if action == "run" else rest
        if action != "run" and action not in REPORTS + ("erase",):
            return None
        config = option_values(options, "--rcfile")
        suffix = action == "run" and has_option(options, "-p", "--parallel-mode", "--parallel")
        if action == "run":
            action = "append" if has_option(options, "-a", "--append") else "write"
        elif action not in ("combine", "erase"):
            action = "report"
        given = option_values(options, "--data-file")
    elif call.name in ("pytest", "py.test"):
        config = option_values(call.args, "--cov-config")
        if not measures_coverage(call.args, cwd, variables):
            return None
        action, suffix, given = "append" if has_option(call.args, "--cov-append") else "write", False, []
    else:
        return None
    configured = data_configuration(cwd, config[-1] if config else variables.get("COVERAGE_RCFILE"))
    suffix = suffix or configured["parallel"] and call.name not in ("pytest", "py.test")
    chosen = given[-1] if given else variables.get("COVERAGE_FILE")
    is_chosen = bool(chosen) and chosen not in own_files
    data = chosen if is_chosen else configured["data_file"]
    return CoverageCall(action, os.path.normpath(os.path.join(cwd, data)), is_chosen or configured["varies"], suffix,
                        configured)


def run_options(rest):
    """Returns the options of `coverage run`, without the program that it runs."""
    index = 0
    while index < len(rest) and rest[index].startswith("-") and rest[index] != "-m":
        index += 2 if rest[index] in COVERAGE_RUN_VALUES else 1
    return rest[:index]


def measures_coverage(args, cwd, variables):
    """Whether pytest measures coverage, by its arguments, its variable or its settings."""
    if has_option(args, "--no-cov") or "no:cov" in option_values(args, "-p"):
        return False
    if has_option(args, "--cov"):
        return True
    texts = [str(variables.get("PYTEST_ADDOPTS") or "")] + pytest_options(cwd)
    return any(re.search(r"(^|[\s\"'])--cov([=\s\"']|$)", text) for text in texts)


def pytest_options(cwd):
    """Returns the `addopts` of pytest's settings in a directory."""
    ini = read_toml(os.path.join(cwd, "pyproject.toml")).get("tool", {}).get("pytest", {}).get("ini_options", {})
    options = ini.get("addopts", "") if isinstance(ini, dict) else ""
    found = [options if isinstance(options, str) else " ".join(map(str, options))]
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        found.append((read_ini(os.path.join(cwd, name), section) or {}).get("addopts", ""))
    return found


def data_configuration(cwd, config):
    """Returns data file and parallel mode by coverage.py's configuration, and whether the file varies."""
    run = None
    names = [config] if config else [".coveragerc", "setup.cfg", "tox.ini"]
    for name in names:
        for section in ("run", "coverage:run"):
            if run is None and (section != "run" or config or name == ".coveragerc"):
                run = read_ini(os.path.join(cwd, name), section)
    if run is None:
        toml = read_toml(os.path.join(cwd, config if config and config.endswith(".toml") else "pyproject.toml"))
        run = toml.get("tool", {}).get("coverage", {}).get("run", {})
    data = str(run.get("data_file", "") or ".coverage").strip()
    return {"data_file": data, "varies": "$" in data, "parallel": str(run.get("parallel", "")).strip().lower() in (
        "true", "1", "yes", "on")}


class CoverageData:
    """The data files of one session."""

    def __init__(self, analysis, directory):
        # Whether the session's own code names the file, or only its commands.
        self.names_file = analysis.names_data_file
        self.is_measuring = analysis.writes or analysis.pytest
        # Empty if sessions run one after another in nox's order.
        self.directory = directory
        # Data file by the path where the command would have it.
        self.own_files = {}

    def prepare(self, args, kwargs, context, locks):
        """Returns the arguments of a command with its own data file, and the uses of data files that it shares."""
        uses = []
        calls = program_calls(args)
        for call in calls:
            found = coverage_call(call, context.cwd, context.variables, self.own_files.values())
            if found is None:
                continue
            target = context.shown(os.path.dirname(found.data))
            target = os.path.normpath(os.path.join(target, os.path.basename(found.data)))
            own = self.own_file(found)
            changes = found.action in ("append", "erase", "combine") or found.action == "write" and not found.own_suffix
            mode = "private" if own or not self.directory and self.can_be_own(found) else "exclusive" if changes else "use"
            command = " ".join(shlex.quote(str(word)) for word in args[:12])
            use = CommandUse("coverage-data", target, UseMode(mode, found.action), True, command)
            locks.add_facts([use])
            if own is None:
                uses += [use] if mode in ("exclusive", "use") else []
                continue
            if found.action == "combine":
                self.take_earlier_files(found.data, own)
            env = dict(os.environ if kwargs.get("env") is None else kwargs["env"], COVERAGE_FILE=own)
            kwargs = dict(kwargs, env=env)
            os.environ["COVERAGE_FILE"] = own
            NOXIDE_VALUES.add(own)
        return kwargs, uses + self.give_back(args, context, locks)

    def can_be_own(self, found):
        starts = found.action == "write" or found.action == "erase" and self.is_measuring
        return starts and not found.is_chosen and not self.names_file

    def own_file(self, found):
        """Returns the session's own data file for a program; None if it uses the shared one."""
        if found.is_chosen or not self.directory:
            return None
        own = self.own_files.get(found.data)
        if own is None and self.can_be_own(found):
            directory = os.path.join(self.directory, str(len(self.own_files)))
            try:
                os.makedirs(directory, exist_ok=True)
                own = os.path.join(directory, os.path.basename(found.data))
                self.describe_target(found, directory, False)
            except (OSError, UnicodeError):
                return None
            self.own_files[found.data] = own
        # pytest-cov erases before it measures.
        measures_in_parallel = found.action == "write" and found.configured["parallel"] and not found.own_suffix
        erases_parallel_files = found.action == "erase" or measures_in_parallel
        if own is not None and erases_parallel_files:
            self.describe_target(found, os.path.dirname(own), found.configured["parallel"])
        return own

    def describe_target(self, found, directory, erases_parallel_files):
        """Writes where the data belongs, and whether data files with a suffix are erased first, for noxide."""
        with open(os.path.join(directory, TARGET_FILE), "w", encoding="utf-8") as file:
            json.dump({"data": found.data, "erases_parallel_files": erases_parallel_files}, file, ensure_ascii=False)

    def take_earlier_files(self, data, own):
        """Moves data files with a suffix that earlier sessions left to this session's own, for `coverage combine`."""
        number = int(os.path.basename(self.directory))
        try:
            with open(os.path.join(os.path.dirname(self.directory), "published"), encoding="utf-8") as file:
                lines = [line.rstrip("\n").partition(" ") for line in file]
        except (OSError, UnicodeError):
            lines = []
        later = set(path for index, _, path in lines if int(index) > number)
        directory, prefix = os.path.dirname(data), os.path.basename(data) + "."
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.startswith(prefix) and path not in later and is_data_file(path):
                with contextlib.suppress(OSError):
                    os.rename(path, os.path.join(os.path.dirname(own), name))

    def give_back(self, args, context, locks):
        """Moves the session's own data to where a command looks for it by name, from now on a shared file."""
        uses = []
        for data, own in list(self.own_files.items()):
            words = [os.path.normpath(os.path.join(context.cwd, str(word).rpartition("=")[2])) for word in args[1:]]
            if not any(word == data or word.startswith(data + ".") for word in words):
                continue
            target = os.path.normpath(os.path.join(context.shown(os.path.dirname(data)), os.path.basename(data)))
            use = CommandUse("coverage-data", target, UseMode("exclusive", "write"), True, " ".join(map(str, args[:12])))
            locks.hold([use])
            uses.append(use)
            locks.add_facts([use])
            self.names_file = True
            del self.own_files[data]
            if os.environ.get("COVERAGE_FILE") == own:
                del os.environ["COVERAGE_FILE"]
            for name in os.listdir(os.path.dirname(own)):
                if name != TARGET_FILE:
                    os.replace(os.path.join(os.path.dirname(own), name), os.path.join(os.path.dirname(data), name))
            os.unlink(os.path.join(os.path.dirname(own), TARGET_FILE))
        return uses


def is_data_file(path):
    """Whether a file is a database, as coverage data is, and not a configuration such as `.coverage.toml`."""
    try:
        with open(path, "rb") as file:
            return file.read(16).startswith(b"SQLite format 3")
    except OSError:
        return False

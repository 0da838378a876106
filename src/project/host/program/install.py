"""Counts and times a session's installs, and skips those whose result the environment already has.

Part of noxide's host program. An install is skipped only if it is certain that uv or pip would change nothing.
Names from the other parts are used without import: see load.py.
"""

import functools

STATE_FILE = ".noxide-installs.json"
STATE_VERSION = 2
DISTS = (".dist-info", ".egg-info")
# Variables that affect the result of an install, without those that only affect how it is done.
VARIABLE_PREFIXES = ("UV_", "PIP_", "SETUPTOOLS_", "HATCH_", "FLIT_", "POETRY_", "PDM_", "PYTHON", "CMAKE_", "CARGO_",
                     "MATURIN_")
VARIABLE_NAMES = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET",
                  "SOURCE_DATE_EPOCH", "RUSTFLAGS")
IGNORED_VARIABLES = ("UV_CACHE_DIR", "UV_OFFLINE", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_CONCURRENT_DOWNLOADS",
                     "UV_NO_CACHE", "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_INSTALLS", "UV_HTTP_TIMEOUT",
                     "UV_LOCK_TIMEOUT", "PIP_CACHE_DIR", "PIP_PROGRESS_BAR", "PIP_DISABLE_PIP_VERSION_CHECK",
                     "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPYCACHEPREFIX", "PYTHONHASHSEED",
                     "PYTHONFAULTHANDLER", "PYTHONWARNINGS", "PYTHONDEVMODE")
# Variables with which an install changes an environment that has its result already, or builds in ways of its own.
UNCERTAIN_VARIABLES = ("UV_UPGRADE", "UV_REINSTALL", "PIP_UPGRADE", "PIP_FORCE_REINSTALL", "PIP_IGNORE_INSTALLED",
                       "UV_CONFIG_SETTINGS", "PIP_CONFIG_SETTINGS")
CONSTRAINTS = ("UV_CONSTRAINT", "PIP_CONSTRAINT", "UV_OVERRIDE", "UV_BUILD_CONSTRAINT", "PIP_BUILD_CONSTRAINT")


class Installs:
    """The installs of one session."""

    def __init__(self, nox, runner, locks, skips):
        self.nox = nox
        self.locks = locks
        self.runner = runner
        self.skips = skips
        self.max_age = float(os.environ.pop("NOXIDE_OFFLINE_MAX_AGE", 0))
        # A file for each install, as old as its last query of the index.
        self.queried_dir = os.path.join(environments_directory(runner.global_config), ".noxide", "queried")
        self.download_locks_dir = os.environ.pop("NOXIDE_DOWNLOAD_LOCKS", "")
        shared = os.environ.pop("NOXIDE_SHARED_INSTALLS", "")
        self.shared = SharedInstalls(shared) if shared else None
        self.bytecode = Bytecode(os.environ.pop("NOXIDE_BYTECODE", ""))
        self.seconds = 0.0
        self.commands = 0
        self.skipped = 0
        self.is_installing = False
        self.shared_digest = ""
        self.state = None
        self.position = 0

    def totals(self):
        if not self.commands and not self.skipped:
            return None
        return {"duration_ms": int(self.seconds * 1000), "commands": self.commands, "skipped": self.skipped}

    def run_or_skip(self, install, session, words, args, kwargs, returned):
        """Runs or skips `install`; `words` are the arguments of pip or uv, None for another program.

        `returned` is what nox returns for an install that succeeds.
        """
        if self.is_installing or session._runner is not self.runner:  # an install within an install
            return install(session, *args, **kwargs)
        since = time.monotonic()
        self.is_installing = True
        mark_trace_phase("host")
        try:
            self.locks.hold_for_install(session, words if install.__name__ == "install" else None, args, kwargs)
            # The output of a command that nox captures is not known without running it.
            has_output = returned is not None and kwargs.get("silent")
            install_digest = None if has_output else self.compute_digest(session, words, kwargs)
            if install_digest is not None and self.is_built(install_digest):
                self.skipped += 1
                self.position += 1
                session.log("Skipped the install of %s: this environment is up to date." % " ".join(words))
                self.add_bytecode()
                return returned
            self.remove_bytecode()
            before = self.snapshot() if install_digest is not None else None
            # A sync of a lock neither resolves nor builds: uv links faster than noxide.
            with checked_install(session, self.runner.venv, words):
                if self.can_share(before) and words[:2] != UV_SYNC:
                    result = self.build_or_link(install, session, words, args, kwargs, install_digest, before, returned)
                else:
                    result = self.build(install, session, words, args, kwargs, install_digest, before)
            self.add_bytecode()
            return result
        except BaseException:
            self.delete_state()  # the environment may be incomplete
            raise
        finally:
            self.is_installing = False
            mark_trace_phase("run")
            self.seconds += time.monotonic() - since

    def remove_bytecode(self):
        location = getattr(self.runner.venv, "location", None)  # not every environment has a location
        if location:
            self.bytecode.remove(location)

    def add_bytecode(self):
        if getattr(self.runner.venv, "venv_backend", "") == "uv":
            with contextlib.suppress(OSError):
                self.bytecode.add(self.runner.venv.location)

    def build(self, install, session, words, args, kwargs, install_digest, before):
        self.commands += 1
        result = self.run(install, session, words, args, kwargs, install_digest)
        self.record(install_digest, before)
        return result

    def can_share(self, before):
        """Whether an install may be linked from another session: only uv's, into an empty environment."""
        modes = ("", "hardlink", "clone")
        return (self.shared is not None and before is not None and not before["dists"]
                and getattr(self.runner.venv, "venv_backend", "") == "uv" and os.environ.get("UV_LINK_MODE", "") in modes)

    def build_or_link(self, install, session, words, args, kwargs, install_digest, before, returned):
        """Builds for the first session of the run with this install; links for the others."""
        with self.shared.lock_install(self.shared_digest) as note:
            if note is None:
                result = self.build(install, session, words, args, kwargs, install_digest, before)
                self.shared.write(self.shared_digest, self.runner.venv.location, self.runner.friendly_name,
                                  list_dists(self.runner.venv.location))
                return result
        try:
            link_environment(note, self.runner.venv.location, list_dists)
        except UncertainInstall:
            return self.build(install, session, words, args, kwargs, install_digest, before)
        self.skipped += 1
        session.log("Linked the install of %s from session %s of this run." % (" ".join(words), note["session"]))
        self.record(install_digest, before)
        return returned

    def run(self, install, session, words, args, kwargs, install_digest):
        """Runs an install; its processes are marked for the trace."""
        if TRACED:
            kwargs = dict(kwargs, env=dict(kwargs.get("env") or {}, NOXIDE_TRACE_PHASE="install"))
        mark_trace_phase("install")
        try:
            return self.run_recent(install, session, words, args, kwargs, install_digest)
        finally:
            mark_trace_phase("host")

    def run_recent(self, install, session, words, args, kwargs, install_digest):
        """Runs an install offline if the index was queried for it recently, and online otherwise or if that fails."""
        queried_file = None
        if self.max_age and install_digest is not None:
            queried_file = os.path.join(self.queried_dir, install_digest)
        if queried_file and getattr(self.runner.venv, "venv_backend", "") == "uv" and "UV_OFFLINE" not in os.environ:
            try:
                age = time.time() - os.stat(queried_file).st_mtime
            except OSError:
                age = self.max_age
            if 0 <= age < self.max_age:
                requirements = " ".join(words)
                session.log("Installing %s offline: the index was queried %d s ago (max-age)." % (requirements, age))
                try:
                    env = dict(kwargs.get("env") or {}, UV_OFFLINE="1")
                    return install(session, *args, **dict(kwargs, env=env))
                except self.nox.command.CommandFailed:
                    session.warn("The offline install failed; retrying online.")
        with self.serialize_downloads(session, args, kwargs):
            result = install(session, *args, **kwargs)
        if queried_file:
            with contextlib.suppress(OSError):
                os.makedirs(self.queried_dir, exist_ok=True)
                with open(queried_file, "w"):
                    os.utime(queried_file)
        return result

    @contextlib.contextmanager
    def serialize_downloads(self, session, args, kwargs):
        """Runs one install at a time while packages are downloaded, because parallel uv would download them twice.

        An install that another session of the run has finished runs without waiting.
        """
        if not self.download_locks_dir:
            yield
            return
        import fcntl

        variables = dict(session.env, **(kwargs.get("env") or {}))
        variables = [[name, value] for name, value in sorted(variables.items())
                     if name.startswith(("UV_", "PIP_")) and name not in ("UV_PROJECT_ENVIRONMENT", "UV_PYTHON")]
        command = json.dumps([args, variables], default=str).encode("utf-8", "replace")
        done_file = os.path.join(self.download_locks_dir, digest(command))
        os.makedirs(self.download_locks_dir, exist_ok=True)
        with open(os.path.join(self.download_locks_dir, "lock"), "w") as lock:
            if not os.path.exists(done_file):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(done_file):
                fcntl.flock(lock, fcntl.LOCK_UN)
            yield
            with open(done_file, "w"):
                pass

    def compute_digest(self, session, words, kwargs):
        """Returns a digest of everything that affects the result of an install; None if that is unknown."""
        config, venv = self.runner.global_config, self.runner.venv
        if not self.skips or words is None or type(venv).__name__ != "VirtualEnv":
            return None
        if getattr(config, "no_install", False) or set(kwargs) - {"silent", "env", "log", "external", "include_outer_env"}:
            return None
        if not kwargs.get("include_outer_env", True):
            return None
        try:
            facts = [str(getattr(venv, "venv_backend", "")), self.interpreter()]
            facts += [[name, value] for name, value in sorted(self.variables(session, kwargs).items())]
            if words[:2] == UV_SYNC:
                facts += sync_facts(words[2:], self.all_variables(session, kwargs), venv.location)
            else:
                facts += argument_facts(words)
            text = json.dumps(facts, default=str)
            # Without the location of this environment, so that it is the same for all environments.
            shared_text = text.replace(json.dumps(venv.location)[1:-1], "")
            self.shared_digest = digest(shared_text.encode("utf-8", "surrogateescape"))
            return digest(text.encode("utf-8", "surrogateescape"))
        except (UncertainInstall, OSError, ValueError):
            return None

    def interpreter(self):
        """Returns facts about the environment's Python that differ between builds."""
        location = self.runner.venv.location
        with open(os.path.join(location, "pyvenv.cfg"), "rb") as file:
            config = file.read().decode("utf-8", "replace")
        python = os.path.realpath(os.path.join(location, "bin", "python"))
        state = os.stat(python)
        return [config, python, state.st_size, state.st_mtime_ns]

    def all_variables(self, session, kwargs):
        known = dict(os.environ)
        known.update(session.env)
        known.update(kwargs.get("env") or {})
        return known

    def variables(self, session, kwargs):
        found = {}
        for name, value in self.all_variables(session, kwargs).items():
            if name in IGNORED_VARIABLES or value is None:
                continue
            if name in CONSTRAINTS:
                found[name] = [file_facts(path, []) for path in str(value).split()]
            elif name.startswith(VARIABLE_PREFIXES) or name in VARIABLE_NAMES:
                found[name] = value
        if any(found.get(name) for name in UNCERTAIN_VARIABLES):
            raise UncertainInstall
        return found

    def snapshot(self):
        """Returns the installed distributions, with facts that change if they do, and the names of all other files."""
        other_files = []
        for directory in site_directories(self.runner.venv.location):
            names = (entry.name for entry in os.scandir(directory))
            other_files += [name for name in names if not name.endswith(DISTS) and name != "__pycache__"]
        return {"dists": list_dists(self.runner.venv.location), "beside": sorted(other_files)}

    def is_built(self, install_digest):
        """Whether the environment is unchanged and was built by this install."""
        if self.state is None:
            self.state = self.read()
        is_known = any(call["digest"] == install_digest for call in self.state["calls"])
        return is_known and self.state["snapshot"] == self.snapshot()

    def read(self):
        try:
            with open(os.path.join(self.runner.venv.location, STATE_FILE), encoding="utf-8") as file:
                state = json.load(file)
            if state["version"] == STATE_VERSION:
                state["calls"], state["snapshot"]["dists"]
                return state
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {"version": STATE_VERSION, "calls": [], "snapshot": None}

    def record(self, install_digest, before):
        """Records a successful install in the environment."""
        if install_digest is None:
            return  # whether it changed an environment, if there is one, shows in the next snapshot
        path = os.path.join(self.runner.venv.location, STATE_FILE)
        try:
            if self.state is None:
                self.state = self.read()
            snapshot = self.snapshot()
            known = self.state["snapshot"] == before
            old = self.state["calls"] if known else []
            changed = set(name for name, fact in snapshot["dists"].items() if before["dists"].get(name) != fact)
            if not known:
                changed |= set(before["dists"])  # the install of these is unknown
            elif self.position < len(old):
                changed |= set(old[self.position]["touched"])  # it replaces that install
            replaced = set(name for name, fact in before["dists"].items() if snapshot["dists"].get(name) != fact)
            calls = [call for call in old if not replaced & set(call["touched"]) and call["digest"] != install_digest]
            if set(before["dists"]) - set(snapshot["dists"]):
                calls = []
            calls.insert(self.position, {"digest": install_digest, "touched": sorted(changed)})
            self.position = min(self.position, len(calls) - 1) + 1
            self.state = {"version": STATE_VERSION, "calls": calls, "snapshot": snapshot}
            with open("%s.%d" % (path, os.getpid()), "w", encoding="utf-8") as file:
                json.dump(self.state, file)
            os.replace("%s.%d" % (path, os.getpid()), path)
        except OSError:
            self.delete_state()

    def delete_state(self):
        with contextlib.suppress(OSError, AttributeError, TypeError):  # not every environment has a location
            os.unlink(os.path.join(self.runner.venv.location, STATE_FILE))
        self.state = None


def list_dists(location):
    """Returns the distributions of an environment by name: directory, and facts that change if the distribution does."""
    found = {}
    for directory in site_directories(location):
        for entry in os.scandir(directory):
            if not entry.name.endswith(DISTS):
                continue
            # Use only the modification time, which noxide's cache restores.
            fact = [entry.stat(follow_symlinks=False).st_mtime_ns]
            try:
                record = os.stat(os.path.join(entry.path, "RECORD"))
                fact += [record.st_size, record.st_mtime_ns]
            except OSError:
                pass
            found[entry.name.rsplit(".", 1)[0].split("-")[0].lower()] = [entry.name] + fact
    return found


def wrap_installs(nox, runner, locks):
    """Counts the installs of a session; with NOXIDE_INSTALL_MODE=skip, also skips unneeded ones."""
    installs = Installs(nox, runner, locks, os.environ.pop("NOXIDE_INSTALL_MODE", "") == "skip")
    session_class = nox.sessions.Session

    def wrap(name, arguments_of, returned=None):
        install = getattr(session_class, name, None)
        if install is not None:
            def counted_install(session, *args, **kwargs):
                return installs.run_or_skip(install, session, arguments_of(args), args, kwargs, returned)

            setattr(session_class, name, functools.wraps(install)(counted_install))

    wrap("install", lambda args: [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in args] or None)
    for name in ("run_install", "run_always"):
        wrap(name, install_arguments, True)
    wrap("conda_install", lambda args: None)
    if installs.download_locks_dir or installs.shared or installs.bytecode.directory:
        wrap_syncs(session_class, installs)
    return installs


def wrap_syncs(session_class, installs):
    """Wraps `session.run("uv", "sync", …)`, which is an install too."""
    run = session_class.run

    @functools.wraps(run)
    def counted_run(session, *args, **kwargs):
        install_only = getattr(installs.runner.global_config, "install_only", False)  # nox skips `session.run` then
        if not install_only and len(args) > 1 and args[0] == "uv" and args[1] in ("sync", "pip"):
            words = install_arguments(args) if args[1] == "sync" else None
            return installs.run_or_skip(run, session, words, args, kwargs, True)
        return run(session, *args, **kwargs)

    session_class.run = counted_run


def install_arguments(args):
    """Returns the arguments of `pip install` or `uv pip install`, or all of `uv sync …`; None for another command."""
    words = [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in args]
    if words[:2] == UV_SYNC:
        return words
    for prefix in (["uv", "pip", "install"], ["python", "-m", "pip", "install"], ["pip", "install"]):
        if words[: len(prefix)] == prefix and len(words) > len(prefix):
            return words[len(prefix) :]
    return None

"""Locks around the commands of a session, so that commands of other sessions do not use the same files meanwhile.

Part of noxide's host program. What a session shares is known from its commands as they are run, not from its source.

A resource is locked while one command runs (a source tree that is built, a port), or from a command until the session
ends (an environment outside `.nox`, `dist`). No deadlock is possible: a session that has to wait for a resource first
releases those that it holds, then acquires all in one order. If another session had one of them in between, the
commands that changed it are run again.
Names from the other parts are used without import: see load.py.
"""

POLL_SECONDS = 0.03


def is_environment_command(args):
    """Returns whether nox may run a command itself, to create an environment or to install into it."""
    words = [str(word) for word in args[:5]]
    return "install" in words or os.path.basename(words[0]) in ("uv", "virtualenv", "conda", "mamba", "micromamba")


def words_without_values(args):
    """Returns the words of a command up to its first option other than `-m`, and later ones that look like paths."""
    words = [str(word) for word in args]
    first = next((index for index, word in enumerate(words) if word.startswith("-") and word != "-m"), len(words))
    return words[:first] + [word for word in words[first:] if "/" in word and not word.startswith("-")]


class CommandLocks:
    """The resources that one session holds, and those that it has used."""

    def __init__(self, nox, runner, coverage, answer_fd):
        self.logger = nox.logger.logger
        self.runner = runner
        self.session = runner.friendly_name
        self.directory = os.environ.pop("NOXIDE_COMMAND_LOCKS", "")
        self.coverage = coverage
        self.answer_fd = answer_fd
        self.root = os.path.realpath(os.getcwd())
        self.private_directories = private_directories(runner)
        self.held = {}
        self.changes = {}
        self.facts = []
        # Whether the words of the command are shown nowhere.
        self.hides_words = False

    def context(self, kwargs):
        variables = dict(os.environ) if kwargs.get("env") is None else kwargs["env"]
        paths = [os.fspath(path) for path in kwargs.get("paths") or []]
        private = self.private_directories + [os.path.realpath(tempfile.gettempdir())] * bool(os.environ.get("TMPDIR"))
        return CommandContext(self.root, private, os.getcwd(), variables, paths)

    def run(self, run, args, kwargs):
        """Runs a command with the locks that it needs."""
        kwargs, uses = self.find_uses(args, kwargs)
        if not self.directory:
            return run(args, **kwargs)
        self.hold([use for use in uses if use.until_end])
        with contextlib.ExitStack() as stack:
            for use in sorted((use for use in uses if not use.until_end), key=lambda use: use.name):
                lock = ResourceLock(self.directory, use.name)
                try:
                    self.wait_for(lock, use.mode)
                except OSError as error:
                    self.warn(use.name, error)
                stack.callback(lock.release)
            result = run(args, **kwargs)
        for use in uses:
            if use.kind == "environment" and use.mode.name != "use":
                self.changes.setdefault(use.name, []).append((run, args, kwargs, os.getcwd()))
        return result

    def find_uses(self, args, kwargs):
        """Returns the arguments of a command, with the session's own coverage data, and the resources that it shares."""
        uses = []
        # nox does not print these words either: they may be secrets that no variable contains. It also runs its own
        # commands that create and fill environments without `log`.
        self.hides_words = kwargs.get("log") is False and not is_environment_command(args)
        try:
            context = self.context(kwargs)
            uses = command_uses(words_without_values(args) if self.hides_words else args, context)
            self.add_facts(uses)
            kwargs, data = self.coverage.prepare(args, kwargs, context, self)
            return kwargs, uses + data
        except (OSError, TypeError, ValueError, AttributeError):  # odd arguments: nox reports what is wrong with them
            return kwargs, uses

    def hold_for_install(self, session, requirements, args, kwargs):
        """Holds what an install needs until the session ends, before locks that are held only during installs.

        `requirements` are those of `session.install`; None for another command, which `args` are.
        """
        if not self.directory or getattr(self.runner.global_config, "no_install", False):
            return
        env = dict(os.environ, **(session.env or {}))
        env.setdefault("VIRTUAL_ENV", getattr(self.runner.venv, "location", None) or "")
        env.update(kwargs.get("env") or {})
        words = args if requirements is None else ["pip", "install"] + requirements
        try:
            uses = command_uses(words, self.context({"env": env, "paths": getattr(session, "bin_paths", None)}))
        except (OSError, TypeError, ValueError, AttributeError):  # odd arguments: nox reports what is wrong with them
            return
        # nox chooses the program and the environment of `session.install`: a `pip` on PATH that belongs to
        # the environment of nox itself is neither used nor changed. What it really runs is known when it runs.
        uses = [use for use in uses if use.until_end and (requirements is None or use.kind == "directory")]
        self.add_facts(uses)
        self.hold(uses)

    def add_facts(self, uses):
        for use in uses:
            facts = use.facts()
            if self.hides_words:
                facts["command"] = facts["command"].split(" ")[0]
            known = [dict(fact, command="") for fact in self.facts]
            if dict(facts, command="") not in known:
                self.facts.append(facts)

    def hold_project_files(self):
        """Holds the project's files as one of their readers, which every session is."""
        if self.directory:
            self.hold([CommandUse(PROJECT_FILES[0], PROJECT_FILES[1], UseMode("use"), True, "")])

    def hold(self, uses):
        """Holds resources until the session ends."""
        missing = {}
        for use in uses:
            lock = self.held.get(use.name)
            known = missing.get(use.name) or (lock.mode if lock else None)
            if known is None or not known.covers(use.mode):
                missing[use.name] = use.mode if known is None or use.mode.covers(known) else UseMode("exclusive")
        if not missing:
            return
        try:
            if all(self.try_hold(name, mode) is None for name, mode in sorted(missing.items())):
                return
            wanted = dict([(name, lock.mode) for name, lock in self.held.items()], **missing)
            for lock in self.held.values():
                lock.release()
            for name in sorted(wanted):
                lock = self.held.setdefault(name, ResourceLock(self.directory, name))
                self.wait_for(lock, wanted[name])
            for name in sorted(wanted):
                if self.held[name].was_taken:
                    self.repeat_changes(name)
        except OSError as error:
            self.warn(", ".join(sorted(missing)), error)

    def warn(self, names, error):
        self.logger.warning("Cannot lock %s against other sessions: %s. Run with -j 1 if they conflict." % (names, error))

    def try_hold(self, name, mode):
        lock = self.held.get(name) or ResourceLock(self.directory, name)
        holders = lock.try_acquire(mode, self.session)
        if holders is None:
            self.held[name] = lock
        return holders

    def wait_for(self, lock, mode):
        """Acquires a lock; reports to noxide while it waits, so that limits of time do not include it."""
        holders = lock.try_acquire(mode, self.session)
        if holders is None:
            return
        self.logger.info("Waiting for %s, which %s uses." % (lock.name, " and ".join(holders)))
        send(self.answer_fd, {"waiting": lock.name})
        try:
            while lock.try_acquire(mode, self.session) is not None:
                time.sleep(POLL_SECONDS)
        finally:
            send(self.answer_fd, {"waiting": None})

    def repeat_changes(self, name):
        """Runs the commands again with which this session changed a resource that another one had in between."""
        for run, args, kwargs, cwd in self.changes.get(name, []):
            self.logger.info("Another session used %s meanwhile: running a command again." % name)
            before = os.getcwd()
            os.chdir(cwd)
            try:
                run(args, **kwargs)
            finally:
                os.chdir(before)


def private_directories(runner):
    """Returns the directories that only this session uses: its environment, if it is one of nox's own."""
    try:
        envdir = os.path.realpath(runner.envdir)
        parent = os.path.realpath(getattr(runner.global_config, "envdir", None) or ".nox")
        return [envdir] if envdir.startswith(os.path.join(parent, "")) else []
    except (AttributeError, TypeError, OSError):
        return []


def wrap_commands(nox, runner, answer_fd):
    """Locks what the session's commands share with other sessions; returns the locks."""
    directory = os.environ.pop("NOXIDE_COVERAGE_DIR", "")
    locks = CommandLocks(nox, runner, CoverageData(analyze_source(runner.func), directory), answer_fd)
    run = nox.command.run

    @functools.wraps(run)
    def run_locked(args, *rest, **kwargs):
        if rest:  # no release of nox passes more by position
            return run(args, *rest, **kwargs)
        return locks.run(run, args, kwargs)

    nox.command.run = run_locked
    return locks

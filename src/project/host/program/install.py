"""Watches a session's installs: counts and times them, and skips those that the environment was built by already.

Part of noxide's host program. Any doubt installs: a skip is only what uv and pip would do too, faster.
"""

import contextlib
import functools

KEPT = ".noxide-installs.json"
KEPT_VERSION = 2
DISTS = (".dist-info", ".egg-info")
# Variables that change what an install gives; those that only change how it gets there are left out.
VARIABLES = ("UV_", "PIP_", "SETUPTOOLS_", "HATCH_", "FLIT_", "POETRY_", "PDM_", "PYTHON", "CMAKE_", "CARGO_", "MATURIN_")
NAMES = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET",
         "SOURCE_DATE_EPOCH", "RUSTFLAGS")
HOW = ("UV_CACHE_DIR", "UV_OFFLINE", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_CONCURRENT_DOWNLOADS", "UV_NO_CACHE",
       "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_INSTALLS", "UV_HTTP_TIMEOUT", "UV_LOCK_TIMEOUT", "PIP_CACHE_DIR",
       "PIP_PROGRESS_BAR", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED",
       "PYTHONPYCACHEPREFIX", "PYTHONHASHSEED", "PYTHONFAULTHANDLER", "PYTHONWARNINGS", "PYTHONDEVMODE")
CONSTRAINTS = ("UV_CONSTRAINT", "PIP_CONSTRAINT", "UV_OVERRIDE", "UV_BUILD_CONSTRAINT", "PIP_BUILD_CONSTRAINT")


class Installs:
    """The installs of one session."""

    def __init__(self, nox, runner, skips):
        self.nox = nox
        self.runner = runner
        self.skips = skips
        self.max_age = float(os.environ.pop("NOXIDE_INSTALLS_MAX_AGE", 0))
        self.asked = os.path.join(os.getcwd(), ".noxide", "asked")
        self.fill = os.environ.pop("NOXIDE_INSTALLS_FILL", "")
        shared = os.environ.pop("NOXIDE_INSTALLS_SHARED", "")
        self.shared = Shared(shared) if shared else None
        self.bytecode = Bytecode(os.environ.pop("NOXIDE_INSTALLS_BYTECODE", ""))
        self.seconds = 0.0
        self.commands = 0
        self.skipped = 0
        self.inside = False
        self.alike = ""
        self.kept = None
        self.at = 0

    def facts(self):
        if not self.commands and not self.skipped:
            return None
        return {"ms": int(self.seconds * 1000), "commands": self.commands, "skipped": self.skipped}

    def around(self, install, session, words, args, kwargs):
        """Runs `install`, or does not; `words` are what pip or uv would be told, none where it is another program."""
        if self.inside or session._runner is not self.runner:  # one install calls another
            return install(session, *args, **kwargs)
        since = time.monotonic()
        self.inside = True
        try:
            print_of = self.print_of(session, words, kwargs)
            if print_of is not None and self.is_built(print_of):
                self.skipped += 1
                self.at += 1
                session.log("Skipped the install of %s: this environment was built by it already." % " ".join(words))
                self.put_bytecode()
                return True if words[:2] == UV_SYNC else None  # as nox says of a command, and of an install
            self.remove_bytecode()
            before = self.look() if print_of is not None else None
            # A sync of a lock neither resolves nor builds: uv links faster than we do.
            way = self.together if self.shares(before) and words[:2] != UV_SYNC else self.build
            result = way(install, session, words, args, kwargs, print_of, before)
            self.put_bytecode()
            return result
        except BaseException:
            self.forget()  # half an install is none
            raise
        finally:
            self.inside = False
            self.seconds += time.monotonic() - since

    def remove_bytecode(self):
        place = getattr(self.runner.venv, "location", None)  # not every environment has a place
        if place:
            self.bytecode.remove(place)

    def put_bytecode(self):
        if getattr(self.runner.venv, "venv_backend", "") == "uv":
            with contextlib.suppress(OSError):
                self.bytecode.put(self.runner.venv.location)

    def build(self, install, session, words, args, kwargs, print_of, before):
        self.commands += 1
        result = self.run(install, session, words, args, kwargs, print_of)
        self.keep(print_of, before)
        return result

    def shares(self, before):
        """Whether an install may be linked from another session's: uv's, into an environment in which nothing is."""
        modes = ("", "hardlink", "clone")
        return (self.shared is not None and before is not None and not before["dists"]
                and getattr(self.runner.venv, "venv_backend", "") == "uv" and os.environ.get("UV_LINK_MODE", "") in modes)

    def together(self, install, session, words, args, kwargs, print_of, before):
        """The first of a run to install this builds, the others are linked from it."""
        with self.shared.turn(self.alike) as note:
            if note is None:
                result = self.build(install, session, words, args, kwargs, print_of, before)
                self.shared.write(self.alike, self.runner.venv.location, self.runner.friendly_name,
                                  dists_of(self.runner.venv.location))
                return result
        try:
            link_environment(note, self.runner.venv.location, dists_of)
        except Doubt:
            return self.build(install, session, words, args, kwargs, print_of, before)
        self.skipped += 1
        session.log("Linked the install of %s: %s installed the same in this run." % (" ".join(words), note["session"]))
        self.keep(print_of, before)
        return None

    def run(self, install, session, words, args, kwargs, print_of):
        """Runs an install: offline where the index was asked the same lately, and online where that fails."""
        asked = os.path.join(self.asked, print_of) if self.max_age and print_of is not None else None
        if asked and getattr(self.runner.venv, "venv_backend", "") == "uv" and "UV_OFFLINE" not in os.environ:
            try:
                age = time.time() - os.stat(asked).st_mtime
            except OSError:
                age = self.max_age
            if 0 <= age < self.max_age:
                what = " ".join(words)
                session.log("Installing %s offline: the index was asked %d s ago (max-age)." % (what, age))
                try:
                    env = dict(kwargs.get("env") or {}, UV_OFFLINE="1")
                    return install(session, *args, **dict(kwargs, env=env))
                except self.nox.command.CommandFailed:
                    session.warn("That failed offline: tried again online.")
        with self.alone(session, args, kwargs):
            result = install(session, *args, **kwargs)
        if asked:
            with contextlib.suppress(OSError):
                os.makedirs(self.asked, exist_ok=True)
                with open(asked, "w"):
                    os.utime(asked)
        return result

    @contextlib.contextmanager
    def alone(self, session, args, kwargs):
        """While a cache is filled: one install at a time, for uv fetches for each what none has finished fetching.

        What another session of the run has installed already is there, and goes on beside others.
        """
        if not self.fill:
            yield
            return
        import fcntl

        variables = dict(session.env, **(kwargs.get("env") or {}))
        variables = [[name, value] for name, value in sorted(variables.items())
                     if name.startswith(("UV_", "PIP_")) and name not in ("UV_PROJECT_ENVIRONMENT", "UV_PYTHON")]
        mark = os.path.join(self.fill, digest(json.dumps([args, variables], default=str).encode("utf-8", "replace")))
        os.makedirs(self.fill, exist_ok=True)
        with open(os.path.join(self.fill, "lock"), "w") as lock:
            if not os.path.exists(mark):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(mark):
                fcntl.flock(lock, fcntl.LOCK_UN)
            yield
            with open(mark, "w"):
                pass

    def print_of(self, session, words, kwargs):
        """What decides the result of an install, as a digest; none where that cannot be known."""
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
            synced = words[:2] == UV_SYNC
            facts += facts_of_sync(words[2:], self.variables_all(session, kwargs), venv.location) if synced else facts_of_words(words)
            text = json.dumps(facts, default=str)
            # What another environment may be built by too: the same but for where it lies.
            self.alike = digest(text.replace(json.dumps(venv.location)[1:-1], "").encode("utf-8", "surrogateescape"))
            return digest(text.encode("utf-8", "surrogateescape"))
        except (Doubt, OSError, ValueError):
            return None

    def interpreter(self):
        """The environment's Python: another build of it makes another environment."""
        place = self.runner.venv.location
        with open(os.path.join(place, "pyvenv.cfg"), "rb") as file:
            config = file.read().decode("utf-8", "replace")
        python = os.path.realpath(os.path.join(place, "bin", "python"))
        state = os.stat(python)
        return [config, python, state.st_size, state.st_mtime_ns]

    def variables_all(self, session, kwargs):
        known = dict(os.environ)
        known.update(session.env)
        known.update(kwargs.get("env") or {})
        return known

    def variables(self, session, kwargs):
        found = {}
        for name, value in self.variables_all(session, kwargs).items():
            if name in HOW or value is None:
                continue
            if name in CONSTRAINTS:
                found[name] = [file_facts(path, []) for path in str(value).split()]
            elif name.startswith(VARIABLES) or name in NAMES:
                found[name] = value
        if found.get("UV_UPGRADE") or found.get("PIP_UPGRADE") or found.get("PIP_FORCE_REINSTALL"):
            raise Doubt
        return found

    def look(self):
        """What is installed: each distribution with what a change of it changes, and the names beside them."""
        beside = []
        for folder in site_folders(self.runner.venv.location):
            names = (entry.name for entry in os.scandir(folder))
            beside += [name for name in names if not name.endswith(DISTS) and name != "__pycache__"]
        return {"dists": dists_of(self.runner.venv.location), "beside": sorted(beside)}

    def is_built(self, print_of):
        """Whether the environment is as it was left, and was built by this very install."""
        if self.kept is None:
            self.kept = self.read()
        return any(call["print"] == print_of for call in self.kept["calls"]) and self.kept["look"] == self.look()

    def read(self):
        try:
            with open(os.path.join(self.runner.venv.location, KEPT), encoding="utf-8") as file:
                kept = json.load(file)
            if kept["version"] == KEPT_VERSION:
                kept["calls"], kept["look"]["dists"]
                return kept
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {"version": KEPT_VERSION, "calls": [], "look": None}

    def keep(self, print_of, before):
        """After an install that went well: what the environment is built by now."""
        place = os.path.join(self.runner.venv.location, KEPT)
        try:
            if self.kept is None:
                self.kept = self.read()
            if print_of is None:
                return  # it changed the environment, or it did not: its look tells
            look = self.look()
            known = self.kept["look"] == before
            old = self.kept["calls"] if known else []
            touched = set(name for name, fact in look["dists"].items() if before["dists"].get(name) != fact)
            if not known:
                touched |= set(before["dists"])  # who put these there is not known
            elif self.at < len(old):
                touched |= set(old[self.at]["touched"])  # it takes that one's place
            lost = set(name for name, fact in before["dists"].items() if look["dists"].get(name) != fact)
            calls = [call for call in old if not lost & set(call["touched"]) and call["print"] != print_of]
            if set(before["dists"]) - set(look["dists"]):
                calls = []
            calls.insert(self.at, {"print": print_of, "touched": sorted(touched)})
            self.at = min(self.at, len(calls) - 1) + 1
            self.kept = {"version": KEPT_VERSION, "calls": calls, "look": look}
            with open("%s.%d" % (place, os.getpid()), "w", encoding="utf-8") as file:
                json.dump(self.kept, file)
            os.replace("%s.%d" % (place, os.getpid()), place)
        except OSError:
            self.forget()

    def forget(self):
        with contextlib.suppress(OSError, AttributeError, TypeError):  # not every environment has a place
            os.unlink(os.path.join(self.runner.venv.location, KEPT))
        self.kept = None


def dists_of(place):
    """Each distribution in an environment, by name: its folder, and what a change of it changes."""
    found = {}
    for folder in site_folders(place):
        for entry in os.scandir(folder):
            if not entry.name.endswith(DISTS):
                continue
            # The time of the last write alone: an environment out of noxide's store has that one again.
            fact = [entry.stat(follow_symlinks=False).st_mtime_ns]
            try:
                record = os.stat(os.path.join(entry.path, "RECORD"))
                fact += [record.st_size, record.st_mtime_ns]
            except OSError:
                pass
            found[entry.name.rsplit(".", 1)[0].split("-")[0].lower()] = [entry.name] + fact
    return found


def watch_installs(nox, runner):
    """Has the installs of a session counted; NOXIDE_INSTALLS=skip also has needless ones skipped."""
    watched = Installs(nox, runner, os.environ.pop("NOXIDE_INSTALLS", "") == "skip")
    kind = nox.sessions.Session

    def wrap(name, words_of_call):
        install = getattr(kind, name, None)
        if install is not None:
            def watched_install(session, *args, **kwargs):
                return watched.around(install, session, words_of_call(args), args, kwargs)

            setattr(kind, name, functools.wraps(install)(watched_install))

    wrap("install", lambda args: [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in args] or None)
    for name in ("run_install", "run_always"):
        wrap(name, words_of_command)
    wrap("conda_install", lambda args: None)
    if watched.fill or watched.shared or watched.bytecode.folder:
        wrap_syncs(kind, watched)
    return watched


def wrap_syncs(kind, watched):
    """`session.run("uv", "sync", …)` is an install too, though nox does not know."""
    run = kind.run

    @functools.wraps(run)
    def watched_run(session, *args, **kwargs):
        only = getattr(watched.runner.global_config, "install_only", False)  # nox leaves out `session.run` then
        if not only and len(args) > 1 and args[0] == "uv" and args[1] in ("sync", "pip"):
            return watched.around(run, session, words_of_command(args) if args[1] == "sync" else None, args, kwargs)
        return run(session, *args, **kwargs)

    kind.run = watched_run


def words_of_command(args):
    """What follows `pip install` or `uv pip install`, or all of `uv sync …`; none where it is another command."""
    words = [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in args]
    if words[:2] == UV_SYNC:
        return words
    for begin in (["uv", "pip", "install"], ["python", "-m", "pip", "install"], ["pip", "install"]):
        if words[: len(begin)] == begin and len(words) > len(begin):
            return words[len(begin) :]
    return None

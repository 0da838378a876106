"""Watches a session's installs: counts and times them, and skips those that the environment was built by already.

Part of noxide's host program. Any doubt installs: a skip is only what uv and pip would do too, faster.
"""

import contextlib
import functools

KEPT = ".noxide-installs.json"
KEPT_VERSION = 1
# Flags of uv and pip that leave an environment as it is where it satisfies what is asked for; True: takes a value.
PLAIN_FLAGS = {
    "-e": True, "--editable": True, "-r": True, "--requirement": True, "--requirements": True, "-c": True,
    "--constraint": True, "--constraints": True, "-i": True, "--index-url": True, "--default-index": True,
    "--extra-index-url": True, "--index": True, "-f": True, "--find-links": True, "--no-index": False,
    "--only-binary": True, "--no-binary": True, "--no-deps": False, "--pre": False, "--prerelease": True,
    "--prefer-binary": False, "--resolution": True, "--exclude-newer": True, "--group": True, "--extra": True,
    "--all-extras": False, "-q": False, "--quiet": False, "-qq": False, "-v": False, "--verbose": False,
    "--no-input": False, "--no-color": False, "--disable-pip-version-check": False, "--progress-bar": True,
    "--no-warn-script-location": False, "--no-python-version-warning": False, "--upgrade-strategy": True,
    "--use-feature": True, "--compile-bytecode": False, "--no-progress": False, "--no-cache-dir": False,
    "--link-mode": True, "--index-strategy": True, "--keyring-provider": True, "--trusted-host": True,
}
FILES = ("-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints")
# Variables that change what an install gives; those that only change how it gets there are left out.
VARIABLES = ("UV_", "PIP_", "SETUPTOOLS_", "HATCH_", "FLIT_", "POETRY_", "PDM_", "PYTHON", "CMAKE_", "CARGO_", "MATURIN_")
NAMES = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET",
         "SOURCE_DATE_EPOCH", "RUSTFLAGS")
HOW = ("UV_CACHE_DIR", "UV_OFFLINE", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_CONCURRENT_DOWNLOADS", "UV_NO_CACHE",
       "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_INSTALLS", "UV_HTTP_TIMEOUT", "UV_LOCK_TIMEOUT", "PIP_CACHE_DIR",
       "PIP_PROGRESS_BAR", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED",
       "PYTHONPYCACHEPREFIX", "PYTHONHASHSEED", "PYTHONFAULTHANDLER", "PYTHONWARNINGS", "PYTHONDEVMODE")
CONSTRAINTS = ("UV_CONSTRAINT", "PIP_CONSTRAINT", "UV_OVERRIDE", "UV_BUILD_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
# Backends that make of the same files the same thing, unless their settings ask for more.
STEADY = ("hatchling.build", "setuptools.build_meta", "flit_core.buildapi", "poetry.core.masonry.api", "pdm.backend",
          "uv_build")
RESTLESS = ("dynamic", "ext-modules", "ext_modules", "build.hooks", "hooks.", "force-include", "backend-path",
            "cache-keys", "run-setup", "[tool.poetry.build", "shared-data", "version-file", "write_to")
RESULTS = ("build", "dist", "site", "htmlcov")
MOST_BYTES = 64 << 20


class Doubt(Exception):
    """Nothing says whether an install would change something."""


class Installs:
    """The installs of one session."""

    def __init__(self, nox, runner, skips):
        self.nox = nox
        self.runner = runner
        self.skips = skips
        self.max_age = float(os.environ.pop("NOXIDE_INSTALLS_MAX_AGE", 0))
        self.asked = os.path.join(os.getcwd(), ".noxide", "asked")
        self.seconds = 0.0
        self.commands = 0
        self.skipped = 0
        self.inside = False
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
                return None
            before = self.look() if print_of is not None else None
            self.commands += 1
            result = self.run(install, session, words, args, kwargs, print_of)
            self.keep(print_of, before)
            return result
        finally:
            self.inside = False
            self.seconds += time.monotonic() - since

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
        result = install(session, *args, **kwargs)
        if asked:
            with contextlib.suppress(OSError):
                os.makedirs(self.asked, exist_ok=True)
                with open(asked, "w"):
                    os.utime(asked)
        return result

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
            facts += facts_of_words(words)
            return digest(json.dumps(facts, default=str).encode("utf-8", "surrogateescape"))
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

    def variables(self, session, kwargs):
        own = dict(session.env)
        own.update(kwargs.get("env") or {})
        known = dict(os.environ)
        known.update(own)
        found = {}
        for name, value in known.items():
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
        found, beside = {}, []
        for folder in site_folders(self.runner.venv.location):
            for entry in os.scandir(folder):
                name = entry.name
                if name.endswith((".dist-info", ".egg-info")):
                    state = entry.stat(follow_symlinks=False)
                    fact = [state.st_ctime_ns, state.st_mtime_ns]
                    try:
                        record = os.stat(os.path.join(entry.path, "RECORD"))
                        fact += [record.st_size, record.st_mtime_ns]
                    except OSError:
                        pass
                    found[name.rsplit(".", 1)[0].split("-")[0].lower()] = [name] + fact
                elif name != "__pycache__":
                    beside.append(name)
        return {"dists": found, "beside": sorted(beside)}

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
            with contextlib.suppress(OSError):
                os.unlink(place)


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
    return watched


def words_of_command(args):
    """What follows `pip install` or `uv pip install`; none where it is another command."""
    words = [os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in args]
    for begin in (["uv", "pip", "install"], ["python", "-m", "pip", "install"], ["pip", "install"]):
        if words[: len(begin)] == begin and len(words) > len(begin):
            return words[len(begin) :]
    return None


def digest(data):
    import hashlib

    return hashlib.sha256(data).hexdigest()


def site_folders(place):
    import glob

    return sorted(glob.glob(os.path.join(glob.escape(place), "lib*", "*", "site-packages")))


def facts_of_words(words):
    """The words of an install, each file and folder that they name with its content."""
    facts, at = [], 0
    while at < len(words):
        word = words[at]
        flag, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word.startswith("-"):
            if flag not in PLAIN_FLAGS:
                raise Doubt
            if not PLAIN_FLAGS[flag]:
                facts.append(flag)
                at += 1
                continue
            if not value:
                at += 1
                value = words[at] if at < len(words) else ""
            if flag in ("-e", "--editable"):
                facts.append([flag, folder_facts(value, True)])
            elif flag in FILES:
                facts.append([flag, file_facts(value, [])])
            else:
                facts.append([flag, value])
            if flag in ("--group", "--extra", "--all-extras"):
                facts.append(file_facts("pyproject.toml", []))
        else:
            facts.append(thing_facts(word))
        at += 1
    # Settings that uv reads from the project, whatever it installs.
    return facts + [file_facts(name, []) for name in ("uv.toml",) if os.path.exists(name)] + [uv_tables()]


def uv_tables():
    """The part of pyproject.toml that uv heeds for any install: the lines of its `tool.uv` tables."""
    try:
        with open("pyproject.toml", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return re.findall(r"(?ms)^\[tool\.uv[^\n]*$.*?(?=^\[|\Z)", text)


def thing_facts(word):
    """A requirement, or a file or folder by its content."""
    if "://" in word or word.startswith("git+") or " @ " in word:
        raise Doubt  # what is behind an address may change
    bare = re.sub(r"\[[^\]]*\]$", "", word)
    if os.path.isdir(bare) and (bare.startswith(".") or "/" in bare):
        return folder_facts(word, False)
    if os.path.isfile(bare):
        return [os.path.basename(bare), content(bare)]
    if "/" in word:
        raise Doubt
    return word


def file_facts(path, seen):
    """A requirements or constraints file with those that it includes."""
    path = os.path.abspath(path)
    if path in seen:
        return path
    with open(path, "rb") as file:
        data = file.read()
    facts = [digest(data)]
    for line in data.decode("utf-8", "replace").splitlines():
        line = line.split(" #")[0].strip()
        include = re.match(r"(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)", line)
        if include:
            facts.append(file_facts(os.path.join(os.path.dirname(path), include.group(1)), seen + [path]))
        elif line.startswith(("-e", "--editable", ".", "/", "file:", "git+")) or "://" in line and " @ " in line:
            raise Doubt
    return facts


def folder_facts(word, editable):
    """A project in a folder: where it is, and what its metadata (and, where its files are copied, they) consist of."""
    bare = re.sub(r"\[[^\]]*\]$", "", word)
    if "://" in bare or not os.path.isdir(bare):
        raise Doubt
    extras = word[len(bare) :]
    with open(os.path.join(bare, "pyproject.toml"), "rb") as file:
        text = file.read().decode("utf-8")
    backend = re.search(r"(?m)^\s*build-backend\s*=\s*[\"']([^\"']+)[\"']", text)
    # Comments may name anything.
    said = re.sub(r"(?m)#.*$", "", text)
    if not backend or backend.group(1) not in STEADY or any(word in said for word in RESTLESS):
        raise Doubt
    if os.path.exists(os.path.join(bare, "setup.py")):
        raise Doubt
    root = os.path.abspath(bare)
    if editable:
        names = [name for name in sorted(os.listdir(root)) if os.path.splitext(name)[1] in (".toml", ".cfg", ".in", ".md",
                 ".rst", ".txt", "") and os.path.isfile(os.path.join(root, name)) and not name.startswith(".")]
        return [root, extras, [[name, content(os.path.join(root, name))] for name in names]]
    return [extras, tree_facts(root)]


def tree_facts(root):
    """All files of a project that may go into what is built of it."""
    facts, size = [], 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not left_out(os.path.join(folder, name), folder == root))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if (name.startswith(".") and name != ".gitignore") or name == "uv.lock" or os.path.islink(path):
                continue
            size += os.path.getsize(path)
            if size > MOST_BYTES:
                raise Doubt
            facts.append([os.path.relpath(path, root), os.stat(path).st_mode & 0o111, content(path)])
    return facts


def left_out(path, top):
    """Whether a folder holds results and not sources."""
    name = os.path.basename(path)
    if name.startswith(".") or name in ("__pycache__", "node_modules") or name.endswith(".egg-info"):
        return True
    has = lambda file: os.path.exists(os.path.join(path, file))  # noqa: E731
    return has("pyvenv.cfg") or (top and name in RESULTS and not has("__init__.py"))


def content(path):
    with open(path, "rb") as file:
        return digest(file.read())

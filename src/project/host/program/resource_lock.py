"""Locks of resources that sessions share, held by open files: the kernel releases them if a session is killed.

Part of noxide's host program.
Names from the other parts are used without import: see load.py.
"""

import contextlib

# How many sessions that share a resource are named.
MAX_NAMES = 4


class UseMode:
    """How a session uses a resource: alone (`exclusive`), or beside compatible uses (`sync`, `use`, with a key)."""

    def __init__(self, name, key=""):
        self.name = name
        self.key = key

    def is_compatible(self, other):
        if "exclusive" in (self.name, other.name):
            return False
        return self.name == other.name == "use" or self.key == other.key

    def covers(self, other):
        """Whether a session that holds the resource in this mode may also use it in the other mode."""
        if self.name == "exclusive":
            return True
        return other.name == "use" or self.name == other.name and self.key == other.key

    def facts(self):
        return [self.name, self.key]


class ResourceLock:
    """The lock of one resource in a directory of locks."""

    def __init__(self, directory, name):
        self.name = name
        self.base = os.path.join(directory, digest(name.encode("utf-8", "surrogateescape"))[:32])
        self.file = None
        self.mode = None
        self.token = None
        # Whether another session had the resource since this one released it.
        self.was_taken = False

    @contextlib.contextmanager
    def exclusive_access(self):
        """Excludes other processes for the few system calls of one change."""
        import fcntl

        os.makedirs(os.path.dirname(self.base), exist_ok=True)
        with open(self.base + ".gate", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def try_acquire(self, mode, session):
        """Acquires the lock, or changes how it is held. Returns the sessions that prevent it; None if it is acquired."""
        import fcntl

        with self.exclusive_access():
            file = self.file or open(self.base + ".held", "a")
            last = self.read_state({"token": None, "sessions": [], "uses": []})
            state = {"token": "%d.%d" % (os.getpid(), time.monotonic_ns()), "sessions": [], "uses": []}
            is_alone = try_flock(file, fcntl.LOCK_EX)
            if not is_alone:
                state = last
                compatible = all(mode.is_compatible(UseMode(*other)) for other in state["uses"])
                if not compatible or not try_flock(file, fcntl.LOCK_SH):
                    if self.file is not None:
                        try_flock(file, fcntl.LOCK_SH)  # only an attempt for more lost it
                    else:
                        file.close()
                    return [name for name in state["sessions"] if name != session] or ["another run"]
            self.was_taken = self.file is None and self.token is not None and last["token"] != self.token
            state["sessions"] = ([name for name in state["sessions"] if name != session] + [session])[-MAX_NAMES:]
            if mode.facts() not in state["uses"]:
                state["uses"].append(mode.facts())
            with open(self.base, "w", encoding="utf-8") as out:
                json.dump(state, out)
            if is_alone and mode.name != "exclusive":
                fcntl.flock(file, fcntl.LOCK_SH)
            self.file, self.mode, self.token = file, mode, state["token"]
        return None

    def read_state(self, default):
        try:
            with open(self.base, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return default

    def release(self):
        if self.file is not None:
            self.file.close()
            self.file = None


def try_flock(file, operation):
    import fcntl

    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
        return True
    except OSError:
        return False

"""Identical installs of a run: the first session builds the environment, the others link its files.

Part of noxide's host program. If it is uncertain that linking gives the same result, a session installs itself.
Names from the other parts are used without import: see load.py.
"""

import stat

# If more bytes must be copied because files cannot be linked, installing is faster.
MAX_COPIED_BYTES = 16 << 20


class SharedInstalls:
    """A directory with a note for each install of this run into an empty environment."""

    def __init__(self, directory):
        self.directory = directory

    @contextlib.contextmanager
    def lock_install(self, install_digest):
        """Locks an install: the first session builds, others with the same install wait for it."""
        import fcntl

        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, install_digest + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read(install_digest)

    def read(self, install_digest):
        try:
            with open(os.path.join(self.directory, install_digest), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def write(self, install_digest, location, session, dists):
        """Writes a note about an install into an empty environment."""
        path = os.path.join(self.directory, install_digest)
        with contextlib.suppress(OSError):
            with open("%s.%d" % (path, os.getpid()), "w", encoding="utf-8") as file:
                json.dump({"location": location, "session": session, "dists": dists}, file)
            os.replace("%s.%d" % (path, os.getpid()), path)


def link_environment(note, location, list_dists):
    """Links the environment of a note into the empty environment at `location`; `list_dists` lists distributions.

    Raises UncertainInstall, and removes all created files, if the environment of the note has changed.
    """
    created, directories = [], set()
    try:
        for path, data in link_plan(note, location, list_dists):
            directory = os.path.dirname(path)
            if directory not in directories:
                os.makedirs(directory, exist_ok=True)
                directories.add(directory)
            created.append(path)
            create_file(path, data)
        if any(list_dists(note["location"]).get(name) != fact for name, fact in note["dists"].items()):
            raise UncertainInstall
    except (UncertainInstall, OSError, ValueError, IndexError):
        for path in created:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise UncertainInstall from None


def create_file(path, data):
    """Creates a file: a link to a path (str), a copy (`Copied`), or a file with this mode and content (tuple)."""
    if isinstance(data, str):
        os.link(data, path)
    elif isinstance(data, Copied):
        import shutil

        shutil.copy2(data.path, path)
    else:
        mode, text = data
        with open(path, "xb") as file:
            file.write(text)
        os.chmod(path, mode & 0o777)


class Copied:
    """A file to copy, because it is not linked from uv's cache."""

    def __init__(self, path):
        self.path = path


def link_plan(note, location, list_dists):
    """Returns the path of each file with its content for `create_file`; RECORD is last in each distribution."""
    old, current_dists = os.path.normpath(note["location"]), list_dists(note["location"])
    site, *others = site_directories(old)  # lib64 is a link to lib
    if any(os.path.realpath(other) != os.path.realpath(site) for other in others):
        raise UncertainInstall
    linked_sources, copied, plan = set(), 0, []
    for name, fact in sorted(note["dists"].items()):
        if current_dists.get(name) != fact or not fact[0].endswith(".dist-info"):
            raise UncertainInstall
        rows = record_rows(site, fact[0])
        for row in rows:
            source = checked_path(old, os.path.join(site, row[0]))
            state = os.lstat(source)
            target = location + source[len(old) :]
            if not stat.S_ISREG(state.st_mode) or (row[2] and int(row[2]) != state.st_size) or os.path.lexists(target):
                raise UncertainInstall
            linked_sources.add(source)
            if row[0] == fact[0] + "/RECORD":
                continue
            copied += state.st_size if state.st_nlink == 1 else 0
            data = relocated_script(source, state, old, location)
            if data:
                row[1], row[2] = record_digest(data[1]), str(len(data[1]))
            plan.append((target, data or (source if state.st_nlink > 1 else Copied(source))))
        text = "".join(",".join(csv_field(field) for field in row) + "\n" for row in rows).encode("utf-8")
        plan.append((os.path.join(location, os.path.relpath(site, old), fact[0], "RECORD"), (0o644, text)))
    for name in set(current_dists) - set(note["dists"]):  # installed later, maybe over existing files
        rows = record_rows(site, current_dists[name][0])
        if linked_sources & set(checked_path(old, os.path.join(site, row[0])) for row in rows):
            raise UncertainInstall
    if copied > MAX_COPIED_BYTES:
        raise UncertainInstall
    return plan


def record_rows(site, dist):
    import csv

    with open(os.path.join(site, dist, "RECORD"), encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row and not row[0].endswith(".pyc")]


def csv_field(field):
    return '"%s"' % field.replace('"', '""') if "," in field or '"' in field or "\n" in field else field


def record_digest(data):
    import base64
    import hashlib

    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def checked_path(location, path):
    path = os.path.normpath(path)
    if not path.startswith(os.path.join(location, "")):
        raise UncertainInstall
    return path


def relocated_script(source, state, old, location):
    """Returns mode and content of a script in bin, with the path of its environment replaced; None for other files."""
    if os.path.dirname(source) != os.path.join(old, "bin"):
        return None
    with open(source, "rb") as file:
        if file.read(2) != b"#!":
            return None
        data = b"#!" + file.read()
    return state.st_mode, data.replace(os.fsencode(old), os.fsencode(location))

"""One build of an environment for all sessions of a run that install the same: the others are linked from it.

Part of noxide's host program. Any doubt installs.
"""

import contextlib
import stat

# More bytes than that in files that can only be copied: an install may do better.
MOST_COPIED = 16 << 20


class Shared:
    """Where the sessions of a run meet: a note for each install that built an environment out of nothing."""

    def __init__(self, folder):
        self.folder = folder

    @contextlib.contextmanager
    def turn(self, print_of):
        """One builds; who wants the same waits for it."""
        import fcntl

        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, print_of + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read(print_of)

    def read(self, print_of):
        try:
            with open(os.path.join(self.folder, print_of), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def write(self, print_of, place, session, dists):
        """Notes what an install put into an environment in which nothing was."""
        path = os.path.join(self.folder, print_of)
        with contextlib.suppress(OSError):
            with open("%s.%d" % (path, os.getpid()), "w", encoding="utf-8") as file:
                json.dump({"place": place, "session": session, "dists": dists}, file)
            os.replace("%s.%d" % (path, os.getpid()), path)


def link_environment(note, place, look):
    """Links what a note tells of into the empty environment at `place`; `look` tells what one holds.

    Raises Doubt, and leaves nothing, where the other is not as it was noted any more.
    """
    made, folders = [], set()
    try:
        for path, data in link_plan(note, place, look):
            folder = os.path.dirname(path)
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            made.append(path)
            put_file(path, data)
        if any(look(note["place"]).get(name) != fact for name, fact in note["dists"].items()):
            raise Doubt
    except (Doubt, OSError, ValueError, IndexError):
        for path in made:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise Doubt from None


def put_file(path, data):
    """Puts a file: a link to a path, a copy of what only one environment has, or mode and bytes."""
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
    """A file that has no other name: uv links where it can."""

    def __init__(self, path):
        self.path = path


def link_plan(note, place, look):
    """Each file with what :func:`put_file` takes for it; a distribution's RECORD after all else of it."""
    old, here = os.path.normpath(note["place"]), look(note["place"])
    site, *others = site_folders(old)  # lib64 is lib by another name
    if any(os.path.realpath(other) != os.path.realpath(site) for other in others):
        raise Doubt
    taken, copied, plan = set(), 0, []
    for name, fact in sorted(note["dists"].items()):
        if here.get(name) != fact or not fact[0].endswith(".dist-info"):
            raise Doubt
        rows = record_rows(site, fact[0])
        for row in rows:
            source = inside(old, os.path.join(site, row[0]))
            state = os.lstat(source)
            target = place + source[len(old) :]
            if not stat.S_ISREG(state.st_mode) or (row[2] and int(row[2]) != state.st_size) or os.path.lexists(target):
                raise Doubt
            taken.add(source)
            if row[0] == fact[0] + "/RECORD":
                continue
            copied += state.st_size if state.st_nlink == 1 else 0
            data = moved_script(source, state, old, place)
            if data:
                row[1], row[2] = record_digest(data[1]), str(len(data[1]))
            plan.append((target, data or (source if state.st_nlink > 1 else Copied(source))))
        text = "".join(",".join(quoted(field) for field in row) + "\n" for row in rows).encode("utf-8")
        plan.append((os.path.join(place, os.path.relpath(site, old), fact[0], "RECORD"), (0o644, text)))
    for name in set(here) - set(note["dists"]):  # installed there later, maybe over what was there
        if taken & set(inside(old, os.path.join(site, row[0])) for row in record_rows(site, here[name][0])):
            raise Doubt
    if copied > MOST_COPIED:
        raise Doubt
    return plan


def record_rows(site, dist):
    import csv

    with open(os.path.join(site, dist, "RECORD"), encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row and not row[0].endswith(".pyc")]


def quoted(field):
    return '"%s"' % field.replace('"', '""') if "," in field or '"' in field or "\n" in field else field


def record_digest(data):
    import base64
    import hashlib

    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def inside(place, path):
    path = os.path.normpath(path)
    if not path.startswith(os.path.join(place, "")):
        raise Doubt
    return path


def moved_script(source, state, old, place):
    """A script that names its environment, naming the other; none where it is no script."""
    if os.path.dirname(source) != os.path.join(old, "bin"):
        return None
    with open(source, "rb") as file:
        if file.read(2) != b"#!":
            return None
        data = b"#!" + file.read()
    return state.st_mode, data.replace(os.fsencode(old), os.fsencode(place))

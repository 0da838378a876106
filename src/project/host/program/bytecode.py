"""Cached bytecode of installed packages, added to environments so that sessions need not compile the packages.

Part of noxide's host program. It is removed before the next install, because Python does not check that it is valid.
Names from the other parts are used without import: see load.py.
"""

NOTE_FILE = ".noxide-bytecode.json"


class Bytecode:
    """Adds cached bytecode to environments; `directory` has a directory for each package, with a list of bytecode files for
    each of its wheels."""

    def __init__(self, directory):
        self.directory = directory

    def remove(self, location):
        """Removes the bytecode that was added to the environment at `location`."""
        note = os.path.join(location, NOTE_FILE)
        try:
            with open(note, encoding="utf-8") as file:
                paths = json.load(file)["placed"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for path in paths:
            with contextlib.suppress(OSError, UncertainInstall):
                os.unlink(checked_path(location, os.path.join(location, path)))
        with contextlib.suppress(OSError):
            os.unlink(note)

    def add(self, location):
        """Adds cached bytecode to the environment at `location`, unless it was added already."""
        note = os.path.join(location, NOTE_FILE)
        if not self.directory or os.path.exists(note) or os.environ.get("PYTHONPYCACHEPREFIX"):
            return
        added = []
        try:
            for site in unique_directories(site_directories(location)):
                for package in sorted(os.listdir(site)):
                    if package.endswith(".dist-info"):
                        for cached in self.cached(package[: -len(".dist-info")]):
                            added += link_modules(cached, site)
        finally:
            if added:
                names = [os.path.relpath(path, location) for path in added]
                with contextlib.suppress(OSError):
                    with open("%s.%d" % (note, os.getpid()), "w", encoding="utf-8") as file:
                        json.dump({"version": 1, "placed": names}, file)
                    os.replace("%s.%d" % (note, os.getpid()), note)

    def cached(self, package):
        """Returns the cached bytecode of a package such as `Foo_bar-1.0`, for each wheel of that name and version."""
        name, _, version = package.partition("-")
        directory = os.path.join(self.directory, "%s-%s" % (re.sub(r"[-_.]+", "-", name).lower(), version))
        found = []
        with contextlib.suppress(OSError, ValueError):
            for wheel in sorted(os.listdir(directory)):
                with open(os.path.join(directory, wheel), encoding="utf-8") as file:
                    found.append(json.load(file))
        return found


def link_modules(cached, site):
    """Links a wheel's bytecode into `site` for those of its sources that are unchanged there."""
    added = []
    for path, location, sha256, paths in cached["modules"]:
        try:
            if not is_same_source(os.path.join(site, location), os.path.join(cached["wheel"], path), sha256):
                continue
            for path in paths:
                target = os.path.join(site, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                if link_bytecode(os.path.join(cached["bytecode"], path), target):
                    added.append(target)
        except OSError:
            continue  # pruned in the meantime, or on another file system: Python compiles it
    return added


def link_bytecode(source, target):
    """Links or copies a file. Linking is safe: Python replaces bytecode files and never writes to an existing one.

    Returns False if Python has written its own file; a link that a killed session left counts as added.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return os.path.samefile(source, target)
    except OSError:
        with open(source, "rb") as file:
            data = file.read()
        with open(target, "xb") as file:
            file.write(data)
    return True


def is_same_source(path, wheel_path, sha256):
    """Whether a file is the same as the wheel's: by inode or by content."""
    state = os.stat(path)
    with contextlib.suppress(OSError):
        if os.path.samestat(state, os.stat(wheel_path)):
            return True
    return file_digest(path) == sha256


def unique_directories(directories):
    """Returns each directory once: lib64 is a link to lib."""
    return list({os.path.realpath(directory): directory for directory in reversed(directories)}.values())

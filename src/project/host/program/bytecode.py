"""Bytecode of installed packages put beside their sources, so that no session compiles what one has compiled before.

Part of noxide's host program. What is put there goes before the next install: Python would not look whether it fits.
"""

PLACED = ".noxide-bytecode.json"


class Bytecode:
    """Bytecode for one environment; `folder` tells of each package where noxide keeps what is known of it."""

    def __init__(self, folder):
        self.folder = folder

    def remove(self, place):
        """Takes away what was put into the environment at `place`."""
        note = os.path.join(place, PLACED)
        try:
            with open(note, encoding="utf-8") as file:
                paths = json.load(file)["placed"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for path in paths:
            with contextlib.suppress(OSError, Doubt):
                os.unlink(inside(place, os.path.join(place, path)))
        with contextlib.suppress(OSError):
            os.unlink(note)

    def put(self, place):
        """Puts what is known into the environment at `place`, unless it is there."""
        note = os.path.join(place, PLACED)
        if not self.folder or os.path.exists(note) or os.environ.get("PYTHONPYCACHEPREFIX"):
            return
        placed = []
        try:
            for site in unaliased(site_folders(place)):
                for package in sorted(os.listdir(site)):
                    if package.endswith(".dist-info"):
                        for known in self.known(package[: -len(".dist-info")]):
                            placed += put_modules(known, site)
        finally:
            if placed:
                names = [os.path.relpath(path, place) for path in placed]
                with contextlib.suppress(OSError):
                    with open("%s.%d" % (note, os.getpid()), "w", encoding="utf-8") as file:
                        json.dump({"version": 1, "placed": names}, file)
                    os.replace("%s.%d" % (note, os.getpid()), note)

    def known(self, package):
        """What is known of a package, `Foo_bar-1.0`: of each wheel of that name and version."""
        name, _, version = package.partition("-")
        folder = os.path.join(self.folder, "%s-%s" % (re.sub(r"[-_.]+", "-", name).lower(), version))
        found = []
        with contextlib.suppress(OSError, ValueError):
            for wheel in sorted(os.listdir(folder)):
                with open(os.path.join(folder, wheel), encoding="utf-8") as file:
                    found.append(json.load(file))
        return found


def put_modules(known, site):
    """Puts a wheel's bytecode beside those of its sources that are in `site` as the wheel has them."""
    placed = []
    for path, place, sha256, paths in known["modules"]:
        try:
            if not is_source(os.path.join(site, place), os.path.join(known["wheel"], path), sha256):
                continue
            for path in paths:
                target = os.path.join(site, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                if put_bytecode(os.path.join(known["bytecode"], path), target):
                    placed.append(target)
        except OSError:
            continue  # pruned meanwhile, or another file system: Python compiles it
    return placed


def put_bytecode(source, target):
    """A link, or where there can be none a copy; whoever writes bytecode writes another file and renames it.

    False where Python's own is there; what a session that was killed had put there counts as put.
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


def is_source(path, kept, sha256):
    """Whether a file is the wheel's: the very file, or the same bytes."""
    state = os.stat(path)
    with contextlib.suppress(OSError):
        if os.path.samestat(state, os.stat(kept)):
            return True
    return content(path) == sha256


def unaliased(folders):
    """Each folder once: lib64 is lib by another name."""
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())

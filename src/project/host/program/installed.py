"""What the words of an install stand for: files and folders by their content, or a doubt.

Part of noxide's host program.
"""

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
# Backends that make of the same files the same thing, unless their settings ask for more.
STEADY = ("hatchling.build", "setuptools.build_meta", "flit_core.buildapi", "poetry.core.masonry.api", "pdm.backend",
          "uv_build")
RESTLESS = ("dynamic", "ext-modules", "ext_modules", "build.hooks", "hooks.", "force-include", "backend-path",
            "cache-keys", "run-setup", "[tool.poetry.build", "shared-data", "version-file", "write_to")
RESULTS = ("build", "dist", "site", "htmlcov")
MOST_BYTES = 64 << 20
UV_SYNC = ["uv", "sync"]
# Flags of `uv sync` that decide nothing beyond what the lock and the project say; True: takes a value.
SYNC_FLAGS = {
    "--frozen": False, "--locked": False, "-q": False, "--quiet": False, "-v": False, "--verbose": False,
    "--no-progress": False, "--offline": False, "--group": True, "--no-group": True, "--only-group": True,
    "--all-groups": False, "--no-default-groups": False, "--dev": False, "--no-dev": False, "--only-dev": False,
    "--extra": True, "--no-extra": True, "--all-extras": False, "--no-install-project": False, "--no-editable": False,
    "--exact": False, "--inexact": False, "--active": False, "--link-mode": True, "--compile-bytecode": False,
}


class Doubt(Exception):
    """Nothing says whether an install would change something."""


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


def facts_of_sync(words, variables, place):
    """What `uv sync` makes of a project whose lock it takes as it is; a doubt where it may lock anew, or installs
    elsewhere than into the environment at `place`.
    """
    flags, at = set(), 0
    while at < len(words):
        flag, _, value = words[at].partition("=")
        if flag not in SYNC_FLAGS:
            raise Doubt
        flags.add(flag)
        at += 2 if SYNC_FLAGS[flag] and not value else 1
    says = [str(variables.get(name)).lower() for name in ("UV_FROZEN", "UV_LOCKED")]
    fixed = flags & {"--frozen", "--locked"} or set(says) & {"1", "true", "yes", "on", "y", "t"}
    target = variables.get("VIRTUAL_ENV" if "--active" in flags else "UV_PROJECT_ENVIRONMENT")
    if not fixed or not target or os.path.realpath(target) != os.path.realpath(place):
        raise Doubt
    with open("uv.lock", "rb") as file:
        lock = file.read().decode("utf-8")
    # What lies in a folder is not told by the lock: of those only the project itself is looked at.
    local = re.findall(r"source = \{ (?:editable|directory|path|virtual) = \"([^\"]*)\"", lock)
    if set(local) - {"."}:
        raise Doubt
    with open("pyproject.toml", "rb") as file:
        project = file.read().decode("utf-8")
    facts = [words, digest(lock.encode("utf-8")), digest(project.encode("utf-8"))]
    is_package = re.search(r"source = \{ editable = \"\.\"", lock)
    if is_package and "--no-install-project" not in flags:
        facts.append(folder_facts(".", "--no-editable" not in flags))
    return facts + [file_facts(name, []) for name in ("uv.toml",) if os.path.exists(name)]


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

"""Facts about the arguments of an install, including digests of the files and directories that they name.

Part of noxide's host program. Names from the other parts are used without import: see load.py.
"""

# Flags with which uv and pip do not change an environment that satisfies the requirements; True: takes a value.
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
UV_SYNC = ["uv", "sync"]
# Flags of `uv sync` with which the result depends only on the lock and the project; True: takes a value.
SYNC_FLAGS = {
    "--frozen": False, "--locked": False, "-q": False, "--quiet": False, "-v": False, "--verbose": False,
    "--no-progress": False, "--offline": False, "--group": True, "--no-group": True, "--only-group": True,
    "--all-groups": False, "--no-default-groups": False, "--dev": False, "--no-dev": False, "--only-dev": False,
    "--extra": True, "--no-extra": True, "--all-extras": False, "--no-install-project": False, "--no-editable": False,
    "--exact": False, "--inexact": False, "--active": False, "--link-mode": True, "--compile-bytecode": False,
}


class UncertainInstall(Exception):
    """It is not known whether an install would change the environment."""


def digest(data):
    import hashlib

    return hashlib.sha256(data).hexdigest()


def site_directories(location):
    import glob

    return sorted(glob.glob(os.path.join(glob.escape(location), "lib*", "*", "site-packages")))


def argument_facts(words):
    """Returns facts about the arguments of an install, including digests of the files and directories that they name."""
    facts, index = [], 0
    while index < len(words):
        word = words[index]
        flag, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word.startswith("-"):
            if flag not in PLAIN_FLAGS:
                raise UncertainInstall
            if not PLAIN_FLAGS[flag]:
                facts.append(flag)
                index += 1
                continue
            if not value:
                index += 1
                value = words[index] if index < len(words) else ""
            if flag in ("-e", "--editable"):
                facts.append([flag, project_facts(value, True)])
            elif flag in FILES:
                facts.append([flag, file_facts(value, [])])
            else:
                facts.append([flag, value])
            if flag in ("--group", "--extra", "--all-extras"):
                facts.append(file_facts("pyproject.toml", []))
        else:
            facts.append(requirement_facts(word))
        index += 1
    # Settings that uv reads from the project for any install.
    return facts + [file_facts(name, []) for name in ("uv.toml",) if os.path.exists(name)] + [uv_tables()]


def sync_facts(words, variables, location):
    """Returns facts about a `uv sync` of a fixed lock into the environment at `location`.

    Raises UncertainInstall if it may update the lock or installs into another environment.
    """
    flags, index = set(), 0
    while index < len(words):
        flag, _, value = words[index].partition("=")
        if flag not in SYNC_FLAGS:
            raise UncertainInstall
        flags.add(flag)
        index += 2 if SYNC_FLAGS[flag] and not value else 1
    fixed_values = [str(variables.get(name)).lower() for name in ("UV_FROZEN", "UV_LOCKED")]
    fixed = flags & {"--frozen", "--locked"} or set(fixed_values) & {"1", "true", "yes", "on", "y", "t"}
    target = variables.get("VIRTUAL_ENV" if "--active" in flags else "UV_PROJECT_ENVIRONMENT")
    if not fixed or not target or os.path.realpath(target) != os.path.realpath(location):
        raise UncertainInstall
    with open("uv.lock", "rb") as file:
        lock = file.read().decode("utf-8")
    # The lock has no hashes of local directories: only the project itself is supported.
    local = re.findall(r"source = \{ (?:editable|directory|path|virtual) = \"([^\"]*)\"", lock)
    if set(local) - {"."}:
        raise UncertainInstall
    with open("pyproject.toml", "rb") as file:
        project = file.read().decode("utf-8")
    facts = [words, digest(lock.encode("utf-8")), digest(project.encode("utf-8"))]
    is_package = re.search(r"source = \{ editable = \"\.\"", lock)
    if is_package and "--no-install-project" not in flags:
        facts.append(project_facts(".", "--no-editable" not in flags))
    return facts + [file_facts(name, []) for name in ("uv.toml",) if os.path.exists(name)]


def uv_tables():
    """Returns the `tool.uv` tables of pyproject.toml, which uv reads for any install."""
    try:
        with open("pyproject.toml", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return re.findall(r"(?ms)^\[tool\.uv[^\n]*$.*?(?=^\[|\Z)", text)


def requirement_facts(word):
    """Returns a requirement as written, or digests of a file or directory."""
    if "://" in word or word.startswith("git+") or " @ " in word:
        raise UncertainInstall  # the content of a URL may change
    path = re.sub(r"\[[^\]]*\]$", "", word)
    if os.path.isdir(path) and (path.startswith(".") or "/" in path):
        return project_facts(word, False)
    if os.path.isfile(path):
        return [os.path.basename(path), file_digest(path)]
    if "/" in word:
        raise UncertainInstall
    return word


def file_facts(path, seen):
    """Returns facts about a requirements or constraints file and the files it includes."""
    path = os.path.abspath(path)
    if path in seen:
        return path
    with open(path, "rb") as file:
        data = file.read()
    facts = [digest(data)]
    if re.search(rb"\$\{[A-Z0-9_]+\}", data):
        raise UncertainInstall  # pip replaces variables by their values
    for line in data.decode("utf-8", "replace").splitlines():
        line = line.split(" #")[0].strip()
        include = re.match(r"(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S+)", line)
        if include:
            facts.append(file_facts(os.path.join(os.path.dirname(path), include.group(1)), seen + [path]))
        elif line.startswith(("-e", "--editable", ".", "git+")) or " @ " in line:
            raise UncertainInstall
        elif "/" in line.split(";")[0] and not line.startswith(("-", "#")):
            raise UncertainInstall  # a file, a directory or a URL
    return facts


def file_digest(path):
    with open(path, "rb") as file:
        return digest(file.read())

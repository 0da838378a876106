"""Local source trees that a command builds: projects that it installs from a directory, or packs.

Part of noxide's host program. Build backends write to the tree itself (`build/`, `*.egg-info`, `_skbuild`, `target/`,
a version file), so builds of one tree must not overlap.
Names from the other parts are used without import: see load.py.
"""

# Programs that build the project in the current directory, and the subcommands that do; None: all of them.
TREE_BUILDERS = {
    "setup.py": None, "maturin": ("build", "develop", "sdist", "publish", "pep517"), "hatchling": ("build",),
    "poetry": ("build", "install", "sync", "add", "update", "publish"), "pdm": ("build", "install", "sync", "add",
    "update", "publish"), "hatch": ("build", "publish"), "flit": ("build", "install", "publish"), "rye": ("build",
    "sync", "publish"), "pipenv": ("install", "sync"), "cibuildwheel": None, "whey": None, "setuptools_rust": None,
}
PIP_BUILDS = ("install", "wheel", "download")
UV_SYNCS = ("sync", "add", "remove")
PATH_DEPENDENCY = re.compile(r"""\bpath\s*=\s*["']([^"'\n]+)["']""")
FILE_URL = re.compile(r"""file:(?://)?/?(?:\$\{PROJECT_ROOT\}|\{root:uri\}|\{root\})/([^"'\s#;]+)""")
MEMBERS = re.compile(r"""(?ms)^members\s*=\s*\[(.*?)\]""")


class TreeBuild:
    """The trees that a command builds. Builds with the same `shared_by` may overlap; others must not."""

    def __init__(self, trees, shared_by=""):
        self.trees = trees
        self.shared_by = shared_by


def tree_build(call, cwd, variables):
    """Returns the `TreeBuild` of a program; None if it builds no local tree."""
    subcommand, rest = call.subcommand()
    if call.name in ("pip", "pip3") and subcommand in PIP_BUILDS:
        return as_build(requested_trees(rest, cwd)[0])
    if call.name == "uv":
        return uv_build(call, subcommand, rest, cwd, variables)
    if call.name in ("build", "pyproject-build"):
        directory = next((word for word in call.args if is_project(os.path.join(cwd, word))), cwd)
        return as_build([os.path.join(cwd, directory)])
    if call.name in TREE_BUILDERS:
        known = TREE_BUILDERS[call.name]
        if known is None or subcommand in known:
            return as_build([project_root(call.args, cwd)])
    return None


def uv_build(call, subcommand, rest, cwd, variables):
    """uv locks its own builds of a tree, editable ones apart from others, as long as they use one cache."""
    own_cache = uses_own_cache(call, variables)
    pip_subcommand, pip_args = call.uv_pip_subcommand()
    if pip_subcommand in ("install", "sync"):
        trees, editable = requested_trees(pip_args, cwd)
        kinds = set(bool(tree in editable) for tree in trees)
        shared_by = "uv, editable" if kinds == {True} else "uv" if kinds == {False} else ""
        return as_build(trees, "" if own_cache else shared_by)
    root = project_root(call.args, cwd)
    if subcommand == "build":
        given = next((word for word in rest if is_project(os.path.join(cwd, word))), None)
        return as_build([os.path.join(cwd, given) if given else root])
    if subcommand in UV_SYNCS and not has_option(call.args, "--no-sync", "--no-install-project"):
        shared_by = "" if own_cache or has_option(call.args, "--no-editable") else "uv, editable"
        return as_build([root] + workspace_members(root), shared_by)
    return None


def uses_own_cache(call, variables):
    """Whether a command of uv uses another cache than those of other sessions, which hold its locks."""
    chosen = variables.get("UV_CACHE_DIR")
    return bool(
        has_option(call.args, "--no-cache", "--no-cache-dir", "-n", "--cache-dir") or variables.get("UV_NO_CACHE")
        or chosen and chosen != os.environ.get("UV_CACHE_DIR"))


def as_build(trees, shared_by=""):
    trees = sorted(set(os.path.realpath(tree) for tree in with_path_dependencies(trees) if is_buildable(tree)))
    return TreeBuild(trees, shared_by) if trees else None


def is_project(path):
    return os.path.isdir(path) and any(os.path.isfile(os.path.join(path, name)) for name in ("pyproject.toml", "setup.py"))


def is_buildable(path):
    """Whether a directory is a project that is built: not one for tools or an application only."""
    if os.path.isfile(os.path.join(path, "setup.py")):
        return True
    text = read_text(os.path.join(path, "pyproject.toml"))
    return re.search(r"(?m)^\s*(?:\[\s*build-system\s*\]|build-system\s*=)", text) is not None or "[project]" in text


def read_text(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def project_root(args, cwd):
    """Returns the directory of the project that a tool works on: by its options, or above the current directory."""
    given = option_values(args, "--project", "--directory", "-C")
    start = os.path.join(cwd, given[-1]) if given and os.path.isdir(os.path.join(cwd, given[-1])) else cwd
    directory = start = os.path.abspath(start)
    while not os.path.isfile(os.path.join(directory, "pyproject.toml")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return start
        directory = parent
    return directory


def requested_trees(args, cwd):
    """Returns the local directories that arguments of `pip install` name, and the set of those that are editable."""
    trees, editable, index = [], set(), 0
    while index < len(args):
        word = args[index]
        value, is_editable = word, False
        if word in ("-e", "--editable", "-r", "--requirement", "--requirements") and index + 1 < len(args):
            index += 1
            value, is_editable = args[index], word in ("-e", "--editable")
        elif word.startswith(("--editable=", "-e")) and not word.startswith("--e") or word.startswith("--editable="):
            value, is_editable = word.partition("=")[2] if "=" in word else word[2:], True
        elif word.startswith(("--requirement=", "--requirements=")):
            word, value = "-r", word.partition("=")[2]
        elif word.startswith("-r") and len(word) > 2:
            word, value = "-r", word[2:]
        elif word.startswith("-"):
            index += 1
            continue
        if word in ("-r", "--requirement", "--requirements"):
            found, found_editable = trees_of_file(os.path.join(cwd, value), cwd, 0)
            trees += found
            editable |= found_editable
        else:
            path = local_directory(value, cwd)
            if path is not None:
                trees.append(path)
                if is_editable:
                    editable.add(path)
        index += 1
    return trees, editable


def trees_of_file(path, cwd, depth):
    """Returns the local directories that a requirements file names, and the set of those that are editable."""
    trees, editable = [], set()
    for line in read_text(path).replace("\\\n", " ").splitlines() if depth < 8 else []:
        words = line.split(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        include = re.match(r"(?:-r|--requirement)[ =]?(.*)", " ".join(words))
        if include:
            found, found_editable = trees_of_file(os.path.join(os.path.dirname(path), include.group(1)), cwd, depth + 1)
        else:
            found, found_editable = requested_trees(words[:2] if words[0].startswith("-") else [" ".join(words)], cwd)
        trees += found
        editable |= found_editable
    return trees, editable


def local_directory(requirement, cwd):
    """Returns the project directory that a requirement names; None for a package of an index."""
    text = requirement.strip().partition(" ; ")[0]
    if " @ " in text:
        text = text.partition(" @ ")[2]
    if text.startswith("file:"):
        text = re.sub(r"^file:(//(localhost)?(?=/))?", "", text).partition("#")[0]
    elif "://" in text or not text.startswith(".") and os.sep not in text:
        return None
    path = os.path.abspath(os.path.join(cwd, re.sub(r"\[[^\]]*\]$", "", text)))
    return path if is_project(path) else None


def with_path_dependencies(trees):
    """Returns the trees, and those that they depend on by a path."""
    found, pending = [], list(trees)
    while pending and len(found) < 200:
        tree = os.path.abspath(pending.pop())
        if tree in found:
            continue
        found.append(tree)
        text = read_text(os.path.join(tree, "pyproject.toml"))
        paths = PATH_DEPENDENCY.findall(text) + FILE_URL.findall(text)
        pending += [path for path in (os.path.join(tree, path) for path in paths) if is_project(path)]
    return found


def workspace_members(root):
    """Returns the members of a uv workspace; empty without one."""
    import glob

    text = read_text(os.path.join(root, "pyproject.toml")).partition("[tool.uv.workspace]")[2]
    members = MEMBERS.search(text)
    patterns = re.findall(r"""["']([^"']+)["']""", members.group(1)) if members else []
    return [path for pattern in patterns for path in glob.glob(os.path.join(glob.escape(root), pattern)) if is_project(path)]

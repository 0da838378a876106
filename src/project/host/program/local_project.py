"""Facts about a local project that is installed: what its build backend reads. Part of noxide's host program.

An install of a directory always builds it again. It may be skipped only if the build would read nothing new.
Names from the other parts are used without import: see load.py.
"""

# Build backends whose result depends only on the files, unless one of the settings below is used.
DETERMINISTIC_BACKENDS = ("hatchling.build", "setuptools.build_meta", "flit_core.buildapi", "poetry.core.masonry.api",
                          "pdm.backend", "uv_build")
DYNAMIC_SETTINGS = ("dynamic", "ext-modules", "ext_modules", "build.hooks", "hooks.", "force-include", "backend-path",
                    "cache-keys", "run-setup", "[tool.poetry.build", "shared-data", "version-file", "write_to", "attr:",
                    "cmdclass", "tool.flit.metadata", "dev-mode-exact", "config-settings", "editable_mode", "@ file:",
                    "{root")
# Requirements on other local projects, which the install would build too.
LOCAL_SOURCES = r"(?m)\{[^}\n]*\b(?:path|workspace)\s*=|^\s*\[tool\.(?:uv\.sources|poetry\.[\w.-]*dependencies)\.[^\n]*\]"
# Settings that choose files by patterns, in the tables of build backends.
FILE_PATTERNS = r"\b(?:includes?|only-include|artifacts|sources|data[-_]files)\b"
BACKEND_TABLES = r"(?ms)^\[\[?(?:tool\.(?:hatch|setuptools|poetry|pdm|flit|uv\.build-backend)|build|options)\b[^\n]*$.*?(?=^\[|\Z)"
CONFIGURATION_FILES = ("pyproject.toml", "setup.cfg", "hatch.toml")
BUILD_SCRIPTS = ("setup.py", "pdm_build.py")
# Files that backends read without being told to.
IMPLICIT_FILES = ("MANIFEST.in", ".gitignore", ".hgignore", "LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
# Directories of tools, which Git ignores and no build packs.
TOOL_DIRECTORIES = (".git", ".hg", ".svn", ".nox", ".tox", ".venv", "__pycache__", "node_modules", ".mypy_cache", ".pytest_cache",
                    ".ruff_cache", ".hypothesis", ".ipynb_checkpoints")
OUTPUT_DIRECTORIES = ("build", "dist", "site", "htmlcov")
# Names of directories at the top that are no packages unless settings say so (as in setuptools).
RESERVED_DIRECTORIES = (
    "ci", "bin", "debian", "doc", "docs", "documentation", "manpages", "news", "newsfragments", "changelog", "test",
    "tests", "unit_test", "unit_tests", "example", "examples", "scripts", "tools", "util", "utils", "python", "build",
    "dist", "venv", "env", "requirements", "tasks", "fabfile", "site_scons", "benchmark", "benchmarks", "exercise",
    "exercises", "htmlcov",
)
MAX_TREE_BYTES = 64 << 20


class LocalProject:
    """A project directory and what its configuration says about its build.

    Raises UncertainInstall if the build may depend on more than the project's files.
    """

    def __init__(self, root):
        self.root = root
        texts = []
        for name in CONFIGURATION_FILES:
            with contextlib.suppress(FileNotFoundError):
                with open(os.path.join(root, name), "rb") as file:
                    # Comments may contain names of settings.
                    texts.append(re.sub(r"(?m)#.*$", "", file.read().decode("utf-8")))
        self.configuration = "\n".join(texts)
        backend = re.search(r"(?m)^\s*build-backend\s*=\s*[\"']([^\"']+)[\"']", self.configuration)
        if not backend or backend.group(1) not in DETERMINISTIC_BACKENDS:
            raise UncertainInstall
        if any(word in self.configuration for word in DYNAMIC_SETTINGS):
            raise UncertainInstall
        if re.search(LOCAL_SOURCES, self.configuration):
            raise UncertainInstall
        if any(os.path.exists(os.path.join(root, name)) for name in BUILD_SCRIPTS):
            raise UncertainInstall
        is_setuptools = backend.group(1) == "setuptools.build_meta"
        self.finds_packages = bool(is_setuptools and re.search(r"\bfind\b|\bfind_namespace\b", self.configuration))
        searched = " ".join(re.findall(r"(?m)^\s*where\s*=\s*(\[[^\]]*\]|[^\n]*)$", self.configuration))
        self.searched = [path for path in re.findall(r"[\w./-]+", searched) if os.path.isdir(os.path.join(root, path))]

    def named_files(self):
        """Returns the files that the configuration names, or that backends read without being told to."""
        words = set(re.findall(r"[\"']([^\"'\n]+)[\"']", self.configuration))
        words |= set(word for word in re.split(r"[\s,:=]+", self.configuration) if re.match(r"[\w./-]+$", word))
        found = set(name for name in CONFIGURATION_FILES if os.path.isfile(os.path.join(self.root, name)))
        for word in words:
            path = os.path.normpath(word)
            for name in (path, path + ".py"):
                if not os.path.isabs(name) and os.path.isfile(os.path.join(self.root, name)):
                    found.add(name)
        import glob

        licenses = " ".join(re.findall(r"\blicense[-_]files?\s*=([^=]*)", self.configuration))
        for pattern in IMPLICIT_FILES + tuple(re.findall(r"[^\s\"',\[\]{}]*[*?][^\s\"',{}]*", licenses)):
            for path in glob.glob(os.path.join(glob.escape(self.root), pattern), recursive=True):
                if os.path.isfile(path):
                    found.add(os.path.relpath(path, self.root))
        return found

    def package_directories(self):
        """Returns the directories in which a backend may look for packages, and whether they have an `__init__.py`.

        All of them if setuptools searches a tree, else those at the top and the ones in them.
        """
        found = []
        for start in self.searched if self.finds_packages and self.searched else ["."]:
            start = os.path.normpath(os.path.join(self.root, start))
            for directory, directories, _ in os.walk(start):
                is_top = directory == self.root
                directories[:] = sorted(name for name in directories if self.may_be_package(name, is_top))
                for name in directories:
                    path = os.path.join(directory, name)
                    found.append([os.path.relpath(path, self.root), os.path.exists(os.path.join(path, "__init__.py"))])
                directories[:] = [name for name in directories if self.finds_packages or is_top]
                directories[:] = [name for name in directories if not is_output_directory(os.path.join(directory, name), is_top)]
        return found

    def may_be_package(self, name, is_top):
        reserved = OUTPUT_DIRECTORIES if self.finds_packages else RESERVED_DIRECTORIES
        is_package = (name.isidentifier() and name != "__pycache__") or name.endswith("-stubs")
        return is_package and not (is_top and name in reserved)

    def modules(self, directories):
        """Returns the modules at the top and in `src` that a backend may find, and not those beside packages."""
        project_name = re.search(r"(?m)^\s*name\s*=\s*[\"']?([\w.-]+)", self.configuration)
        found = []
        for directory in ("", "src"):
            has_packages = directory == "" and bool(directories)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for name in sorted(os.listdir(os.path.join(self.root, directory))):
                    stem, extension = os.path.splitext(name)
                    is_own = project_name and stem.lower() == re.sub(r"[-.]+", "_", project_name.group(1)).lower()
                    if extension == ".py" and (is_own or not has_packages):
                        found.append(os.path.join(directory, name))
        return found

    def chooses_files(self):
        """Whether the configuration chooses files by patterns, so that any file may be part of the build."""
        # Poetry's list of packages, and setuptools' search for them, choose directories.
        tables = re.findall(BACKEND_TABLES, re.sub(r"(?ms)^packages\s*=\s*\[.*?\]", "", self.configuration))
        return any(re.search(FILE_PATTERNS, table) for table in tables
                   if not table.startswith(("[tool.setuptools.packages", "[options.packages")))


def project_facts(word, editable):
    """Returns facts about a project directory: its metadata and packages, and all its sources unless it is editable."""
    path = re.sub(r"\[[^\]]*\]$", "", word)
    if "://" in path or not os.path.isdir(path):
        raise UncertainInstall
    extras = word[len(path) :]
    project = LocalProject(os.path.abspath(path))
    directories = project.package_directories()
    modules = project.modules(directories)
    named = project.named_files()
    if editable:
        # Its modules are imported from where they are; which there are may be part of the install.
        files = [[name, file_digest(os.path.join(project.root, name))] for name in sorted(named)
                 if not name.endswith(".py")]
        return [project.root, extras, files, directories, modules]
    top_files = None if project.chooses_files() else named | set(modules)
    # Hidden paths at the top are part of the build only if the configuration names them.
    hidden = set(re.findall(r"(?<![\w.])\.[\w-][\w.-]*", project.configuration))
    return [extras, directories, tree_facts(project.root, top_files, hidden)]


def tree_facts(root, top_files, hidden=()):
    """Returns facts about all files of a project that may be part of its build; of those at the top, only `top_files`
    unless it is None."""
    facts, size = [], 0
    for directory, directories, files in os.walk(root):
        is_top = directory == root
        directories[:] = sorted(name for name in directories
                                if (is_top and name in hidden and name not in TOOL_DIRECTORIES)
                                or not is_output_directory(os.path.join(directory, name), is_top))
        for name in directories:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                if not os.path.realpath(path).startswith(os.path.realpath(root) + os.sep):
                    raise UncertainInstall  # what is behind it may be part of the build
                facts.append([os.path.relpath(path, root), os.readlink(path)])
        for name in sorted(files):
            path = os.path.join(directory, name)
            is_hidden = name.startswith(".") and name != ".gitignore" and name not in hidden
            if is_top and (is_hidden or name == "uv.lock"):
                continue
            if not os.path.isfile(path):
                if is_top:
                    continue
                raise UncertainInstall  # a dangling link, a pipe
            if is_top and top_files is not None and name not in top_files and name not in hidden:
                continue
            size += os.path.getsize(path)
            if size > MAX_TREE_BYTES:
                raise UncertainInstall
            facts.append([os.path.relpath(path, root), os.stat(path).st_mode & 0o111, file_digest(path)])
    return facts


def is_output_directory(path, top):
    """Whether a directory contains build results and not sources."""
    name = os.path.basename(path)
    if name in TOOL_DIRECTORIES or name.endswith(".egg-info"):
        return True
    # Packages contain directories of any other name.
    if top and name.startswith("."):
        return True
    has = lambda file: os.path.exists(os.path.join(path, file))  # noqa: E731
    return has("pyvenv.cfg") or (top and name in OUTPUT_DIRECTORIES and not has("__init__.py"))

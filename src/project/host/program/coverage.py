"""Reads from a session's source, without running it, what it does with coverage data and whom it notifies.

Part of noxide's host program.
"""

import _imp
import ast

REPORTS = ("combine", "report", "xml", "html", "json", "lcov", "annotate")
RUNNERS = ("uv", "uvx", "poetry", "pdm", "hatch", "pipenv", "rye")
TREES = {}
ASSIGNED = {}
USES = {}
CONFIGURED = []


class Use:
    """What one session's source shows."""

    def __init__(self):
        self.writes = False
        self.parallel = False
        self.reads = False
        self.combines = False
        self.pytest = False
        self.file = None
        self.file_varies = False
        self.notifies = []
        self.source = None
        self.installs = []


def source_use(function):
    """What the source of a session shows; nothing where it cannot be read."""
    try:
        code = code_of(function)
        if code not in USES:
            USES[code] = use = Use()
            if code is not None and os.path.isfile(code.co_filename):
                read_function(code.co_filename, code.co_firstlineno, use)
        return USES[code]
    except Exception:  # source of any kind, down to none
        return Use()


def coverage_facts(use):
    """`CoverageUse` of a session: unknown means neither reads nor writes."""
    if not (use.writes or use.reads or use.pytest):
        return {"writes": None, "own_file": False, "reads": False}
    configured = coverage_configuration()
    if use.pytest and configured["addopts"]:
        use.writes = True
    data = os.environ.get("COVERAGE_FILE") or configured["data_file"]
    own = use.parallel or (configured["parallel"] and use.writes and not use.pytest)
    if use.combines and use.writes:
        own = False  # it gathers what others wrote beside it
    if use.file_varies:
        own = True
    elif use.file:
        data, own = use.file, own and use.parallel
    return {
        "writes": data if use.writes else None,
        "own_file": bool(use.writes and own),
        "reads": use.reads and not use.writes,
    }


def code_of(function):
    """The code of the function a person wrote, below nox's and other decorators."""
    for _ in range(50):
        inner = getattr(function, "func", None) or getattr(function, "__wrapped__", None)
        if inner is None:
            inner = next((cell.cell_contents for cell in getattr(function, "__closure__", None) or ()
                          if callable(cell.cell_contents) and in_project(cell.cell_contents)
                          and not in_project(function)), None)
        if inner is None:
            break
        function = inner
    return getattr(function, "__code__", None)


def in_project(function):
    code = getattr(function, "__code__", None)
    return code is not None and os.path.abspath(code.co_filename).startswith(os.getcwd() + os.sep) and (
        "site-packages" not in code.co_filename)


def read_function(path, line, use):
    """Looks at the function at `line` and at the functions of the file that it calls."""
    if path not in TREES:
        with open(path, "rb") as file:
            text = file.read()
        tree = ast.parse(text)
        values = {target.id: node for node in tree.body if isinstance(node, ast.Assign)
                  for target in node.targets if isinstance(target, ast.Name)}
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        begins = {}
        for node in ast.walk(tree):
            for begin in [node] + node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                begins.setdefault(begin.lineno, node)
        TREES[path] = tree, functions, values, begins, text.splitlines(True)
    tree, functions, values, begins, lines = TREES[path]
    waiting = [begins[line]] if line in begins else []
    seen, named = set(), set()
    source = []
    while waiting:
        node = waiting.pop()
        if node.name in seen:
            continue
        seen.add(node.name)
        source.append(text_at(node, lines))
        for call in ast.walk(node):
            if isinstance(call, ast.Name):
                named.add(call.id)
            if isinstance(call, ast.Call):
                look_at_call(call, node, tree, use)
                if isinstance(call.func, ast.Name) and call.func.id in functions:
                    waiting.append(functions[call.func.id])
            elif isinstance(call, ast.Assign) and isinstance(call.targets[0], ast.Subscript):
                index = call.targets[0].slice
                if text_of(getattr(index, "value", index)) == "COVERAGE_FILE" or text_of(index) == "COVERAGE_FILE":
                    take_file(call.value, use)
            elif isinstance(call, ast.Dict):
                for key, value in zip(call.keys, call.values):
                    if key is not None and text_of(key) == "COVERAGE_FILE":
                        take_file(value, use)
    source.extend(text_at(values[name], lines) for name in sorted(named) if name in values)
    use.source = _imp.source_hash(0, b"".join(source)).hex()


def text_at(node, lines):
    """The source of a statement with its decorators; all of the file where this Python does not say where it ends."""
    first = min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", [])])
    return b"".join(lines[first - 1 : getattr(node, "end_lineno", None)])


def take_file(value, use):
    if text_of(value) is None:
        use.file_varies = True
    else:
        use.file = text_of(value)


def look_at_call(call, function, tree, use):
    """One call: `session.run("coverage", …)`, pytest with `--cov`, a glob over data files."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    words = [word for argument in call.args for word in words_of(argument, function, tree, 0)]
    if name == "notify":
        targets = call.args[:1] or [keyword.value for keyword in call.keywords if keyword.arg == "target"]
        named = [word for target in targets for word in words_of(target, function, tree, 0)]
        use.notifies += [word for word in named if "*" not in word and word not in use.notifies]
        return
    if name in ("install", "run_install", "run_always") or (name == "run" and words[:1] == ["uv"]):
        written = [words_of(argument, function, tree, 0) or ["*"] for argument in call.args]
        begin = ["uv", "pip", "install"] if name == "install" else []
        use.installs.append(begin + [word for words in written for word in words])
    if name in ("glob", "rglob", "iglob"):
        if any(word.rsplit("/", 1)[-1].startswith(".coverage") and "*" in word for word in words):
            use.reads = True
        return
    if not name.startswith(("run", "_run", "install_and_run_script")) or not words:
        return
    programs = [word.rsplit("/", 1)[-1] for word in words]
    at = next((i for i, word in enumerate(programs) if word in ("coverage", "pytest", "py.test")
               and (i == 0 or programs[i - 1] == "-m" or programs[0] in RUNNERS and "run" in programs[1:i])), None)
    if at is None:
        return
    rest = words[at + 1 :]
    if programs[at] == "coverage":
        command = next((word for word in rest if not word.startswith("-")), None)
        if command == "run":
            use.writes = True
            own = rest[: next((i for i, w in enumerate(rest) if w == "-m" or w.endswith(".py")), len(rest))]
            use.parallel = use.parallel or any(w in ("-p", "--parallel-mode", "--parallel") for w in own)
            for i, word in enumerate(own):
                if word.startswith("--data-file"):
                    value = word[12:] if "=" in word else (own + [""])[i + 1]
                    use.file_varies, use.file = "*" in value or not value, value
        elif command in REPORTS:
            use.reads = True
            use.combines = use.combines or command == "combine"
    elif "--no-cov" not in rest:
        use.pytest = True
        if any(word == "--cov" or word.startswith("--cov=") for word in rest):
            use.writes = True


def words_of(node, function, tree, depth):
    """The string constants an argument may hold; a `*` stands for what is not constant in an f-string."""
    if depth > 8:
        return []
    text = text_of(node)
    if text is not None:
        return [text]
    if isinstance(node, ast.JoinedStr):
        return ["".join(text_of(value) or "*" for value in node.values)]
    deeper = []
    if isinstance(node, (ast.List, ast.Tuple)):
        deeper = node.elts
    elif isinstance(node, ast.Starred):
        deeper = [node.value]
    elif isinstance(node, ast.BinOp):
        deeper = [node.left, node.right]
    elif isinstance(node, ast.BoolOp):
        deeper = node.values
    elif isinstance(node, ast.IfExp):
        deeper = [node.body, node.orelse]
    elif isinstance(node, ast.Name):
        deeper = assigned(function).get(node.id) or assigned(tree).get(node.id, [])
    return [word for part in deeper for word in words_of(part, function, tree, depth + 1)]


def assigned(scope):
    """Values given to each name in a function or module, in the order of the file; looked for once a scope."""
    if scope not in ASSIGNED:
        ASSIGNED[scope] = given = {}
        for node in ast.walk(scope):
            targets, values = [], []
            if isinstance(node, ast.Assign):
                targets, values = node.targets, [node.value]
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
                targets, values = [node.target], [node.value] if node.value is not None else []
            elif isinstance(node, (ast.For, ast.comprehension)):
                targets, values = [node.target], [node.iter]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("append", "extend", "insert"):
                targets, values = [getattr(node.func, "value", None)], node.args
            for name in set(getattr(target, "id", None) for target in targets):
                given.setdefault(name, []).extend(values)
        for values in given.values():
            values.sort(key=lambda value: (value.lineno, value.col_offset))
    return ASSIGNED[scope]


def text_of(node):
    value = getattr(node, "value", None) if type(node).__name__ == "Constant" else getattr(node, "s", None)
    return value if isinstance(value, str) else None


def coverage_configuration():
    """What the project's files set for coverage.py: parallel mode, data file, `--cov` in pytest's addopts."""
    if not CONFIGURED:
        pyproject = read_toml("pyproject.toml")
        run = first_section()
        if run is None:
            run = pyproject.get("tool", {}).get("coverage", {}).get("run", {})
        ini = pyproject.get("tool", {}).get("pytest", {}).get("ini_options", {}).get("addopts", "")
        addopts = [ini if isinstance(ini, str) else " ".join(map(str, ini))]
        for path, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
            addopts.append((read_ini(path, section) or {}).get("addopts", ""))
        CONFIGURED.append({
            "parallel": str(run.get("parallel", "")).strip().lower() in ("true", "1", "yes", "on"),
            "data_file": str(run.get("data_file", "") or ".coverage").strip(),
            "addopts": any(re.search(r"(^|\s)--cov(=|\s|$)", text) for text in addopts),
        })
    return CONFIGURED[0]


def first_section():
    """The first of coverage's own files that has a section for it, as coverage.py looks."""
    for path, section in ((".coveragerc", "run"), ("setup.cfg", "coverage:run"), ("tox.ini", "coverage:run")):
        found = read_ini(path, section)
        if found is not None:
            return found
    return None


def read_ini(path, section):
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeError, configparser.Error):
        return None
    return dict(parser.items(section)) if parser.has_section(section) else None


def read_toml(path):
    """A TOML file; where Python has no parser, the plain `key = value` lines of the two tables that matter."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeError):
        return {}
    for module in ("tomllib", "tomli", "pip._vendor.tomli"):
        try:
            return __import__(module, fromlist=["loads"]).loads(text)
        except ImportError:
            continue
        except Exception:  # a broken pyproject.toml is for others to report
            return {}
    found = {}
    for table, body in re.findall(r"(?ms)^\[([^\[\]\n]+)\]\s*$(.*?)(?=^\[|\Z)", text):
        if table in ("tool.coverage.run", "tool.pytest.ini_options"):
            into = found
            for part in table.split("."):
                into = into.setdefault(part, {})
            into.update((key, value.strip("\"'")) for key, value in re.findall(r"(?m)^(\w+)\s*=\s*(.+?)\s*$", body))
    return found

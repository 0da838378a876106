"""Static analysis of a session's source: its use of coverage data, `session.notify` and installs.

Part of noxide's host program. Names from the other parts are used without import: see load.py.
"""

import _imp
import ast

REPORTS = ("combine", "report", "xml", "html", "json", "lcov", "annotate")
RUNNERS = ("uv", "uvx", "poetry", "pdm", "hatch", "pipenv", "rye")
PARSED_FILES = {}
ASSIGNED = {}
ANALYSES = {}
CONFIGURATION = []


class SourceAnalysis:
    """Results of the analysis of one session."""

    def __init__(self):
        self.writes = False
        self.reads = False
        self.pytest = False
        self.file = None
        self.file_varies = False
        # Whether code other than a command names data files.
        self.names_data_file = False
        self.notifies = []
        self.source = None
        self.installs = []
        self.shared_variables = SharedVariableUse()


def analyze_source(function):
    """Analyzes the source of a session; empty if it cannot be read."""
    try:
        code = unwrapped_code(function)
        if code not in ANALYSES:
            ANALYSES[code] = analysis = SourceAnalysis()
            if code is not None and os.path.isfile(code.co_filename):
                read_function(code.co_filename, code.co_firstlineno, analysis)
        return ANALYSES[code]
    except Exception:  # the source may be missing or invalid in any way
        return SourceAnalysis()


def coverage_facts(analysis):
    """Returns the `CoverageUse` of a session; if unknown, it neither reads nor writes."""
    if not (analysis.writes or analysis.reads or analysis.pytest):
        return {"writes": None, "reads": False}
    configured = coverage_configuration()
    if analysis.pytest and configured["addopts"]:
        analysis.writes = True
    data = os.environ.get("COVERAGE_FILE") or configured["data_file"]
    if analysis.file and not analysis.file_varies:
        data = analysis.file
    return {"writes": data if analysis.writes else None, "reads": analysis.reads and not analysis.writes}


def unwrapped_code(function):
    """Returns the code of the function in the noxfile, without decorators of nox and other packages."""
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


def read_function(path, line, analysis):
    """Analyzes the function at `line` and the functions of the file that it calls."""
    if path not in PARSED_FILES:
        with open(path, "rb") as file:
            text = file.read()
        tree = ast.parse(text)
        values = {target.id: node for node in tree.body if isinstance(node, ast.Assign)
                  for target in node.targets if isinstance(target, ast.Name)}
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        first_lines = {}
        for node in ast.walk(tree):
            for begin in [node] + node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                first_lines.setdefault(begin.lineno, node)
        PARSED_FILES[path] = tree, functions, values, first_lines, text.splitlines(True)
    tree, functions, values, first_lines, lines = PARSED_FILES[path]
    pending = [first_lines[line]] if line in first_lines else []
    seen, used_names = set(), set()
    source = []
    while pending:
        node = pending.pop()
        if node.name in seen:
            continue
        seen.add(node.name)
        analysis.shared_variables.add_function(node, tree, variable_prefix(path))
        source.append(statement_source(node, lines))
        analysis.names_data_file = analysis.names_data_file or names_data_file(node)
        for call in ast.walk(node):
            if isinstance(call, ast.Name):
                used_names.add(call.id)
            if isinstance(call, ast.Call):
                analyze_call(call, node, tree, analysis)
                if isinstance(call.func, ast.Name) and call.func.id in functions:
                    pending.append(functions[call.func.id])
            elif isinstance(call, ast.Assign) and isinstance(call.targets[0], ast.Subscript):
                index = call.targets[0].slice
                if "COVERAGE_FILE" in (constant_string(getattr(index, "value", index)), constant_string(index)):
                    set_data_file(call.value, analysis)
            elif isinstance(call, ast.Dict):
                for key, value in zip(call.keys, call.values):
                    if key is not None and constant_string(key) == "COVERAGE_FILE":
                        set_data_file(value, analysis)
    source.extend(statement_source(values[name], lines) for name in sorted(used_names) if name in values)
    analysis.source = _imp.source_hash(0, b"".join(source)).hex()


def variable_prefix(path):
    """Returns what names of a module's variables begin with: nothing in the noxfile, as `noxide graph` shows them."""
    module = sys.modules.get(NOXFILE_MODULE)
    name = os.path.splitext(os.path.basename(path))[0]
    return "" if os.path.abspath(path) == os.path.abspath(getattr(module, "__file__", path)) else name + "."


def names_data_file(node):
    """Whether code names a coverage data file, except in commands and as the value of COVERAGE_FILE."""
    if isinstance(node, ast.Call):
        if getattr(node.func, "attr", getattr(node.func, "id", "")).startswith(("run", "_run", "notify", "log")):
            return False
    elif isinstance(node, ast.Dict):
        pairs = [value for key, value in zip(node.keys, node.values)
                 if key is None or constant_string(key) != "COVERAGE_FILE"]
        return any(names_data_file(value) for value in pairs)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        index = node.targets[0].slice
        if "COVERAGE_FILE" in (constant_string(getattr(index, "value", index)), constant_string(index)):
            return False
    text = constant_string(node)
    if text is not None:
        return re.search(r"(^|/)\.coverage(\.|$)", text) is not None
    return any(names_data_file(child) for child in ast.iter_child_nodes(node))


def statement_source(node, lines):
    """Returns the source of a statement with its decorators; up to the end of the file if Python has no end positions."""
    first = min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", [])])
    return b"".join(lines[first - 1 : getattr(node, "end_lineno", None)])


def set_data_file(value, analysis):
    if constant_string(value) is None:
        analysis.file_varies = True
    else:
        analysis.file = constant_string(value)


def analyze_call(call, function, tree, analysis):
    """Analyzes one call: `session.run("coverage", …)`, pytest with `--cov`, a glob over data files."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    words = [word for argument in call.args for word in constant_strings(argument, function, tree, 0)]
    if name == "notify":
        targets = call.args[:1] or [keyword.value for keyword in call.keywords if keyword.arg == "target"]
        names = [word for target in targets for word in constant_strings(target, function, tree, 0)]
        analysis.notifies += [word for word in names if "*" not in word and word not in analysis.notifies]
        return
    if name in ("install", "run_install", "run_always") or (name == "run" and words[:1] == ["uv"]):
        written = [constant_strings(argument, function, tree, 0) or ["*"] for argument in call.args]
        prefix = ["uv", "pip", "install"] if name == "install" else []
        analysis.installs.append(prefix + [word for words in written for word in words])
    if name in ("glob", "rglob", "iglob"):
        if any(word.rsplit("/", 1)[-1].startswith(".coverage") and "*" in word for word in words):
            analysis.reads = True
        return
    if not name.startswith(("run", "_run", "install_and_run_script")) or not words:
        return
    programs = [word.rsplit("/", 1)[-1] for word in words]
    position = next((i for i, word in enumerate(programs) if word in ("coverage", "pytest", "py.test")
               and (i == 0 or programs[i - 1] == "-m" or programs[0] in RUNNERS and "run" in programs[1:i])), None)
    if position is None:
        return
    rest = words[position + 1 :]
    if programs[position] == "coverage":
        command = next((word for word in rest if not word.startswith("-")), None)
        if command == "run":
            analysis.writes = True
            own = rest[: next((i for i, w in enumerate(rest) if w == "-m" or w.endswith(".py")), len(rest))]
            for i, word in enumerate(own):
                if word.startswith("--data-file"):
                    value = word[12:] if "=" in word else (own + [""])[i + 1]
                    analysis.file_varies, analysis.file = "*" in value or not value, value
        elif command in REPORTS:
            analysis.reads = True
    elif "--no-cov" not in rest:
        analysis.pytest = True
        if any(word == "--cov" or word.startswith("--cov=") for word in rest):
            analysis.writes = True


def constant_strings(node, function, tree, depth):
    """Returns the string constants that an argument may have; `*` stands for the other parts of an f-string."""
    if depth > 8:
        return []
    text = constant_string(node)
    if text is not None:
        return [text]
    if isinstance(node, ast.JoinedStr):
        return ["".join(constant_string(value) or "*" for value in node.values)]
    parts = []
    if isinstance(node, (ast.List, ast.Tuple)):
        parts = node.elts
    elif isinstance(node, ast.Starred):
        parts = [node.value]
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.Name):
        parts = assigned_values(function).get(node.id) or assigned_values(tree).get(node.id, [])
    return [word for part in parts for word in constant_strings(part, function, tree, depth + 1)]


def assigned_values(scope):
    """Returns the values assigned to each name in a function or module, in source order; computed once for each scope."""
    if scope not in ASSIGNED:
        ASSIGNED[scope] = values_by_name = {}
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
                values_by_name.setdefault(name, []).extend(values)
        for values in values_by_name.values():
            values.sort(key=lambda value: (value.lineno, value.col_offset))
    return ASSIGNED[scope]


def constant_string(node):
    value = getattr(node, "value", None) if type(node).__name__ == "Constant" else getattr(node, "s", None)
    return value if isinstance(value, str) else None


def coverage_configuration():
    """Returns the configuration of coverage.py in the project: data file, `--cov` in pytest's addopts."""
    if not CONFIGURATION:
        pyproject = read_toml("pyproject.toml")
        run = first_section()
        if run is None:
            run = pyproject.get("tool", {}).get("coverage", {}).get("run", {})
        ini = pyproject.get("tool", {}).get("pytest", {}).get("ini_options", {}).get("addopts", "")
        addopts = [ini if isinstance(ini, str) else " ".join(map(str, ini))]
        for path, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
            addopts.append((read_ini(path, section) or {}).get("addopts", ""))
        CONFIGURATION.append({
            "data_file": str(run.get("data_file", "") or ".coverage").strip(),
            "addopts": any(re.search(r"(^|\s)--cov(=|\s|$)", text) for text in addopts),
        })
    return CONFIGURATION[0]


def first_section():
    """Returns the first configuration section, in the search order of coverage.py."""
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
    """Reads a TOML file; if Python has no parser, only `key = value` lines of the two relevant tables."""
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
        except Exception:  # an invalid pyproject.toml is reported by other tools
            return {}
    found = {}
    for table, body in re.findall(r"(?ms)^\[([^\[\]\n]+)\]\s*$(.*?)(?=^\[|\Z)", text):
        if table in ("tool.coverage.run", "tool.pytest.ini_options"):
            target = found
            for part in table.split("."):
                target = target.setdefault(part, {})
            target.update((key, value.strip("\"'")) for key, value in re.findall(r"(?m)^(\w+)\s*=\s*(.+?)\s*$", body))
    return found

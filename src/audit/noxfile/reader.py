"""Noxfile reader: prints a noxfile's sessions, installs, commands and options as one JSON document, without running it."""

import ast
import json
import sys
from collections import Counter

# Following functions that call each other many times takes exponential time.
MAX_CPU_SECONDS = 5
MAX_MEMORY = 2 << 30
try:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
except (ImportError, ValueError, OSError):
    pass

SOURCE = sys.stdin.buffer.read()
TREE = ast.parse(SOURCE)
CONSTANTS = {}
LISTS = set()
FUNCTIONS = {}
EXPRESSIONS = {}
VALUES = {}


def node_range(node):
    return [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]


def literal_text(node):
    """Return the text of a literal; a constant is resolved by name, any other expression becomes `<its source>`."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.Starred):
        return "*" + ast.unparse(node.value)
    return "<" + ast.unparse(node) + ">"


def dotted_name(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return dotted_name(node.value) + "." + node.attr
    return ""


def find_keyword(call, *names):
    for entry in call.keywords:
        if entry.arg in names:
            return entry.value
    return None


def literal_list(node):
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [literal_text(item) for item in node.elts]
    return [literal_text(node)] if isinstance(node, ast.Constant) else []


def find_calls(body):
    """Return the calls of a function body in source order."""
    calls = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda node: (node.lineno, node.col_offset))


READING_NODES = (ast.Starred, ast.BinOp, ast.Compare, ast.For, ast.comprehension)


def changed_names(tree):
    """Return the names that are bound more than once, and the lists that something else may change."""
    bound, loads, read = [], [], set()
    for node in ast.walk(tree):
        if isinstance(node, READING_NODES):
            read.update(id(child) for child in ast.iter_child_nodes(node))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loads.append(node)
        elif isinstance(node, ast.Name):
            bound.append(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.append(node.name)
        elif isinstance(node, ast.arg):
            bound.append(node.arg)
        elif isinstance(node, ast.alias):
            bound.append((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            bound.extend(node.names * 2)
    # A method, an item, another name or a called function may change a list.
    return {name for name, count in Counter(bound).items() if count > 1}, {node.id for node in loads if id(node) not in read}


def literal_items(node, values):
    """Return the texts of a literal and whether it is one text rather than a list; None if any of it is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value], True
    if isinstance(node, ast.Name):
        return values.get(node.id)
    if not isinstance(node, (ast.List, ast.Tuple)):
        return None
    items = []
    for item in node.elts:
        is_unpacked = isinstance(item, ast.Starred)
        known = literal_items(item.value if is_unpacked else item, values)
        if known is None or known[1] == is_unpacked:
            return None
        items += known[0]
    return items, False


def literal_values(tree, outer):
    """Return the literal lists and texts that a module or function assigns once, at its top level, and never changes."""
    values = dict(outer)
    rebound, passed = changed_names(tree)
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        if value is None or len(targets) != 1 or not isinstance(targets[0], ast.Name) or targets[0].id in rebound:
            continue
        known = literal_items(value, values)
        is_alias = isinstance(value, ast.Name) and known is not None and not known[1]
        if known is not None and not is_alias and not (isinstance(value, ast.List) and targets[0].id in passed):
            values[targets[0].id] = known
    return values


def argument_texts(argument, values):
    """Return the texts of an argument: those of a variable or an unpacked list, where it is known."""
    is_unpacked = isinstance(argument, ast.Starred)
    items, is_text = literal_items(argument.value if is_unpacked else argument, values) or ([], None)
    return items if items and is_unpacked != is_text else [literal_text(argument)]


def session_calls(function, parameter, seen):
    """Yield the session methods that a function calls; follow functions of the noxfile that receive the session."""
    values = literal_values(function, VALUES)
    for call in find_calls(function.body):
        name = dotted_name(call.func)
        if name.startswith(parameter + "."):
            yield {
                "method": name[len(parameter) + 1 :],
                "args": [text for argument in call.args for text in argument_texts(argument, values)],
                "success_codes": [literal_text(code) for code in getattr(find_keyword(call, "success_codes"), "elts", [])],
            }
        elif name in FUNCTIONS and name not in seen:
            passed = [index for index, value in enumerate(call.args) if dotted_name(value) == parameter]
            parameters = [argument.arg for argument in FUNCTIONS[name].args.args]
            if passed and passed[0] < len(parameters):
                yield {"method": "call", "args": [name], "success_codes": []}
                yield from session_calls(FUNCTIONS[name], parameters[passed[0]], seen | {name})
        elif name not in FUNCTIONS and any(
            dotted_name(value) == parameter for value in [*call.args, *(entry.value for entry in call.keywords)]
        ):
            yield {"method": "unknown_call", "args": [name], "success_codes": []}


QUIET_METHODS = ("log", "debug", "warn", "error", "skip")


def foreign_calls(function, parameter, seen):
    """Yield the names of called functions that are neither session methods nor receive the session."""
    for call in find_calls(function.body):
        name = dotted_name(call.func)
        if name.startswith(parameter + "."):
            continue
        passed = [index for index, value in enumerate(call.args) if dotted_name(value) == parameter]
        if name not in FUNCTIONS or not passed:
            yield name
        elif name not in seen and passed[0] < len(FUNCTIONS[name].args.args):
            yield from foreign_calls(FUNCTIONS[name], FUNCTIONS[name].args.args[passed[0]].arg, seen | {name})


def is_straight_line(function, parameter):
    """Return whether no session method that installs, runs or changes something is in a compound statement."""
    for statement in function.body:
        if not isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Pass, ast.Return)):
            for call in find_calls([statement]):
                name = dotted_name(call.func)
                method = name[len(parameter) + 1 :] if name.startswith(parameter + ".") else ""
                receives = any(dotted_name(value) == parameter for value in call.args)
                if receives or (method and method not in QUIET_METHODS):
                    return False
    return True


def session_decorators(function):
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if dotted_name(call.func if call else decorator) in ("nox.session", "session", "nox_uv.session"):
            yield decorator, call


def describe_statement(node, parameter, values):
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    name = dotted_name(call.func) if call else ""
    is_method = name.startswith(parameter + ".")
    passes_session = call is not None and any(dotted_name(argument) == parameter for argument in call.args)
    known = values if is_method else {}
    arguments = [(argument, argument_texts(argument, known)) for argument in call.args] if call else []
    has_substituted_args = any(texts != [literal_text(argument)] for argument, texts in arguments)
    text = ast.unparse(node)
    if has_substituted_args:
        words = [
            [argument] if texts == [literal_text(argument)] else [ast.Constant(text) for text in texts]
            for argument, texts in arguments
        ]
        text = ast.unparse(ast.Call(call.func, [word for group in words for word in group], call.keywords))
    return {
        "range": node_range(node),
        "text": text,
        "has_substituted_args": has_substituted_args,
        "method": name[len(parameter) + 1 :] if is_method else "call" if passes_session else "",
        "args": [[word, node_range(argument)] for argument, texts in arguments for word in texts],
        "keywords": [[entry.arg or "", node_range(entry)] for entry in call.keywords] if call else [],
    }


def literal_interpreters(python):
    """Return the texts of `python`, also where it is a list that is assigned once and of which no method is called."""
    if isinstance(python, ast.Name):
        name = python.id
        bound = [node for node in ast.walk(TREE) if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)]
        parts = [node for node in ast.walk(TREE) if isinstance(node, (ast.Attribute, ast.Subscript)) and dotted_name(node.value) == name]
        python = EXPRESSIONS.get(name) if len(bound) == 1 and not parts else None
    return (literal_items(python, VALUES) or ([], None))[0]


def describe_session(function, decorator, call):
    value = (lambda *names: find_keyword(call, *names)) if call else (lambda *names: None)
    parameter = function.args.args[0].arg if function.args.args else "session"
    values = literal_values(function, VALUES)
    name, reuse, backend, default = value("name"), value("reuse_venv"), value("venv_backend"), value("default")
    tags, requires, python = value("tags"), value("requires"), value("python")
    return {
        "name": literal_text(name) if name is not None else function.name,
        "range": node_range(decorator),
        "body_lines": [function.lineno, function.end_lineno],
        "reuse_venv": isinstance(reuse, ast.Constant) and reuse.value is True,
        "venv_backend": literal_text(backend) if backend is not None else None,
        "default": not (isinstance(default, ast.Constant) and default.value is False),
        "tags": literal_list(tags) if tags is not None else [],
        "requires": literal_list(requires) if requires is not None else [],
        "uses_posargs": any(isinstance(node, ast.Attribute) and node.attr == "posargs" for node in ast.walk(function)),
        "calls": list(session_calls(function, parameter, {function.name})),
        "session_parameter": parameter,
        "is_parametrized": len(function.decorator_list) > 1
        or isinstance(python, (ast.List, ast.Tuple, ast.Set, ast.ListComp))
        or dotted_name(python or ast.Pass()) in LISTS,
        "python": ast.unparse(python) if python is not None else "",
        "interpreters": literal_interpreters(python),
        "is_straight_line": is_straight_line(function, parameter),
        "coverage_thresholds": list(literal_thresholds(function)),
        "worker_counts": list(worker_counts(function, {function.name})),
        "foreign_calls": sorted(set(foreign_calls(function, parameter, {function.name}))),
        "statements": [describe_statement(node, parameter, values) for node in function.body],
    }


RUNNING_CALLS = ("exec", "eval", "import_module", "exec_module", "__import__", "run_path", "run_module")


def may_define_other_sessions():
    """Return whether sessions are defined in ways that are not read: in loops, by calls, or by code from other files."""
    read = {id(decorator) for function in FUNCTIONS.values() for decorator, call in session_decorators(function)}
    decorators = set()
    for node in ast.walk(TREE):
        for decorator in getattr(node, "decorator_list", []):
            call = decorator if isinstance(decorator, ast.Call) else None
            decorators.add(id(call))
            if "session" in dotted_name(call.func if call else decorator) and id(decorator) not in read:
                return True
    for node in ast.walk(TREE):
        name = dotted_name(node.func) if isinstance(node, ast.Call) else ""
        is_definition = name in ("nox.session", "session", "nox_uv.session") and id(node) not in decorators
        is_star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        if is_definition or is_star or name.split(".")[-1] in RUNNING_CALLS:
            return True
    return False


def imported_modules():
    """Return the names of the modules that the noxfile imports, also of those that may be in a package."""
    names = set()
    for node in ast.walk(TREE):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(node.module + "." + alias.name for alias in node.names)
    return sorted(names)


def env_default(call):
    """Parse `os.environ.setdefault(NAME, VALUE)`."""
    if dotted_name(call.func) == "os.environ.setdefault" and len(call.args) == 2:
        return {"name": literal_text(call.args[0]), "value": literal_text(call.args[1]), "range": node_range(call)}
    return None


CPU_COUNTERS = (
    "os.cpu_count",
    "os.process_cpu_count",
    "os.sched_getaffinity",
    "multiprocessing.cpu_count",
    "mp.cpu_count",
    "psutil.cpu_count",
    "cpu_count",
)
XDIST_VARIABLE = "PYTEST_XDIST_AUTO_NUM_WORKERS"
WORKER_FLAGS = ("-n", "--numprocesses")


def environment_variables(node):
    """Return the names of the environment variables that an expression reads."""
    names = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and dotted_name(inner.func) in ("os.environ.get", "os.getenv", "environ.get") and inner.args:
            names.append(literal_text(inner.args[0]))
        if isinstance(inner, ast.Subscript) and dotted_name(inner.value) in ("os.environ", "environ"):
            names.append(literal_text(inner.slice))
    return names


def machine_workers(node, seen=()):
    """Return the variables that override a number of workers of the machine, or None for any other expression."""
    text = node.value if isinstance(node, ast.Constant) else None
    if isinstance(text, str) and (text in ("auto", "logical") or text.split("=")[-1] in ("auto", "logical", "-nauto", "-nlogical")):
        return [XDIST_VARIABLE]
    found = None
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and dotted_name(inner.func) in CPU_COUNTERS:
            found = found or []
        value = EXPRESSIONS.get(inner.id) if isinstance(inner, ast.Name) and inner.id not in seen else None
        if value is not None:
            known = machine_workers(value, (*seen, inner.id))
            found = found if known is None else (found or []) + known
        if isinstance(inner, ast.Constant) and inner is not node and inner.value in ("auto", "logical"):
            found = (found or []) + [XDIST_VARIABLE]
    return found if found is None else found + environment_variables(node)


def worker_counts(function, seen):
    """Yield the numbers of workers, taken from the machine, that a function and those that it calls pass to pytest."""
    texts = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if any("pytest" in text for text in texts):
        for node in ast.walk(function):
            items = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
            for before, item in zip([None, *items], items):
                flag = before.value if isinstance(before, ast.Constant) else None
                first = item.values[0] if isinstance(item, ast.JoinedStr) and item.values else item
                start = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
                is_inline = start.startswith(("-n", "--numprocesses=")) and not start.startswith(("-no", "--no"))
                variables = machine_workers(item) if flag in WORKER_FLAGS or is_inline else None
                if variables is not None:
                    yield {"variables": sorted(set(variables)), "range": node_range(item)}
    for call in find_calls(function.body):
        name = dotted_name(call.func)
        if name in FUNCTIONS and name not in seen:
            yield from worker_counts(FUNCTIONS[name], seen | {name})


def literal_thresholds(function):
    """Yield the coverage thresholds that a session passes as literals."""
    for call in find_calls(function.body):
        for before, item in zip([None, *call.args], call.args):
            flag = before.value if isinstance(before, ast.Constant) else None
            text = item.value if isinstance(item, ast.Constant) else None
            if flag in ("--fail-under", "--cov-fail-under") and text is not None:
                number = str(text)
            elif isinstance(text, str) and text.startswith(("--fail-under=", "--cov-fail-under=")):
                number = text.split("=", 1)[1]
            else:
                continue
            try:
                value = float(number)
            except ValueError:
                continue
            yield {"name": "", "value": value, "range": node_range(item)}


def cpu_count_function(function):
    """Describe a function that reads the machine's CPU count, with the environment variable that overrides it."""
    calls = find_calls(function.body)
    if not any(dotted_name(call.func) in CPU_COUNTERS for call in calls):
        return None
    variables = [
        literal_text(call.args[0])
        for call in calls
        if dotted_name(call.func) in ("os.environ.get", "os.getenv") and call.args
    ]
    callers = [node for node in ast.walk(TREE) if isinstance(node, ast.Call) and dotted_name(node.func) == function.name]
    return {
        "name": function.name,
        "override_variable": variables[0] if variables else None,
        "range": node_range(function),
        "call_lines": [node.lineno for node in callers],
    }


def main():
    options, env_assignments, coverage_thresholds = [], [], []
    for statement in TREE.body:
        if isinstance(statement, ast.FunctionDef):
            FUNCTIONS[statement.name] = statement
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
            name = dotted_name(target)
            if isinstance(target, ast.Name) and not isinstance(value, ast.Constant):
                EXPRESSIONS[name] = value
            if isinstance(value, (ast.List, ast.Tuple, ast.Set, ast.ListComp)):
                LISTS.add(name)
            if isinstance(value, ast.Constant):
                CONSTANTS[name] = str(value.value)
                is_threshold = any(word in name.upper() for word in ("THRESHOLD", "FAIL_UNDER", "MIN_COV"))
                if isinstance(value.value, (int, float)) and is_threshold:
                    coverage_thresholds.append({"name": name, "value": float(value.value), "range": node_range(value)})
            if name.startswith("nox.options."):
                options.append(
                    {
                        "name": name[len("nox.options.") :],
                        "value": literal_text(value),
                        "values": literal_list(value),
                        "range": node_range(statement),
                    }
                )
            if isinstance(target, ast.Subscript) and dotted_name(target.value) == "os.environ":
                env_assignments.append(
                    {"name": literal_text(target.slice), "value": literal_text(value), "range": node_range(statement)}
                )
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            assignment = env_default(statement.value)
            if assignment:
                env_assignments.append(assignment)
    VALUES.update(literal_values(TREE, {}))
    model = {
        "options": options,
        "env_assignments": env_assignments,
        "coverage_thresholds": coverage_thresholds,
        "cpu_count_functions": [entry for entry in map(cpu_count_function, FUNCTIONS.values()) if entry],
        "may_define_other_sessions": may_define_other_sessions(),
        "imported_modules": imported_modules(),
        "has_session_plugin": any(plugin in SOURCE for plugin in (b"nox_poetry", b"nox_uv", b"laminci", b"nox_tools")),
        "sessions": [
            describe_session(function, decorator, call)
            for function in FUNCTIONS.values()
            for decorator, call in session_decorators(function)
        ],
    }
    json.dump(model, sys.stdout)


main()

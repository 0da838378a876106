"""Reads a noxfile without running it: its sessions, what they install and run, its options, as one JSON document."""

import ast
import json
import sys

SOURCE = sys.stdin.buffer.read()
TREE = ast.parse(SOURCE)
CONSTANTS = {}
LISTS = set()
FUNCTIONS = {}


def place(node):
    return [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]


def text(node):
    """A literal's text; names of constants are followed; what cannot be known is shown as written."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.Starred):
        return "*" + ast.unparse(node.value)
    return "<" + ast.unparse(node) + ">"


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return dotted(node.value) + "." + node.attr
    return ""


def keyword(call, *names):
    for entry in call.keywords:
        if entry.arg in names:
            return entry.value
    return None


def literals(node):
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [text(item) for item in node.elts]
    return [text(node)] if isinstance(node, ast.Constant) else []


def calls(body):
    """The calls of a body in the order of the source; functions of the file that get the session are entered."""
    found = [node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def steps(function, session, seen):
    for call in calls(function.body):
        name = dotted(call.func)
        if name.startswith(session + "."):
            yield {
                "kind": name[len(session) + 1 :],
                "args": [text(argument) for argument in call.args],
                "accepts": [text(code) for code in getattr(keyword(call, "success_codes"), "elts", [])],
                "place": place(call),
            }
        elif name in FUNCTIONS and name not in seen:
            passed = [index for index, value in enumerate(call.args) if dotted(value) == session]
            parameters = [argument.arg for argument in FUNCTIONS[name].args.args]
            if passed and passed[0] < len(parameters):
                yield {"kind": "call", "args": [name], "accepts": [], "place": place(call)}
                yield from steps(FUNCTIONS[name], parameters[passed[0]], seen | {name})


def decorated(function):
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if dotted(call.func if call else decorator) in ("nox.session", "session", "nox_uv.session"):
            yield decorator, call


def statement(node, session):
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    name = dotted(call.func) if call else ""
    own = name.startswith(session + ".")
    handed = call is not None and any(dotted(argument) == session for argument in call.args)
    return {
        "place": place(node),
        "text": ast.unparse(node),
        "kind": name[len(session) + 1 :] if own else "call" if handed else "",
        "args": [[text(argument), place(argument)] for argument in call.args] if call else [],
        "keywords": [[entry.arg or "", place(entry)] for entry in call.keywords] if call else [],
    }


def session(function, decorator, call):
    value = (lambda *names: keyword(call, *names)) if call else (lambda *names: None)
    first = function.args.args[0].arg if function.args.args else "session"
    explicit = value("name")
    reuse = value("reuse_venv")
    return {
        "name": text(explicit) if explicit is not None else function.name,
        "place": place(decorator),
        "body": [function.lineno, function.end_lineno],
        "reuse": isinstance(reuse, ast.Constant) and reuse.value is True,
        "backend": text(value("venv_backend")) if value("venv_backend") is not None else None,
        "default": not (isinstance(value("default"), ast.Constant) and value("default").value is False),
        "tags": literals(value("tags")) if value("tags") is not None else [],
        "requires": literals(value("requires")) if value("requires") is not None else [],
        "posargs": any(isinstance(n, ast.Attribute) and n.attr == "posargs" for n in ast.walk(function)),
        "environment": sorted(
            text(n.targets[0].slice)
            for n in ast.walk(function)
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Subscript) and dotted(n.targets[0].value) == first + ".env"
        ),
        "steps": list(steps(function, first, {function.name})),
        "parameter": first,
        "many": len(function.decorator_list) > 1 or isinstance(value("python"), (ast.List, ast.Tuple, ast.Set, ast.ListComp)) or dotted(value("python") or ast.Pass()) in LISTS,
        "statements": [statement(node, first) for node in function.body],
    }


def variable(call):
    """`os.environ.setdefault(NAME, VALUE)`."""
    if dotted(call.func) == "os.environ.setdefault" and len(call.args) == 2:
        return {"name": text(call.args[0]), "value": text(call.args[1]), "place": place(call)}
    return None


def workers(function):
    """A function that counts the machine's CPUs, and the variable that overrides it."""
    counts = [n for n in calls(function.body) if dotted(n.func) in ("os.cpu_count", "os.sched_getaffinity", "multiprocessing.cpu_count", "os.process_cpu_count")]
    if not counts:
        return None
    wanted = [text(n.args[0]) for n in calls(function.body) if dotted(n.func) in ("os.environ.get", "os.getenv") and n.args]
    users = [n for n in ast.walk(TREE) if isinstance(n, ast.Call) and dotted(n.func) == function.name]
    return {
        "function": function.name,
        "variable": wanted[0] if wanted else None,
        "place": [function.lineno, function.col_offset, function.end_lineno, function.end_col_offset],
        "used": [n.lineno for n in users],
    }


def main():
    options, variables, thresholds = [], [], []
    for statement in TREE.body:
        if isinstance(statement, ast.FunctionDef):
            FUNCTIONS[statement.name] = statement
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            name, value = dotted(statement.targets[0]), statement.value
            if isinstance(value, (ast.List, ast.Tuple, ast.Set, ast.ListComp)):
                LISTS.add(name)
            if isinstance(value, ast.Constant):
                CONSTANTS[name] = str(value.value)
                if isinstance(value.value, (int, float)) and any(w in name.upper() for w in ("THRESHOLD", "FAIL_UNDER", "MIN_COV")):
                    thresholds.append({"name": name, "value": float(value.value), "place": place(value)})
            if name.startswith("nox.options."):
                values = literals(value)
                options.append({"name": name[12:], "value": text(value), "values": values, "place": place(statement)})
            if isinstance(statement.targets[0], ast.Subscript) and dotted(statement.targets[0].value) == "os.environ":
                variables.append({"name": text(statement.targets[0].slice), "value": text(value), "place": place(statement)})
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            found = variable(statement.value)
            if found:
                variables.append(found)
    sessions = [session(f, d, c) for f in FUNCTIONS.values() for d, c in decorated(f)]
    counted = [found for found in map(workers, FUNCTIONS.values()) if found]
    json.dump({"options": options, "variables": variables, "thresholds": thresholds, "workers": counted, "sessions": sessions}, sys.stdout)


main()

"""Static analysis of the variables that sessions share under nox: global variables and environment variables.

Part of noxide's host program.
Names from the other parts are used without import: see load.py.
"""

MUTATORS = ("append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard",
            "sort", "reverse", "appendleft", "popleft", "__setitem__")


class SharedVariableUse:
    """Names of global and environment variables that a session reads, sets as a whole, or changes in part."""

    def __init__(self):
        self.reads = set()
        self.sets = set()
        self.changes = set()

    def facts(self):
        return {"reads": sorted(self.reads), "sets": sorted(self.sets), "changes": sorted(self.changes)}

    def add_function(self, function, tree, prefix):
        """Adds what a function does; `prefix` is put before the names of its module's variables."""
        scope = FunctionScope(function, tree, prefix)
        handled = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                self.add_call(node, scope, handled)
            elif isinstance(node, (ast.Subscript, ast.Attribute)):
                self.add_part(node, scope, handled)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                name = scope.global_name(node.target)
                self.changes |= {name} if name else set()
                handled.add(id(node.target))
            elif isinstance(node, ast.Compare) and scope.is_environment(node.comparators[-1]):
                self.add(self.reads, scope.variable(node.left))
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and id(node) not in handled:
                name = scope.global_name(node)
                if name:
                    (self.reads if isinstance(node.ctx, ast.Load) else self.sets).add(name)

    def add(self, names, name):
        if name:
            names.add(name)

    def add_call(self, call, scope, handled):
        """Adds `os.environ.get("A")`, `os.getenv("A")`, `NAMES.append(…)`."""
        function = call.func
        argument = call.args[0] if call.args else None
        method = getattr(function, "attr", "")
        if scope.is_environment(getattr(function, "value", None)):
            if method == "update":
                keys = list(argument.keys) if isinstance(argument, ast.Dict) else []
                for key in keys + [keyword.arg for keyword in call.keywords]:
                    self.add(self.sets, scope.variable(key))
            elif method in ("setdefault", "pop"):
                self.add(self.changes, scope.variable(argument))
            else:
                self.add(self.reads, scope.variable(argument))
        elif method in ("getenv", "putenv", "unsetenv") or getattr(function, "id", "") == "getenv":
            is_read = "getenv" in (method, getattr(function, "id", ""))
            self.add(self.reads if is_read else self.sets, scope.variable(argument))
        elif method in MUTATORS and isinstance(function.value, ast.Name):
            name = scope.global_name(function.value)
            if name:
                self.changes.add(name)
                handled.add(id(function.value))

    def add_part(self, node, scope, handled):
        """Adds `os.environ["A"]`, `NAMES["a"] = …`, `function.attribute = …`."""
        is_read = isinstance(node.ctx, ast.Load)
        if isinstance(node, ast.Subscript) and scope.is_environment(node.value):
            index = node.slice
            self.add(self.reads if is_read else self.sets, scope.variable(getattr(index, "value", index), index))
        elif isinstance(node.value, ast.Name):
            if isinstance(node, ast.Attribute) and scope.is_definition(node.value):
                (self.reads if is_read else self.sets).add("%s.%s" % (node.value.id, node.attr))
            elif not is_read:
                name = scope.global_name(node.value)
                if name:
                    self.changes.add(name)
                    handled.add(id(node.value))


class FunctionScope:
    """Which names in a function are variables of its module."""

    def __init__(self, function, tree, prefix):
        self.prefix = prefix
        self.variables, self.definitions = module_names(tree)
        self.declared = set(name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names)
        stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        self.local = (set(stored) | set(node.arg for node in ast.walk(function) if isinstance(node, ast.arg))) - self.declared

    def global_name(self, node):
        """Returns the name of a module's variable; None for another name."""
        name = node.id
        if name in self.local or name not in self.variables | (self.declared - self.definitions):
            return None
        return self.prefix + name

    def is_definition(self, node):
        """Whether a name is a function, a class or an imported module, whose attributes sessions may share."""
        return node.id in self.definitions and node.id not in self.local and node.id not in ("os", "sys", "nox")

    def is_environment(self, node):
        if isinstance(node, ast.Attribute):
            return node.attr == "environ" and getattr(node.value, "id", "") == "os"
        return isinstance(node, ast.Name) and node.id == "environ" and node.id not in self.local

    def variable(self, *nodes):
        """Returns the name of an environment variable given by a constant."""
        for node in nodes:
            name = node if isinstance(node, str) else constant_string(node)
            if name:
                return "os.environ[%s]" % name
        return None


MODULE_NAMES = {}


def module_names(tree):
    """Returns the variables that a module assigns, and its functions, classes and imports; computed once."""
    if tree not in MODULE_NAMES:
        variables, definitions, pending = set(), set(), list(tree.body)
        while pending:
            node = pending.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                definitions.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                definitions |= set((name.asname or name.name).split(".")[0] for name in node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                variables.add(node.id)
            else:
                pending += ast.iter_child_nodes(node)
        MODULE_NAMES[tree] = variables, definitions
    return MODULE_NAMES[tree]

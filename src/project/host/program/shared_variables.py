"""Variables that sessions share under nox, where all run in one process: environment variables and global variables.

Part of noxide's host program. What a session changes in its own process is handed on to the sessions that come after
it by need.
Names from the other parts are used without import: see load.py.
"""

import importlib

# Larger values are not compared: pickling them would take longer than most sessions need to start.
MAX_PICKLE_BYTES = 1 << 20
NOXFILE_MODULE = "user_nox_module"


# Values of environment variables that noxide sets for a session alone: no other session gets them.
NOXIDE_VALUES = set()


class VariableSnapshot:
    """Environment and globals of this process at one time; `known` are its globals if they are known."""

    def __init__(self, loaded, known=None):
        self.environment = {name: value for name, value in os.environ.items() if value not in NOXIDE_VALUES}
        self.globals = encode_globals(loaded) if known is None else known

    def changes_until(self, later):
        """Returns what differs in a later snapshot; None if nothing does."""
        environment = {name: later.environment.get(name) for name in set(self.environment) | set(later.environment)
                       if self.environment.get(name) != later.environment.get(name)}
        handed, lost = [], []
        for key in sorted(set(self.globals) | set(later.globals)):
            before, after = self.globals.get(key), later.globals.get(key)
            if before == after or have_equal_values(before, after):
                continue
            is_replaced = after is not None and after[0] == "attributes" and (before or [])[:2] != after[:2]
            if is_replaced or (after is not None and after[0] == "kept"):
                lost.append(shown_name(key))
            else:
                handed.append([key[0], key[1], after])
        if not (environment or handed or lost):
            return None
        return {"environment": environment, "globals": handed, "lost": lost}


def project_modules(loaded):
    """Returns the noxfile and the modules of the project that it imported, by name; found once."""
    if loaded.modules is None:
        root = os.path.join(project_directory(loaded.config), "")
        loaded.modules = {NOXFILE_MODULE: loaded.module}
        for name, module in sorted(sys.modules.items()):
            try:
                path = object.__getattribute__(module, "__dict__").get("__file__")  # does not load a lazy module
            except AttributeError:
                continue
            if not isinstance(path, str) or not path.startswith(root) or module is loaded.module:
                continue
            directories = path[len(root) :].split(os.sep)[:-1]
            if "site-packages" not in directories and not any(directory.startswith(".") for directory in directories):
                loaded.modules[name] = module
    return loaded.modules


def encode_globals(loaded):
    """Returns the globals of the noxfile and of the project's modules, by module and name."""
    return {(module_name, name): encode_global(value) for module_name, module in project_modules(loaded).items()
            for name, value in list(vars(module).items()) if not name.startswith("__")}


def encode_global(value):
    """Returns how a value is handed on: a module by name, a function by its attributes, other values as a pickle; "kept"
    if it cannot be."""
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    is_function = isinstance(value, types.FunctionType)
    if not is_function and (isinstance(value, type) or callable(value)):
        return ["kept", id(value)]  # pickle would store a name, which is that of another object after a reassignment
    import base64
    import pickle

    try:
        data = pickle.dumps(vars(value) if is_function else value, 4)
    except Exception:  # whatever the class of the value raises
        return ["kept", id(value)]
    if len(data) > MAX_PICKLE_BYTES:
        return ["kept", id(value)]
    text = base64.b64encode(data).decode("ascii")
    return ["attributes", id(value), text] if is_function else ["pickle", text]


def have_equal_values(before, after):
    """Whether two pickles are of equal values: an object may have cached something in itself."""
    import base64
    import pickle

    if not before or not after or before[0] != "pickle" or after[0] != "pickle":
        return False
    try:
        return bool(pickle.loads(base64.b64decode(before[1])) == pickle.loads(base64.b64decode(after[1])))
    except Exception:  # whatever the class of the value raises
        return False


def shown_name(key):
    return key[1] if key[0] == NOXFILE_MODULE else "%s.%s" % key


def apply_shared_variables(loaded, shared_variables):
    """Applies the changes of earlier sessions to this process; prints a warning for each that cannot be applied."""
    for name, value in shared_variables["environment"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    import base64
    import pickle

    modules = project_modules(loaded)
    for module_name, name, encoded in shared_variables["globals"]:
        try:
            module = modules.get(module_name) or importlib.import_module(module_name)
            if encoded is None:
                vars(module).pop(name, None)
            elif encoded[0] == "module":
                setattr(module, name, importlib.import_module(encoded[1]))
            elif encoded[0] == "attributes":
                vars(getattr(module, name)).update(pickle.loads(base64.b64decode(encoded[2])))
            else:
                setattr(module, name, pickle.loads(base64.b64decode(encoded[1])))
        except Exception as error:  # whatever the class of the value raises
            shown = shown_name((module_name, name))
            logging.getLogger("nox").warning("The value that an earlier session gave %s was not handed on: %s", shown, error)


class SharedVariables:
    """What the sessions of a run have changed, in the host process."""

    def __init__(self, loaded):
        self.loaded = loaded
        order = {id(runner): number for number, runner in enumerate(loaded.queue)}
        self.order = {number: order[id(runner)] for number, runner in enumerate(loaded.runners) if id(runner) in order}
        self.changes = {}
        self.predecessors = {}
        self.finished = []
        self.notes = {}
        self.reported = set()

    def position(self, number):
        """Returns the place of a session in nox's order; notified sessions come last."""
        return self.order.get(number, len(self.order))

    def add_to_request(self, request):
        """Adds to a request the changes of all sessions that come before it by need."""
        number = request["id"]
        before = set(int(need) for need in request.get("need_statuses") or {})
        if number not in self.order:
            before |= set(self.finished) - {number}  # it was notified, so that nox runs it last
        for need in list(before):
            before |= self.predecessors.get(need, set())
        self.predecessors[number] = before
        environment, handed, origins, notes = {}, {}, {}, []
        for need in sorted((need for need in before if need in self.changes), key=self.position):
            changes = self.changes[need]
            environment.update(changes["environment"])
            for module_name, name, encoded in changes["globals"]:
                other = origins.get((module_name, name))
                if other is not None and other not in self.predecessors.get(need, set()) and (
                        handed[module_name, name] != encoded):
                    notes.append("%s and %s each changed %s; %s has only the value of %s" % (
                        self.name(other), self.name(need), shown_name((module_name, name)), self.name(number),
                        self.name(need)))
                handed[module_name, name], origins[module_name, name] = encoded, need
            for name in changes["lost"]:
                notes.append("%s changed %s, which %s does not see: it cannot be copied to another process" % (
                    self.name(need), name, self.name(number)))
        self.notes[number] = notes
        if environment or handed:
            request["shared_variables"] = {"environment": environment,
                                 "globals": [[module, name, encoded] for (module, name), encoded in handed.items()]}

    def name(self, number):
        return self.loaded.runners[number].friendly_name

    def finish(self, number, changes):
        """Records the changes of a finished session; returns notes about changes that other sessions do not see."""
        self.changes.pop(number, None)
        if changes:
            self.changes[number] = changes
        notes = self.notes.pop(number, [])
        for other in self.finished:
            earlier, later = sorted((other, number), key=self.position)
            names, variables = self.unseen_names(earlier, later)
            if variables and earlier not in self.reported:
                self.reported.add(earlier)
                notes.append("%s changed %s: nox passes that to all later sessions, noxide only to those that come after "
                             "%s by need" % (self.name(earlier), ", ".join(variables), self.name(earlier)))
            if names:
                notes.append("%s changed %s, which %s reads but does not see, because it does not come after %s: add "
                             "requires=[%r] to it" % (self.name(earlier), ", ".join(names), self.name(later),
                                                      self.name(earlier), self.loaded.runners[earlier].name))
        if number not in self.finished:
            self.finished.append(number)
        new = [note for note in notes if note not in self.reported]  # a session may be retried
        self.reported.update(new)
        return new

    def unseen_names(self, earlier, later):
        """Returns the names that one session changed, and that a later one reads without coming after it; and the
        environment variables that it does not read, but the commands that it runs may."""
        changes = self.changes.get(earlier)
        if not changes or earlier == later or earlier in self.predecessors.get(later, set()):
            return [], []
        variables = ["os.environ[%s]" % name for name in sorted(changes["environment"])]
        changed = variables + [shown_name((module, name)) for module, name, _ in changes["globals"]] + changes["lost"]
        use = analyze_source(self.loaded.runners[later].func).shared_variables
        own = use.sets | use.changes | set("os.environ[%s]" % name for name in (
            self.changes.get(later) or {"environment": ()})["environment"])
        read = [name for name in changed if name in use.reads - own]
        return read, [name for name in variables if name not in use.reads | own]

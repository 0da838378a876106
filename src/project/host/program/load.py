"""Loads nox and the noxfile: the first part of noxide's host program.

noxide concatenates the files of this directory, so that each uses names and imports of the others, and runs the
program with the Python that runs nox (3.7 or newer).
BOOT has the settings that noxide sent with it.
"""

import contextlib
import io
import json
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import traceback
import types


class HostFailure(Exception):
    """Loading failed; `facts` is the message that reports it to noxide."""

    def __init__(self, stage, message, exit_code=None, **facts):
        super().__init__(message)
        self.facts = dict(facts, type="error", stage=stage, exit_code=exit_code, message=message)


class Channel:
    """The socket to noxide: sends JSON lines, receives JSON lines and descriptors."""

    def __init__(self, fd):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
        self.socket.setblocking(True)
        self.rest = b""
        self.descriptors = []

    def send(self, message):
        line = json.dumps(message, default=str, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            self.socket.sendall(line)
        except OSError:
            pass  # noxide has exited: the next receive fails

    def receive(self):
        """Returns received messages; None once noxide has exited. Adds received descriptors to `descriptors`."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64))
        except ConnectionError:
            return None
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for at in range(0, len(payload) - len(payload) % 4, 4):
                    self.descriptors.append(int.from_bytes(payload[at : at + 4], sys.byteorder))
        if not data:
            return None
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        return [json.loads(line.decode("utf-8")) for line in lines]

    def send_request(self, request, descriptors):
        """Sends a request and its descriptors; fails if the receiver has exited."""
        line = json.dumps(request).encode("utf-8") + b"\n"
        rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in descriptors)
        sent = self.socket.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        if line[sent:]:
            self.socket.sendall(line[sent:])

    def receive_request(self):
        """Waits for a request sent by `send_request` and returns it with its descriptors; None if the sender has exited."""
        messages = []
        while messages == []:
            messages = self.receive()
        return (messages[0], self.descriptors) if messages else None


class ErrorLines(logging.Handler):
    """Collects the errors that nox logs, for noxide's message."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def text(self, otherwise):
        return "\n".join(self.lines) or otherwise


class LoadedNoxfile:
    """A loaded noxfile."""

    def __init__(self):
        self.config = None
        self.manifest = None
        self.module = None
        self.modules = None
        self.globals = None
        self.runners = []
        self.queue = []
        self.notices = []
        self.docstring = None


def import_nox():
    """Imports nox; returns it and the names of the internals that this version lacks."""
    try:
        import nox
        import nox.logger
        import nox.manifest
        import nox.registry
        import nox.sessions
        import nox.tasks
        import nox.virtualenv
        from nox import _options
    except Exception as error:  # any broken installation
        raise HostFailure("nox", "nox cannot be imported by %s: %s" % (sys.executable, error))
    required = {
        "nox._options.options.parse_args": hasattr(getattr(_options, "options", None), "parse_args"),
        "nox.tasks.load_nox_module": hasattr(nox.tasks, "load_nox_module"),
        "nox.tasks.merge_noxfile_options": hasattr(nox.tasks, "merge_noxfile_options"),
        "nox.tasks.discover_manifest": hasattr(nox.tasks, "discover_manifest"),
        "nox.tasks.filter_manifest": hasattr(nox.tasks, "filter_manifest"),
        "nox.tasks.run_manifest": hasattr(nox.tasks, "run_manifest"),
        "nox.sessions.SessionRunner.execute": hasattr(getattr(nox.sessions, "SessionRunner", None), "execute"),
        "nox.sessions.Result": hasattr(nox.sessions, "Result") and hasattr(nox.sessions, "Status"),
        "nox.logger.setup_logging": hasattr(nox.logger, "setup_logging"),
    }
    return nox, [name for name, found in sorted(required.items()) if not found]


def nox_version():
    try:
        from importlib.metadata import version
    except ImportError:  # Python 3.7
        from importlib_metadata import version
    try:
        return version("nox")
    except Exception:  # an unpacked nox without metadata
        return "unknown"


def parse_arguments(nox):
    """Parses the arguments as nox does; emulates `--no-dependencies` where this version has none."""
    from nox import _options

    known = [field.name for field in getattr(getattr(_options, "NoxConfig", None), "__attrs_attrs__", ())]
    if "no_dependencies" not in known and "--no-dependencies" in nox_flags():
        sys.argv.remove("--no-dependencies")
        BOOT["ignores_dependencies"] = True  # for processes that get the same arguments
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        config = _options.options.parse_args()
    except SystemExit as error:
        lines = sys.stderr.getvalue().strip().splitlines()
        message = re.sub(r"^\S+: error: ", "", lines[-1]) if lines else "nox rejected its arguments"
        raise HostFailure("options", message, error.code if isinstance(error.code, int) else 2)
    except Exception as error:  # a validator of nox, such as for NOX_PARALLEL
        raise HostFailure("options", "%s" % error, 2)
    finally:
        printed, sys.stderr = sys.stderr.getvalue(), stderr
        stderr.write(printed)
    return config, bool(BOOT.get("ignores_dependencies"))


def environments_directory(config):
    """Returns the absolute path of the directory in which nox creates environments."""
    root = os.path.realpath(os.path.dirname(config.noxfile))  # a noxfile may change the working directory
    return os.path.normpath(os.path.join(root, os.fspath(config.envdir)))


def nox_flags():
    """Returns the arguments before `--`."""
    arguments = sys.argv[1:]
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def enter_script_environment(nox, config, channel):
    """Lets nox create the environment of a PEP 723 noxfile; continues in that environment's interpreter."""
    outer = os.environ.pop("NOX_OUTER_PYTHONPATH", None)
    if outer is not None:
        os.environ["PYTHONPATH"] = outer
    try:
        from nox import _cli
    except ImportError:
        return  # a version without script mode
    try:
        with open(os.path.expandvars(str(config.noxfile)), encoding="utf-8", errors="replace") as file:
            if not re.search(r"(?m)^# /// script\s*$", file.read()):
                return
    except OSError:
        return  # nox reports it when it loads
    if not hasattr(_cli, "execute_workflow") or not hasattr(_cli, "run_script_mode"):
        return
    channel.send({"type": "preparing"})
    originals = _cli.execute_workflow, _cli.setup_logging, os.execle
    _cli.execute_workflow = lambda config: 0  # called if this interpreter fits
    _cli.setup_logging = lambda **_: None
    os.execle = lambda command, *rest: exec_interpreter(command, rest[1:-1], rest[-1], channel)
    try:
        getattr(_cli, "nox_main", _cli.main)()
    except SystemExit as error:
        if isinstance(error.code, str):
            raise HostFailure("nox", error.code)
        if error.code:
            raise HostFailure("nox", "nox exited with %s while creating the noxfile's environment" % error.code)
    except Exception as error:
        raise HostFailure("nox", "could not create the noxfile's own environment (PEP 723): %s" % error)
    finally:
        _cli.execute_workflow, _cli.setup_logging, os.execle = originals
    channel.send({"type": "loading"})


def exec_interpreter(command, arguments, environment, channel):
    """Executes this program again with the interpreter next to `command`."""
    python = os.path.join(os.path.dirname(command), "python")
    if not os.access(python, os.X_OK):
        python = sys.executable
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    fd = os.dup(channel.socket.fileno())
    os.set_inheritable(fd, True)
    stop_uv_query()
    boot = boot_file(dict(BOOT, fd=fd))
    os.dup2(boot.fileno(), 0)
    os.execve(python, [python, "-c", BOOT["bootstrap"]] + list(arguments), environment)


def boot_file(boot):
    """Returns an unlinked file with the input of the bootstrap code."""
    file = tempfile.TemporaryFile()
    body = json.dumps(boot).encode("utf-8")
    file.write(b"%010d" % len(body) + body)
    file.seek(0)
    return file


def record_duplicates(nox):
    """Makes nox's registry record sessions with the same name, of which nox silently uses the last; returns the list."""
    duplicates = []
    registry = getattr(nox.registry, "_REGISTRY", None)
    if not isinstance(registry, dict):
        return duplicates

    class Registry(type(registry)):
        def __setitem__(self, name, function):
            if name in self and source_of(self[name]) != source_of(function):
                duplicates.append((name, source_of(self[name]), source_of(function)))
            super().__setitem__(name, function)

        def __copy__(self):
            return type(registry)(self)

    nox.registry._REGISTRY = Registry(registry)
    return duplicates


def source_of(function):
    """Returns file and line of a session's function, without decorators."""
    seen = 0
    while seen < 50 and (hasattr(function, "func") or hasattr(function, "__wrapped__")):
        function = getattr(function, "func", None) or function.__wrapped__
        seen += 1
    code = getattr(function, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (None, None)


def project_directory(config):
    """Returns the directory of the noxfile, in which nox runs sessions even if the noxfile has changed the directory."""
    return os.path.realpath(os.path.dirname(os.path.abspath(str(config.noxfile))))


@contextlib.contextmanager
def in_project_directory(config):
    """Changes to the directory of the noxfile for a while."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(project_directory(config))
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def load(channel):
    """Loads nox and the noxfile and selects sessions; returns the noxfile, and the internals that this nox lacks."""
    with answering_uv_query():  # versions before 2026.7 query uv while they are imported
        nox, missing = import_nox()
    if missing:
        return None, missing
    loaded = LoadedNoxfile()
    errors = ErrorLines()
    logging.getLogger("nox").addHandler(errors)
    config, ignores_dependencies = parse_arguments(nox)
    if not (getattr(config, "forcecolor", False) or getattr(config, "nocolor", False) or "NO_COLOR" in os.environ):
        config.color = BOOT["color"]
    nox.logger.setup_logging(
        color=config.color, verbose=config.verbose, add_timestamp=getattr(config, "add_timestamp", False)
    )
    if BOOT["role"] == "host":
        enter_script_environment(nox, config, channel)
    duplicates = record_duplicates(nox)
    module = load_module(nox, config, errors)
    loaded.module = module
    loaded.docstring = module.__doc__
    loaded.config = config
    try:
        nox.tasks.merge_noxfile_options(module, config)
    except Exception as error:
        raise HostFailure("noxfile", "nox rejected nox.options of the noxfile: %s" % error)
    try:
        select_sessions(nox, module, loaded, errors, ignores_dependencies)
    finally:
        logging.getLogger("nox").removeHandler(errors)
    for name, old, new in duplicates:
        loaded.notices.append(
            "two sessions are named %s (lines %s and %s of %s): nox uses the last"
            % (name, old[1], new[1], os.path.basename(new[0] or "the noxfile"))
        )
    if not hasattr(loaded.manifest, "_all_sessions"):
        return None, ["nox.manifest.Manifest._all_sessions"]
    return loaded, []


def load_module(nox, config, errors):
    """Runs the noxfile; reports its exceptions with the user's frames only."""
    try:
        module = nox.tasks.load_nox_module(config)
    except SystemExit as error:
        raise HostFailure(
            "noxfile", "the noxfile called sys.exit(%r)" % (error.code,), 2, **exception_facts(nox, sys.exc_info())
        )
    except KeyboardInterrupt:
        raise HostFailure("noxfile", "interrupted while the noxfile was loaded", 130, **exception_facts(nox, sys.exc_info()))
    except BaseException as error:
        facts = exception_facts(nox, sys.exc_info())
        message = "the noxfile is not valid Python" if isinstance(error, SyntaxError) else "the noxfile raised an exception"
        raise HostFailure("noxfile", message, 2, **facts)
    if isinstance(module, int):
        raise HostFailure("noxfile", errors.text("nox could not load the noxfile"), module)
    return module


def select_sessions(nox, module, loaded, errors, ignores_dependencies):
    """Discovers and selects sessions as nox does."""
    names = []
    try:
        loaded.manifest = nox.tasks.discover_manifest(module, loaded.config)
        loaded.runners = list(getattr(loaded.manifest, "_all_sessions", ()))
        names = [runner.friendly_name for runner in loaded.runners]
        if ignores_dependencies:
            loaded.manifest.add_dependencies = lambda: [list(s.get_direct_dependencies()) for s in loaded.manifest._queue]
        selected = nox.tasks.filter_manifest(loaded.manifest, loaded.config)
    except SystemExit as error:
        raise HostFailure("selection", errors.text("nox exited with %s" % error.code), 3, session_names=names)
    except Exception as error:
        raise HostFailure("selection", errors.text("%s: %s" % (type(error).__name__, error)), 3, session_names=names,
                          **exception_facts(nox, sys.exc_info()))
    if isinstance(selected, int):
        if selected != 0:
            raise HostFailure("selection", errors.text("nox selected no session"), selected, session_names=names)
    else:
        loaded.queue = list(getattr(selected, "_queue", ()))
    loaded.ignores_dependencies = ignores_dependencies


def exception_facts(nox, info):
    """Returns an exception as text, with the frames of the user's own code."""
    kind, error, trace = info
    inside = [os.path.dirname(os.path.abspath(nox.__file__)) + os.sep]
    library = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
    frames = []
    for frame in traceback.extract_tb(trace):
        if frame.filename.startswith(("<noxide", "<frozen")) or frame.filename.startswith(tuple(inside)):
            continue
        frames.append({"file": os.path.abspath(frame.filename), "line": frame.lineno, "function": frame.name,
                       "text": frame.line or ""})
    own = [frame for frame in frames if not frame["file"].startswith(library) and "site-packages" not in frame["file"]]
    if isinstance(error, SyntaxError) and error.filename:
        own.append({"file": error.filename, "line": error.lineno or 0, "function": "<module>",
                    "text": (error.text or "").rstrip("\n")})
    return {"traceback": own or frames, "exception": "".join(traceback.format_exception_only(kind, error)).strip()}

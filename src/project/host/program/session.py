"""Runs one session in a process of its own, forked or new: part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""

import gc
import subprocess
import time


PRCTL = []  # looked up once
TRACED = []  # not empty if this process is traced


class RunningSession:
    """A session's process, as seen by the host."""

    def __init__(self, request, pid, pipe):
        self.id = request["id"]
        self.pid = pid
        self.pipe = pipe
        self.partial_line = b""  # the end of what was read from the pipe, not yet a whole message
        self.result = None  # its last message, with status and reason
        self.nox_report = None  # path of the report of its own nox process, and its name there
        self.started = False  # whether noxide knows its process
        self.pipe_ended = False
        self.started_at = time.monotonic()


def run_child(loaded, receive, answer_fd):
    """Receives a request, runs its session, reports through `answer_fd` and ends this process; runs in a forked child."""
    status = 1
    try:
        prepare_session()
        send(answer_fd, {"ready": True})
        received = receive()
        if received is not None:
            request, descriptors = received
            apply_request(request, *descriptors[:2])
            for listener_socket in descriptors[2:]:
                install_seccomp_filter(request["seccomp"], listener_socket)
            send(answer_fd, run_session(loaded, request, answer_fd))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            finish_interpreter()
        status = 0
    except KeyboardInterrupt:  # before or after nox runs it
        send(answer_fd, {"status": "INTERRUPTED", "reason": "interrupted"})
    except BaseException:  # any error goes to the session's log
        traceback.print_exc()
    finally:
        end_process(status)


def end_process(status):
    """Flushes output and ends this process without destroying its objects."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(status)


def send(answer_fd, message):
    data = json.dumps(message, default=str).encode("utf-8") + b"\n"
    while data:
        data = data[os.write(answer_fd, data) :]


def prctl(option, value):
    """Calls prctl on Linux; other systems stop sessions by process group and tag only."""
    if sys.platform == "linux":
        try:
            if not PRCTL:
                import ctypes

                PRCTL.append(ctypes.CDLL(None).prctl)
            PRCTL[0](option, value, 0, 0, 0)
        except (ImportError, OSError, AttributeError):
            pass  # a Python without ctypes


def prepare_session():
    """Gives the process its own POSIX session and process group, and default signal handlers."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG: no one reports a session whose host has exited
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, HANDLERS.get(number, signal.SIG_DFL))
    signal.signal(signal.SIGINT, HANDLERS.get(signal.SIGINT, signal.default_int_handler))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if BOOT["role"] == "host":
        remove_exit_hooks()


def apply_request(request, out, err):
    """Applies the descriptors, environment and priority of a request."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
    for fd in (out, err):
        if fd > 2:
            os.close(fd)
    os.environ.update(request.get("env") or {})
    if "TMPDIR" in (request.get("env") or {}):
        tempfile.tempdir = None
    if request.get("nice"):
        try:
            os.nice(request["nice"])
        except OSError:
            pass  # a lower value needs a privilege; the session runs anyway
        try:
            # Linux schedules between autogroups first, and between processes only within one.
            with open("/proc/self/autogroup", "w") as group:
                group.write(str(request["nice"]))
        except OSError:
            pass  # not supported by this system


def install_seccomp_filter(setup, fd):
    """Installs a seccomp filter for this process and its children, and sends its listener to noxide over `fd`.

    On failure noxide gets the reason and the session runs untraced. Python has no API for `prctl` and `seccomp`.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
    try:
        import ctypes
        import errno
        import struct

        libc = ctypes.CDLL(None, use_errno=True)
        program = bytes.fromhex(setup["filter"])
        saved = ctypes.create_string_buffer(program, len(program))
        described = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(saved)))
        number = ctypes.c_long(setup["syscall"])
        for flags in setup["flags"]:
            syscall_args = (number, ctypes.c_ulong(1), ctypes.c_ulong(flags), described)
            listener = libc.syscall(*syscall_args)
            if listener < 0 and ctypes.get_errno() == errno.EACCES:
                # PR_SET_NO_NEW_PRIVS: without privileges, a filter requires that programs such as sudo get none either.
                libc.prctl(38, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
                listener = libc.syscall(*syscall_args)
            if listener >= 0 or ctypes.get_errno() != errno.EINVAL:
                break
        if listener < 0:
            channel.sendall(b"-%d" % ctypes.get_errno())
        else:
            # The filter stops `sendmsg`, and nobody answers yet: the call passes by the cookie in its sixth argument.
            byte = ctypes.create_string_buffer(b"+", 1)
            part = ctypes.create_string_buffer(struct.pack("@PQ", ctypes.addressof(byte), 1))
            rights = ctypes.create_string_buffer(
                struct.pack("@Qiii4x", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, listener), 24)
            message = ctypes.create_string_buffer(struct.pack(
                "@PIPQPQi4x", 0, 0, ctypes.addressof(part), 1, ctypes.addressof(rights), 24, 0))
            arguments = [ctypes.c_long(number) for number in (setup["send_syscall"], channel.fileno())]
            arguments += [message, ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_ulong(setup["cookie"])]
            while libc.syscall(*arguments) < 0:
                if ctypes.get_errno() != errno.EINTR:
                    raise OSError(ctypes.get_errno(), "cannot send the listener")
            os.close(listener)
            TRACED.append(True)
    except Exception as error:  # no ctypes, or no such system call
        channel.sendall(("this Python cannot install the seccomp filter: %s" % error).encode("utf-8", "replace"))
    channel.recv(1)  # until noxide listens, or has given up
    channel.close()


def mark_trace_phase(phase):
    """Tells the trace what follows: reading of this program itself (`host`), an install, or the session's work (`run`)."""
    if TRACED:
        try:
            os.stat("/proc/self/noxide-phase/" + phase)
        except OSError:
            pass  # there is no such file: noxide sees that it was looked up


def finish_interpreter():
    """Joins threads and runs exit hooks, as the end of an interpreter does."""
    import atexit
    import threading

    if threading.active_count() > 1:
        threading._shutdown()
    atexit._run_exitfuncs()


def handle_interrupts(nox, answer_fd):
    """Handles an interrupt while nox waits for a command: nox acts on it once the command has exited.

    By default nox kills the command within half a second. Stopping commands is left to noxide, which has its own grace
    periods, except where the session sets `interrupt_timeout` or `terminate_timeout`: then nox stops the command, and
    noxide waits for it. As in nox, the session goes on if the command exits with 0, unless noxide ends the session.
    Python code of the session is interrupted at once, and a second interrupt is handled by nox.
    """
    popen = getattr(sys.modules.get("nox.command"), "popen", None)
    if not hasattr(popen, "__code__") or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    waits = (subprocess.Popen.communicate.__code__, subprocess.Popen.wait.__code__, CapturedCommand.communicate.__code__)
    interrupts = []
    limit = {"is_own": False, "ms": None}

    def interrupt(number, frame):
        while frame is not None and frame.f_back is not None:
            if not interrupts and frame.f_code in waits and frame.f_back.f_code is popen.__code__:
                interrupts.append(number)
                if not limit["is_own"]:
                    return
                send(answer_fd, {"interrupted": limit["ms"]})
                break
            frame = frame.f_back
        raise KeyboardInterrupt

    def interruptible_popen(*args, **kwargs):
        limit["is_own"], limit["ms"] = chosen_timeouts(kwargs)
        try:
            result = popen(*args, **kwargs)
            stopped = bool(interrupts) and (result[0] != 0 or not may_continue(answer_fd))
        except BaseException:
            if interrupts:
                raise KeyboardInterrupt
            raise
        finally:
            interrupts.clear()
        if stopped:
            raise KeyboardInterrupt
        return result

    sys.modules["nox.command"].popen = interruptible_popen
    signal.signal(signal.SIGINT, interrupt)


def chosen_timeouts(arguments):
    """Returns whether the noxfile chose how long nox waits for an interrupted command, and that time in milliseconds.

    The time is None if there is no limit.
    """
    popen = sys.modules.get("nox.popen")
    defaults = getattr(popen, "DEFAULT_INTERRUPT_TIMEOUT", 0.3), getattr(popen, "DEFAULT_TERMINATE_TIMEOUT", 0.2)
    timeouts = arguments.get("interrupt_timeout", defaults[0]), arguments.get("terminate_timeout", defaults[1])
    if timeouts == defaults:
        return False, None
    return True, None if None in timeouts else int(1000 * sum(timeouts))


def may_continue(answer_fd):
    """Asks noxide whether the session goes on after an interrupted command has exited with 0."""
    send(answer_fd, {"exited_cleanly_on_interrupt": True})
    return os.read(answer_fd, 1) == b"1"


def remove_exit_hooks():
    """Removes exit hooks and finalizers made before the fork: the host runs them once."""
    import atexit
    import weakref

    atexit._clear()
    registry = getattr(weakref.finalize, "_registry", {})
    for info in list(registry.values()):
        info.atexit = False
    weakref.finalize._registered_with_atexit = False


def run_session(loaded, request, answer_fd):
    """Runs the session through nox's own `run_manifest` and returns its result."""
    nox = sys.modules["nox"]
    runner = loaded.runners[request["id"]]
    set_required_statuses(nox, loaded, request)
    if request.get("posargs") is not None:
        runner.posargs = list(request["posargs"])
    loaded.manifest.notify = lambda target, posargs=None: notify(loaded, target, posargs, answer_fd)
    config = loaded.config
    if hasattr(config, "parallel"):
        config.parallel = 1
    if hasattr(config, "parallel_worker"):
        config.parallel_worker = True
    recreate_incomplete_environments(nox)
    locks = wrap_commands(nox, runner, answer_fd)
    installs = wrap_installs(nox, runner, locks)
    if request.get("shared_variables"):
        apply_shared_variables(loaded, request["shared_variables"])
    before = VariableSnapshot(loaded, None if request.get("shared_variables") else loaded.globals)
    handle_interrupts(nox, answer_fd)
    limit_capture_waits(request)
    since = time.monotonic()
    last = capture_last_error()
    try:
        locks.hold_project_files()
        result = nox.tasks.run_manifest([runner], config)[0]
        reason = str(result.reason or "") or (last.text if result.status.name == "FAILED" else "")
        reason = describe_missing_backend(reason) or reason
        answer = {"status": result.status.name, "reason": reason, "entry": report_entry(result.serialize())}
    except KeyboardInterrupt:
        answer = {"status": "INTERRUPTED", "reason": "interrupted"}
    except SystemExit as error:
        good = error.code in (None, 0)
        text = "the session called sys.exit(%s)" % ("" if error.code is None else repr(error.code))
        (nox.logger.logger.warning if good else nox.logger.logger.error)("Session %s: %s", runner.friendly_name, text)
        answer = {"status": "SUCCESS" if good else "FAILED", "reason": "" if good else text}
    except BaseException as error:
        traceback.print_exc()
        answer = {"status": "FAILED", "reason": describe_error(error)}
    answer["installs"] = installs.totals()
    if request.get("posargs") is None:  # what a session does with other arguments is not known for the next run
        answer["uses"] = locks.facts
    answer["duration"] = time.monotonic() - since
    answer["leaked"] = bool(LEAKED)
    answer["shared_variables"] = before.changes_until(VariableSnapshot(loaded))
    return answer


class LastError(logging.Handler):
    """Stores what failed: the result of a session does not name the command or the exception, only nox's log does.

    After a command whose output it captured nox logs that output as an error too, which is not stored.
    """

    text = ""
    output_follows = False

    def emit(self, record):
        is_output, self.output_follows = self.output_follows, False
        if record.exc_info and record.exc_info[1] is not None:
            self.text = describe_error(record.exc_info[1])
        elif record.levelno >= logging.ERROR and not (is_output and record.funcName == "run"):
            message = " ".join(record.getMessage().split())
            failed = re.match(r"(Command .*) failed with exit code (-?\d+)(:?)$", message)
            if failed:
                self.text = "%s failed with exit code %s" % (shorten(failed.group(1)), describe_code(failed.group(2)))
                self.output_follows = bool(failed.group(3))
            elif message and not message.startswith("Session "):
                self.text = shorten(message)


def describe_error(error):
    """Returns the type of an exception and the first line of its message, which may quote a program's output."""
    lines = str(error).strip().splitlines()
    return shorten("%s: %s" % (type(error).__name__, lines[0]) if lines else type(error).__name__)


def describe_code(code):
    """Returns an exit code of `subprocess`, with the name of the signal if it is one."""
    try:
        return "%s (%s)" % (code, signal.Signals(-int(code)).name) if int(code) < 0 else code
    except ValueError:
        return code


def shorten(text):
    """Cuts the middle out of a long text: a script as an argument of a command would fill the screen."""
    return text if len(text) <= 300 else "%s … %s" % (text[:200], text[-90:])


def report_entry(entry):
    """Returns a session's entry in the file of `nox --report`, byte for byte; nox fails on parameters without JSON form."""
    try:
        return json.dumps(entry, indent=2, default=safe_repr)
    except (TypeError, ValueError):  # keys of a dictionary, or a cycle
        arguments = {str(name): safe_repr(value) for name, value in entry["args"].items()}
        return json.dumps(dict(entry, args=arguments), indent=2)


LAST_ERROR = LastError()


def capture_last_error():
    LAST_ERROR.text, LAST_ERROR.output_follows = "", False
    logger = logging.getLogger("nox")
    if LAST_ERROR not in logger.handlers:
        logger.addHandler(LAST_ERROR)
    return LAST_ERROR


def describe_missing_backend(reason):
    """Returns a reason with advice if none of the session's backends, such as conda, is installed; else None."""
    found = re.match(r"ValueError: No backends present, looked for \((.+?),?\)", reason)
    names = found and found.group(1).replace("'", "").replace(", ", " or ")
    return names and "%s is not installed; install it, or choose another backend with --force-venv-backend" % names


def set_required_statuses(nox, loaded, request):
    """Sets the statuses of required sessions, so that nox's own check of `requires` works here."""
    status, result = nox.sessions.Status, nox.sessions.Result
    for number, word in (request.get("need_statuses") or {}).items():
        known = getattr(status, word, status.FAILED)
        runner = loaded.runners[int(number)]
        runner.result = result(runner, known)
    if loaded.ignores_dependencies:
        for runner in loaded.runners:
            if getattr(runner, "result", None) is None:
                runner.result = result(runner, status.SUCCESS)


def notify(loaded, target, posargs, answer_fd):
    """`session.notify`: reports to the host; an unknown session raises at once, as in nox."""
    matches = [number for number, runner in enumerate(loaded.runners)
               if runner == target or runner.name == target or target in runner.signatures]
    if not matches:
        raise ValueError("Session %s not found." % target)
    words = None if posargs is None else [os.fspath(p) if hasattr(p, "__fspath__") else str(p) for p in posargs]
    send(answer_fd, {"notify": matches[0], "matches": matches, "posargs": words})
    return True


def start_reloading(loaded, request, out, err, listener_socket=None):
    """Starts a session in a process that loads the noxfile again, for hosts that cannot fork."""
    import subprocess

    reader, writer = [end.detach() for end in socket.socketpair()]
    name = loaded.runners[request["id"]].friendly_name
    boot = dict(BOOT, role="session", request=request, name=name, answers=writer, listener_socket=listener_socket)
    with boot_file(boot) as stdin:
        process = subprocess.Popen([sys.executable, "-c", BOOT["bootstrap"]] + sys.argv[1:], stdin=stdin, stdout=out,
                                   stderr=err, start_new_session=True, cwd=BOOT["cwd"],
                                   pass_fds=[writer] + ([] if listener_socket is None else [listener_socket]))
    process.returncode = 0  # reaped by the host's own wait, not by subprocess
    os.close(writer)
    return RunningSession(request, process.pid, reader)


def run_reloaded_session():
    """Runs in the process of `start_reloading`: loads the noxfile, finds the session by index and name, and runs it."""
    answer_fd, request = BOOT["answers"], BOOT["request"]
    os.set_inheritable(answer_fd, False)
    if BOOT["listener_socket"] is not None:
        os.set_inheritable(BOOT["listener_socket"], False)
    reason = "the noxfile, loaded again, has no session %s at the same index" % BOOT["name"]
    runner = None
    try:
        with showing_on_failure():  # the host has shown what the noxfile prints
            loaded, missing = load(None)
        runner = loaded.runners[request["id"]] if not missing and request["id"] < len(loaded.runners) else None
    except HostFailure as failure:
        reason = "the noxfile could not be loaded again: %s" % failure
        sys.stderr.write("%s\n%s\n" % (reason, failure.facts.get("exception", "")))
    if runner is None or runner.friendly_name != BOOT["name"]:
        send(answer_fd, {"status": "FAILED", "reason": reason})
        return
    listeners = [] if BOOT["listener_socket"] is None else [BOOT["listener_socket"]]
    run_child(loaded, lambda: (request, [os.dup(1), os.dup(2)] + listeners), answer_fd)


@contextlib.contextmanager
def showing_on_failure():
    """Hides the output of this process for a while, and shows it if an exception is raised."""
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as hidden:
        try:
            for number in (1, 2):
                os.dup2(hidden.fileno(), number)
            yield
        except BaseException:
            sys.stdout.flush()
            sys.stderr.flush()
            hidden.seek(0)
            os.write(saved[1], hidden.read())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, fd in zip((1, 2), saved):
                os.dup2(fd, number)
                os.close(fd)


def fork_obstacle():
    """Returns the reason why the host cannot fork; empty if it can."""
    import threading

    return "the noxfile leaves threads running after its import" if threading.active_count() > 1 else ""


def warm_up(nox, config):
    """Prepares for the first fork: imports what each session would import, finds uv once, runs an empty session."""
    import importlib

    for name in ("base64", "datetime", "glob", "hashlib", "humanize", "inspect", "locale", "shlex", "shutil", "pickle",
                 "subprocess", "tempfile", "unicodedata", "platform", "nox.popen", "nox.command", "nox.project"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    with answering_uv_query():
        pin_optional_venvs(nox.virtualenv)
    stop_uv_query()
    capture_last_error()
    run_empty_session(nox, config)
    # No collection first: loading leaves almost no garbage.
    getattr(gc, "freeze", gc.collect)()
    gc.enable()


def pin_optional_venvs(virtualenv):
    """Finds uv, conda and others once for all forks: nox 2026.7 and newer search again in every session.

    nox uses the module's attribute if it is set.
    """
    found = getattr(virtualenv, "OPTIONAL_VENVS", None)
    getattr(virtualenv, "UV_VERSION", None)
    if found is not None and "OPTIONAL_VENVS" not in vars(virtualenv):
        virtualenv.OPTIONAL_VENVS = found


def run_empty_session(nox, config):
    """Runs an empty session without output, so that forks share what nox compiles and caches."""
    silence = os.open(os.devnull, os.O_RDWR)
    saved = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        for number in (1, 2):
            os.dup2(silence, number)
        function = nox._decorators.Func(lambda session: None, python=False, venv_backend="none")
        manifest = nox.manifest.Manifest({"warm-up": function}, config)
        nox.tasks.run_manifest(list(manifest), config)
    except Exception:  # optional: otherwise each session does this itself
        pass
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, fd in zip((1, 2), saved):
            os.dup2(fd, number)
            os.close(fd)
        os.close(silence)

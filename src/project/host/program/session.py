"""One session in a process of its own, forked or fresh: part of noxide's host program."""

import gc
import subprocess
import time


LIBC = []


class Running:
    """A session's process as the host knows it."""

    def __init__(self, order, pid, pipe):
        self.id = order["id"]
        self.pid = pid
        self.pipe = pipe
        self.rest = b""
        self.answer = None
        self.report = None
        self.started = False
        self.quiet = False
        self.since = time.monotonic()


def child(found, receive, answers):
    """The forked child: becomes the session that it is told to be, answers through `answers`, and never returns."""
    status = 1
    try:
        prepare_session()
        send(answers, {"ready": True})
        told = receive()
        if told is not None:
            order, descriptors = told
            settle(order, *descriptors[:2])
            for trace in descriptors[2:]:
                be_traced(order["trace"], trace)
            send(answers, perform(found, order, answers))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            finish_interpreter()
        status = 0
    except KeyboardInterrupt:  # before nox was asked to run it, or after
        send(answers, {"status": "INTERRUPTED", "reason": "interrupted"})
    except BaseException:  # whatever it is, it belongs into the session's log
        traceback.print_exc()
    finally:
        end_process(status)


def end_process(status):
    """Ends this process at once: what it has printed goes out, and no time goes into putting its objects away."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(status)


def send(answers, message):
    data = json.dumps(message, default=str).encode("utf-8") + b"\n"
    while data:
        data = data[os.write(answers, data) :]


def prctl(option, value):
    """Asks Linux for a trait of this process; elsewhere process groups and marks are what sessions are ended by."""
    if sys.platform == "linux":
        try:
            if not LIBC:
                import ctypes

                LIBC.append(ctypes.CDLL(None).prctl)
            LIBC[0](option, value, 0, 0, 0)
        except (ImportError, OSError, AttributeError):
            pass  # a Python without ctypes


def prepare_session():
    """A session and process group of its own, with a session's signals."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG: nobody would hear of a session whose host is gone
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, HANDLERS.get(number, signal.SIG_DFL))
    signal.signal(signal.SIGINT, HANDLERS.get(signal.SIGINT, signal.default_int_handler))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if BOOT["role"] == "host":
        forget_exit_hooks()


def settle(order, out, err):
    """The session's descriptors, environment and priority."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
    if order.get("tty"):
        import fcntl
        import termios

        try:
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)
        except OSError:
            pass  # it still is a terminal to the session's programs, only not the controlling one
    for fd in (out, err):
        if fd > 2:
            os.close(fd)
    os.environ.update(order.get("env") or {})
    if "TMPDIR" in (order.get("env") or {}):
        tempfile.tempdir = None
    if order.get("nice"):
        try:
            os.nice(order["nice"])
        except OSError:
            pass  # a lower number needs a privilege; the session runs all the same
        try:
            # Linux weighs whole sessions against each other first (autogroups), single processes only within one.
            with open("/proc/self/autogroup", "w") as group:
                group.write(str(order["nice"]))
        except OSError:
            pass  # another system, or no autogroups


def be_traced(trace, fd):
    """Puts this process, and all it will start, under a filter whose listener goes to noxide over the socket `fd`.

    Where that fails noxide hears why, and the session runs untraced. `prctl` and `seccomp` have no other door here.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
    try:
        import ctypes
        import errno
        import struct

        libc = ctypes.CDLL(None, use_errno=True)
        program = bytes.fromhex(trace["filter"])
        kept = ctypes.create_string_buffer(program, len(program))
        described = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(kept)))
        number = ctypes.c_long(trace["call"])
        for flags in trace["flags"]:
            wanted = (number, ctypes.c_ulong(1), ctypes.c_ulong(flags), described)
            listener = libc.syscall(*wanted)
            if listener < 0 and ctypes.get_errno() == errno.EACCES:
                # Without the right to do more: programs that would gain rights (sudo) gain none from here on.
                libc.prctl(38, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
                listener = libc.syscall(*wanted)
            if listener >= 0 or ctypes.get_errno() != errno.EINVAL:
                break
        if listener < 0:
            channel.sendall(b"-%d" % ctypes.get_errno())
        else:
            rights = struct.pack("i", listener)
            channel.sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            os.close(listener)
    except Exception as error:  # no ctypes, no such call: whatever it is
        channel.sendall(("this Python cannot ask the kernel: %s" % error).encode("utf-8", "replace"))
    channel.recv(1)  # noxide listens, or knows that it cannot
    channel.close()


def finish_interpreter():
    """What the end of an interpreter does for the session: its own threads and exit hooks."""
    import atexit
    import threading

    if threading.active_count() > 1:
        threading._shutdown()
    atexit._run_exitfuncs()


def defer_interrupts(nox):
    """Has an interrupt wait while nox waits for a command, and raises it once that command has ended.

    nox itself kills what it waits for within half a second of an interrupt, and goes on where that ends with 0.
    Who ends the command is noxide's to say, after its own graces. Python code of the session is interrupted at once,
    and a second interrupt is nox's own.
    """
    popen = getattr(sys.modules.get("nox.command"), "popen", None)
    if not hasattr(popen, "__code__") or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    waits = (subprocess.Popen.communicate.__code__, subprocess.Popen.wait.__code__, Captured.communicate.__code__)
    asked = []

    def interrupt(number, frame):
        while frame is not None and frame.f_back is not None:
            if not asked and frame.f_code in waits and frame.f_back.f_code is popen.__code__:
                asked.append(number)
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    def patient(*args, **kwargs):
        try:
            return popen(*args, **kwargs)
        finally:
            if asked:
                asked.clear()
                raise KeyboardInterrupt

    sys.modules["nox.command"].popen = patient
    signal.signal(signal.SIGINT, interrupt)


def forget_exit_hooks():
    """Leaves exit hooks and finalizers made before the fork to the host, which runs them once."""
    import atexit
    import weakref

    atexit._clear()
    registry = getattr(weakref.finalize, "_registry", {})
    for info in list(registry.values()):
        info.atexit = False
    weakref.finalize._registered_with_atexit = False


def perform(found, order, answers):
    """Runs the session through nox's own `run_manifest`, which words its log lines; says how it ended."""
    nox = sys.modules["nox"]
    runner = found.runners[order["id"]]
    give_results(nox, found, order)
    if order.get("posargs") is not None:
        runner.posargs = list(order["posargs"])
    found.manifest.notify = lambda target, posargs=None: notify(found, target, posargs, answers)
    config = found.config
    if hasattr(config, "parallel"):
        config.parallel = 1
    if hasattr(config, "parallel_worker"):
        config.parallel_worker = True
    installs = watch_installs(nox, runner)
    defer_interrupts(nox)
    end_captures(order)
    since = time.monotonic()
    last = last_error()
    try:
        result = nox.tasks.run_manifest([runner], config)[0]
        reason = str(result.reason or "") or (last.text if result.status.name == "FAILED" else "")
        answer = {"status": result.status.name, "reason": reason}
    except KeyboardInterrupt:
        answer = {"status": "INTERRUPTED", "reason": "interrupted"}
    except SystemExit as error:
        good = error.code in (None, 0)
        text = "the session called sys.exit(%s)" % ("" if error.code is None else repr(error.code))
        (nox.logger.logger.warning if good else nox.logger.logger.error)("Session %s: %s", runner.friendly_name, text)
        answer = {"status": "SUCCESS" if good else "FAILED", "reason": "" if good else text}
    except BaseException as error:
        traceback.print_exc()
        answer = {"status": "FAILED", "reason": "%s: %s" % (type(error).__name__, error)}
    answer["install"] = installs.facts()
    answer["duration"] = time.monotonic() - since
    answer["leaked"] = bool(LEAKED)
    return answer


class LastError(logging.Handler):
    """Remembers nox's last error line: its result says that a command failed, only its log says which."""

    text = ""

    def emit(self, record):
        if record.levelno >= logging.ERROR and record.exc_info is None:
            text = record.getMessage().splitlines()
            if text and not text[0].startswith("Session "):
                self.text = text[0]
        elif record.exc_info and record.exc_info[1] is not None:
            self.text = "%s: %s" % (record.exc_info[0].__name__, record.exc_info[1])


LAST_ERROR = LastError()


def last_error():
    LAST_ERROR.text = ""
    logger = logging.getLogger("nox")
    if LAST_ERROR not in logger.handlers:
        logger.addHandler(LAST_ERROR)
    return LAST_ERROR


def give_results(nox, found, order):
    """Hands nox the results of other sessions, so that its own check of `requires` holds here."""
    status, result = nox.sessions.Status, nox.sessions.Result
    for number, word in (order.get("results") or {}).items():
        known = getattr(status, word, status.FAILED)
        runner = found.runners[int(number)]
        runner.result = result(runner, known)
    if found.emulate:
        for runner in found.runners:
            if getattr(runner, "result", None) is None:
                runner.result = result(runner, status.SUCCESS)


def notify(found, target, posargs, answers):
    """`session.notify`: tells the host; an unknown session is an error here and now, as in nox."""
    matches = [number for number, runner in enumerate(found.runners)
               if runner == target or runner.name == target or target in runner.signatures]
    if not matches:
        raise ValueError("Session %s not found." % target)
    words = None if posargs is None else [os.fspath(p) if hasattr(p, "__fspath__") else str(p) for p in posargs]
    send(answers, {"notify": matches[0], "matches": matches, "posargs": words})
    return True


def start_fresh(found, order, out, err, trace=None):
    """Starts a session in a process that loads the noxfile again, for hosts that must not fork."""
    import subprocess

    reader, writer = os.pipe()
    boot = dict(BOOT, role="session", order=order, name=found.runners[order["id"]].friendly_name, answers=writer, trace=trace)
    with boot_file(boot) as stdin:
        process = subprocess.Popen([sys.executable, "-c", BOOT["bootstrap"]] + sys.argv[1:], stdin=stdin, stdout=out,
                                   stderr=err, start_new_session=True, cwd=BOOT["cwd"],
                                   pass_fds=[writer] + ([] if trace is None else [trace]))
    process.returncode = 0  # reaped by the host's own wait, not by subprocess
    os.close(writer)
    return Running(order, process.pid, reader)


def run_fresh_session():
    """The other side of `start_fresh`: loads, finds the session by number and name, runs it."""
    answers, order = BOOT["answers"], BOOT["order"]
    os.set_inheritable(answers, False)
    if BOOT["trace"] is not None:
        os.set_inheritable(BOOT["trace"], False)
    reason = "the noxfile, loaded again, has no session %s in the same place" % BOOT["name"]
    runner = None
    try:
        found, missing = load(None)
        runner = found.runners[order["id"]] if not missing and order["id"] < len(found.runners) else None
    except HostFailure as failure:
        reason = "the noxfile could not be loaded again: %s" % failure
        sys.stderr.write("%s\n%s\n" % (reason, failure.facts.get("exception", "")))
    if runner is None or runner.friendly_name != BOOT["name"]:
        send(answers, {"status": "FAILED", "reason": reason})
        return
    traced = [] if BOOT["trace"] is None else [BOOT["trace"]]
    child(found, lambda: (order, [os.dup(1), os.dup(2)] + traced), answers)


def unforkable():
    """Why sessions cannot be forked from here; empty where they can."""
    import threading

    return "the noxfile leaves threads running after its import" if threading.active_count() > 1 else ""


def warm(nox, config):
    """Before the first fork: imports what each session would import, looks for uv once, rehearses."""
    import importlib

    for name in ("datetime", "glob", "hashlib", "humanize", "inspect", "locale", "shlex", "shutil", "subprocess",
                 "tempfile", "unicodedata", "platform", "nox.popen", "nox.command", "nox.project"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    with uv_asked():
        pin_optional_venvs(nox.virtualenv)
    forget_uv()
    last_error()
    rehearse(nox, config)
    # No collection first: nothing of what loading left is garbage worth a look at every object.
    getattr(gc, "freeze", gc.collect)()
    gc.enable()


def pin_optional_venvs(virtualenv):
    """From 2026.7 on nox looks for uv, conda and others anew in every session: once is enough for all forks.

    nox reads the module's own attribute where there is one.
    """
    found = getattr(virtualenv, "OPTIONAL_VENVS", None)
    getattr(virtualenv, "UV_VERSION", None)
    if found is not None and "OPTIONAL_VENVS" not in vars(virtualenv):
        virtualenv.OPTIONAL_VENVS = found


def rehearse(nox, config):
    """Runs a session that does nothing, in silence: what nox compiles and caches on its way, forks then have."""
    silence = os.open(os.devnull, os.O_RDWR)
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        for number in (1, 2):
            os.dup2(silence, number)
        function = nox._decorators.Func(lambda session: None, python=False, venv_backend="none")
        manifest = nox.manifest.Manifest({"rehearsal": function}, config)
        nox.tasks.run_manifest(list(manifest), config)
    except Exception:  # only a rehearsal: each session then does it for itself
        pass
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, fd in zip((1, 2), kept):
            os.dup2(fd, number)
            os.close(fd)
        os.close(silence)

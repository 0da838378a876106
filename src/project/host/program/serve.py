"""Serves noxide's commands over the socket: the last part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""

import select

HANDLERS = {}
GRACE_SECONDS = 2.0
MAX_STANDBYS = 4


class Host:
    """The running sessions, and the loop that handles noxide's commands."""

    def __init__(self, channel, loaded, mode):
        self.channel = channel
        self.loaded = loaded
        self.mode = mode
        # A nox process of its own neither gets nor reports changes.
        self.shared_variables = None if mode == "nox-process" else SharedVariables(loaded)
        self.is_warm = False
        self.running = {}
        self.pipes = {}
        self.standbys = {}
        self.received = []
        self.remaining_starts = 0
        self.poll = select.poll()
        self.ended = False
        self.noxfile_children = noxfile_children()
        adopt_orphans()
        self.wake, self.waker = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.waker, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)
        self.poll.register(channel.socket, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)

    def stop(self, *_):
        self.ended = True

    def serve(self):
        """Serves until noxide sends `exit` or has exited, or an error occurs; then stops every session."""
        try:
            self.run_loop()
        finally:
            self.stop_all_sessions()

    def run_loop(self):
        while not self.ended:
            exited = []
            standby_needed = self.needs_standby()
            events = self.poll.poll(0 if standby_needed else None)
            if standby_needed and not events:
                self.prepare_standby()
            for fd, _ in events:
                if fd == self.wake:
                    self.read_all(self.wake)
                    exited = self.reap()
                elif fd in self.pipes:
                    if not self.read_messages(self.pipes[fd]):
                        self.poll.unregister(fd)
                        self.pipes[fd].pipe_ended = True
                else:
                    self.handle_commands(self.channel.receive())
            for running in exited:
                self.close_pipe(running)

    def read_all(self, fd):
        """Returns the buffered data of a pipe; None at its end."""
        data = b""
        while True:
            try:
                more = os.read(fd, 65536)
            except BlockingIOError:
                return data
            except ConnectionResetError:  # exited before it had read its request
                return data or None
            if not more:
                return data or None
            data += more

    def handle_commands(self, messages):
        if messages is None:
            self.ended = True
            return
        for message in messages:
            if message["type"] == "exit":
                self.ended = True
            elif message["type"] == "warm-up":
                self.warm_up()
            elif message["type"] == "continue":
                self.continue_session(message["id"], message["allowed"])
            elif message["type"] == "run":
                count = 3 if message.get("seccomp") else 2
                self.received = self.channel.descriptors[:count]
                del self.channel.descriptors[:count]
                try:
                    if len(self.received) < count:
                        raise OSError("too many open files")
                    self.start(message, self.received)
                except Exception as error:
                    self.channel.send({"type": "finished", "id": message["id"], "status": "CRASHED", "exit_code": None,
                                       "signal": None, "cpu_ms": 0, "peak_kib": 0, "duration_ms": 0,
                                       "reason": "could not be started: %s" % error})
                finally:
                    while self.received:
                        os.close(self.received.pop())

    def continue_session(self, session, allowed):
        """Tells a session whether it goes on; it waits for this after a command that exited with 0 on an interrupt."""
        for running in self.running.values():
            if running.id == session:
                try:
                    os.write(running.pipe, b"1" if allowed else b"0")
                except OSError:
                    pass  # it has exited

    def start(self, request, descriptors):
        if self.shared_variables:
            self.shared_variables.add_to_request(request)
        if self.mode == "fork":
            running = self.assign_process(request, descriptors)
        elif self.mode == "reload":
            running = start_reloading(self.loaded, request, *descriptors)
        else:
            running = start_nox_process(self.loaded, request, *descriptors)
        os.set_blocking(running.pipe, False)
        self.running[running.pid] = running
        self.pipes[running.pipe] = running
        self.poll.register(running.pipe, select.POLLIN)

    def assign_process(self, request, descriptors):
        """Gives a session to a standby process or a new one."""
        self.warm_up()
        self.remaining_starts = request.pop("remaining_starts", 0)
        running = None
        while running is None:
            had_standby = bool(self.standbys)
            if had_standby:
                standby = self.standbys.pop(next(iter(self.standbys)))
            else:
                standby = StandbyProcess(self.loaded, self.close_descriptors)
            try:
                running = standby.assign(request, descriptors)
            except OSError:  # the standby process may have been killed
                standby.close()
                if not had_standby:
                    raise
        while len(self.standbys) > self.remaining_starts:
            self.standbys.popitem()[1].close()
        return running

    def needs_standby(self):
        """Whether another standby process is useful: a remaining session may start when a running one ends."""
        return len(self.standbys) < min(self.remaining_starts, len(self.running), MAX_STANDBYS)

    def prepare_standby(self):
        try:
            standby = StandbyProcess(self.loaded, self.close_descriptors)
            self.standbys[standby.pid] = standby
        except OSError:  # cannot fork: the next session tries again and reports the error
            self.remaining_starts = 0

    def warm_up(self):
        """Prepares for the first fork, once."""
        if self.mode == "fork" and not self.is_warm:
            self.is_warm = True
            warm_up(sys.modules["nox"], self.loaded.config)
            self.loaded.globals = encode_globals(self.loaded)

    def close_pipe(self, running):
        if not running.pipe_ended:
            self.poll.unregister(running.pipe)
        del self.pipes[running.pipe]
        os.close(running.pipe)

    def close_descriptors(self):
        """Closes the host's own descriptors in a fork."""
        signal.set_wakeup_fd(-1)
        self.channel.socket.close()
        for standby in self.standbys.values():
            standby.close()
        for fd in [self.wake, self.waker] + self.received + [running.pipe for running in self.running.values()]:
            os.close(fd)

    def read_messages(self, running):
        """Forwards the messages of a session's process; returns False at the end of its pipe."""
        data = self.read_all(running.pipe)
        if data is None:
            return False
        lines = (running.partial_line + data).split(b"\n")
        running.partial_line = lines.pop()
        for line in lines:
            message = json.loads(line.decode("utf-8"))
            if "ready" in message:
                self.channel.send({"type": "started", "id": running.id, "pid": running.pid})
                running.started = True
            elif "interrupted" in message:
                self.channel.send({"type": "interrupted", "id": running.id, "timeout_ms": message["interrupted"]})
            elif "exited_cleanly_on_interrupt" in message:
                self.channel.send({"type": "exited-cleanly-on-interrupt", "id": running.id})
            elif "waiting" in message:
                self.channel.send({"type": "waiting", "id": running.id, "resource": message["waiting"]})
            elif "notify" in message:
                self.channel.send({"type": "notify", "id": running.id, "target": message["notify"],
                                   "matches": message["matches"], "posargs": message["posargs"]})
            else:
                running.result = message
        return True

    def reap(self):
        """Reaps and returns sessions whose process has exited, even if another process has their pipe open."""
        exited = []
        for running in list(self.running.values()):
            try:
                pid, status, usage = os.wait4(running.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status, usage = running.pid, 0, None
            if pid == 0:
                continue
            del self.running[running.pid]
            self.read_messages(running)
            self.report_exit(running, status, usage)
            exited.append(running)
        self.reap_orphans()
        return exited

    def reap_orphans(self):
        """Reaps adopted processes, so that no zombies accumulate."""
        while hasattr(os, "waitid"):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in self.running or ended.si_pid in self.noxfile_children:
                    return
                self.standbys.pop(ended.si_pid, None)
                os.waitpid(ended.si_pid, os.WNOHANG)
            except ChildProcessError:
                return

    def report_exit(self, running, status, usage):
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        if running.nox_report:
            running.result = result_from_report(*running.nox_report, code)
        if not running.started:
            self.channel.send({"type": "started", "id": running.id, "pid": running.pid})
        result = running.result or {"status": "CRASHED", "reason": describe_exit(code, number)}
        notices = []
        if self.shared_variables:
            notices = self.shared_variables.finish(running.id, result.get("shared_variables"))
        peak = 0 if usage is None else usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
        self.channel.send({
            "type": "finished", "id": running.id, "status": result["status"], "reason": result["reason"],
            "exit_code": code, "signal": number, "peak_kib": peak,
            "cpu_ms": 0 if usage is None else int((usage.ru_utime + usage.ru_stime) * 1000),
            "installs": result.get("installs"),
            "uses": result.get("uses"),
            "leaked": result.get("leaked", False),
            "entry": result.get("entry"),
            "notices": notices,
            "duration_ms": int((time.monotonic() - running.started_at) * 1000),
        })

    def stop_all_sessions(self):
        """Stops every session and all its processes: SIGTERM, a grace period, SIGKILL."""
        while self.standbys:
            self.standbys.popitem()[1].close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if is_childless():
                return
            signaled, deadline = set(), time.monotonic() + GRACE_SECONDS
            while time.monotonic() < deadline:
                self.reap()
                targets = set(self.running) | descendants({os.getpid()})
                if not targets and has_no_descendants():
                    return
                for pid in targets - signaled:
                    for kill in (os.killpg, os.kill):
                        try:
                            kill(pid, number)
                        except OSError:
                            pass  # it has exited, or is not a group leader
                signaled |= targets
                time.sleep(0.01)


def watch_for_hangup(fd, on):
    """Makes the kernel kill this process if noxide exits while the noxfile loads and nothing reads the socket.

    Processes that the noxfile started are in the same process group and are killed with it.
    """
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if os.getpgrp() == os.getpid() else os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)
        gone = select.poll()
        gone.register(fd, 0)
        if on and gone.poll(0):
            raise SystemExit("noxide is gone")  # noxide exited before the kernel watched the socket
    except (OSError, AttributeError):
        pass  # not supported by this system: noxide still stops the host itself


def prepare_process():
    """Sets up the process as nox's own command does."""
    BOOT["cwd"] = os.getcwd()
    fd = os.dup(BOOT["fd"]) if BOOT["role"] == "host" else None
    if BOOT["fd"] > 2:
        os.close(BOOT["fd"])
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    leave_terminal()
    sys.path[:] = [entry for entry in sys.path if entry != ""]
    sys.argv[0] = os.path.join(os.path.dirname(sys.executable), "nox")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    return fd


def leave_terminal():
    """Gives up the controlling terminal: a background process that asks there would be stopped, not answered."""
    import fcntl
    import termios

    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return  # it has none
    try:
        fcntl.ioctl(fd, termios.TIOCNOTTY)
    except OSError:
        pass  # not supported by this system
    finally:
        os.close(fd)


def exit_process():
    """Runs exit hooks and ends this process."""
    status = 1
    try:
        finish_interpreter()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        end_process(status)


def main():
    import faulthandler

    fd = prepare_process()
    if fd is None:
        run_reloaded_session()
        return
    channel = Channel(fd)
    channel.send({"type": "loading"})
    gc.disable()  # almost no garbage while loading: collections would only take 6 ms; `warm_up` enables it
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # noxide sends it to find where loading hangs
    watch_for_hangup(fd, True)
    if BOOT["preload"]:
        start_uv_query()
    mode, loaded = "fork", None
    try:
        loaded, missing = load(channel)
        if missing:
            loaded, mode = list_sessions(), "nox-process"
            manifest = describe_listed(loaded, missing)
        else:
            obstacle = fork_obstacle()
            mode = "reload" if obstacle else "fork"
            with answering_uv_query():  # nox queries uv to choose from a list of backends
                manifest = describe(loaded, {"how": "reload", "why": obstacle} if obstacle else {"how": "fork"})
    except HostFailure as failure:
        stop_uv_query()
        watch_for_hangup(fd, False)
        channel.send(failure.facts)
        return
    faulthandler.unregister(signal.SIGUSR1)
    watch_for_hangup(fd, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        HANDLERS[number] = signal.getsignal(number)
    channel.send(manifest)
    if mode != "fork":
        stop_uv_query()
        gc.enable()
    Host(channel, loaded, mode).serve()


main()
exit_process()

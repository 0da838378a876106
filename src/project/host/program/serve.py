"""Serves noxide over the socket until it has enough: the last part of noxide's host program."""

import select

HANDLERS = {}
GRACE = 2.0
MOST_STANDBYS = 4


class Host:
    """The sessions that run, and the loop that watches over them."""

    def __init__(self, channel, found, mode):
        self.channel = channel
        self.found = found
        self.mode = mode
        self.warmed = False
        self.running = {}
        self.pipes = {}
        self.standbys = {}
        self.taken = []
        self.more = 0
        self.poll = select.poll()
        self.ended = False
        self.own = children()
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
        """Until noxide says `exit` or is gone, or this fails: then every session is ended."""
        try:
            self.watch()
        finally:
            self.end_all()

    def watch(self):
        while not self.ended:
            over = []
            wanted = self.wants_standby()
            events = self.poll.poll(0 if wanted else None)
            if wanted and not events:
                self.prepare_standby()
            for fd, _ in events:
                if fd == self.wake:
                    self.read_all(self.wake)
                    over = self.reap()
                elif fd in self.pipes:
                    if not self.hear(self.pipes[fd]):
                        self.poll.unregister(fd)
                        self.pipes[fd].quiet = True
                else:
                    self.obey(self.channel.receive())
            for running in over:
                self.forget(running)

    def read_all(self, fd):
        """What a pipe holds now; None when it is at its end."""
        data = b""
        while True:
            try:
                more = os.read(fd, 65536)
            except BlockingIOError:
                return data
            except ConnectionResetError:  # ended before it had read what it should become
                return data or None
            if not more:
                return data or None
            data += more

    def obey(self, messages):
        if messages is None:
            self.ended = True
            return
        for message in messages:
            if message["type"] == "exit":
                self.ended = True
            elif message["type"] == "warm":
                self.warm()
            elif message["type"] == "run":
                count = 3 if message.get("trace") else 2
                self.taken = self.channel.descriptors[:count]
                del self.channel.descriptors[:count]
                try:
                    if len(self.taken) < count:
                        raise OSError("no room for more descriptors")
                    self.start(message, self.taken)
                except Exception as error:
                    self.channel.send({"type": "finished", "id": message["id"], "status": "CRASHED", "exit": None,
                                       "signal": None, "cpu_ms": 0, "peak_kib": 0, "duration_ms": 0,
                                       "reason": "could not be started: %s" % error})
                finally:
                    while self.taken:
                        os.close(self.taken.pop())

    def start(self, order, descriptors):
        if self.mode == "fork":
            running = self.hand_over(order, descriptors)
        elif self.mode == "fresh":
            running = start_fresh(self.found, order, *descriptors)
        else:
            running = start_plainly(self.found, order, *descriptors)
        os.set_blocking(running.pipe, False)
        self.running[running.pid] = running
        self.pipes[running.pipe] = running
        self.poll.register(running.pipe, select.POLLIN)

    def hand_over(self, order, descriptors):
        """Makes a session of a process that stands by, or of a new one."""
        self.warm()
        self.more = order.pop("more", 0)
        running = None
        while running is None:
            ahead = bool(self.standbys)
            standby = self.standbys.pop(next(iter(self.standbys))) if ahead else Standby(self.found, self.leave)
            try:
                running = standby.become(order, descriptors)
            except OSError:  # one that stood by may have been killed meanwhile
                standby.dismiss()
                if not ahead:
                    raise
        while len(self.standbys) > self.more:
            self.standbys.popitem()[1].dismiss()
        return running

    def wants_standby(self):
        """Whether a fork ahead would be of use: sessions that are to come may start at once when others end."""
        return len(self.standbys) < min(self.more, len(self.running), MOST_STANDBYS)

    def prepare_standby(self):
        try:
            standby = Standby(self.found, self.leave)
            self.standbys[standby.pid] = standby
        except OSError:  # no more processes: the next session tries again, and says so
            self.more = 0

    def warm(self):
        """Before the first fork, once."""
        if self.mode == "fork" and not self.warmed:
            self.warmed = True
            warm(sys.modules["nox"], self.found.config)

    def forget(self, running):
        if not running.quiet:
            self.poll.unregister(running.pipe)
        del self.pipes[running.pipe]
        os.close(running.pipe)

    def leave(self):
        """Closes, in a fork, what is the host's alone."""
        signal.set_wakeup_fd(-1)
        self.channel.socket.close()
        for standby in self.standbys.values():
            standby.dismiss()
        for fd in [self.wake, self.waker] + self.taken + [running.pipe for running in self.running.values()]:
            os.close(fd)

    def hear(self, running):
        """Passes on what a session's process says; false at the end of its pipe."""
        data = self.read_all(running.pipe)
        if data is None:
            return False
        lines = (running.rest + data).split(b"\n")
        running.rest = lines.pop()
        for line in lines:
            message = json.loads(line.decode("utf-8"))
            if "ready" in message:
                self.channel.send({"type": "started", "id": running.id, "pid": running.pid})
                running.started = True
            elif "notify" in message:
                self.channel.send({"type": "notify", "id": running.id, "target": message["notify"],
                                   "matches": message["matches"], "posargs": message["posargs"]})
            else:
                running.answer = message
        return True

    def reap(self):
        """Sessions whose own process is over, whatever may still hold their pipe."""
        over = []
        for running in list(self.running.values()):
            try:
                pid, status, usage = os.wait4(running.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status, usage = running.pid, 0, None
            if pid == 0:
                continue
            del self.running[running.pid]
            self.hear(running)
            self.tell_end(running, status, usage)
            over.append(running)
        self.bury_orphans()
        return over

    def bury_orphans(self):
        """Asks for the ends of adopted processes, so that no zombies gather."""
        while hasattr(os, "waitid"):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in self.running or ended.si_pid in self.own:
                    return
                self.standbys.pop(ended.si_pid, None)
                os.waitpid(ended.si_pid, os.WNOHANG)
            except ChildProcessError:
                return

    def tell_end(self, running, status, usage):
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        if running.report:
            running.answer = answer_of_report(running.report[0], running.report[1], code)
        if not running.started:
            self.channel.send({"type": "started", "id": running.id, "pid": running.pid})
        answer = running.answer or {"status": "CRASHED", "reason": death(code, number)}
        peak = 0 if usage is None else usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
        self.channel.send({
            "type": "finished", "id": running.id, "status": answer["status"], "reason": answer["reason"],
            "exit": code, "signal": number, "peak_kib": peak,
            "cpu_ms": 0 if usage is None else int((usage.ru_utime + usage.ru_stime) * 1000),
            "install": answer.get("install"),
            "leaked": answer.get("leaked", False),
            "duration_ms": int((time.monotonic() - running.since) * 1000),
        })

    def end_all(self):
        """Ends every session and all it started: TERM, a grace, KILL; and what they start meanwhile."""
        while self.standbys:
            self.standbys.popitem()[1].dismiss()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if is_childless():
                return
            told, until = set(), time.monotonic() + GRACE
            while time.monotonic() < until:
                self.reap()
                doomed = set(self.running) | descendants({os.getpid()})
                if not doomed and is_alone():
                    return
                for pid in doomed - told:
                    for kill in (os.killpg, os.kill):
                        try:
                            kill(pid, number)
                        except OSError:
                            pass  # gone, or no group of its own
                told |= doomed
                time.sleep(0.01)


def watch_for_hangup(fd, on):
    """While the noxfile loads nobody reads the socket: have the kernel end this process if noxide goes away.

    What the noxfile started is in the same process group and ends with it.
    """
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if os.getpgrp() == os.getpid() else os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)
        gone = select.poll()
        gone.register(fd, 0)
        if on and gone.poll(0):
            raise SystemExit("noxide went away")  # before the kernel was told to watch
    except (OSError, AttributeError):
        pass  # a system without it: noxide's own end of the host still works


def prepare_process():
    """The surroundings nox's own command gives a noxfile."""
    BOOT["cwd"] = os.getcwd()
    fd = os.dup(BOOT["fd"]) if BOOT["role"] == "host" else None
    if BOOT["fd"] > 2:
        os.close(BOOT["fd"])
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    sys.path[:] = [entry for entry in sys.path if entry != ""]
    sys.argv[0] = os.path.join(os.path.dirname(sys.executable), "nox")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    return fd


def leave():
    """The end of this process, with its exit hooks."""
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
        run_fresh_session()
        return
    channel = Channel(fd)
    channel.send({"type": "loading"})
    gc.disable()  # loading makes what stays: collections on the way find nothing, for 6 ms; `warm` ends this
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # noxide asks so where a load hangs
    watch_for_hangup(fd, True)
    if BOOT["ahead"]:
        ask_uv()
    mode, found = "fork", None
    try:
        found, missing = load(channel)
        if missing:
            found, mode = list_plainly(), "plain"
            manifest = describe_plainly(found, missing)
        else:
            why = unforkable()
            mode = "fresh" if why else "fork"
            with uv_asked():  # a list of backends asks
                manifest = describe(found, {"how": "process", "why": why} if why else {"how": "fork"})
    except HostFailure as failure:
        forget_uv()
        watch_for_hangup(fd, False)
        channel.send(failure.facts)
        return
    faulthandler.unregister(signal.SIGUSR1)
    watch_for_hangup(fd, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        HANDLERS[number] = signal.getsignal(number)
    channel.send(manifest)
    if mode != "fork":
        forget_uv()
        gc.enable()
    Host(channel, found, mode).serve()


main()
leave()

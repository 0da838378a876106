"""What is done ahead of a session: uv is asked for its version, a fork stands by. Part of noxide's host program."""

import contextlib

ASKED = []


class EarlyUv:
    """nox asks uv for its version before its first session, and waits: here uv answers while nox is imported.

    A process, not a thread: some imports are not safe beside another thread.
    """

    def __init__(self):
        self.path = os.environ.get("PATH")
        self.question = [find_uv(), "self", "version", "--output-format", "json"]
        self.process = subprocess.Popen(self.question, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        universal_newlines=True)

    @contextlib.contextmanager
    def answering(self):
        """While this lasts `subprocess.run` knows the answer; nothing but nox's own code may run meanwhile."""
        run = subprocess.run

        def answer(*args, **kwargs):
            asked = args == (self.question,) and kwargs.get("capture_output") and not kwargs.get("check")
            if self.process is None or not asked or os.environ.get("PATH") != self.path:
                return run(*args, **kwargs)
            process, self.process = self.process, None
            out, err = process.communicate()
            return subprocess.CompletedProcess(self.question, process.returncode, out, err)

        subprocess.run = answer
        try:
            yield
        finally:
            subprocess.run = run

    def forget(self):
        """Nobody asks any more."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.communicate()


def find_uv():
    """The uv that nox would ask."""
    if "UV" in os.environ:
        return os.environ["UV"]
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return "uv"


def ask_uv():
    """Asks; where that cannot be done nox finds out for itself, and says it."""
    try:
        ASKED.append(EarlyUv())
    except Exception:  # no uv, no processes, a broken package of that name
        pass


def uv_asked():
    """The context in which nox's question is answered by what was asked ahead, if anything was."""
    return ASKED[0].answering() if ASKED else contextlib.suppress()


def forget_uv():
    """Ends the question that nobody asked."""
    for asked in ASKED:
        asked.forget()


def asked_of_uv():
    """The process that still may answer."""
    return set(asked.process.pid for asked in ASKED if asked.process is not None)


class Standby:
    """A fork of the host that waits for the session it is to become, leader of a process group of its own.

    So no session waits for a fork; and one that is woken starts where a CPU is free, a fork where its parent is.
    """

    def __init__(self, found, close):
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        with ours, theirs:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    close()
                    ours.close()
                    answers = theirs.fileno()
                    child(found, Channel(theirs.detach()).receive_order, answers)
                finally:  # whatever happens, a fork is no second host
                    os._exit(1)
            self.channel = Channel(ours.detach())

    def become(self, order, descriptors):
        """Makes it the session of that order, with these descriptors; fails where it is gone."""
        self.channel.pass_on(order, descriptors)
        return Running(order, self.pid, self.channel.socket.detach())

    def dismiss(self):
        """Lets it go: at the end of its socket it ends."""
        self.channel.socket.close()

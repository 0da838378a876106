"""Work done before a session starts: uv's version, standby processes. Part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""

UV_QUERIES = []


class UvQuery:
    """Queries uv for its version while nox is imported; nox would wait for it before the first session.

    A process, not a thread: some imports are not safe beside another thread.
    """

    def __init__(self):
        self.path = os.environ.get("PATH")
        self.command = [find_uv(), "self", "version", "--output-format", "json"]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        universal_newlines=True)

    @contextlib.contextmanager
    def answering(self):
        """Makes `subprocess.run` return the result of the query; only nox's own code may run in this context."""
        run = subprocess.run

        def answer(*args, **kwargs):
            is_query = args == (self.command,) and kwargs.get("capture_output") and not kwargs.get("check")
            if self.process is None or not is_query or os.environ.get("PATH") != self.path:
                return run(*args, **kwargs)
            process, self.process = self.process, None
            out, err = process.communicate()
            return subprocess.CompletedProcess(self.command, process.returncode, out, err)

        subprocess.run = answer
        try:
            yield
        finally:
            subprocess.run = run

    def stop(self):
        """Stops the query."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.communicate()


def find_uv():
    """Returns the path of the uv that nox would query."""
    if "UV" in os.environ:
        return os.environ["UV"]
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return "uv"


def start_uv_query():
    """Starts the query; if that fails, nox queries uv itself and reports the error."""
    try:
        UV_QUERIES.append(UvQuery())
    except Exception:  # no uv, no processes, a broken package of that name
        pass


def answering_uv_query():
    """Returns a context in which nox's query gets the result of the query started before, if there is one."""
    return UV_QUERIES[0].answering() if UV_QUERIES else contextlib.suppress()


def stop_uv_query():
    """Stops a query whose result was not needed."""
    for query in UV_QUERIES:
        query.stop()


def uv_query_pids():
    """Returns the pids of running queries."""
    return set(query.process.pid for query in UV_QUERIES if query.process is not None)


class StandbyProcess:
    """A fork of the host that waits for a session to run; it is the leader of its process group.

    With it no session waits for a fork. Besides, a process that wakes up gets a free CPU, and a new fork that of its parent.
    """

    def __init__(self, loaded, close):
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        with ours, theirs:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    close()
                    ours.close()
                    answer_fd = theirs.fileno()
                    run_child(loaded, Channel(theirs.detach()).receive_request, answer_fd)
                finally:  # a fork must never run as a second host
                    os._exit(1)
            self.channel = Channel(ours.detach())

    def assign(self, request, descriptors):
        """Sends a request and its descriptors to the process; fails if it has exited."""
        self.channel.send_request(request, descriptors)
        return RunningSession(request, self.pid, self.channel.socket.detach())

    def close(self):
        """Closes its socket, which makes it exit."""
        self.channel.socket.close()

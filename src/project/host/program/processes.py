"""Child processes and descendants of the host: part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""


def describe_exit(code, number):
    """Describes the exit of a process that reported no result."""
    if number is not None:
        try:
            return "its process was killed by %s" % signal.Signals(number).name
        except ValueError:
            return "its process was killed by signal %d" % number
    return "its process exited with code %s before nox reported a result" % code


def adopt_orphans():
    """Makes this process the parent of its sessions' orphans, so that it can stop them if noxide is killed."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def noxfile_children():
    """Returns the processes that the noxfile started while it was loaded; its code may still wait for them."""
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            # Reading every process of the machine is slow and rarely needed.
            if set(int(pid) for pid in file.read().split()) <= uv_query_pids():
                return set()
    except (OSError, ValueError):
        pass  # a kernel without these lists
    return descendants({os.getpid()}) - uv_query_pids()


def is_childless():
    """Whether this process has no children, and therefore no descendants."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    except (OSError, AttributeError):
        pass  # not supported by this system
    return False


def has_no_descendants():
    """Whether this process has no live descendants.

    `descendants` may miss one whose parent exits meanwhile, because pids are reused. The kernel's list of children
    misses none: an orphan is appended to it.
    """
    try:
        before = listed_children()
        return not any(is_alive(pid) for pid in before) and listed_children() == before
    except (OSError, ValueError):  # a kernel without these lists
        return not descendants({os.getpid()})


def listed_children():
    """Returns the children of this process, including zombies, in the order in which it got them."""
    found = []
    for thread in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/children" % thread) as file:
            found += [int(pid) for pid in file.read().split()]
    return found


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def descendants(roots):
    """Returns all live descendants of `roots`; empty without /proc."""
    parents = {}
    try:
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name, "rb") as file:
                        state, parent = file.read().rpartition(b")")[2].split()[:2]
                    if state not in (b"Z", b"X"):
                        parents[int(name)] = int(parent)
                except (OSError, ValueError, IndexError):
                    continue
    except OSError:
        return set()
    found, has_grown = set(), True
    while has_grown:
        more = set(pid for pid, parent in parents.items() if parent in roots | found) - found
        has_grown = bool(more)
        found |= more
    return found

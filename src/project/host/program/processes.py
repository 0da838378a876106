"""Processes of this machine, and how they end, as the host sees them: part of noxide's host program."""


def death(code, number):
    """In words, how a process ended that gave no answer."""
    if number is not None:
        try:
            return "its process was killed by %s" % signal.Signals(number).name
        except ValueError:
            return "its process was killed by signal %d" % number
    return "its process ended with exit code %s before nox had a result" % code


def adopt_orphans():
    """Has the kernel give this process the orphans of its sessions: they stay its own to end if noxide is killed."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def children():
    """The processes that the noxfile started while it was loaded: its own code may still wait for them."""
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            # Looking at every process of the machine takes its time, and is seldom of use.
            if set(int(pid) for pid in file.read().split()) <= asked_of_uv():
                return set()
    except (OSError, ValueError):
        pass  # a kernel without these lists
    return descendants({os.getpid()}) - asked_of_uv()


def is_childless():
    """Whether this process has no children at all, and so nothing below it."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    except (OSError, AttributeError):
        pass  # a system without it
    return False


def is_alone():
    """Whether nothing below this process lives.

    `descendants` may miss one whose parent ends during the look: numbers come again, so it may be seen before its
    parent. The kernel's list of children misses none: who loses its parent is put at its end.
    """
    try:
        before = listed_children()
        return not any(is_living(pid) for pid in before) and listed_children() == before
    except (OSError, ValueError):  # a kernel without these lists
        return not descendants({os.getpid()})


def listed_children():
    """This process's children, ended ones too, in the order in which they came."""
    found = []
    for thread in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/children" % thread) as file:
            found += [int(pid) for pid in file.read().split()]
    return found


def is_living(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def descendants(roots):
    """All living processes below `roots`, where /proc tells."""
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
    found, grown = set(), True
    while grown:
        more = set(pid for pid, parent in parents.items() if parent in roots | found) - found
        grown = bool(more)
        found |= more
    return found

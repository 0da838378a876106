"""Runs sessions with `python -m nox`, for a nox with unknown internals: part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""

VALUE_FLAGS = ("-k", "--keywords")
LIST_FLAGS = ("-s", "--session", "--sessions", "-e", "-t", "--tags", "-p", "--pythons", "--python")


class ListedNoxfile:
    """A noxfile as listed by `nox --list --json`."""

    def __init__(self, sessions):
        self.sessions = sessions
        self.signatures = [session["session"] for session in sessions]
        self.no_dependencies = False


def list_sessions():
    """Lists the sessions with `nox --list --json`."""
    import subprocess

    command = [sys.executable, "-m", "nox"] + nox_flags() + ["--list", "--json"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    err = result.stderr.decode("utf-8", "replace")
    if result.returncode:
        stage = {2: "noxfile", 3: "selection"}.get(result.returncode, "nox")
        lines = [line for line in err.splitlines() if line.strip()]
        raise HostFailure(stage, "\n".join(lines[-3:]) or "nox --list failed", result.returncode)
    lines = result.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        listed = ListedNoxfile(json.loads(lines[-1]) if lines else [])
        sys.stdout.write("".join(line + "\n" for line in lines[:-1]))  # of the noxfile
        sys.stderr.write(err)
        return listed
    except ValueError:
        raise HostFailure("nox", "nox --list --json printed no list of sessions")


def describe_listed(listed, missing):
    """Returns the manifest according to the listing; `requires` is read from the noxfile's source."""
    flags = nox_flags()
    noxfile = os.path.abspath(flag_value(flags, "-f", "--noxfile") or "noxfile.py")
    os.chdir(os.path.dirname(noxfile))
    tree = parse_noxfile(noxfile)
    requires = parse_requires(tree)
    envdir = flag_value(flags, "--envdir") or parse_option(tree, "envdir") or ".nox"
    sessions = []
    for facts in listed.sessions:
        python = facts.get("python")
        required = [text.format(python=python, py=python) for text in requires.get(facts["name"], [])]
        sessions.append({
            "name": facts["session"], "base": facts["name"], "signatures": [facts["session"]],
            "description": facts.get("description") or "", "python": python if isinstance(python, str) else None,
            "tags": facts.get("tags") or [], "backend": "unknown", "reuse": False, "envdir": None, "default": True,
            "allow_parallel": None, "notifies": [], "coverage": {"writes": None, "reads": False},
            "parameters": [[str(k), str(v)] for k, v in (facts.get("call_spec") or {}).items()],
            "requires": [i for i, other in enumerate(listed.sessions)
                         if other["session"] in required or other["name"] in required],
            "file": path_json(noxfile), "line": None, "source": None,
        })
    listed.no_dependencies = any(session["requires"] for session in sessions)
    return {
        "type": "manifest", "nox": nox_version(), "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": path_json(sys.executable), "noxfile": path_json(noxfile), "root": path_json(os.getcwd()),
        "envdir": path_json(os.path.abspath(envdir)),
        "mode": {"how": "nox-process", "why": "this nox has no %s" % ", ".join(missing)},
        "sessions": sessions, "queue": list(range(len(sessions))), "description": "",
        "stop_on_first_error": "-x" in flags or "--stop-on-first-error" in flags, "report": None, "notices": [],
    }


def flag_value(flags, *names):
    """Returns the value that the arguments give a flag last; None if they do not have it."""
    found = None
    for index, flag in enumerate(flags):
        name, has_value, value = flag.partition("=")
        if name in names:
            found = value if has_value else "".join(flags[index + 1 : index + 2])
    return found


def parse_noxfile(noxfile):
    """Returns the syntax tree of a noxfile; an empty one if it cannot be parsed."""
    try:
        with open(noxfile, "rb") as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ast.parse("")


def parse_option(tree, name):
    """Returns the constant string that a noxfile assigns to an option, as in `nox.options.envdir = "envs"`; else None."""
    found = None
    for node in ast.walk(tree):
        for target in getattr(node, "targets", []):
            owner = getattr(target, "value", None)
            if getattr(target, "attr", None) == name and "options" in (getattr(owner, "attr", None), getattr(owner, "id", None)):
                found = constant_string(node.value) or found
    return found


def parse_requires(tree):
    """Returns the constant strings in `requires=[…]` of the decorators of a noxfile, by session name."""
    found = {}
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", []):
            keywords = {keyword.arg: keyword.value for keyword in getattr(decorator, "keywords", [])}
            if "requires" in keywords:
                name = constant_string(keywords.get("name")) or node.name
                found[name] = constant_strings(keywords["requires"], node, tree, 0)
    return found


def start_nox_process(listed, request, out, err, listener_socket=None):
    """Starts one session as a nox process of its own."""
    import subprocess

    name = listed.signatures[request["id"]]
    handle, report = tempfile.mkstemp(prefix="noxide-report-")
    os.close(handle)
    posargs = request.get("posargs")
    if posargs is None:
        posargs = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    command = [sys.executable, "-m", "nox"] + without_selection(nox_flags())
    command += ["--no-dependencies"] if listed.no_dependencies else []
    command += ["--forcecolor"] if BOOT["color"] and "NO_COLOR" not in os.environ else []
    command += ["--report", report, "-s", name, "--"] + list(posargs)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                               env=dict(os.environ, **(request.get("env") or {})), cwd=BOOT["cwd"],
                               preexec_fn=None if listener_socket is None else
                               lambda: install_seccomp_filter(request["seccomp"], listener_socket))
    process.returncode = 0  # reaped by the host's own wait, not by subprocess
    if request.get("nice"):
        try:
            os.setpriority(os.PRIO_PROCESS, process.pid, request["nice"])
        except OSError:
            pass  # it has exited, or this is not allowed: it runs at its normal priority
    reader, writer = os.pipe()
    os.write(writer, b'{"ready": true}\n')
    os.close(writer)
    running = RunningSession(request, process.pid, reader)
    running.nox_report = report, name
    return running


def without_selection(flags):
    """Returns nox's arguments without those that select sessions."""
    remaining, index = [], 0
    while index < len(flags):
        flag = flags[index].split("=")[0]
        index += 1
        if flag in VALUE_FLAGS:
            index += 0 if "=" in flags[index - 1] else 1
        elif flag in LIST_FLAGS:
            while index < len(flags) and not flags[index].startswith("-"):
                index += 1
        elif flag != "--no-dependencies":
            remaining.append(flags[index - 1])
    return remaining


def result_from_report(report, name, code):
    """Returns the result of a session, from the report of its nox process."""
    try:
        with open(report, encoding="utf-8") as file:
            entries = json.load(file)["sessions"]
    except (OSError, ValueError, KeyError):
        entries = []
    finally:
        os.unlink(report)
    for entry in entries:
        if name in entry["signatures"] or name == entry["name"]:
            if entry["result_code"] > 0 and code not in (0, None):
                return {"status": "FAILED", "reason": "a session that it notified failed"}
            return {"status": entry["result"].upper(), "reason": entry.get("reason") or "", "entry": report_entry(entry)}
    if code == 130:
        return {"status": "INTERRUPTED", "reason": "interrupted"}
    if code is None or code == 0:
        return None
    return {"status": "FAILED", "reason": "nox exited with code %d and wrote no report" % code}

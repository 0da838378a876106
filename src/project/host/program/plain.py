"""Sessions through `python -m nox` alone, for a nox whose inside is not as expected: part of noxide's host program."""

VALUE_FLAGS = ("-k", "--keywords")
LIST_FLAGS = ("-s", "--session", "--sessions", "-e", "-t", "--tags", "-p", "--pythons", "--python")


class Plain:
    """A noxfile seen from outside: what `nox --list --json` says."""

    def __init__(self, sessions):
        self.sessions = sessions
        self.signatures = [session["session"] for session in sessions]
        self.no_dependencies = False


def list_plainly():
    """The manifest by nox's own listing."""
    import subprocess

    command = [sys.executable, "-m", "nox"] + nox_flags() + ["--list", "--json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    err = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        stage = {2: "noxfile", 3: "select"}.get(done.returncode, "nox")
        lines = [line for line in err.splitlines() if line.strip()]
        raise HostFailure(stage, "\n".join(lines[-3:]) or "nox --list failed", done.returncode)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        return Plain(json.loads(lines[-1]) if lines else [])
    except ValueError:
        raise HostFailure("nox", "nox --list --json gave no list of sessions")


def describe_plainly(plain, missing):
    """A manifest of what little is known; needs are read from the noxfile's text."""
    flags = nox_flags()
    noxfile = "noxfile.py"
    for flag, value in zip(flags, flags[1:]):
        if flag in ("-f", "--noxfile"):
            noxfile = value
    noxfile = os.path.abspath(noxfile)
    os.chdir(os.path.dirname(noxfile))
    requires = written_requires(noxfile)
    sessions = []
    for facts in plain.sessions:
        python = facts.get("python")
        wanted = [text.format(python=python, py=python) for text in requires.get(facts["name"], [])]
        sessions.append({
            "name": facts["session"], "base": facts["name"], "signatures": [facts["session"]],
            "description": facts.get("description") or "", "python": python if isinstance(python, str) else None,
            "tags": facts.get("tags") or [], "backend": "unknown", "reuse": False, "envdir": None, "default": True,
            "allow_parallel": None, "notifies": [], "coverage": {"writes": None, "own_file": False, "reads": False},
            "parameters": [[str(k), str(v)] for k, v in (facts.get("call_spec") or {}).items()],
            "requires": [i for i, other in enumerate(plain.sessions)
                         if other["session"] in wanted or other["name"] in wanted],
            "file": path_facts(noxfile), "line": None, "source": None,
        })
    plain.no_dependencies = any(session["requires"] for session in sessions)
    return {
        "type": "manifest", "nox": nox_version(), "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": path_facts(sys.executable), "noxfile": path_facts(noxfile), "root": path_facts(os.getcwd()),
        "mode": {"how": "process", "why": "this nox has no %s" % ", ".join(missing)},
        "sessions": sessions, "queue": list(range(len(sessions))), "description": "",
        "stop_on_first_error": "-x" in flags or "--stop-on-first-error" in flags, "report": None, "notices": [],
    }


def written_requires(noxfile):
    """`requires=[…]` of constant strings in the decorators of a noxfile, by the session's name."""
    found = {}
    try:
        with open(noxfile, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", []):
            keywords = {keyword.arg: keyword.value for keyword in getattr(decorator, "keywords", [])}
            if "requires" in keywords:
                name = text_of(keywords.get("name")) or node.name
                found[name] = words_of(keywords["requires"], node, tree, 0)
    return found


def start_plainly(plain, order, out, err, trace=None):
    """Starts one session as a nox of its own."""
    import subprocess

    name = plain.signatures[order["id"]]
    handle, report = tempfile.mkstemp(prefix="noxide-report-")
    os.close(handle)
    posargs = order.get("posargs")
    if posargs is None:
        posargs = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    command = [sys.executable, "-m", "nox"] + without_selection(nox_flags())
    command += ["--no-dependencies"] if plain.no_dependencies else []
    command += ["--forcecolor"] if BOOT["color"] and "NO_COLOR" not in os.environ else []
    command += ["--report", report, "-s", name, "--"] + list(posargs)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                               env=dict(os.environ, **(order.get("env") or {})), cwd=BOOT["cwd"],
                               preexec_fn=None if trace is None else lambda: be_traced(order["trace"], trace))
    process.returncode = 0  # reaped by the host's own wait, not by subprocess
    if order.get("nice"):
        try:
            os.setpriority(os.PRIO_PROCESS, process.pid, order["nice"])
        except OSError:
            pass  # gone already, or not allowed: it runs all the same
    reader, writer = os.pipe()
    os.write(writer, b'{"ready": true}\n')
    os.close(writer)
    running = Running(order, process.pid, reader)
    running.report = report, name
    return running


def without_selection(flags):
    """nox's arguments without those that select sessions."""
    kept, at = [], 0
    while at < len(flags):
        flag = flags[at].split("=")[0]
        at += 1
        if flag in VALUE_FLAGS:
            at += 0 if "=" in flags[at - 1] else 1
        elif flag in LIST_FLAGS:
            while at < len(flags) and not flags[at].startswith("-"):
                at += 1
        elif flag != "--no-dependencies":
            kept.append(flags[at - 1])
    return kept


def answer_of_report(report, name, code):
    """What a finished nox wrote about its one session."""
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
            return {"status": entry["result"].upper(), "reason": entry.get("reason") or ""}
    if code == 130:
        return {"status": "INTERRUPTED", "reason": "interrupted"}
    if code is None or code == 0:
        return None
    return {"status": "FAILED", "reason": "nox ended with exit code %d and without a report" % code}

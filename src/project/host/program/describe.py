"""Says what a loaded noxfile declares: the manifest message of noxide's host program."""


def describe(found, mode):
    """The manifest, in the shape of noxide's `Manifest`."""
    nox = sys.modules["nox"]
    numbers = {}
    for number, runner in enumerate(found.runners):
        numbers.setdefault(id(runner), number)
    logging.disable(logging.CRITICAL)  # nox warns of hashed environment names when the session runs
    try:
        sessions = [describe_session(nox, found, runner, numbers) for runner in found.runners]
    finally:
        logging.disable(logging.NOTSET)
    config = found.config
    report = getattr(config, "report", None)
    names = [session["name"] for session in sessions]
    for name in sorted(set(name for name in names if names.count(name) > 1) if len(set(names)) < len(names) else ()):
        found.notices.append("%d sessions share the name %s" % (names.count(name), name))
    return {
        "type": "manifest",
        "nox": nox_version(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": path_facts(sys.executable),
        "noxfile": path_facts(os.path.abspath(str(config.noxfile))),
        "root": path_facts(os.getcwd()),
        "mode": mode,
        "sessions": sessions,
        "queue": [numbers[id(runner)] for runner in found.queue if id(runner) in numbers],
        "description": (found.docstring or "").strip(),
        "stop_on_first_error": bool(getattr(config, "stop_on_first_error", False)),
        "report": path_facts(os.path.abspath(str(report))) if report else None,
        "notices": found.notices,
        "uv_cache": os.environ.get("UV_CACHE_DIR") or None,
    }


def describe_session(nox, found, runner, numbers):
    function = runner.func
    python = getattr(function, "python", None)
    backend = resolve_backend(nox, found.config, function)
    passthrough = backend == "none" or python is False
    file, line = source_of(function)
    use = source_use(function)
    return {
        "name": runner.friendly_name,
        "base": runner.name,
        "signatures": sorted(runner.signatures or [runner.name], key=len, reverse=True),
        "description": runner.description or "",
        "python": python if isinstance(python, str) else None,
        "tags": list(getattr(function, "tags", None) or []),
        "requires": needs_of(found, runner, numbers),
        "backend": "none" if passthrough else backend,
        "reuse": bool(reuses(found.config, runner)),
        "venv_params": [str(word) for word in getattr(function, "venv_params", None) or []],
        "envdir": None if passthrough else path_facts(os.path.abspath(runner.envdir)),
        "default": bool(getattr(function, "default", True)),
        "allow_parallel": getattr(function, "allow_parallel", None),
        "parameters": [[str(name), shown(value)] for name, value in getattr(function, "call_spec", {}).items()],
        "coverage": coverage_facts(use),
        "notifies": use.notifies,
        "installs": use.installs,
        "file": None if file is None else path_facts(file),
        "line": line,
        "source": use.source,
    }


def path_facts(path):
    """A path as text, or as its bytes where it is none."""
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError:
        return list(os.fsencode(path))


def shown(value):
    try:
        return repr(value)[:200]
    except Exception:  # a parameter whose repr raises is still a parameter
        return "<%s>" % type(value).__name__


def needs_of(found, runner, numbers):
    if not hasattr(runner, "get_direct_dependencies") or not getattr(runner.func, "requires", None):
        return []
    try:
        return [numbers[id(need)] for need in runner.get_direct_dependencies() if id(need) in numbers]
    except Exception:  # only sessions that nox did not select may name a need that does not exist
        return []


def resolve_backend(nox, config, function):
    """The backend nox would take: of a list such as `uv|virtualenv`, the first that is there."""
    declared = (
        getattr(config, "force_venv_backend", None)
        or getattr(function, "venv_backend", None)
        or getattr(config, "default_venv_backend", None)
        or "virtualenv"
    )
    if "|" not in declared or getattr(function, "python", None) is False:
        return declared
    optional = getattr(nox.virtualenv, "OPTIONAL_VENVS", {})
    return next((name for name in declared.split("|") if optional.get(name, True)), declared)


def reuses(config, runner):
    if hasattr(runner, "reuse_existing_venv"):
        try:
            return runner.reuse_existing_venv()
        except Exception:  # nox says what is wrong when the session runs
            return False
    return runner.func.reuse_venv or getattr(config, "reuse_existing_virtualenvs", False)

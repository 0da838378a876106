"""The manifest message, which describes a loaded noxfile: part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""


def describe(loaded, mode):
    """Returns the manifest, in the format of noxide's `NoxfileManifest`."""
    nox = sys.modules["nox"]
    numbers = {}
    for number, runner in enumerate(loaded.runners):
        numbers.setdefault(id(runner), number)
    config = loaded.config
    logging.disable(logging.CRITICAL)  # nox warns about hashed environment names when the session runs
    try:
        with in_project_directory(config):
            sessions = [describe_session(nox, loaded, runner, numbers) for runner in loaded.runners]
    finally:
        logging.disable(logging.NOTSET)
    report = getattr(config, "report", None)
    names = [session["name"] for session in sessions]
    for name in sorted(set(name for name in names if names.count(name) > 1) if len(set(names)) < len(names) else ()):
        loaded.notices.append("%d sessions share the name %s" % (names.count(name), name))
    return {
        "type": "manifest",
        "nox": nox_version(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": path_json(sys.executable),
        "noxfile": path_json(os.path.abspath(str(config.noxfile))),
        "root": path_json(project_directory(config)),
        "envdir": path_json(environments_directory(config)),
        "mode": mode,
        "sessions": sessions,
        "queue": [numbers[id(runner)] for runner in loaded.queue if id(runner) in numbers],
        "description": (loaded.docstring or "").strip(),
        "stop_on_first_error": bool(getattr(config, "stop_on_first_error", False)),
        "no_install": bool(getattr(config, "no_install", False)),
        "report": path_json(os.path.abspath(str(report))) if report else None,
        "report_keys": report_keys(nox, loaded),
        "notices": loaded.notices,
        "uv_cache": os.environ.get("UV_CACHE_DIR") or None,
    }


def describe_session(nox, loaded, runner, numbers):
    function = runner.func
    python = getattr(function, "python", None)
    backend = resolve_backend(nox, loaded.config, function)
    passthrough = backend == "none" or python is False
    file, line = source_of(function)
    analysis = analyze_source(function)
    call_spec = getattr(function, "call_spec", {})
    return {
        "name": runner.friendly_name,
        "base": runner.name,
        "signatures": list(runner.signatures),
        "description": runner.description or "",
        "python": python if isinstance(python, str) else None,
        "tags": list(getattr(function, "tags", None) or []),
        "requires": required_sessions(loaded, runner, numbers),
        "backend": "none" if passthrough else backend,
        "reuse": bool(reuses_venv(loaded.config, runner)),
        "venv_params": [str(word) for word in getattr(function, "venv_params", None) or []],
        "envdir": None if passthrough else path_json(os.path.abspath(runner.envdir)),
        "default": bool(getattr(function, "default", True)),
        "allow_parallel": getattr(function, "allow_parallel", None),
        "parameters": [[str(name), safe_repr(value)[:200]] for name, value in call_spec.items()],
        "call_spec": report_entry({"args": call_spec}) if call_spec else None,
        "coverage": coverage_facts(analysis),
        "notifies": analysis.notifies,
        "installs": analysis.installs,
        "shared_variables": analysis.shared_variables.facts(),
        "file": None if file is None else path_json(file),
        "line": line,
        "source": analysis.source,
        "definition": definition(runner, analysis),
    }


def report_keys(nox, loaded):
    """Returns the keys that this version of nox writes for each session of `nox --report`, in order."""
    if not loaded.runners:
        return []
    return list(nox.sessions.Result(loaded.runners[0], nox.sessions.Status.SUCCESS).serialize())


def definition(runner, analysis):
    """Returns a digest of what determines the commands of a session; None if its source is unknown."""
    if analysis.source is None:
        return None
    posargs = list(map(str, getattr(runner, "posargs", None) or []))
    facts = [runner.friendly_name, analysis.source, posargs, safe_repr(getattr(runner.func, "call_spec", None))]
    return _imp.source_hash(0, json.dumps(facts).encode("utf-8", "surrogateescape")).hex()


def path_json(path):
    """Returns a path as text, or as bytes if it is not UTF-8."""
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError:
        return list(os.fsencode(path))


def safe_repr(value):
    try:
        return repr(value)
    except Exception:  # a parameter whose repr raises is still a parameter
        return "<%s>" % type(value).__name__


def required_sessions(loaded, runner, numbers):
    if not hasattr(runner, "get_direct_dependencies") or not getattr(runner.func, "requires", None):
        return []
    try:
        return [numbers[id(need)] for need in runner.get_direct_dependencies() if id(need) in numbers]
    except Exception:  # sessions that nox did not select may require one that does not exist
        return []


def resolve_backend(nox, config, function):
    """Returns the backend that nox would use: of a list such as `uv|virtualenv`, the first that is available."""
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


def reuses_venv(config, runner):
    if hasattr(runner, "reuse_existing_venv"):
        try:
            return runner.reuse_existing_venv()
        except Exception:  # nox reports the error when the session runs
            return False
    return runner.func.reuse_venv or getattr(config, "reuse_existing_virtualenvs", False)

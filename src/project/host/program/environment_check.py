"""Creates incomplete environments anew, and refuses installs that would change another interpreter.

Part of noxide's host program. If noxide is killed, an environment may be half created or half installed.
Names from the other parts are used without import: see load.py.
"""

import contextlib
import functools

# Exists in an environment while an install changes it.
INSTALL_MARKER = ".noxide-installing"


def recreate_incomplete_environments(nox):
    """Makes nox create an environment anew if it would reuse one that is not complete."""
    environment_class = getattr(nox.virtualenv, "VirtualEnv", None)
    clean = getattr(environment_class, "_clean_location", None)
    if clean is None:
        return

    @functools.wraps(clean)
    def checked_clean(venv):
        if getattr(venv, "reuse_existing", False) and os.path.isdir(venv.location):
            defect = environment_defect(venv.location)
            if defect:
                import shutil

                nox.logger.logger.warning("Creating %s anew: %s.", venv.location, defect)
                venv.reuse_existing = False
                if not os.path.islink(venv.location):
                    shutil.rmtree(venv.location, ignore_errors=True)
        elif is_interrupted_creation(venv.location):
            import shutil

            # `uv venv --clear` refuses a directory that is not an environment.
            shutil.rmtree(venv.location, ignore_errors=True)
        return clean(venv)

    environment_class._clean_location = checked_clean


# What `uv venv` and virtualenv create, before and beside `pyvenv.cfg`.
ENVIRONMENT_ENTRIES = {".gitignore", ".lock", "CACHEDIR.TAG", "bin", "include", "lib", "lib64"}


def is_interrupted_creation(location):
    """Returns whether a directory is an environment whose creation was interrupted, and contains nothing else."""
    if os.path.islink(location) or not os.path.isdir(location):
        return False
    entries = set(os.listdir(location))
    return "CACHEDIR.TAG" in entries and entries <= ENVIRONMENT_ENTRIES


def environment_defect(location):
    """Returns what is wrong with an environment; empty if it is complete."""
    if os.path.lexists(os.path.join(location, INSTALL_MARKER)):
        return "its last install was interrupted"
    directories = site_directories(location)
    if not directories and not os.path.isdir(os.path.join(location, "site-packages")):  # where old PyPy has it
        return interpreter_defect(location) or "it has no site-packages"
    for directory in directories:
        for entry in os.scandir(directory):
            if not entry.name.endswith(".dist-info"):
                continue
            for name in ("METADATA", "RECORD"):
                if not os.path.isfile(os.path.join(entry.path, name)):
                    return "%s has no %s" % (entry.name, name)
    return interpreter_defect(location)


def interpreter_defect(location):
    """Returns why the interpreter of an environment is not inside it; empty if it is.

    Without `pyvenv.cfg`, its `bin/python` is the interpreter that it was created with.
    """
    import glob

    if not os.path.exists(os.path.join(location, "bin", "python")):
        return "it has no bin/python"
    if os.path.isfile(os.path.join(location, "pyvenv.cfg")):
        return ""
    is_old_virtualenv = glob.glob(os.path.join(glob.escape(location), "lib*", "*", "orig-prefix.txt"))
    return "" if is_old_virtualenv else "it has no pyvenv.cfg"


@contextlib.contextmanager
def checked_install(session, venv, words):
    """Refuses an install that would change another interpreter, and marks the environment until the install has ended."""
    if type(venv).__name__ != "VirtualEnv" or words is not None and words[:2] == UV_SYNC:  # it creates its environment
        yield
        return

    def refuse_other_interpreter():
        defect = interpreter_defect(venv.location)
        if defect:
            session.error("The environment %s is damaged: %s. An install would change the interpreter outside of it. "
                          "Run the session again to create it anew." % (venv.location, defect))

    refuse_other_interpreter()
    marker = os.path.join(venv.location, INSTALL_MARKER)
    with contextlib.suppress(OSError):
        with open(marker, "w"):
            pass
    try:
        yield
        refuse_other_interpreter()
    finally:
        # An interrupted install may be incomplete; one that failed has ended.
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
            with contextlib.suppress(OSError):
                os.unlink(marker)

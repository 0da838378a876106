"""Sessions that do not race: each measures coverage into the default file, of which it gets its own in a run."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path
P("work.py").write_text("print(1)")

@nox.session
def one(session):
    session.run("coverage", "run", "work.py", "1", external=True)
    session.run("coverage", "report", external=True)


@nox.session
def two(session):
    session.run("coverage", "run", "work.py", "2", external=True)
    session.run("coverage", "report", external=True)

"""Made executable, and what races there."""
# race: one two read-write run.sh
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

if not os.path.exists("run.sh"):
    P("run.sh").write_text("x")

@nox.session
def one(session):
    os.chmod("run.sh", 0o755)


@nox.session
def two(session):
    print(P("run.sh").read_text())

"""Symlink in the path of a changed directory, and what races there."""
# race: one two read-write current
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

for v in ("v1", "v2"):
    P(v).mkdir(exist_ok=True)
    P(v, "data.txt").write_text("x")
if not os.path.islink("current"):
    os.symlink("v1", "current")

@nox.session
def one(session):
    os.chdir("current"); print(P("data.txt").read_text())


@nox.session
def two(session):
    os.symlink("v2", "next"); os.replace("next", "current")

"""Symlink directory, and what races there."""
# race: one two read-write v1/data.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("v1").mkdir(exist_ok=True)
P("v1/data.txt").write_text("x")
if not os.path.islink("current"):
    os.symlink("v1", "current")

@nox.session
def one(session):
    print(P("current/data.txt").read_text())


@nox.session
def two(session):
    P("v1/data.txt").write_text("changed")

"""Formatter, and what races there."""
# race: one two read-write src/a.py
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("src").mkdir(exist_ok=True)
if not os.path.exists("src/a.py"):
    P("src/a.py").write_text("x=1\n")

@nox.session
def one(session):
    print(P("src/a.py").read_text())


@nox.session
def two(session):
    P("src/a.py").write_text("x = 1\n")

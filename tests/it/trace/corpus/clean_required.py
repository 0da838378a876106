"""Sessions that do not race: required."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("made.txt").write_text("x")


@nox.session(requires=["one"])
def two(session):
    print(P("made.txt").read_text())

"""Sessions that do not race: readers."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("data.txt").write_text("x")

@nox.session
def one(session):
    print(P("data.txt").read_text())


@nox.session
def two(session):
    print(P("data.txt").read_text())

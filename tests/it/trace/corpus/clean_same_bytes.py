"""Sessions that do not race: same bytes."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("version.py").write_text("v = 1\n")


@nox.session
def two(session):
    P("version.py").write_text("v = 1\n")

"""Sessions that do not race: caches."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    os.makedirs(".mypy_cache/x", exist_ok=True); P(".mypy_cache/x/y").write_text("1")
    os.makedirs("own/__pycache__", exist_ok=True); P("own/__pycache__/a.pyc").write_text("1")


@nox.session
def two(session):
    os.makedirs(".mypy_cache/x", exist_ok=True); P(".mypy_cache/x/y").write_text("2")
    os.makedirs("own/__pycache__", exist_ok=True); P("own/__pycache__/a.pyc").write_text("2")

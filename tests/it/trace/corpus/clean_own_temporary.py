"""Sessions that do not race: own temporary."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P(tempfile.mkdtemp(), "x").write_text("1")


@nox.session
def two(session):
    P(tempfile.mkdtemp(), "x").write_text("2")

"""Exec written, and what races there."""
# race: one two read-write tool.sh
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("tool.sh").write_text("#!/bin/sh\necho new\n"); os.chmod("tool.sh", 0o755)


@nox.session
def two(session):
    subprocess.check_call(["./tool.sh"])

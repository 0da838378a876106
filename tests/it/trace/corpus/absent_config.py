"""Absent config, and what races there."""
# race: one two absent-create settings.cfg
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    print(os.path.exists("settings.cfg"))


@nox.session
def two(session):
    P("settings.cfg").write_text("x")

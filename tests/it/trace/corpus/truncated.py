"""Truncated, and what races there."""
# race: one two read-write notes.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("notes.txt").write_text("three")

@nox.session
def one(session):
    os.truncate("notes.txt", 1)


@nox.session
def two(session):
    print(P("notes.txt").read_text())

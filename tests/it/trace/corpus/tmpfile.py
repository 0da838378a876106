"""Tmpfile, and what races there."""
# race: one two read-write result.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644); os.write(fd, b"x")
    assert ctypes.CDLL(None).linkat(-100, b"/proc/self/fd/%d" % fd, -100, b"result.txt", 0x400) == 0


@nox.session
def two(session):
    print(P("result.txt").read_text())

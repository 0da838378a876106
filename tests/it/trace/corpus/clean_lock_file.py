"""Sessions that do not race: lock file."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    fd = os.open("work.lock", os.O_CREAT | os.O_EXCL); os.close(fd); os.unlink("work.lock")


@nox.session
def two(session):
    fd = os.open("work.lock", os.O_CREAT | os.O_EXCL); os.close(fd); os.unlink("work.lock")

"""Unix socket, and what races there."""
# race: one two create-delete run.sock
# race: one two same-address socket run.sock
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    if os.path.exists("run.sock"):
        os.unlink("run.sock")
    s = socket.socket(socket.AF_UNIX); s.bind("run.sock"); s.close()


@nox.session
def two(session):
    if os.path.exists("run.sock"):
        os.unlink("run.sock")
    s = socket.socket(socket.AF_UNIX); s.bind("run.sock"); s.close()

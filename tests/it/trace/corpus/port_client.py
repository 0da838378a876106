"""Port client, and what races there."""
# race: one two same-address port 48274
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 48274)); s.listen(); s.close()


@nox.session
def two(session):
    s = socket.socket(); print(s.connect_ex(("127.0.0.1", 48274)))

"""Blind service: a trace that is incomplete."""
# incomplete: two
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    pass


@nox.session
def two(session):
    s = socket.socket(); s.connect(("127.0.0.1", int(os.environ["CORPUS_SERVICE"])))

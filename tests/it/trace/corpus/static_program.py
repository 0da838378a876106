"""Static program, and what races there."""
# race: one two write-write static.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    subprocess.check_call([os.environ["CORPUS_STATIC"], "static.txt", "one"])


@nox.session
def two(session):
    subprocess.check_call([os.environ["CORPUS_STATIC"], "static.txt", "two"])

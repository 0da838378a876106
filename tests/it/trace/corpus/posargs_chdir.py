"""Posargs chdir, and what races there."""
# race: one two write-write sub/x.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("sub").mkdir(exist_ok=True)

@nox.session
def one(session):
    session.chdir("sub"); P("x.txt").write_text("one")


@nox.session
def two(session):
    fd = os.open("sub", os.O_RDONLY); f = os.open("x.txt", os.O_WRONLY | os.O_CREAT, dir_fd=fd); os.write(f, b"two"); os.close(f)

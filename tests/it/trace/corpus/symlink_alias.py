"""Symlink alias, and what races there."""
# race: one two write-write real.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("real.txt").touch()
if not os.path.islink("alias.txt"):
    os.symlink("real.txt", "alias.txt")

@nox.session
def one(session):
    P("alias.txt").write_text("one")


@nox.session
def two(session):
    P("real.txt").write_text("two")

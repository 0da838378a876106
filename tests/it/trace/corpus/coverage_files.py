"""Coverage files, and what races there."""
# race: one two create-delete .coverage
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    if os.path.exists(".coverage"):
        os.unlink(".coverage")
    P(".coverage").write_text("one")


@nox.session
def two(session):
    if os.path.exists(".coverage"):
        os.unlink(".coverage")
    P(".coverage").write_text("two")
